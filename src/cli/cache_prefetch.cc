#include "cli/cache_prefetch.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>
#include <unordered_set>

#include "base/encoding.h"
#include "base/file.h"
#include "cache/cache_status.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/prefetch_pace.h"
#include "client/http_client.h"
#include "node/settings.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint64_t kListLimit = 64 << 20;
constexpr std::uint64_t kTrustLimit = 4 << 20;
constexpr int kAttempts = 5;  // of a piece that the node is too busy for
// Looks whether the last bytes are on the drive, which may take a moment.
constexpr int kLooks = 20;
constexpr std::chrono::milliseconds kBetweenLooks{100};
constexpr const char* kEnded = "ended before it was done";
constexpr std::chrono::milliseconds kSignalsSeen{100};  // how late, at most

// The signal that came; 0: none. A second one ends the process at once.
volatile std::sig_atomic_t interrupted_by = 0;
void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { interrupted_by = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;        // 0: not known yet
  std::uint64_t from_origin = 0;  // of `done`; the rest was there already
  bool was_there = false;         // its beginning, before
  bool is_stored = true;
  std::string why_not;  // stored, as the node said
};

// What the node itself said; caches between it and the origin stand before it.
std::string_view status_of(const client::HttpResponse& response) {
  return cache::nearest_cache_status(response.field("Cache-Status"));
}

bool says(const client::HttpResponse& response, std::string_view what) {
  return status_of(response).find(what) != std::string_view::npos;
}

// The text of detail="..." in it.
std::string detail_of(const client::HttpResponse& response) {
  const std::string_view status = status_of(response);
  constexpr std::string_view kMark = "detail=\"";
  const std::size_t at = status.find(kMark);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = status.substr(at + kMark.size());
  return std::string(rest.substr(0, rest.find('"')));
}

// How the node is called.
struct Place {
  std::string url;           // with the name that its certificate has, over HTTPS
  std::string connect_to{};  // empty: what the URL says
  std::string trust{};       // PEM; empty: the system's store
};

// Total length behind the slash of "bytes 0-99/1234".
std::uint64_t total_in(std::string_view content_range) {
  std::uint64_t total = 0;
  const std::size_t slash = content_range.find('/');
  if (slash == std::string_view::npos) return 0;
  const std::string_view digits = content_range.substr(slash + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), total);
  return total;
}

void print_done(bool json, const std::string& url, const Result<Progress>& done);

// What those who fetch have in common: the list, the rate, what came of each URL, the end. The
// report is in the order of the list, whoever is ready first.
class Prefetch {
 public:
  Prefetch(std::vector<std::string> urls, std::uint64_t rate, bool json)
      : urls_(std::move(urls)),
        json_(json),
        is_terminal_(::isatty(2) != 0),
        pace_(rate, std::chrono::steady_clock::now()),
        results_(urls_.size()) {}

  // --- for those who fetch ---
  // The next URL, by its number; nothing when all are taken or it is to end.
  std::optional<std::size_t> take() {
    const std::lock_guard lock(mutex_);
    if (is_ending_ || taken_ == urls_.size()) return std::nullopt;
    return taken_++;
  }
  const std::string& url(std::size_t number) const { return urls_[number]; }
  void finish(std::size_t number, Result<Progress> done) {
    const std::lock_guard lock(mutex_);
    // What the end cut off has failed for no reason of its own.
    if (done || !is_ending_) results_[number] = std::move(done);
    changed_.notify_all();
  }
  // False at once when it is to end.
  bool pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, time, [this] { return is_ending_; });
  }
  std::uint64_t piece() const { return pace_.piece(); }
  // Waits until a piece of so many bytes may be asked for.
  bool wait_for_turn(std::uint64_t bytes) {
    std::unique_lock lock(mutex_);
    if (!wait_for_pace(lock)) return false;
    pace_.take(bytes, std::chrono::steady_clock::now());
    return true;
  }
  // So many came for those that were taken.
  void settle(std::uint64_t taken, std::uint64_t came) {
    const std::lock_guard lock(mutex_);
    pace_.settle(taken, came);
    changed_.notify_all();
  }
  // Waits until what came so far fits the rate.
  bool catch_up() {
    std::unique_lock lock(mutex_);
    return wait_for_pace(lock);
  }
  void show(std::size_t number, const Progress& progress) {
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
                   base::format_byte_count(progress.total).c_str(),
                   printable(urls_[number]).c_str());
      is_drawn_ = true;
    }
  }
  // Ends all; the first reason counts.
  void end(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (is_ending_) return;
    is_ending_ = true;
    why_ended_ = why;
    for (client::HttpClient* each : clients_) each->cancel();
    changed_.notify_all();
  }
  void add_client(client::HttpClient& client) {
    const std::lock_guard lock(mutex_);
    clients_.insert(&client);
    if (is_ending_) client.cancel();
  }
  void remove_client(client::HttpClient& client) {
    const std::lock_guard lock(mutex_);
    clients_.erase(&client);
    changed_.notify_all();
  }

  // --- for who waits ---
  // Prints what came of each URL until all are done, or it has ended and nobody fetches any more.
  // The number of those that are stored.
  std::size_t report_all() {
    std::unique_lock lock(mutex_);
    std::size_t stored = 0;
    for (std::size_t next = 0; next < urls_.size();) {
      if (results_[next]) {
        const Result<Progress> done = std::move(*results_[next]);
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
        end(interrupted_by != 0 ? "interrupted" : "nobody reads the report any more");
        lock.lock();
      }
    }
    return stored;
  }
  std::size_t size() const { return urls_.size(); }
  std::string why_ended() const {
    const std::lock_guard lock(mutex_);
    return why_ended_;
  }

 private:
  // Others may give back what they took: the time comes nearer then.
  bool wait_for_pace(std::unique_lock<std::mutex>& lock) {
    while (!is_ending_ && std::chrono::steady_clock::now() < pace_.next()) {
      changed_.wait_until(lock, pace_.next());
    }
    return !is_ending_;
  }

  const std::vector<std::string> urls_;
  const bool json_;
  const bool is_terminal_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  PrefetchPace pace_;
  std::size_t taken_ = 0;
  std::vector<std::optional<Result<Progress>>> results_;
  std::set<client::HttpClient*> clients_;
  bool is_ending_ = false;
  bool is_drawn_ = false;
  std::string why_ended_;
};

// Fetches one URL after the other.
class Fetcher {
 public:
  Fetcher(const Place& node, Prefetch& prefetch) : node_(node), prefetch_(prefetch) {
    prefetch_.add_client(http_);
  }
  ~Fetcher() { prefetch_.remove_client(http_); }
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  void run() {
    while (const auto number = prefetch_.take()) {
      const std::string& url = prefetch_.url(*number);
      auto done = fetch(url, *number);
      const bool was_silent = !done && !answered_;
      prefetch_.finish(*number, std::move(done));
      // One answer that was cut says nothing of the others; a node that is away does.
      if (was_silent && !is_there(url, "bytes=0-0") && !answered_) {
        prefetch_.end("the node does not answer");
      }
    }
  }

 private:
  Result<Progress> fetch(const std::string& url, std::size_t number) {
    Progress progress;
    const auto before = is_there(url, "bytes=0-0");
    if (!before) return std::unexpected(before.error());
    progress.was_there = *before;
    do {
      auto got = piece(url, progress);
      for (int attempt = 1;
           !got && got.error().code == ErrorCode::Unavailable && answered_ && attempt < kAttempts;
           ++attempt) {
        if (!prefetch_.pause(std::chrono::seconds(1))) break;
        got = piece(url, progress);
      }
      if (!got) return std::unexpected(got.error());
      if (progress.is_stored) prefetch_.show(number, progress);
    } while (progress.is_stored && progress.done < progress.total);
    if (progress.from_origin > 0 && !prefetch_.catch_up())
      return fail(ErrorCode::Unavailable, kEnded);
    if (!progress.is_stored || progress.total == 0) return progress;
    const std::string last = "bytes=" + std::to_string(progress.total - 1) + "-";
    auto there = is_there(url, last);
    for (int look = 1; there && !*there && look < kLooks; ++look) {
      if (!prefetch_.pause(kBetweenLooks)) return fail(ErrorCode::Unavailable, kEnded);
      there = is_there(url, last);
    }
    if (!there) return std::unexpected(there.error());
    progress.is_stored = *there;
    return progress;
  }

  client::HttpRequest request_for(const std::string& url, const std::string& range) const {
    client::HttpRequest request;
    request.url = node_.url + "/";
    request.connect_to = node_.connect_to;
    request.trust = node_.trust;
    request.target = url;
    const std::size_t host = url.find("://") + 3;
    request.fields = {{"Host", url.substr(host, std::min(url.find('/', host), url.size()) - host)},
                      {"Range", range}};
    request.timeout = std::chrono::milliseconds(0);
    request.low_speed = 1;
    return request;
  }

  // Asks the node alone. What cannot be told so counts as not there.
  Result<bool> is_there(const std::string& url, const std::string& range) {
    client::HttpRequest request = request_for(url, range);
    request.fields.emplace_back("Cache-Control", "only-if-cached");
    request.on_body = [](std::span<const std::uint8_t>) -> base::Status { return {}; };
    answered_ = false;
    const auto response = http_.perform(request);
    if (!response) return std::unexpected(response.error());
    answered_ = true;
    return response->status < 300 && says(*response, "; hit");
  }

  base::Status piece(const std::string& url, Progress& progress) {
    client::HttpRequest request =
        request_for(url, "bytes=" + std::to_string(progress.done) + "-" +
                             std::to_string(progress.done + prefetch_.piece() - 1));
    std::uint64_t bytes = 0;
    // What is there is not kept waiting: were it gone meanwhile, it is counted afterwards.
    const std::uint64_t taken = progress.was_there ? 0
                                : progress.total == 0
                                    ? prefetch_.piece()
                                    : std::min(prefetch_.piece(), progress.total - progress.done);
    if (taken > 0 && !prefetch_.wait_for_turn(taken)) return fail(ErrorCode::Unavailable, kEnded);
    // What is not stored is not worth its bytes. An answer without a length may still be.
    bool is_refused = false;
    request.on_head = [&](int status, const auto& fields) -> base::Status {
      client::HttpResponse head{.status = status, .fields = fields, .body = {}};
      const bool has_length = !head.field("Content-Length").empty();
      is_refused = (status == 200 || status == 206) && has_length && !says(head, "; hit") &&
                   !says(head, "; stored");
      if (!is_refused) return {};
      progress.why_not = detail_of(head);
      return fail(ErrorCode::FailedPrecondition, "not stored");
    };
    request.on_body = [&](std::span<const std::uint8_t> part) -> base::Status {
      bytes += part.size();
      return {};
    };
    answered_ = false;
    const auto response = http_.perform(request);
    const bool came_from_origin = !(progress.was_there && response && says(*response, "; hit"));
    prefetch_.settle(taken, came_from_origin ? bytes : 0);
    if (is_refused) {
      answered_ = true;
      progress.is_stored = false;
      return {};
    }
    if (!response) return std::unexpected(response.error());
    answered_ = true;
    if (response->status == 416 && progress.done == 0) return {};  // an empty object
    if (response->status != 206 && response->status != 200) {
      return fail(response->status == 503 ? ErrorCode::Unavailable : ErrorCode::Internal,
                  "status " + std::to_string(response->status));
    }
    // What came while the pieces before were read came from the origin, too: one that serves no
    // ranges sends everything at once.
    if (came_from_origin) progress.from_origin += bytes;
    if (!says(*response, "; hit")) progress.why_not = detail_of(*response);
    progress.done = response->status == 200 ? bytes : progress.done + bytes;
    progress.total = response->status == 200 ? bytes : total_in(response->field("Content-Range"));
    if (progress.total == 0 || bytes == 0) progress.total = progress.done;
    return {};
  }

  const Place& node_;
  Prefetch& prefetch_;
  bool answered_ = false;  // the node, to the last request
  client::HttpClient http_;
};

Result<Place> place_of_node(const std::string& config) {
  const auto settings = node::load_node_settings(config_path(config));
  if (!settings) return std::unexpected(settings.error());
  const bool over_tls = settings->http_listen.empty();
  const auto& listeners = over_tls ? settings->https_listen : settings->http_listen;
  if (listeners.empty())
    return fail(ErrorCode::FailedPrecondition, "the node has no http_listen or https_listen");
  base::ListenAddress at = listeners.front();
  // "All addresses" is none that can be called.
  if (at.address == "0.0.0.0") at.address = "127.0.0.1";
  if (at.address == "::") at.address = "::1";
  if (!over_tls) return Place{.url = "http://" + base::to_text(at)};
  if (settings->connection_names.empty())
    return fail(ErrorCode::FailedPrecondition, "the node has no connection_names");
  const std::string& name = settings->connection_names.front();
  Place place{.url = "https://" + (name.contains(':') ? "[" + name + "]" : name) + ":" +
                     std::to_string(at.port),
              .connect_to = at.address};
  for (const std::string& file : settings->client_trust) {
    auto pem = base::read_file(file, kTrustLimit);
    if (!pem) return std::unexpected(pem.error());
    place.trust += *pem + "\n";
  }
  return place;
}

Result<std::vector<std::string>> all_urls(const PrefetchOptions& options) {
  std::vector<std::string> urls = options.urls;
  if (!options.list.empty()) {
    std::string text;
    if (options.list == "-") {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
      auto file = base::read_file(options.list, kListLimit);
      if (!file) return std::unexpected(file.error());
      text = std::move(*file);
    }
    for (std::string& url : parse_url_list(text)) urls.push_back(std::move(url));
  }
  if (urls.empty()) return fail(ErrorCode::InvalidArgument, "give URLs, or a file with --list");
  for (const std::string& url : urls) {
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      return fail(ErrorCode::InvalidArgument, "\"" + url + "\" is no URL with http or https");
  }
  std::unordered_set<std::string> seen;
  std::erase_if(urls, [&](const std::string& url) { return !seen.insert(url).second; });
  return urls;
}

void print_done(bool json, const std::string& url, const Result<Progress>& done) {
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

std::vector<std::string> parse_url_list(std::string_view text) {
  std::vector<std::string> urls;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kSpace = " \t\r";
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    line.remove_suffix(line.size() - (line.find_last_not_of(kSpace) + 1));
    if (!line.empty() && !line.starts_with('#')) urls.emplace_back(line);
  }
  return urls;
}

int prefetch(const PrefetchOptions& options) {
  std::uint64_t rate = 0;
  if (!options.rate.empty()) {
    const auto bytes = base::parse_byte_count(options.rate);
    if (!bytes || *bytes == 0) {
      report({ErrorCode::InvalidArgument, "--rate: give bytes a second, like 10MB"}, "");
      return kWrongUsage;
    }
    rate = *bytes;
  }
  auto urls = all_urls(options);
  if (!urls) return report(urls.error(), "cannot prefetch");
  const auto node = place_of_node(options.config);
  if (!node) return report(node.error(), "cannot prefetch");
  catch_interrupts();
  Prefetch prefetch(std::move(*urls), rate, options.json);
  std::vector<std::jthread> threads;
  const auto parallel =
      std::min<std::size_t>(static_cast<std::size_t>(options.parallel), prefetch.size());
  // All of them are there before the report looks whether anybody still fetches.
  std::vector<std::unique_ptr<Fetcher>> fetchers(parallel);
  for (auto& fetcher : fetchers) fetcher = std::make_unique<Fetcher>(*node, prefetch);
  for (auto& fetcher : fetchers) {
    threads.emplace_back([own = std::move(fetcher)] { own->run(); });
  }
  const std::size_t stored = prefetch.report_all();
  threads.clear();
  const std::string why = prefetch.why_ended();
  const std::string of = " of " + std::to_string(prefetch.size());
  if (!why.empty()) {
    return report(
        {ErrorCode::Unavailable, why + ": " + std::to_string(stored) + of + " are stored"}, "",
        interrupted_by != 0 ? "the same command goes on where this one ended"
                            : "is the node running?");
  }
  if (stored == prefetch.size()) return kOk;
  return report(
      {ErrorCode::Unavailable, std::to_string(prefetch.size() - stored) + of + " were not stored"},
      "", "the line of each says why; `larder explain URL` says more");
}

}  // namespace larder::cli
