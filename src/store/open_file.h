// OpenFile: a data file's descriptor and its mapping, shared by the objects that lie in it.
#pragma once

#include <memory>
#include <utility>

#include "base/unique_fd.h"
#include "store/mapped_guard.h"

namespace larder::store {

class OpenFile {
 public:
  OpenFile(base::UniqueFd fd, MappedRegion region)
      : fd_(std::move(fd)), region_(std::move(region)) {}
  int fd() const { return fd_.get(); }
  const MappedRegion& region() const { return region_; }
  // True when a page anywhere in the mapping is lost.
  bool has_faulted() const { return region_.has_lost(0, region_.length()); }

  // Maps `length` bytes of the file, which may still be shorter.
  static base::Result<std::shared_ptr<OpenFile>> make(base::UniqueFd fd, std::size_t length) {
    auto region = MappedRegion::map(fd.get(), length);
    if (!region) {
      // A shortage of this process, not a fault of the drive.
      return base::fail(base::ErrorCode::Unavailable, region.error().message);
    }
    return std::make_shared<OpenFile>(std::move(fd), std::move(*region));
  }

 private:
  base::UniqueFd fd_;
  MappedRegion region_;
};

}  // namespace larder::store
