#include "cache/fill_fetch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "base/random.h"
#include "cache/cache_status.h"
#include "http/retry_after.h"

namespace larder::cache {

namespace {

using store::kSliceSize;

// Full slices of one fill that wait for the disk, or for slow readers where the disk took none;
// more pause its fetches.
constexpr std::size_t kMostUnsaved = 16;
// A fetch without readers goes on when at most this much is missing.
constexpr std::uint64_t kWorthFinishing = 8 << 20;
// An answer that cannot be asked in parts is received and dropped where its bytes are there
// already, up to this many slices in a row; then it ends, and what is missing behind them is asked
// for.
constexpr std::uint32_t kMostSkipped = 4;
// Readers are woken after so many bytes or so long: each wake costs every waiting thread.
constexpr std::uint64_t kWakeBytes = 128 * 1024;
constexpr std::chrono::milliseconds kWakeInterval{5};

}  // namespace

bool Fill::Fetch::on_head(const http::ResponseHead& head) {
  {
    const std::lock_guard lock(fill_->mutex_);
    heard_ = std::chrono::steady_clock::now();
    fill_->window_.answered(heard_ - asked_);
  }
  return judge_ ? open(head) : go_on(head);
}

bool Fill::Fetch::open(const http::ResponseHead& head) {
  if (head.status == 304) {
    {
      const std::lock_guard lock(fill_->mutex_);
      fill_->head_ = head;
      fill_->phase_ = Phase::NotModified;
    }
    fill_->changed_.notify();
    fill_->table_.forget(*fill_);
    return true;
  }
  Opening opening = judge_(head);
  {
    const std::lock_guard lock(fill_->mutex_);
    fill_->is_outdated_ = opening.is_outdated;
    fill_->answered_ = fill_->table_.clock_.steady();
  }
  if (fill_->table_.is_flipping(fill_->key_)) opening.response.generation = {};
  const bool combinable = opening.response.generation.kind != GenerationKind::SingleResponse;
  const bool partial = head.content_range && head.content_range->range;
  const bool expected = !partial || head.content_range->range->first == next_ * kSliceSize;
  // Without a validator only a whole answer can be kept: nothing could be added to a part of it.
  if (opening.lacks_length && !partial) {
    begin_stream(std::move(opening), head);
    return true;
  }
  if (!opening.storable || !expected || (partial && !combinable)) {
    // A part of an object that is soon here as a whole is not worth to be asked for alone.
    const bool is_short =
        partial && opening.storable && !combinable && *opening.response.length <= kWorthFinishing;
    const bool asks_again = needs_whole_ ? partial || head.status == 416 : is_short;
    if (without_range_ && asks_again) return open_without_range(head);
    pass_on(head);
    return true;
  }
  create_object(std::move(opening), head, !partial);
  return true;
}

// The origin's answer to the range helps nobody, or the whole helps everybody more.
bool Fill::Fetch::open_without_range(const http::ResponseHead& head) {
  const std::lock_guard lock(fill_->mutex_);
  base::log_debug("a first range does not open the object",
                  {{"status", std::to_string(head.status)}});
  is_over_ = true;
  const std::shared_ptr<Fetch> again = fill_->add_fetch_locked(0, UINT32_MAX);
  again->judge_ = std::move(judge_);
  again->reader_ = reader_;
  again->id_ = fill_->table_.origin_.fetch(std::move(*without_range_), again);
  return false;
}

// It may end while a drive is asked to take what it brings.
bool Fill::Fetch::has_ended_locked() const {
  return std::ranges::none_of(fill_->fetches_,
                              [this](const auto& fetch) { return fetch.get() == this; });
}

void Fill::Fetch::pass_on(const http::ResponseHead& head) {
  auto pass = std::make_shared<PassQueue>(fill_->table_.origin_);
  pass->put_head(head);
  bool unwanted = false;
  bool has_ended = false;
  {
    const std::lock_guard lock(fill_->mutex_);
    has_ended = has_ended_locked();
    pass->set_fetch(id_);
    pass_ = pass;
    fill_->pass_ = pass;
    fill_->head_ = head;
    fill_->phase_ = Phase::Unshared;
    unwanted = fill_->pass_dropped_;
  }
  if (unwanted) pass->abandon();
  if (has_ended) pass->end(base::fail(base::ErrorCode::Unavailable, "the origin broke off"));
  fill_->changed_.notify();
  fill_->table_.forget(*fill_);
}

// A purge between the judgement and the creation did not find it. Who waits for it gets it all the
// same.
void Fill::Fetch::remove_if_outdated(const Opening& opening, const store::Object& object) const {
  if (opening.is_outdated && opening.is_outdated()) fill_->table_.store_.remove(object);
}

// The store blocks, so a disk thread opens the generation while the transfer is paused.
void Fill::Fetch::create_object(Opening opening, const http::ResponseHead& head, bool whole) {
  {
    const std::lock_guard lock(fill_->mutex_);
    creating_ = true;
    fill_->head_ = head;
    if (head.status == 206) fill_->ranges_ = Ranges::Served;
    if (head.field("Accept-Ranges") == "bytes") fill_->ranges_ = Ranges::Served;
    if (head.field("Accept-Ranges") == "none") fill_->ranges_ = Ranges::Ignored;
  }
  const auto opened = std::make_shared<Opening>(std::move(opening));
  const bool queued = fill_->table_.disk_.post(
      [fetch = shared_from_this(), opened, whole] { return fetch->create(*opened, whole); },
      [fetch = shared_from_this(), opened, head, whole](const base::Status& status) {
        const bool is_there = status || !fetch->do_without_object();
        if (!is_there) fetch->not_created(std::move(*opened), head, whole, status.error());
        fetch->created(is_there);
      });
  if (!queued) {
    note_not_taken();
    pass_on(head);
  }
}

// On a disk thread.
base::Status Fill::Fetch::create(const Opening& opening, bool whole) {
  store::Store& store = fill_->table_.store_;
  const auto object = store.create(
      fill_->key_, base::as_bytes(opening.metadata), *opening.response.length, opening.group,
      [&](const std::shared_ptr<store::Object>& made) { announce(opening.response, made, whole); });
  if (!object) return std::unexpected(object.error());
  if (is_without_object_) {
    store.remove(**object);  // it came too late
  } else {
    remove_if_outdated(opening, **object);
  }
  return {};
}

// The drive took too long or refused. False when the object is there all the same.
bool Fill::Fetch::do_without_object() {
  const std::lock_guard lock(fill_->mutex_);
  if (!fill_->object_) is_without_object_ = true;
  return is_without_object_;
}

void Fill::Fetch::note_not_taken() {
  const std::lock_guard lock(fill_->mutex_);
  fill_->not_taken_ = true;
}

// The store takes nothing, and yet each client need not ask for itself: a whole object that memory
// can hold is shared from there. A longer one would go at the pace of the fastest reader, so each
// has its own.
void Fill::Fetch::not_created(Opening opening, const http::ResponseHead& head, bool whole,
                              const base::Error& error) {
  base::log_warning("passing an object through without storing it", {{"reason", error.message}});
  if (whole && *opening.response.length <= SharedStream::kLongestKept) {
    // The origin may have broken off before there was anything to keep its bytes in.
    if (!begin_stream(std::move(opening), head)) {
      fill_->give_up({base::ErrorCode::Unavailable, "the origin broke off"});
    }
  } else {
    note_not_taken();
    pass_on(head);
  }
}

// Before anybody finds the object in the store: who does joins this fill.
void Fill::Fetch::announce(const StoredResponse& response,
                           const std::shared_ptr<store::Object>& object, bool whole) {
  fill_->table_.record_object(*fill_, object);
  std::unique_lock lock(fill_->mutex_);
  if (is_without_object_) {
    lock.unlock();
    fill_->table_.drop_object(*object);
    return;
  }
  fill_->response_ = response;
  fill_->combinable_ = fill_->response_.generation.kind != GenerationKind::SingleResponse;
  fill_->object_ = object;
  const std::uint32_t end = object->slice_count() - 1;
  last_ = whole ? end : std::min(last_, end);
  if (whole) next_ = 0;
  is_whole_ = whole;
}

// Not stored: the answer is passed on.
void Fill::Fetch::created(bool is_stored) {
  Origin::FetchId id = 0;
  {
    const std::lock_guard lock(fill_->mutex_);
    creating_ = false;
    if (is_stored) {
      fill_->phase_ = Phase::Open;
      ready_ = true;
    }
    paused_ = false;
    id = id_;
  }
  fill_->changed_.notify();
  fill_->table_.origin_.resume(id);
  fill_->table_.forget_if_idle(*fill_);  // everybody may have left, and the origin too
}

bool Fill::Fetch::go_on(const http::ResponseHead& head) {
  base::Error error;
  {
    const std::lock_guard lock(fill_->mutex_);
    ready_ = true;
    const http::ByteRange wanted{
        next_ * kSliceSize + position_,
        std::min((std::uint64_t{last_} + 1) * kSliceSize, fill_->object_->length()) - 1};
    switch (judge_part(fill_->response_, head, wanted, fill_->rule_, fill_->table_.clock_.wall())) {
      case Part::Belongs:
        fill_->ranges_ = Ranges::Served;
        return true;
      case Part::Whole:
        return go_on_whole_locked();
      case Part::NoBytes:
        error = refuse_locked(head);
        if (error.message.empty()) return false;
        break;
      case Part::OtherGeneration:
        error = {base::ErrorCode::DataLoss, "the object changed at the origin"};
        fill_->table_.record_change(fill_->key_);
        break;
    }
  }
  fill_->give_up(std::move(error));
  return false;
}

// The origin sends everything, whatever was asked for.
bool Fill::Fetch::go_on_whole_locked() {
  fill_->ranges_ = Ranges::Ignored;
  const bool another =
      std::any_of(fill_->fetches_.begin(), fill_->fetches_.end(), [&](const auto& fetch) {
        return fetch.get() != this && fetch->is_whole_ && !fetch->is_over_;
      });
  if (another) {
    is_over_ = true;
    return false;
  }
  next_ = 0;
  position_ = 0;
  last_ = fill_->object_->slice_count() - 1;
  is_whole_ = true;
  return true;
}

// A status without bytes. The error, when it ends the whole fill.
base::Error Fill::Fetch::refuse_locked(const http::ResponseHead& head) {
  const int status = head.status;
  if (fill_->phase_ != Phase::Open) return {};
  const bool is_passing = http::is_passing_trouble(status);
  fill_->error_ = {is_passing ? base::ErrorCode::ResourceExhausted : base::ErrorCode::Unavailable,
                   "the origin answered " + std::to_string(status) + " in the middle"};
  // A failure of the origin.
  if ((status < 400 || status > 499 || is_passing) && !is_loop_answer(head)) return {};
  // The signature of this request may have expired or be wrong, and another reader's may be good:
  // what one of them is told says nothing of the object.
  is_over_ = true;
  if (!fill_->readers_.refuse(reader_)) return {};  // gone, or another fetch was told already
  if (!fill_->readers_.can_ask() && (status == 404 || status == 410 || status == 416)) {
    return {base::ErrorCode::DataLoss, "the object is gone at the origin"};
  }
  return {};
}

OriginSink::Next Fill::Fetch::on_body(std::span<const std::uint8_t> bytes) {
  const base::SteadyTime now = std::chrono::steady_clock::now();
  std::unique_lock lock(fill_->mutex_);
  heard_ = now;
  if (pass_) return pass_->put(bytes);
  if (stream_) return stream_->put(bytes, id_, now);
  if (is_over_ || fill_->phase_ == Phase::NotModified || fill_->phase_ == Phase::Failed) {
    return Next::Abort;
  }
  if (fill_->is_left_alone_locked()) {
    is_over_ = true;
    return Next::Abort;
  }
  lacks_memory_ = false;
  if (!ready_ || !enter_slice_locked(bytes.size())) {
    // Memory is for those who wait.
    is_over_ = lacks_memory_ && !fill_->readers_.want(next_, last_);
    paused_ = !is_over_;
    return is_over_ ? Next::Abort : Next::Pause;
  }
  paused_ = false;
  fill_->window_.received(bytes.size(), fill_->window_is_full_, now);
  unannounced_ += bytes.size();
  while (!bytes.empty()) {
    if (next_ > last_ || !enter_slice_locked(0)) return Next::Abort;
    if (buffer_ && position_ > buffer_->filled.load(std::memory_order_relaxed)) {
      is_over_ = true;  // what it was to continue is gone: the slice is asked for anew
      return Next::Abort;
    }
    const std::uint64_t length = fill_->object_->slice_length(next_);
    const std::size_t count = std::min<std::uint64_t>(bytes.size(), length - position_);
    if (buffer_) {
      // What another fetch brought before it broke is there already.
      const std::uint64_t filled = buffer_->filled.load(std::memory_order_relaxed);
      const std::uint64_t skipped = std::min<std::uint64_t>(count, filled - position_);
      std::memcpy(buffer_->bytes.get() + filled, bytes.data() + skipped, count - skipped);
      buffer_->filled.store(filled + count - skipped, std::memory_order_release);
      fill_->retries_.received(count - skipped);
    }
    position_ += count;
    bytes = bytes.subspan(count);
    if (position_ < length) break;
    lock.unlock();
    const bool goes_on = finish_slice();
    lock.lock();
    if (!goes_on) {
      is_over_ = true;
      return Next::Abort;
    }
  }
  return Next::Continue;
}

// Makes sure that the bytes of slice next_, and of the one after it when `coming` bytes reach that
// far, have somewhere to go. False: not now.
bool Fill::Fetch::enter_slice_locked(std::size_t coming) {
  using Use = FillMemory::Use;
  const auto reserve = [this](std::uint32_t index, Use use) -> std::shared_ptr<SliceBuffer> {
    const std::uint64_t length = fill_->object_->slice_length(index);
    if (static_cast<std::size_t>(fill_->unsaved_) + fill_->lost_.size() >= kMostUnsaved) {
      return nullptr;
    }
    lacks_memory_ = !fill_->table_.memory_->take(length, id_, use);
    if (lacks_memory_) return nullptr;
    return std::make_shared<SliceBuffer>(length, fill_->table_.memory_);
  };
  if (next_ > last_) return true;
  if (!is_in_slice_) {
    const auto found = fill_->buffers_.find(next_);
    if (fill_->object_->has_slice(next_)) {
      buffer_ = nullptr;
    } else if (found == fill_->buffers_.end()) {
      buffer_ = spare_ && spare_->length == fill_->object_->slice_length(next_)
                    ? std::exchange(spare_, nullptr)
                    : reserve(next_, Use::Slice);
      if (!buffer_) return false;
      fill_->buffers_[next_] = buffer_;
    } else if (found->second->is_complete() || found->second->is_fed) {
      buffer_ = nullptr;
    } else {
      buffer_ = found->second;
      buffer_->is_fed = true;
      ++fill_->table_.statistics_.taken_over;
    }
    is_in_slice_ = true;
  }
  const std::uint64_t length = fill_->object_->slice_length(next_);
  if (position_ + coming > length && next_ < last_ && !spare_ && !fill_->is_had_locked(next_ + 1)) {
    spare_ = reserve(next_ + 1, buffer_ ? Use::Spare : Use::Slice);
    return spare_ != nullptr;
  }
  return true;
}

// Whether the slices ahead are there already, and too many of them to receive them once more.
bool Fill::Fetch::skips_locked() {
  std::uint32_t index = next_;
  while (index <= last_ && index - next_ < kMostSkipped && fill_->is_had_locked(index)) ++index;
  return index > last_ || index - next_ == kMostSkipped;
}

// False when nobody waits for the rest and it is not worth fetching.
bool Fill::Fetch::finish_slice() {
  std::shared_ptr<SliceBuffer> full;
  std::uint32_t index = 0;
  bool goes_on = true;
  {
    const std::lock_guard lock(fill_->mutex_);
    index = next_++;
    position_ = 0;
    is_in_slice_ = false;
    full = std::exchange(buffer_, nullptr);
    if (full) {
      fill_->retries_.succeeded();
      fill_->readers_.forget_refusals();
      fill_->error_ = {};
      ++fill_->unsaved_;
    }
    if (next_ <= last_) {
      const bool helps = fill_->combinable_ && fill_->ranges_ != Ranges::Ignored;
      goes_on = fill_->readers_.want(next_) || fill_->bytes_left_locked() <= kWorthFinishing;
      if (!goes_on && is_whole_ && !helps) {
        // Nothing else brings what somebody waits for further on.
        goes_on = fill_->readers_.want_behind(next_);
      }
      if (goes_on && helps && skips_locked()) goes_on = false;
    }
    if (!goes_on || next_ > last_) spare_ = nullptr;
    fill_->plan_locked();
  }
  if (full) fill_->save(index, full);
  return goes_on;
}

bool Fill::Fetch::on_burst() {
  std::shared_ptr<PassQueue> pass;
  std::shared_ptr<SharedStream> stream;
  {
    const std::lock_guard lock(fill_->mutex_);
    pass = pass_;
    stream = stream_;
  }
  if (pass) return pass->burst();
  if (stream) {
    if (stream->is_passed_on()) fill_->table_.forget(*fill_);
    return stream->burst();
  }
  if (unannounced_ == 0) return false;
  const base::SteadyTime now = std::chrono::steady_clock::now();
  if (unannounced_ < kWakeBytes && now - announced_ < kWakeInterval) return true;
  unannounced_ = 0;
  announced_ = now;
  fill_->changed_.notify();
  return false;
}

void Fill::Fetch::on_end(base::Status status) {
  const std::shared_ptr<Fetch> self = shared_from_this();
  std::shared_ptr<PassQueue> pass;
  std::shared_ptr<SharedStream> stream;
  bool broken = false;
  bool is_torn = false;
  bool hopeless = false;
  std::optional<Origin::FetchId> waited_as;
  {
    const std::lock_guard lock(fill_->mutex_);
    std::erase(fill_->fetches_, self);
    if (lacks_memory_ || stream_) waited_as = id_;
    pass = pass_;
    stream = stream_;
    spare_ = nullptr;
    if (buffer_) {
      // What came is kept for whoever goes on, where that can be proved to be the same.
      buffer_->is_fed = false;
      if (!fill_->combinable_ || buffer_->filled == 0) fill_->buffers_.erase(next_);
      buffer_ = nullptr;
    }
    const bool unopened = fill_->phase_ == Phase::Opening && !creating_;
    broken = !pass && !is_over_ && (unopened || (fill_->phase_ == Phase::Open && next_ <= last_));
    if (broken) {
      std::array<std::uint8_t, 4> random{};
      base::random_bytes(random);
      fill_->retries_.failed(asked_, std::chrono::steady_clock::now(),
                             std::bit_cast<std::uint32_t>(random));
      if (!status && fill_->error_.message.empty()) {
        // One that was taken over ends with FailedPrecondition, which readers are told of something
        // else.
        const bool is_taken_over = status.error().code == base::ErrorCode::FailedPrecondition;
        fill_->error_ = is_taken_over
                            ? base::Error{base::ErrorCode::Unavailable, "the origin stalled"}
                            : status.error();
      }
    }
    // Nobody wanted the rest, and it cannot be added later: the next one would be cut there.
    is_torn = is_over_ && !fill_->combinable_ && fill_->phase_ == Phase::Open && next_ <= last_;
    hopeless = (broken && (unopened || !fill_->combinable_)) || is_torn;
    if (!hopeless) fill_->plan_locked();
    if (fill_->fetches_.empty()) {
      fill_->permit_.reset();
      if (!fill_->host_.empty()) {
        fill_->table_.remember_window(fill_->host_, fill_->window_.bytes());
      }
    }
  }
  if (waited_as) fill_->table_.memory_->leave(*waited_as);
  if (pass) pass->end(status);
  if (stream) {
    stream->end(status);
    if (!status) ++fill_->table_.statistics_.failed_fetches;
    store_stream();
  }
  if (broken) ++fill_->table_.statistics_.failed_fetches;
  if (is_torn) {
    fill_->give_up({base::ErrorCode::DataLoss, "nobody wanted the rest of it"});
  } else if (hopeless) {
    fill_->give_up(status ? base::Error{base::ErrorCode::Unavailable, "the origin broke off"}
                          : status.error());
  }
  fill_->changed_.notify();
  fill_->table_.forget_if_idle(*fill_);
}

}  // namespace larder::cache
