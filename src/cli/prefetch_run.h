// A prefetch of several URLs at a time: what those who fetch have in common, and the report, which
// is in the order of the list, whoever is ready first.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/prefetch_pace.h"
#include "client/http_client.h"

namespace larder::cli {

// Of one URL.
struct PrefetchProgress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;        // 0: not known yet
  std::uint64_t from_origin = 0;  // of `done`; the rest was there already
  bool is_stored = true;
  std::string why_not;  // stored, as the node said
};

// Why not all of it was done; no `why`: it has come to its end.
struct PrefetchEnd {
  std::string why;
  std::string next;  // what to do about it
};

// Thread-safe.
class Prefetch {
 public:
  Prefetch(std::vector<std::string> urls, std::uint64_t rate, bool json);

  // --- for those who fetch ---
  // The next URL, by its number; nothing when all are taken or it is to end.
  std::optional<std::size_t> take();
  const std::string& url(std::size_t number) const { return urls_[number]; }
  void show(std::size_t number, const PrefetchProgress& progress);
  void finish(std::size_t number, base::Result<PrefetchProgress> done);
  // False at once when it is to end, as the two below.
  bool pause(std::chrono::milliseconds time);
  // Bytes to ask for at a time.
  std::uint64_t piece() const { return pace_.piece(); }
  // Waits until a piece of so many bytes may be asked for.
  bool wait_for_turn(std::uint64_t bytes);
  // Waits until what came so far fits the rate.
  bool catch_up();
  // So many came for those that were waited for.
  void settle(std::uint64_t taken, std::uint64_t came);
  // Bytes came, for whichever URL, or wait for the rate.
  void note_progress();
  base::SteadyTime last_progress() const;
  // What the end is to cancel, as long as somebody fetches with it.
  void add_client(client::HttpClient& client);
  void remove_client(client::HttpClient& client);
  // Ends all; the first reason counts.
  void end(PrefetchEnd end);

  // --- for who waits ---
  // Prints what came of each URL, until all are done or it has ended and nobody fetches any more.
  // The number of those that are stored. SIGINT and SIGTERM end it.
  std::size_t report_all();
  std::size_t size() const { return urls_.size(); }
  PrefetchEnd ended() const;
  // From now on the first of these signals ends the prefetch, and a second one the process.
  static void catch_interrupts();

 private:
  bool wait_for_pace(std::unique_lock<std::mutex>& lock, base::SteadyTime latest);

  const std::vector<std::string> urls_;
  const bool json_;
  const bool is_terminal_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  PrefetchPace pace_;
  base::SteadyTime last_progress_;
  std::size_t taken_ = 0;
  std::vector<std::optional<base::Result<PrefetchProgress>>> results_;
  std::set<client::HttpClient*> clients_;
  bool is_ending_ = false;
  bool is_drawn_ = false;
  PrefetchEnd end_;
};

}  // namespace larder::cli
