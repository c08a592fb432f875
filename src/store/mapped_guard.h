// Reading mapped files of a drive that may fail.
//
// A read error under a mapping arrives as SIGBUS. The process-wide handler here maps a page of
// zeros over the faulting page of a registered mapping and notes it, so that the reader goes on and
// asks afterwards. All threads that share the mapping read those zeros from then on, without a
// fault of their own. A SIGBUS anywhere else does what it would do without us.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace larder::store {

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

  // True when zeros may have been read in the range instead of the file's bytes, by any thread,
  // before the call. So it stays for as long as the region is mapped; another mapping of the same
  // file begins anew. Cheap.
  bool has_lost(std::size_t offset, std::size_t length) const;

  const std::uint8_t* data() const { return data_; }
  std::size_t length() const { return length_; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t length_ = 0;
  std::size_t place_ = 0;  // in the handler's table
};

}  // namespace larder::store
