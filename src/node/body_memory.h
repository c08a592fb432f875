// How much memory the bodies of requests take that are held to be forwarded: however many clients
// send one, no more than the limit.
#pragma once

#include <atomic>
#include <cstdint>

namespace larder::node {

// Thread-safe.
class BodyMemory {
 public:
  static constexpr std::uint64_t kLimit = 64 << 20;

  explicit BodyMemory(std::uint64_t limit = kLimit) : limit_(limit) {}

  // What one body has taken; given back with it.
  class Share {
   public:
    explicit Share(BodyMemory& memory) : memory_(memory) {}
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() { memory_.used_ -= taken_; }
    // False when so many bytes more are not to be had.
    [[nodiscard]] bool take(std::uint64_t bytes);

   private:
    BodyMemory& memory_;
    std::uint64_t taken_ = 0;
  };

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

}  // namespace larder::node
