// LiveTable: those generations of one shard of the index that somebody holds or has open. Small
// beside the EntryTable, and all that a hit has to look at. Entries whose holders are gone are
// swept out when it grows. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "store/object.h"

namespace larder::store {

struct Generation;

struct Live {
  Key key{};
  std::uint32_t slot = 0;  // in the EntryTable
  bool is_taken = false;
  std::weak_ptr<Generation> generation{};
  std::weak_ptr<Object> object{};
};

class LiveTable {
 public:
  // Null when absent. Good until the next call that changes the table.
  const Live* find(const Key& key) const {
    if (places_.empty()) return nullptr;
    const Live& place = places_[place_of(key)];
    return place.is_taken ? &place : nullptr;
  }
  Live* find(const Key& key) { return const_cast<Live*>(std::as_const(*this).find(key)); }

  // The key's entry, made when there is none.
  Live& get(const Key& key) {
    if (4 * (size_ + 1) > 3 * places_.size()) sweep_and_grow();
    Live& place = places_[place_of(key)];
    if (!place.is_taken) {
      place.key = key;
      place.is_taken = true;
      ++size_;
    }
    return place;
  }

  void erase(const Key& key) {
    if (places_.empty()) return;
    std::size_t hole = place_of(key);
    if (!places_[hole].is_taken) return;
    places_[hole] = {};
    --size_;
    for (std::size_t at = next(hole); places_[at].is_taken; at = next(at)) {
      const std::size_t home = home_of(places_[at].key);
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;
      places_[hole] = std::exchange(places_[at], {});
      hole = at;
    }
  }

  template <typename Visitor>
  void visit(Visitor&& visitor) const {
    for (const Live& place : places_) {
      if (place.is_taken) visitor(place);
    }
  }

 private:
  std::size_t mask() const { return places_.size() - 1; }
  std::size_t next(std::size_t at) const { return (at + 1) & mask(); }
  std::size_t home_of(const Key& key) const {
    return static_cast<std::size_t>((key.low * 0x9E3779B97F4A7C15) >> 20) & mask();
  }
  // Where the key is, or the free place where it would be.
  std::size_t place_of(const Key& key) const {
    std::size_t at = home_of(key);
    while (places_[at].is_taken && places_[at].key != key) at = next(at);
    return at;
  }
  void sweep_and_grow() {
    std::vector<Live> old = std::exchange(places_, {});
    std::erase_if(old,
                  [](const Live& live) { return !live.is_taken || live.generation.expired(); });
    std::size_t capacity = 8;
    while (3 * capacity < 8 * (old.size() + 1)) capacity *= 2;
    places_.resize(capacity);
    size_ = old.size();
    for (Live& live : old) places_[place_of(live.key)] = std::move(live);
  }

  std::vector<Live> places_;  // a power of two, or none
  std::size_t size_ = 0;
};

}  // namespace larder::store
