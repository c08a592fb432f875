#include "cache/fill.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "http/range.h"

namespace larder::cache {

namespace {

using store::kSliceSize;

// Full slices of one fill that wait for the disk; more pause its fetches.
constexpr int kMostUnsaved = 16;
// Full slices that the disk refused and that are kept for the readers.
constexpr int kMostLost = 16;
// A fetch without readers goes on when at most this much is missing.
constexpr std::uint64_t kWorthFinishing = 8 << 20;
// Fetches of one fill that may fail before its readers are told.
constexpr int kMostFailures = 4;
// A reader does not wait for a fetch that is more slices away than this: it starts its own from
// there.
constexpr std::uint32_t kNear = 16;
// Readers are woken after so many bytes or so long: each wake costs every waiting thread.
constexpr std::uint64_t kWakeBytes = 128 * 1024;
constexpr std::chrono::milliseconds kWakeInterval{5};

}  // namespace

// One transfer of a run of slices. Its callbacks come from the origin thread.
class Fill::Fetch final : public OriginSink, public std::enable_shared_from_this<Fetch> {
 public:
  Fetch(std::shared_ptr<Fill> fill, std::uint32_t first, std::uint32_t last)
      : fill_(std::move(fill)), next_(first), last_(last) {}

  bool on_head(const http::ResponseHead& head) override {
    return judge_ ? open(head) : go_on(head);
  }
  Next on_body(std::span<const std::uint8_t> bytes) override;
  bool on_burst() override;
  void on_end(base::Status status) override;

 private:
  friend class Fill;
  bool open(const http::ResponseHead& head);
  bool go_on(const http::ResponseHead& head);
  void pass_on(const http::ResponseHead& head);
  void create_object(const Opening& opening, const http::ResponseHead& head, bool whole);
  bool finish_slice();

  const std::shared_ptr<Fill> fill_;
  OpeningJudge judge_;  // set for the fetch that opens the fill

  // Guarded by the fill's mutex.
  Origin::FetchId id_ = 0;
  std::uint32_t next_;  // slice that the next byte belongs to
  std::uint32_t last_;
  bool ready_ = false;     // the object exists
  bool creating_ = false;  // a disk thread makes it
  bool paused_ = false;
  std::shared_ptr<PassQueue> pass_;  // the answer goes to one client

  // Of the origin thread.
  std::shared_ptr<SliceBuffer> buffer_;  // of slice next_
  std::uint64_t unannounced_ = 0;
  base::SteadyTime announced_{};
};

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
  const Opening opening = judge_(head);
  const bool partial = head.content_range && head.content_range->range;
  const bool expected = !partial || head.content_range->range->first == next_ * kSliceSize;
  // Without a validator only a whole answer can be kept: nothing could be added to a part of it.
  if (!opening.storable || !expected || (partial && !opening.combinable)) {
    pass_on(head);
    return true;
  }
  create_object(opening, head, !partial);
  return true;
}

void Fill::Fetch::pass_on(const http::ResponseHead& head) {
  auto pass = std::make_shared<PassQueue>(fill_->table_.origin_);
  pass->put_head(head);
  bool unwanted = false;
  {
    const std::lock_guard lock(fill_->mutex_);
    pass->set_fetch(id_);
    pass_ = pass;
    fill_->pass_ = pass;
    fill_->head_ = head;
    fill_->phase_ = Phase::Unshared;
    unwanted = fill_->pass_dropped_;
  }
  if (unwanted) pass->abandon();
  fill_->changed_.notify();
  fill_->table_.forget(*fill_);
}

// The store blocks, so a disk thread opens the generation while the transfer is paused.
void Fill::Fetch::create_object(const Opening& opening, const http::ResponseHead& head,
                                bool whole) {
  {
    const std::lock_guard lock(fill_->mutex_);
    creating_ = true;
  }
  const bool queued = fill_->table_.disk_.post([fetch = shared_from_this(), opening, head, whole] {
    Fill& fill = *fetch->fill_;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(opening.metadata.data());
    auto object =
        fill.table_.store_.create(fill.key_, {bytes, opening.metadata.size()}, opening.length);
    if (!object) {
      base::log_warning("passing an object through without storing it",
                        {{"reason", object.error().message}});
      fetch->pass_on(head);
    }
    Origin::FetchId id = 0;
    {
      const std::lock_guard lock(fill.mutex_);
      fetch->creating_ = false;
      if (object) {
        fill.object_ = *object;
        fill.combinable_ = opening.combinable;
        fill.phase_ = Phase::Open;
        fetch->last_ = whole ? (*object)->slice_count() - 1
                             : std::min(fetch->last_, (*object)->slice_count() - 1);
        if (whole) fetch->next_ = 0;
        fetch->ready_ = true;
      }
      fetch->paused_ = false;
      id = fetch->id_;
    }
    fill.changed_.notify();
    fill.table_.origin_.resume(id);
  });
  if (!queued) pass_on(head);
}

bool Fill::Fetch::go_on(const http::ResponseHead& head) {
  base::Error error;
  {
    const std::lock_guard lock(fill_->mutex_);
    ready_ = true;
    if (head.status == 206 && head.content_range && head.content_range->range &&
        head.content_range->range->first == next_ * kSliceSize &&
        head.content_range->length == fill_->object_->length()) {
      return true;
    }
    // Any 2xx that is not the range that was asked under If-Range is another representation.
    if (head.status / 100 != 2) {
      fill_->error_ = {base::ErrorCode::Unavailable,
                       "the origin answered " + std::to_string(head.status)};
      return false;
    }
    error = {base::ErrorCode::DataLoss, "the object changed at the origin"};
  }
  fill_->give_up(std::move(error));
  return false;
}

OriginSink::Next Fill::Fetch::on_body(std::span<const std::uint8_t> bytes) {
  std::shared_ptr<store::Object> object;
  {
    const std::lock_guard lock(fill_->mutex_);
    if (pass_) return pass_->put(bytes);
    if (fill_->phase_ == Phase::NotModified) return Next::Abort;
    if (!ready_ || fill_->unsaved_ >= kMostUnsaved) {
      paused_ = true;
      return Next::Pause;
    }
    object = fill_->object_;
  }
  fill_->table_.statistics_.bytes += bytes.size();
  while (!bytes.empty()) {
    if (!buffer_) {
      const std::lock_guard lock(fill_->mutex_);
      if (next_ > last_) return Next::Abort;
      buffer_ = std::make_shared<SliceBuffer>(object->slice_length(next_));
      fill_->buffers_[next_] = buffer_;
    }
    const std::uint64_t filled = buffer_->filled.load(std::memory_order_relaxed);
    const std::size_t count = std::min<std::uint64_t>(bytes.size(), buffer_->length - filled);
    std::memcpy(buffer_->bytes.get() + filled, bytes.data(), count);
    buffer_->filled.store(filled + count, std::memory_order_release);
    bytes = bytes.subspan(count);
    unannounced_ += count;
    if (filled + count == buffer_->length && !finish_slice()) return Next::Abort;
  }
  return Next::Continue;
}

// False when nobody waits for the rest and it is not worth fetching.
bool Fill::Fetch::finish_slice() {
  std::uint32_t index = 0;
  bool go_on = true;
  {
    const std::lock_guard lock(fill_->mutex_);
    index = next_++;
    ++fill_->unsaved_;
    const std::uint64_t left = next_ > last_ ? 0 : (last_ - next_ + 1) * kSliceSize;
    go_on = fill_->readers_ > 0 || left <= kWorthFinishing;
  }
  fill_->save(index, std::exchange(buffer_, nullptr));
  return go_on;
}

bool Fill::Fetch::on_burst() {
  std::shared_ptr<PassQueue> pass;
  {
    const std::lock_guard lock(fill_->mutex_);
    pass = pass_;
  }
  if (pass) return pass->burst();
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
  bool broken = false;
  bool hopeless = false;
  {
    const std::lock_guard lock(fill_->mutex_);
    std::erase(fill_->fetches_, self);
    pass = pass_;
    if (buffer_) {
      buffer_->failed = true;
      fill_->buffers_.erase(next_);
    }
    const bool unopened = fill_->phase_ == Phase::Opening && !creating_;
    broken = !pass && (unopened || (fill_->phase_ == Phase::Open && next_ <= last_));
    if (broken) {
      ++fill_->failures_;
      if (!status && fill_->error_.message.empty()) fill_->error_ = status.error();
    }
    hopeless = broken && (unopened || !fill_->combinable_);
  }
  if (pass) pass->end(status);
  if (broken) ++fill_->table_.statistics_.failed_fetches;
  if (hopeless) {
    fill_->give_up(status ? base::Error{base::ErrorCode::Unavailable, "the origin broke off"}
                          : status.error());
  }
  fill_->changed_.notify();
  fill_->table_.forget_if_idle(*fill_);
}

Fill::Fill(FillTable& table, store::Key key, std::shared_ptr<store::Object> object)
    : table_(table), key_(key), opens_(object == nullptr), object_(std::move(object)) {
  if (object_) phase_ = Phase::Open;
}

void Fill::release() {
  --readers_;
  table_.forget_if_idle(*this);
}

bool Fill::is_idle() const {
  const std::lock_guard lock(mutex_);
  return readers_ == 0 && fetches_.empty() && unsaved_ == 0;
}

bool Fill::open(OriginRequest request,
                std::optional<std::pair<std::uint32_t, std::uint32_t>> slices, OpeningJudge judge) {
  std::shared_ptr<Fetch> fetch;
  {
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::Opening || std::exchange(opening_started_, true)) return false;
    fetch = add_fetch_locked(slices ? slices->first : 0, slices ? slices->second : UINT32_MAX);
    fetch->judge_ = std::move(judge);
    if (slices) {
      request.fields.emplace_back(
          "Range", http::range_text({slices->first * kSliceSize,
                                     (std::uint64_t{slices->second} + 1) * kSliceSize - 1}));
    }
    // Under the lock: callbacks of the fetch wait until its id is known.
    fetch->id_ = table_.origin_.fetch(std::move(request), fetch);
  }
  return true;
}

net::Task<base::Result<Fill::Phase>> Fill::opened(base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = changed_.count();
    {
      const std::lock_guard lock(mutex_);
      if (phase_ != Phase::Opening) co_return phase_;
    }
    if (!co_await changed_.wait(seen, deadline)) {
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the origin did not answer in time");
    }
  }
}

std::shared_ptr<store::Object> Fill::object() const {
  const std::lock_guard lock(mutex_);
  return object_;
}

std::shared_ptr<PassQueue> Fill::pass() const {
  const std::lock_guard lock(mutex_);
  return pass_;
}

void Fill::drop_pass() {
  std::shared_ptr<PassQueue> pass;
  {
    const std::lock_guard lock(mutex_);
    pass_dropped_ = true;
    pass = pass_;
  }
  if (pass) pass->abandon();
}

http::ResponseHead Fill::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

base::Error Fill::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

bool Fill::is_covered_locked(std::uint32_t index) {
  for (const std::shared_ptr<Fetch>& fetch : fetches_) {
    if (index < fetch->next_ || index > fetch->last_) continue;
    if (!fetch->ready_ || index - fetch->next_ <= kNear || !combinable_) return true;
    fetch->last_ = index - 1;  // the rest is fetched from here on
  }
  return false;
}

net::Task<base::Result<std::shared_ptr<SliceBuffer>>> Fill::slice(std::uint32_t index,
                                                                  std::uint32_t last,
                                                                  OriginRequest request,
                                                                  std::string if_range,
                                                                  base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = changed_.count();
    {
      const std::lock_guard lock(mutex_);
      if (phase_ == Phase::Failed) co_return std::unexpected(error_);
      if (object_->has_slice(index)) co_return nullptr;
      if (const auto found = buffers_.find(index); found != buffers_.end()) co_return found->second;
      if (!is_covered_locked(index)) {
        if (if_range.empty() && !opens_) {
          co_return base::fail(base::ErrorCode::DataLoss,
                               "an object without a validator cannot be completed");
        }
        if (failures_ >= kMostFailures || !combinable_) {
          co_return error_.message.empty()
              ? base::fail(base::ErrorCode::Unavailable, "the origin broke off")
              : std::unexpected(error_);
        }
        std::uint32_t end = index;
        while (end < last && !object_->has_slice(end + 1) && !buffers_.contains(end + 1) &&
               !is_covered_locked(end + 1)) {
          ++end;
        }
        OriginRequest ranged = request;
        const std::uint64_t final_byte =
            std::min((std::uint64_t{end} + 1) * kSliceSize, object_->length()) - 1;
        ranged.fields.emplace_back("Range", http::range_text({index * kSliceSize, final_byte}));
        if (!if_range.empty()) ranged.fields.emplace_back("If-Range", if_range);
        const std::shared_ptr<Fetch> fetch = add_fetch_locked(index, end);
        fetch->id_ = table_.origin_.fetch(std::move(ranged), fetch);
      }
    }
    if (!co_await changed_.wait(seen, deadline)) {
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the origin stalled");
    }
  }
}

net::Task<bool> Fill::progress(const SliceBuffer& buffer, std::uint64_t have,
                               base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = changed_.count();
    if (buffer.filled.load(std::memory_order_acquire) > have) co_return true;
    if (buffer.failed) co_return false;
    if (!co_await changed_.wait(seen, deadline)) co_return false;
  }
}

std::shared_ptr<Fill::Fetch> Fill::add_fetch_locked(std::uint32_t first, std::uint32_t last) {
  auto fetch = std::make_shared<Fetch>(shared_from_this(), first, last);
  fetches_.push_back(fetch);
  ++table_.statistics_.fetches;
  return fetch;
}

void Fill::save(std::uint32_t index, std::shared_ptr<SliceBuffer> buffer) {
  const bool queued = table_.disk_.post([self = shared_from_this(), index, buffer] {
    self->saved(index, self->table_.store_.write_slice(*self->object(), index,
                                                       {buffer->bytes.get(), buffer->length}));
  });
  if (!queued) {
    saved(index, base::fail(base::ErrorCode::ResourceExhausted, "the disk queue is full"));
  }
}

void Fill::saved(std::uint32_t index, const base::Status& status) {
  std::vector<Origin::FetchId> resume;
  bool too_many = false;
  {
    const std::lock_guard lock(mutex_);
    --unsaved_;
    if (status) {
      buffers_.erase(index);
    } else {
      too_many = ++lost_ > kMostLost;
    }
    if (unsaved_ <= kMostUnsaved / 2) {
      for (const std::shared_ptr<Fetch>& fetch : fetches_) {
        if (fetch->ready_ && std::exchange(fetch->paused_, false)) resume.push_back(fetch->id_);
      }
    }
  }
  if (!status) base::log_warning("a slice was not stored", {{"reason", status.error().message}});
  for (const Origin::FetchId id : resume) table_.origin_.resume(id);
  if (too_many) give_up({base::ErrorCode::ResourceExhausted, "the drive takes no more slices"});
  table_.forget_if_idle(*this);
}

// No byte more will come; what is incomplete and cannot be completed goes.
void Fill::give_up(base::Error error) {
  std::shared_ptr<store::Object> object;
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::Failed) return;
    phase_ = Phase::Failed;
    error_ = std::move(error);
    for (const auto& [index, buffer] : buffers_) buffer->failed = true;
    object = object_;
  }
  changed_.notify();
  table_.forget(*this);
  if (object) table_.disk_.post([&store = table_.store_, object] { store.remove(*object); });
}

Fill::Reader FillTable::acquire(const store::Key& key, std::shared_ptr<store::Object> object) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Fill>& fill = fills_[key];
  if (!fill || (object ? fill->object() != object : !fill->opens_)) {
    fill = std::make_shared<Fill>(*this, key, std::move(object));
  }
  ++fill->readers_;
  return Fill::Reader(fill);
}

void FillTable::forget(const Fill& fill) {
  std::shared_ptr<Fill> kept;  // destroyed after the lock is released
  const std::lock_guard lock(mutex_);
  const auto found = fills_.find(fill.key_);
  if (found == fills_.end() || found->second.get() != &fill) return;
  kept = std::move(found->second);
  fills_.erase(found);
}

void FillTable::forget_if_idle(const Fill& fill) {
  std::shared_ptr<Fill> kept;
  const std::lock_guard lock(mutex_);
  const auto found = fills_.find(fill.key_);
  if (found == fills_.end() || found->second.get() != &fill || !fill.is_idle()) return;
  kept = std::move(found->second);
  fills_.erase(found);
}

std::size_t FillTable::size() const {
  const std::lock_guard lock(mutex_);
  return fills_.size();
}

}  // namespace larder::cache
