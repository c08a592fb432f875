// Filling one key from its origin: whoever asks, each slice is fetched once, and everybody reads it
// as it arrives.
//
// A Fill lives in the FillTable while somebody needs it. Its fetches write slices into memory; full
// slices go to the store on the disk threads; readers take a slice from memory while it arrives and
// from the store afterwards. A reader that leaves does not stop what others wait for; a fetch that
// fails is taken over by the next reader that needs its slices.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "cache/origin.h"
#include "cache/pass_queue.h"
#include "net/signal.h"
#include "net/task.h"
#include "net/worker_pool.h"
#include "store/store.h"

namespace larder::cache {

class FillTable;

// One slice on its way from the origin.
struct SliceBuffer {
  explicit SliceBuffer(std::uint64_t slice_length)
      : bytes(std::make_unique_for_overwrite<std::uint8_t[]>(slice_length)), length(slice_length) {}
  std::unique_ptr<std::uint8_t[]> bytes;
  std::uint64_t length;
  std::atomic<std::uint64_t> filled{0};  // bytes that may be read
  std::atomic<bool> failed{false};       // no more will come
};

// What the caching rules say of the first head that a fetch brings; made by the caller.
struct Opening {
  bool storable = false;
  std::string_view reason;  // static text
  std::string metadata;     // kept with the object
  std::uint64_t length = 0;
  // Bytes of several answers may be combined: there is a strong validator.
  bool combinable = false;
};
using OpeningJudge = std::function<Opening(const http::ResponseHead&)>;

struct FillStatistics {
  std::atomic<std::uint64_t> fetches{0};
  std::atomic<std::uint64_t> failed_fetches{0};
  std::atomic<std::uint64_t> bytes{0};  // of bodies, from origins
};

class Fill : public std::enable_shared_from_this<Fill> {
 public:
  enum class Phase {
    Opening,      // no usable head yet
    Open,         // object() is there and slices arrive
    NotModified,  // the origin confirmed the stored object: head() is the 304
    Unshared,  // the answer may not be shared: the one who opened has it in pass(), others ask for
               // themselves; head() is its head
    Failed,    // error() says why
  };

  // Counts as a reader while it lives: a fetch without readers ends early. Made by
  // FillTable::acquire.
  class Reader {
   public:
    explicit Reader(std::shared_ptr<Fill> counted) : fill_(std::move(counted)) {}
    Reader(Reader&& other) noexcept = default;
    Reader& operator=(Reader&& other) = delete;
    ~Reader() {
      if (fill_) fill_->release();
    }
    Fill* operator->() const { return fill_.get(); }

   private:
    std::shared_ptr<Fill> fill_;
  };

  Fill(FillTable& table, store::Key key, std::shared_ptr<store::Object> object);

  // Starts the first fetch, unless somebody else has. True for who did. `request` has no Range;
  // `slices` limits the fetch to these (first, last) slices, nothing means the whole object.
  bool open(OriginRequest request, std::optional<std::pair<std::uint32_t, std::uint32_t>> slices,
            OpeningJudge judge);
  // Waits for the end of Phase::Opening; DeadlineExceeded otherwise.
  net::Task<base::Result<Phase>> opened(base::SteadyTime deadline);

  std::shared_ptr<store::Object> object() const;
  std::shared_ptr<PassQueue> pass() const;
  // Who opened has left: an answer for them alone is not wanted any more.
  void drop_pass();
  http::ResponseHead head() const;
  base::Error error() const;

  // Where slice `index` can be read: null means from the store. Starts a fetch of the missing
  // slices from `index` to at most `last` when none is under way; `request` is the caller's own.
  // Waits until the slice is there or its first bytes are expected next.
  net::Task<base::Result<std::shared_ptr<SliceBuffer>>> slice(std::uint32_t index,
                                                              std::uint32_t last,
                                                              OriginRequest request,
                                                              std::string if_range,
                                                              base::SteadyTime deadline);
  // Waits until more than `have` bytes of the buffer can be read; false when no more will come or
  // at the deadline.
  net::Task<bool> progress(const SliceBuffer& buffer, std::uint64_t have,
                           base::SteadyTime deadline);

 private:
  friend class FillTable;
  class Fetch;

  void release();
  bool is_idle() const;
  bool is_covered_locked(std::uint32_t index);
  std::shared_ptr<Fetch> add_fetch_locked(std::uint32_t first, std::uint32_t last);
  void save(std::uint32_t index, std::shared_ptr<SliceBuffer> buffer);
  void saved(std::uint32_t index, const base::Status& status);
  void give_up(base::Error error);

  FillTable& table_;
  const store::Key key_;
  const bool opens_;  // a new generation
  net::Signal changed_;
  std::atomic<int> readers_{0};

  mutable std::mutex mutex_;  // guards what follows
  Phase phase_ = Phase::Opening;
  bool opening_started_ = false;
  bool combinable_ = true;
  std::shared_ptr<store::Object> object_;
  std::shared_ptr<PassQueue> pass_;
  bool pass_dropped_ = false;
  http::ResponseHead head_;
  base::Error error_;
  std::map<std::uint32_t, std::shared_ptr<SliceBuffer>>
      buffers_;  // arriving, or on their way to the disk
  std::vector<std::shared_ptr<Fetch>> fetches_;
  int unsaved_ = 0;  // full buffers that are not on disk yet
  int lost_ = 0;     // full buffers that the disk did not take: they stay in memory
  int failures_ = 0;
};

// Thread-safe. Outlives its fills; everything passed in outlives the table.
class FillTable {
 public:
  FillTable(Origin& origin, store::Store& store, net::WorkerPool& disk)
      : origin_(origin), store_(store), disk_(disk) {}

  // A reader of that key's fill, which is made when there is none. `object` is the stored
  // generation whose missing slices are wanted, or null to open a new one; a running fill of
  // another generation is not joined but replaced.
  Fill::Reader acquire(const store::Key& key, std::shared_ptr<store::Object> object);

  FillStatistics& statistics() { return statistics_; }
  std::size_t size() const;

 private:
  friend class Fill;
  struct KeyHash {
    std::size_t operator()(const store::Key& key) const { return key.low; }
  };
  void forget(const Fill& fill);
  void forget_if_idle(const Fill& fill);

  Origin& origin_;
  store::Store& store_;
  net::WorkerPool& disk_;
  FillStatistics statistics_;
  mutable std::mutex mutex_;
  std::unordered_map<store::Key, std::shared_ptr<Fill>, KeyHash> fills_;
};

}  // namespace larder::cache
