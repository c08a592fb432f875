// An answer whose length is not known before its end, or that the store does not take, for all who
// asked: they read it as it comes, and when it has ended and is not too long it is stored like any
// other where that is possible.
//
// To be stored it is kept from its beginning: in memory, and from kSpoolFrom on in a spool on a
// drive, where late readers find what has left the memory. Where there is no spool, or it gets too
// long, and the memory that streams share does not suffice or kLongestKept is passed, it is only
// passed on: what all its readers have had is given back, nobody can join any more, and who falls
// kMostBehind behind the fastest is cut. Without readers it goes on for a while if it may still be
// stored, and longer when somebody said that they will come back for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "cache/byte_source.h"
#include "cache/fill_memory.h"
#include "cache/origin.h"
#include "net/signal.h"
#include "net/worker_pool.h"
#include "store/store.h"

namespace larder::cache {

class SharedStream : public std::enable_shared_from_this<SharedStream> {
 public:
  static constexpr std::uint64_t kLongestKept = 32 << 20;  // in memory
  static constexpr std::uint64_t kSpoolFrom = 16 << 20;
  // So far the origin may be ahead of the fastest reader of what is spooled, unless it is wanted
  // without readers.
  static constexpr std::uint64_t kSpooledAhead = 32 << 20;
  static constexpr std::uint64_t kMostBehind = 16 << 20;
  // So far the origin may be ahead of the fastest reader of what is only passed on.
  static constexpr std::uint64_t kMostAhead = 1 << 20;
  // A stream that nobody reads is ended after so long.
  static constexpr std::chrono::seconds kAlone{30};
  static constexpr std::chrono::minutes kWantedAlone{10};

  // Where streams are spooled, for all of them.
  struct Spools {
    static constexpr int kMost = 4;  // at a time
    Spools(store::Store& at, net::WorkerPool& by) : store(at), disk(by) {}
    store::Store& store;
    net::WorkerPool& disk;
    std::atomic<int> open{0};
    std::atomic<bool> ending{false};  // nothing more is moved from them into the store
  };

  // `spools` null: it is not spooled.
  SharedStream(Origin& origin, std::shared_ptr<FillMemory> memory, http::ResponseHead head,
               std::shared_ptr<Spools> spools = nullptr)
      : origin_(origin),
        memory_(std::move(memory)),
        head_(std::move(head)),
        spools_(std::move(spools)) {}
  ~SharedStream();

  // A client's side.
  class Reader final : public ByteSource {
   public:
    Reader(std::shared_ptr<SharedStream> stream, std::uint64_t id)
        : stream_(std::move(stream)), id_(id) {}
    ~Reader() override { abandon(); }
    net::Task<base::Result<http::ResponseHead>> head(base::SteadyTime deadline) override;
    net::Task<base::Result<std::string>> read(base::SteadyTime deadline) override;
    void abandon() override;
    // Of the whole body; nothing when it does not end before the deadline or is only passed on.
    net::Task<std::optional<std::uint64_t>> length(base::SteadyTime deadline);
    // The client will ask again: the stream goes on to its end without readers.
    void comes_back();
    // It will not be stored.
    bool is_passed_on() const { return stream_->is_passed_on(); }

   private:
    const std::shared_ptr<SharedStream> stream_;
    const std::uint64_t id_;
    std::uint64_t at_ = 0;
  };
  // Null when it is only passed on, and when it has failed: it is asked for anew.
  std::shared_ptr<Reader> join();

  // The origin thread's side.
  OriginSink::Next put(std::span<const std::uint8_t> bytes, Origin::FetchId fetch,
                       base::SteadyTime now);
  bool burst();
  void end(base::Status status);
  // It is stored, or will not be: readers get to its end only now, or when they can wait no longer,
  // so that the next request of who has it all finds it.
  void settle();
  bool is_passed_on() const;

  // After end: how long the body is, when it came whole and all of it is here.
  std::optional<std::uint64_t> whole_length() const;
  // A part of what is here, or is spooled. Blocking.
  base::Result<std::string> copy(std::uint64_t offset, std::uint64_t length) const;

 private:
  static constexpr std::uint64_t kBlock = 256 * 1024;

  // Called with mutex_ held.
  std::uint64_t end_locked() const;  // of what came, in the body
  std::string copy_locked(std::uint64_t offset, std::uint64_t length) const;
  std::uint64_t furthest_locked() const;
  void drop_passed_locked();
  bool charge_locked(std::uint64_t coming, Origin::FetchId fetch);
  std::optional<Origin::FetchId> take_resume_locked();
  bool can_be_spooled_locked() const;
  void spool_more_locked();
  base::Result<std::uint64_t> spool_piece();
  void spooled(const base::Result<std::uint64_t>& bytes);

  Origin& origin_;
  const std::shared_ptr<FillMemory> memory_;
  const http::ResponseHead head_;
  const std::shared_ptr<Spools> spools_;
  net::Signal changed_;
  mutable std::mutex mutex_;                        // guards what follows
  std::deque<std::string> blocks_;                  // all but the last of kBlock bytes
  std::uint64_t base_ = 0;                          // of blocks_ in the body
  std::uint64_t charged_ = 0;                       // of memory_
  bool passed_on_ = false;                          // it is not stored
  bool is_abandoned_ = false;                       // nobody was there for too long
  std::shared_ptr<store::Spool> spool_;             // once there is one
  std::uint64_t spooled_ = 0;                       // bytes of the body that are in it
  bool is_spooling_ = false;                        // a disk thread does it
  bool spool_failed_ = false;                       // no more comes into it
  bool is_wanted_alone_ = false;                    // somebody comes back for it
  std::map<std::uint64_t, std::uint64_t> readers_;  // where each one is
  std::uint64_t next_reader_ = 1;
  std::optional<base::SteadyTime> alone_since_;
  Origin::FetchId fetch_ = 0;
  bool notify_ = false;
  bool paused_ = false;
  bool ended_ = false;
  bool settled_ = false;
  base::Status status_;
};

}  // namespace larder::cache
