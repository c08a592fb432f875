// Reading mapped files of a drive that may fail.
//
// A read error under a mapping arrives as SIGBUS. The process-wide handler here maps a page of
// zeros over the faulting page of a registered mapping and sets a flag of the thread, so that the
// reader goes on and asks afterwards. A SIGBUS anywhere else does what it would do without us.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace larder::store {

// True when this thread read zeros instead of a file's bytes since the last call; clears the flag.
bool take_mapped_fault();

// A read-only shared mapping of a file, registered with the handler. Not copied; movable.
class MappedRegion {
 public:
  MappedRegion() = default;
  MappedRegion(MappedRegion&& other) noexcept;
  MappedRegion& operator=(MappedRegion&& other) noexcept;
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;
  ~MappedRegion();

  // Maps `length` bytes (at least one) from the file's start; the file may be shorter and grow
  // later. Installs the handler at the first call. ResourceExhausted when too many are mapped.
  static base::Result<MappedRegion> map(int fd, std::size_t length);

  const std::uint8_t* data() const { return data_; }
  std::size_t length() const { return length_; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t length_ = 0;
  std::size_t place_ = 0;  // in the handler's table
};

}  // namespace larder::store
