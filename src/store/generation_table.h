// GenerationTable: a compact hash table of generations, by key or by id.
//
// Millions of entries live in it for as long as the store is open, so it is one array of pointers
// with linear probing instead of a node per entry. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "store/generation.h"

namespace larder::store {

struct ByKey {
  using Name = Key;
  static const Key& name_of(const Generation& generation) { return generation.key; }
  static std::uint64_t hash(const Key& key) { return key.low; }
};

struct ById {
  using Name = std::uint64_t;
  static std::uint64_t name_of(const Generation& generation) { return generation.id; }
  static std::uint64_t hash(std::uint64_t id) { return id; }
};

template <typename By>
class GenerationTable {
 public:
  using Entry = std::shared_ptr<Generation>;
  using Name = typename By::Name;

  // Null when absent.
  const Entry& find(const Name& name) const {
    static const Entry none;
    return places_.empty() ? none : places_[place_of(name)];
  }

  // Requires: no entry of this name.
  void insert(Entry entry) {
    if (4 * (size_ + 1) > 3 * places_.size()) grow();
    places_[place_of(By::name_of(*entry))] = std::move(entry);
    ++size_;
  }

  // Takes the entry out; null when absent.
  Entry take(const Name& name) {
    if (places_.empty()) return nullptr;
    std::size_t hole = place_of(name);
    if (!places_[hole]) return nullptr;
    Entry taken = std::move(places_[hole]);
    --size_;
    // Entries behind the hole that were pushed past it move up, so that no search ends too early.
    for (std::size_t at = next(hole); places_[at]; at = next(at)) {
      const std::size_t home = home_of(By::name_of(*places_[at]));
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;
      places_[hole] = std::move(places_[at]);
      hole = at;
    }
    return taken;
  }

  template <typename Visitor>
  void visit(Visitor&& visitor) const {
    for (const Entry& entry : places_) {
      if (entry) visitor(entry);
    }
  }

  std::size_t size() const { return size_; }

 private:
  std::size_t mask() const { return places_.size() - 1; }
  std::size_t next(std::size_t at) const { return (at + 1) & mask(); }
  std::size_t home_of(const Name& name) const {
    return static_cast<std::size_t>((By::hash(name) * 0x9E3779B97F4A7C15) >> 20) & mask();
  }
  // Where the name is, or the free place where it would be.
  std::size_t place_of(const Name& name) const {
    std::size_t at = home_of(name);
    while (places_[at] && By::name_of(*places_[at]) != name) at = next(at);
    return at;
  }
  void grow() {
    std::vector<Entry> old = std::exchange(places_, {});
    places_.resize(old.empty() ? 16 : 2 * old.size());
    for (Entry& entry : old) {
      if (entry) places_[place_of(By::name_of(*entry))] = std::move(entry);
    }
  }

  std::vector<Entry> places_;  // a power of two, or none
  std::size_t size_ = 0;
};

}  // namespace larder::store
