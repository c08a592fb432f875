// Index: all generations that can be found, in memory, by key.
//
// Thread-safe and never blocking: sharded, each shard under its own mutex, which also guards the
// slices and the open object of its generations. No two shards are locked at once, nothing else is
// locked under them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "store/generation_table.h"
#include "store/object.h"

namespace larder::store {

class Index {
 public:
  static constexpr std::size_t kShards = 256;

  std::shared_ptr<Generation> find(const Key& key) const;
  std::shared_ptr<Object> find_open(const Key& key) const;

  // Makes it the key's generation. Returns the one that had the key, now removed; if that is newer,
  // the new one is removed instead and returned.
  std::shared_ptr<Generation> insert(std::shared_ptr<Generation> generation);
  // False when it was removed before.
  bool erase(const Generation& generation);
  // Makes `object` the open object of its generation, or returns the one that is; null when the
  // generation was removed.
  std::shared_ptr<Object> attach(const std::shared_ptr<Object>& object);

  // Both also work on a removed generation that somebody still holds, so that its cost stays right.
  void add_slice(Generation& generation, std::uint32_t index, std::uint64_t checksum);
  // False when it is gone already, or the generation was removed.
  bool drop_slice(Generation& generation, std::uint32_t index);
  std::optional<std::uint64_t> checksum(const Generation& generation, std::uint32_t index) const;

  // Visits what shard number `shard` holds, under its lock.
  void visit(std::size_t shard, const std::function<void(const Generation&)>& visitor) const;

  std::uint64_t objects() const { return objects_; }
  std::uint64_t slices() const { return slices_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Shard {
    mutable std::mutex mutex;
    GenerationTable<ByKey> entries;
  };

  Shard& shard_of(const Key& key) { return shards_[key.high % kShards]; }
  const Shard& shard_of(const Key& key) const { return shards_[key.high % kShards]; }
  void mark_removed(Generation& generation);

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> objects_ = 0;
  std::atomic<std::uint64_t> slices_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
};

}  // namespace larder::store
