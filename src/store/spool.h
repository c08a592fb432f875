// Spool: bytes on a drive that no object has yet, because it is not known how many come. Made by
// Store::spool, gone with its last user and with the process.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/error.h"
#include "base/unique_fd.h"

namespace larder::store {

class Drive;

class Spool {
 public:
  // `reserve` makes room on the drive, evicting if it must.
  Spool(Drive& drive, base::UniqueFd file, std::uint64_t limit,
        std::function<bool(std::uint64_t bytes)> reserve);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // From one thread at a time. Blocking. ResourceExhausted when the drive has no room for it or it
  // gets too long; nothing was appended then.
  base::Status append(std::span<const std::uint8_t> bytes);
  // A part of what was appended, from any thread. Blocking.
  base::Status read(std::uint64_t offset, std::span<std::uint8_t> out) const;

 private:
  Drive& drive_;
  base::UniqueFd file_;
  const std::uint64_t limit_;
  const std::function<bool(std::uint64_t)> reserve_;
  std::uint64_t size_ = 0;
  std::uint64_t reserved_ = 0;
};

}  // namespace larder::store
