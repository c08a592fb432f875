// What a node counts. Each loop adds to its own counters, a reader sums them: no request waits for
// another's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "node/request_counters.h"

namespace larder::node {

// In the order of kNames; names are part of the metrics' contract, docs/operations.md.
enum class Counter : std::size_t {
  Requests,
  Hits,          // answered wholly from the store
  Misses,        // something came from an origin
  Passes,        // forwarded without being stored
  Refusals,      // 4xx of our own, 503 by a limit, and 504 to only-if-cached
  Errors,        // 5xx of our own
  Cut,           // answers that could not be completed
  ClientLeft,    // answers that clients did not take to their end
  BytesHit,      // body bytes from the store
  BytesMiss,     // body bytes that were on their way from an origin
  BytesContent,  // body bytes of guarded content
  BytesTotal,    // everything sent, heads included
  HandshakeFailures,
  ContentDenied,
  UpstreamRefused,  // of the refusals those by upstream_rate
  Count,
};

class Counters {
 public:
  // By one thread only: no bus lock.
  void add(Counter counter, std::uint64_t by = 1) {
    std::atomic<std::uint64_t>& value = values_[static_cast<std::size_t>(counter)];
    value.store(value.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  // For counters that several threads share.
  void add_shared(Counter counter) {
    values_[static_cast<std::size_t>(counter)].fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t get(Counter counter) const {
    return values_[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
  }

  RequestCounters requests;  // added to by the owning thread only

 private:
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Counter::Count)> values_{};
};

using CounterTotals = std::array<std::uint64_t, static_cast<std::size_t>(Counter::Count)>;

// Thread-safe.
class CounterSet {
 public:
  std::shared_ptr<Counters> add_thread();
  CounterTotals totals() const;
  RequestCounterSet requests;
  // Appends what `requests` counts.
  void print_requests(std::string& page) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Counters>> threads_;
};

// One gauge or counter more for the Prometheus page.
struct Gauge {
  std::string name;
  std::string help;
  double value = 0;
  bool is_counter = false;
  std::string labels;  // "" or "{drive=\"...\"}"
};

// The text exposition format, version 0.0.4.
// Inside a label's quotes.
std::string label_text(std::string_view text);
std::string print_metrics(const CounterTotals& totals, const std::vector<Gauge>& gauges);

}  // namespace larder::node
