#include "cli/prefetch_run.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "cli/output.h"

namespace larder::cli {

using base::Result;

namespace {

constexpr const char* kAgain = "the same command goes on where this one ended";
constexpr std::chrono::milliseconds kSignalsSeen{100};  // how late, at most

// 0: none came.
volatile std::sig_atomic_t interrupted_by = 0;

void print_done(bool json, const std::string& url, const Result<PrefetchProgress>& done) {
  const bool is_stored = done && done->is_stored;
  if (json) {
    nlohmann::json event = {{"event", is_stored ? "done"
                                      : done    ? "not-stored"
                                                : "failed"},
                            {"url", url}};
    if (done && !is_stored) event["reason"] = done->why_not;
    if (done) {
      event["bytes"] = done->done;
      event["from_origin"] = done->from_origin;
    } else {
      event["error"] = done.error().message;
    }
    print_line(event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (done && !is_stored) {
    std::fprintf(stderr, "%s  not stored%s%s\n", printable(url).c_str(),
                 done->why_not.empty() ? "" : ": ", printable(done->why_not).c_str());
  } else if (done) {
    print_line(printable(url) + "  " + base::format_byte_count(done->done) + "  " +
               (done->from_origin > 0
                    ? base::format_byte_count(done->from_origin) + " from the origin"
                    : "was there"));
  } else {
    std::fprintf(stderr, "%s  failed: %s\n", printable(url).c_str(),
                 printable(done.error().message).c_str());
  }
}

}  // namespace

void Prefetch::catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { interrupted_by = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

Prefetch::Prefetch(std::vector<std::string> urls, std::uint64_t rate, bool json)
    : urls_(std::move(urls)),
      json_(json),
      is_terminal_(::isatty(2) != 0),
      pace_(rate, std::chrono::steady_clock::now()),
      last_progress_(std::chrono::steady_clock::now()),
      results_(urls_.size()) {}

std::optional<std::size_t> Prefetch::take() {
  const std::lock_guard lock(mutex_);
  if (is_ending_ || taken_ == urls_.size()) return std::nullopt;
  return taken_++;
}

void Prefetch::finish(std::size_t number, Result<PrefetchProgress> done) {
  const std::lock_guard lock(mutex_);
  // What the end cut off has failed for no reason of its own.
  if (done || !is_ending_) results_[number] = std::move(done);
  changed_.notify_all();
}

bool Prefetch::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return is_ending_; });
}

bool Prefetch::wait_for_turn(std::uint64_t bytes) {
  std::unique_lock lock(mutex_);
  if (!wait_for_pace(lock, base::SteadyTime::max())) return false;
  pace_.take(bytes, std::chrono::steady_clock::now());
  return true;
}

void Prefetch::settle(std::uint64_t taken, std::uint64_t came) {
  const std::lock_guard lock(mutex_);
  pace_.settle(taken, came);
  changed_.notify_all();
}

bool Prefetch::catch_up() {
  std::unique_lock lock(mutex_);
  // What others take meanwhile is theirs to wait for.
  return wait_for_pace(lock, pace_.next());
}

void Prefetch::note_progress() {
  const std::lock_guard lock(mutex_);
  last_progress_ = std::chrono::steady_clock::now();
}

base::SteadyTime Prefetch::last_progress() const {
  const std::lock_guard lock(mutex_);
  return std::max(last_progress_, pace_.next());
}

void Prefetch::show(std::size_t number, const PrefetchProgress& progress) {
  const std::lock_guard lock(mutex_);
  if (is_ending_) return;
  if (json_) {
    print_line(nlohmann::json({{"event", "progress"},
                               {"url", urls_[number]},
                               {"done", progress.done},
                               {"total", progress.total}})
                   .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (is_terminal_) {
    std::fprintf(stderr, "\r\033[K[%zu/%zu] %s of %s  %s", number + 1, urls_.size(),
                 base::format_byte_count(progress.done).c_str(),
                 base::format_byte_count(progress.total).c_str(), printable(urls_[number]).c_str());
    is_drawn_ = true;
  }
}

void Prefetch::end(PrefetchEnd end) {
  const std::lock_guard lock(mutex_);
  if (is_ending_) return;
  is_ending_ = true;
  end_ = std::move(end);
  for (client::HttpClient* each : clients_) each->cancel();
  changed_.notify_all();
}

void Prefetch::add_client(client::HttpClient& client) {
  const std::lock_guard lock(mutex_);
  clients_.insert(&client);
  if (is_ending_) client.cancel();
}

void Prefetch::remove_client(client::HttpClient& client) {
  const std::lock_guard lock(mutex_);
  clients_.erase(&client);
  changed_.notify_all();
}

std::size_t Prefetch::report_all() {
  std::unique_lock lock(mutex_);
  std::size_t stored = 0;
  for (std::size_t next = 0; next < urls_.size();) {
    if (results_[next]) {
      const Result<PrefetchProgress> done = std::move(*results_[next]);
      results_[next].reset();
      if (is_drawn_) std::fputc('\n', stderr);
      is_drawn_ = false;
      print_done(json_, urls_[next], done);
      if (done && done->is_stored) ++stored;
      ++next;
    } else if (is_ending_ && clients_.empty()) {
      ++next;
    } else {
      changed_.wait_for(lock, kSignalsSeen);
      if (is_ending_ || (interrupted_by == 0 && std::ferror(stdout) == 0)) continue;
      lock.unlock();
      end({interrupted_by != 0 ? "interrupted" : "nobody reads the report any more", kAgain});
      lock.lock();
    }
  }
  return stored;
}

PrefetchEnd Prefetch::ended() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

// Others may give back what they took: the time comes nearer then.
bool Prefetch::wait_for_pace(std::unique_lock<std::mutex>& lock, base::SteadyTime latest) {
  while (!is_ending_) {
    const base::SteadyTime until = std::min(pace_.next(), latest);
    if (std::chrono::steady_clock::now() >= until) return true;
    changed_.wait_until(lock, until);
  }
  return false;
}

}  // namespace larder::cli
