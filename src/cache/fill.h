// Filling one key from its origin: whoever asks, each slice is fetched once, and everybody reads it
// as it arrives.
//
// A Fill lives in the FillTable while somebody needs it. Its fetches write slices into memory; full
// slices go to the store on the disk threads; readers take a slice from memory while it arrives and
// from the store afterwards. What is fetched ahead lies inside what readers asked for and inside a
// window that adapts to the path. A reader that leaves does not stop what others wait for; a fetch
// that fails or stalls is taken over where it stopped, with another reader's request.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "cache/fetch_retries.h"
#include "cache/fill_memory.h"
#include "cache/fill_plan.h"
#include "cache/fill_readers.h"
#include "cache/fill_window.h"
#include "cache/generation.h"
#include "cache/origin.h"
#include "cache/pass_queue.h"
#include "cache/shared_stream.h"
#include "cache/slice_set.h"
#include "cache/stored_response.h"
#include "net/signal.h"
#include "net/task.h"
#include "store/store.h"

namespace larder::cache {

class FillTable;

// What the caching rules say of the first head that a fetch brings; made by the caller.
struct Opening {
  bool storable = false;
  bool lacks_length = false;  // otherwise it would be storable
  std::string_view reason;    // static text
  std::string metadata;       // kept with the object
  StoredResponse response;    // the same, parsed; its length is known when `storable`
  std::string group;          // whose quota it counts against (store::Store::create)
  // Asked when it is stored: whether it was purged or changed meanwhile. Empty: never.
  std::function<bool()> is_outdated{};
};
using OpeningJudge = std::function<Opening(const http::ResponseHead&)>;

// Slices, both ends included.
using SliceRange = std::pair<std::uint32_t, std::uint32_t>;

class Fill : public std::enable_shared_from_this<Fill> {
 public:
  enum class Phase {
    Opening,      // no usable head yet
    Open,         // object() is there and slices arrive; head() has opened it
    Streaming,    // no length yet, or the store takes nothing: stream() is read, and stored at its
                  // end
    NotModified,  // the origin confirmed the stored object: head() is the 304
    Unshared,  // the answer may not be shared: the one who opened has it in pass(), others ask for
               // themselves; head() is its head
    Failed,    // error() says why
  };

  // Somebody who needs the fill; made by a FillTable. What no reader wants is not fetched.
  class Reader {
   public:
    Reader(std::shared_ptr<Fill> fill, std::uint64_t id) : fill_(std::move(fill)), id_(id) {}
    Reader(Reader&& other) noexcept = default;
    Reader& operator=(Reader&& other) = delete;
    ~Reader() { leave(); }
    // Needs it no more; only destroyed afterwards. What goes on without the fill for long must not
    // keep what nobody else wants.
    void leave() {
      if (fill_) std::exchange(fill_, nullptr)->release(id_);
    }
    Fill* operator->() const { return fill_.get(); }

    // Once, before slice(): what this reader will send, and its own request, by which the bytes may
    // be fetched.
    void ask(OriginRequest request, SliceRange slices) const {
      fill_->ask(id_, std::move(request), slices);
    }
    // Its bytes are promised: from now on no cap on the origin is a reason not to fetch them.
    void promise() const { fill_->promise(id_); }
    // Where slice `index` can be read behind its first `have` bytes: null means from the store.
    // Waits until there is something to read or a fetch is about to bring it. ResourceExhausted
    // when a cap on the origin forbids to begin (never for a reader that has bytes or a promise);
    // DataLoss when the origin's object is another one by now, or nobody wanted it to its end;
    // FailedPrecondition, without a promise, when what cannot be asked for by itself was kept
    // nowhere or comes much later.
    net::Task<base::Result<std::shared_ptr<SliceBuffer>>> slice(std::uint32_t index,
                                                                std::uint64_t have,
                                                                base::SteadyTime deadline) const {
      return fill_->slice(id_, index, have, deadline);
    }

   private:
    std::shared_ptr<Fill> fill_;
    std::uint64_t id_;
  };

  // `object` null: opens a new generation. Otherwise `response` and `rule` are the object's.
  Fill(FillTable& table, store::Key key, std::shared_ptr<store::Object> object,
       const StoredResponse* response, IdentityRule rule);

  // Starts the first fetch, unless somebody else has. True for who did. `request` has no Range;
  // `slices` limits the fetch to these slices, nothing means the whole object; `or_whole`: which is
  // asked for as well where the answer to the slices does not open the object; a short object whose
  // parts cannot be put together is in any case.
  bool open(OriginRequest request, std::optional<SliceRange> slices, OpeningJudge judge,
            bool or_whole = false);
  // Waits for the end of Phase::Opening; DeadlineExceeded otherwise.
  net::Task<base::Result<Phase>> opened(base::SteadyTime deadline);

  std::shared_ptr<store::Object> object() const;
  // Whether these slices have all come: they are stored, or in memory on their way to the drive.
  bool has(SliceRange slices) const;
  // Adds those that have not all come.
  void add_missing(SliceRange slices, SliceSet& to) const;
  // Whether slices far from what is arriving can be fetched by themselves, as far as is known.
  bool is_seekable() const;
  std::shared_ptr<PassQueue> pass() const;
  std::shared_ptr<SharedStream> stream() const;
  // Of what is being filled or streamed.
  StoredResponse response() const;
  // Whether it began to come so lately that it answers those who ask at about the same time, also
  // where it may not be used later without the origin's word.
  bool is_new(base::SteadyTime now) const;
  // Of the request by which it was opened.
  std::string target() const;
  // Unshared because no drive took it.
  bool was_not_taken() const;
  // Whether one more of those who wait may find out if this fill waits for itself.
  bool begin_loop_check() { return loop_checks_.fetch_add(1) < kMostLoopChecks; }
  // Who opened has left: an answer for them alone is not wanted any more.
  void drop_pass();
  http::ResponseHead head() const;
  base::Error error() const;

  // Waits until more than `have` bytes of the buffer can be read; false when no more will come or
  // at the deadline.
  net::Task<bool> progress(const SliceBuffer& buffer, std::uint64_t have,
                           base::SteadyTime deadline);

 private:
  friend class FillTable;
  class Fetch;
  enum class Ranges { Unknown, Served, Ignored };  // what the origin does with Range

  // Called with mutex_ held.
  bool is_new_locked(base::SteadyTime now) const;
  bool is_arriving_locked() const;
  bool comes_soon_locked(std::uint32_t index) const;
  bool comes_locked(std::uint32_t index) const;
  bool has_come_locked(std::uint32_t index) const;
  bool is_had_locked(std::uint32_t index) const;
  bool can_have_locked(Want want) const;
  std::uint64_t bytes_left_locked() const;
  std::size_t fetches_left_locked() const;
  void plan_locked();
  void start_locked(FetchRun run);
  std::shared_ptr<Fetch> add_fetch_locked(std::uint32_t first, std::uint32_t last);
  void drop_passed_locked();
  void take_over_locked(std::uint32_t index, base::SteadyTime now);
  std::vector<Origin::FetchId> resumable_locked();

  void ask(std::uint64_t id, OriginRequest request, SliceRange slices);
  net::Task<base::Result<std::shared_ptr<SliceBuffer>>> slice(std::uint64_t id, std::uint32_t index,
                                                              std::uint64_t have,
                                                              base::SteadyTime deadline);
  // Nothing: wait. Called with mutex_ held.
  std::optional<base::Result<std::shared_ptr<SliceBuffer>>> find_locked(FillReaders::Reader& reader,
                                                                        std::uint32_t index,
                                                                        std::uint64_t have);
  // Whether who asks for the key now, and may not use `refused` as it is, can have what this fill
  // brings. It opens a generation.
  bool takes_newcomers(const store::Object* refused, base::WallTime now,
                       base::SteadyTime steady_now) const;
  std::uint64_t add_reader();
  void promise(std::uint64_t id);
  void release(std::uint64_t id);
  bool is_idle() const;
  bool is_left_alone_locked() const;  // for so long that what comes is worth no connection
  void save(std::uint32_t index, const std::shared_ptr<SliceBuffer>& buffer);
  void saved(std::uint32_t index, const base::Status& status);
  void give_up(base::Error error);

  FillTable& table_;
  const store::Key key_;
  const bool opens_;  // a new generation
  net::Signal changed_;

  static constexpr unsigned kMostLoopChecks = 8;
  std::atomic<unsigned> loop_checks_ = 0;
  mutable std::mutex mutex_;  // guards what follows
  Phase phase_ = Phase::Opening;
  bool opening_started_ = false;
  bool not_taken_ = false;
  StoredResponse response_;  // of object_
  // When the head came that opened it; not by the dates of response_, since clocks are set.
  std::optional<base::SteadyTime> answered_;
  IdentityRule rule_;
  bool combinable_ = true;  // bytes of several answers may be put together
  Ranges ranges_ = Ranges::Unknown;
  std::shared_ptr<store::Object> object_;
  std::shared_ptr<PassQueue> pass_;
  std::shared_ptr<SharedStream> stream_;
  std::optional<bool> stream_stored_;  // once it has ended
  std::function<bool()> is_outdated_;  // Opening's
  bool pass_dropped_ = false;
  http::ResponseHead head_;
  base::Error error_;
  FillReaders readers_;
  std::optional<base::SteadyTime> alone_since_;  // the last of them has left
  // Arriving, incomplete without a fetch, or on their way to the disk.
  std::map<std::uint32_t, std::shared_ptr<SliceBuffer>> buffers_;
  std::set<std::uint32_t> lost_;  // of these the ones that the disk did not take
  std::vector<std::shared_ptr<Fetch>> fetches_;
  FillWindow window_;
  bool window_is_full_ = false;
  std::string host_;    // of the origin, once it was asked
  std::string target_;  // of the request that opens it
  Origin::Permit permit_;
  int unsaved_ = 0;  // full buffers that are not on disk yet
  FetchRetries retries_;
};

}  // namespace larder::cache
