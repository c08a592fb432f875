// What every request of a node shares: settings, store, fills, threads, counters. Made once, then
// only used.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "cache/fill_table.h"
#include "cache/hit_for_miss.h"
#include "net/loop.h"
#include "net/worker_pool.h"
#include "node/body_memory.h"
#include "node/challenges.h"
#include "node/counters.h"
#include "node/invalidations.h"
#include "node/policy.h"
#include "node/recent_answers.h"
#include "node/redirect_trails.h"
#include "node/revalidations_under_way.h"
#include "node/store_refusals.h"
#include "node/stored_object.h"
#include "server/access_log.h"
#include "server/exchange.h"
#include "store/store.h"

namespace larder::node {

// What belongs to one loop thread and is only touched there.
class LoopState {
 public:
  LoopState(net::Loop& loop, std::shared_ptr<const Policy> first_policy, store::Store& store,
            std::shared_ptr<Counters> loop_counters, RequestCounterSet& details,
            std::shared_ptr<server::AccessLog> log);
  ~LoopState();

  // For requests and lines from now on. `log`: null for none.
  void apply(std::shared_ptr<const Policy> next, std::shared_ptr<server::AccessLog> log);

  // Counts and logs a finished request.
  void record(const server::Exchange& exchange, std::string_view scheme, std::string_view host);
  // The line of an answer of `bytes` that was given just now, for record_repeated().
  void write_line(const server::Exchange& exchange, std::string_view scheme, std::string_view host,
                  std::uint64_t bytes, server::AccessLine& line) const;
  void record_repeated(const server::Peer& peer, const RecentAnswer& answer,
                       base::SteadyTime start);
  // Counts and logs a request that could not be parsed.
  void record_refused(const server::Peer& peer, const server::Outcome& outcome,
                      std::string_view scheme, base::SteadyTime start);
  // Gives the request its id: 32 hexadecimal digits, unique.
  void name_request(server::Exchange& exchange) {
    write_request_id(exchange.outcome.request_id.data());
  }
  void write_request_id(char* to);

  HotObjects hot;
  // Drops what is kept of objects that were evicted.
  void let_go();
  std::atomic<bool> is_to_let_go = false;  // soon; any thread
  RecentAnswers recent_http;
  RecentAnswers recent_https;
  std::shared_ptr<Counters> counters;
  // In force for requests that begin now. What outlives one step of the loop keeps a pointer of its
  // own.
  std::shared_ptr<const Policy> policy;

 private:
  class Sweep;
  static constexpr std::size_t kRequestId = 32;  // digits
  void read_clocks();
  base::WallTime wall(base::SteadyTime time) const;
  void count_other(const server::Outcome& outcome);
  void count_ending(const server::Outcome& outcome);
  void count_request(const server::Exchange& exchange, Kind kind, base::SteadyTime end);
  RequestCounterSet& details_;
  net::Loop& loop_;
  std::shared_ptr<server::AccessLog> log_file_;
  std::unique_ptr<server::AccessLog::Buffer> log_;
  std::unique_ptr<Sweep> sweep_;
  std::array<char, 16> request_prefix_{};
  std::uint64_t request_number_ = 0;
  // Wall time is steady time and this; renewed with each sweep, so that a record asks one clock.
  std::chrono::microseconds wall_offset_{};
};

struct Delivery {
  const PolicyHolder& policy;
  const base::Clock& clock;
  store::Store& store;
  net::WorkerPool& disk;
  cache::Origin& origin;
  cache::FillTable& fills;
  CounterSet& counters;
  // The revocation list of an issuer of the site, DER; null when there is none.
  std::function<std::shared_ptr<const std::string>(std::string_view issuer)> revocation_list;
  const Challenges* challenges = nullptr;     // of ACME servers, answered over HTTP
  const RedirectTrails* redirects = nullptr;  // for `larder explain`
  std::string via;                            // this node's name in Via, to notice loops
  Invalidations invalidations;
  cache::HitForMiss hit_for_miss;
  StoreRefusals store_refusals;
  BodyMemory body_memory;  // of requests that are forwarded
  RevalidationsUnderWay revalidations;

  // The state of that loop, made at the first call. On that loop.
  std::shared_ptr<LoopState> loop_state(net::Loop& loop);

  // Gives every loop what is in force now: the holder's policy, and this access log (null: none).
  // Thread-safe.
  void apply(std::shared_ptr<server::AccessLog> log);
  std::shared_ptr<server::AccessLog> access_log() const;
  // Makes every loop drop what it keeps of objects that were evicted: a drive waits for their
  // space. Thread-safe, while the loops are there.
  void let_go();

 private:
  mutable std::mutex loops_mutex_;  // guards what follows
  std::shared_ptr<server::AccessLog> access_log_;
  std::unordered_map<net::Loop*, std::shared_ptr<LoopState>> loops_;

 public:
  Delivery(const PolicyHolder& policy_holder, const base::Clock& node_clock,
           store::Store& node_store, net::WorkerPool& disk_pool, cache::Origin& node_origin,
           cache::FillTable& fill_table, CounterSet& counter_set)
      : policy(policy_holder),
        clock(node_clock),
        store(node_store),
        disk(disk_pool),
        origin(node_origin),
        fills(fill_table),
        counters(counter_set) {}
};

}  // namespace larder::node
