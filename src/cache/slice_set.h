// Slices of an object, such as those that an origin sends for one request.
#pragma once

#include <cstdint>
#include <vector>

namespace larder::cache {

// A bit for each up to the last; none, and no memory, while it is empty.
class SliceSet {
 public:
  void add(std::uint32_t index);
  // Whatever the object's length.
  void add_all() { has_all_ = true; }
  void clear() { *this = {}; }
  bool has(std::uint64_t index) const {
    return has_all_ || (index < slices_.size() && slices_[index]);
  }
  // How many of `count` bytes of the object from `offset` on lie in these slices.
  std::uint64_t bytes_in(std::uint64_t offset, std::uint64_t count) const;

 private:
  bool has_all_ = false;
  std::vector<bool> slices_;
};

}  // namespace larder::cache
