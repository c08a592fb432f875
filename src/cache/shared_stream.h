// An answer whose length is not known before its end, for all who asked: they read it as it comes,
// and when it has ended and is not too long it is stored like any other.
//
// What came is kept in memory, up to kWindow. A longer answer cannot be stored: it goes on for
// those who read it, in a window that moves with the fastest of them; nobody can join it any more,
// and who falls half a window behind is cut.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cache/byte_source.h"
#include "cache/fill_memory.h"
#include "cache/origin.h"
#include "net/signal.h"

namespace larder::cache {

class SharedStream : public std::enable_shared_from_this<SharedStream> {
 public:
  static constexpr std::uint64_t kWindow = 32 << 20;

  SharedStream(Origin& origin, std::shared_ptr<FillMemory> memory, http::ResponseHead head)
      : origin_(origin), memory_(std::move(memory)), head_(std::move(head)) {}
  ~SharedStream() { memory_->give_back(charged_); }

  // A client's side.
  class Reader final : public ByteSource {
   public:
    Reader(std::shared_ptr<SharedStream> stream, std::uint64_t id)
        : stream_(std::move(stream)), id_(id) {}
    ~Reader() override { abandon(); }
    net::Task<base::Result<http::ResponseHead>> head(base::SteadyTime deadline) override;
    net::Task<base::Result<std::string>> read(base::SteadyTime deadline) override;
    void abandon() override;
    // Of the whole body; nothing when it does not end before the deadline or kWindow.
    net::Task<std::optional<std::uint64_t>> length(base::SteadyTime deadline);

   private:
    const std::shared_ptr<SharedStream> stream_;
    const std::uint64_t id_;
    std::uint64_t at_ = 0;
  };
  // Null when its beginning is gone.
  std::shared_ptr<Reader> join();

  // The origin thread's side.
  OriginSink::Next put(std::span<const std::uint8_t> bytes, Origin::FetchId fetch);
  bool burst();
  void end(base::Status status);
  // It is stored, or will not be: readers get to its end only now, so that the next request of who
  // has it all finds it.
  void settle();
  bool is_too_long() const;

  // After end: the body, when it came whole and all of it is here. Valid while the stream lives.
  std::optional<std::string_view> whole() const;

 private:
  Origin& origin_;
  const std::shared_ptr<FillMemory> memory_;
  const http::ResponseHead head_;
  net::Signal changed_;
  mutable std::mutex mutex_;  // guards what follows
  std::string bytes_;
  std::uint64_t base_ = 0;                          // of bytes_ in the body
  std::uint64_t charged_ = 0;                       // of memory_
  std::map<std::uint64_t, std::uint64_t> readers_;  // where each one is
  std::uint64_t next_reader_ = 1;
  Origin::FetchId fetch_ = 0;
  bool notify_ = false;
  bool paused_ = false;
  bool ended_ = false;
  bool settled_ = false;
  base::Status status_;
};

}  // namespace larder::cache
