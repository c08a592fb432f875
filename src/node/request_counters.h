// What a node counts of its requests beyond the plain sums of counters.h: how long they took, what
// was answered, which origin they were for. Each loop adds to its own; a reader sums them.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace larder::node {

// A number that one thread adds to and any thread reads: no bus lock.
class OwnCount {
 public:
  void add(std::uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// A histogram of durations.
class Latency {
 public:
  // Upper bounds of the buckets, in microseconds; a last one takes what is longer.
  static constexpr std::array<std::uint32_t, 18> kBounds{
      50,     100,     250,     500,     1'000,     2'500,     5'000,      10'000,     25'000,
      50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000, 60'000'000, 600'000'000};
  void add(std::chrono::microseconds duration) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && value > kBounds[bucket]) ++bucket;
    buckets_[bucket].add();
    sum_.add(value);
  }
  struct Totals {
    std::array<std::uint64_t, kBounds.size() + 1> buckets{};  // not cumulative
    std::uint64_t microseconds = 0;
  };
  void add_to(Totals& totals) const;

 private:
  std::array<OwnCount, kBounds.size() + 1> buckets_;
  OwnCount sum_;
};

// How requests are told apart in the histograms. Names are in the metrics' contract.
enum class Kind : std::size_t { Hit, Miss, Pass, Other, Count };
// Of Outcome::cache.
Kind kind_of(std::string_view cache);

struct OriginCounts {
  OwnCount requests;
  OwnCount hits;
  OwnCount errors;             // 5xx of our own, and cut answers
  OwnCount bytes_from_store;   // body bytes
  OwnCount bytes_from_origin;  // body bytes, as they came
};

// What one loop counts.
struct RequestCounters {
  // Origins beyond these are counted together.
  static constexpr std::size_t kOrigins = 256;

  Latency at_once;  // hits that needed no wait: first byte and last are one
  std::array<Latency, static_cast<std::size_t>(Kind::Count)> first_byte;
  std::array<Latency, static_cast<std::size_t>(Kind::Count)> total;
  std::array<OwnCount, 6> classes;  // by the status' first digit
  void count_class(int status) {
    classes[static_cast<std::size_t>(status / 100) % classes.size()].add();
  }
  std::array<OriginCounts, kOrigins> origins;
};

// Thread-safe. The places of origins by name, and the rare things: a bounded number of each.
class RequestCounterSet {
 public:
  // Where the origin of that name is counted, in RequestCounters::origins; the same for a name as
  // long as the set lives.
  std::uint32_t place_of_origin(const std::string& name);
  void count_error(std::string_view reason);
  void count_refusal(int status);

  // Appends to a page in the text exposition format.
  void print(const std::vector<const RequestCounters*>& loops, std::string& page) const;

 private:
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, std::uint32_t> places_;
  std::map<std::string, std::uint64_t> errors_;
  std::map<int, std::uint64_t> refusals_;
};

}  // namespace larder::node
