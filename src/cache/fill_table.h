// All running fills, by key and by generation, and what they share: memory, what is known of
// origins' paths, objects that flip.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "cache/fill.h"
#include "cache/flip_history.h"
#include "net/worker_pool.h"

namespace larder::cache {

struct FillStatistics {
  std::atomic<std::uint64_t> fetches{0};
  std::atomic<std::uint64_t> failed_fetches{0};
  std::atomic<std::uint64_t> taken_over{0};  // fetches that went on where another one stopped
  std::atomic<std::uint64_t> changes{0};     // objects that changed in the middle of a fill
  std::atomic<std::uint64_t> flipping{0};    // of these the ones that are one response from then on
};

// Thread-safe. Outlives its fills; everything passed in outlives the table.
class FillTable {
 public:
  static constexpr std::uint64_t kDefaultMemory = 256 << 20;

  FillTable(Origin& origin, store::Store& store, net::WorkerPool& disk, const base::Clock& clock,
            std::uint64_t memory = kDefaultMemory);
  ~FillTable();

  // A reader of the fill that opens a new generation of that key, which is made when there is none.
  // `refused`: the generation that may not answer as it is, or null; a fill of it is joined only
  // while its bytes still come and have begun lately, by those who ask at about the same time.
  Fill::Reader open(const store::Key& key, IdentityRule rule,
                    const std::shared_ptr<store::Object>& refused = nullptr);
  // A reader of the fill that brings what that stored generation lacks, made when there is none.
  // `response` is what is stored with it.
  Fill::Reader complete(const store::Key& key, std::shared_ptr<store::Object> object,
                        const StoredResponse& response, IdentityRule rule);

  // What has ended but is still being stored is given up: a long answer takes minutes, a stop must
  // not. Nothing that is begun afterwards is stored from a spool.
  void stop() { spools_->ending = true; }

  FillStatistics& statistics() { return statistics_; }
  std::uint64_t memory_used() const { return memory_->used(); }
  std::size_t size() const;
  // The last slice that was to be written was not.
  bool drives_refuse() const { return drives_refuse_; }

 private:
  friend class Fill;
  // Before anybody finds that object in the store: who does joins the fill that makes it.
  void record_object(Fill& fill, const std::shared_ptr<store::Object>& object);
  // Nobody is to find it after all.
  void drop_object(const store::Object& object);
  void forget(const Fill& fill);
  void forget_if_idle(const Fill& fill);
  void forget_locked(const Fill& fill, std::array<std::shared_ptr<Fill>, 2>& kept);
  void record_change(const store::Key& key);
  bool is_flipping(const store::Key& key) const;
  std::uint64_t window_of(const std::string& host) const;
  void remember_window(const std::string& host, std::uint64_t bytes);

  Origin& origin_;
  store::Store& store_;
  net::WorkerPool& disk_;
  const base::Clock& clock_;
  const std::shared_ptr<FillMemory> memory_;
  const std::shared_ptr<SharedStream::Spools> spools_ =
      std::make_shared<SharedStream::Spools>(store_, disk_);
  FillStatistics statistics_;
  std::atomic<bool> drives_refuse_ = false;
  mutable std::mutex mutex_;  // guards what follows; taken before a fill's mutex
  // Those that open a generation, the last one of each key.
  std::unordered_map<store::Key, std::shared_ptr<Fill>, store::KeyHash> opening_;
  // Those that have one, for as long as it is not all stored.
  std::unordered_map<const store::Object*, std::shared_ptr<Fill>> completing_;
  mutable std::mutex known_mutex_;  // guards what follows; may be taken with a fill's mutex held
  FlipHistory flips_;
  std::unordered_map<std::string, std::uint64_t> windows_;  // by host, in bytes
};

}  // namespace larder::cache
