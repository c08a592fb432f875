// OpenTable: keeps a bounded number of objects open, so that find_open meets those that are used.
// Second chance (clock) order. Thread-safe, never blocking.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "store/object.h"

namespace larder::store {

class OpenTable {
 public:
  explicit OpenTable(std::size_t capacity) : places_(capacity > 0 ? capacity : 1) {}

  void add(std::shared_ptr<Object> object);
  static void note_use(const Object& object);
  // Lets go of a removed generation's object, so that its space can be freed.
  void drop(std::uint64_t generation);
  void clear();

 private:
  std::mutex mutex_;  // guards all below
  std::vector<std::shared_ptr<Object>> places_;
  std::unordered_map<std::uint64_t, std::size_t> place_of_;  // by generation
  std::size_t hand_ = 0;
};

}  // namespace larder::store
