// The part of a fill's fetch that deals with an answer of unknown length.
#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "cache/fill_fetch.h"

namespace larder::cache {

using store::kSliceSize;

namespace {

// What readers wait for to be stored before they are told that it was all: a drive copies it in a
// few seconds.
constexpr std::uint64_t kLongestAwaited = 256 << 20;

}  // namespace

bool Fill::Fetch::begin_stream(Opening opening, const http::ResponseHead& head) {
  auto stream = std::make_shared<SharedStream>(fill_->table_.origin_, fill_->table_.memory_, head,
                                               fill_->table_.spools_);
  {
    const std::lock_guard lock(fill_->mutex_);
    if (has_ended_locked()) return false;
    stream_ = stream;
    stream_head_ = head;
    fill_->stream_ = std::move(stream);
    fill_->response_ = std::move(opening.response);
    fill_->phase_ = Phase::Streaming;
    ++fill_->unsaved_;
  }
  fill_->changed_.notify();
  return true;
}

// The stream has ended.
void Fill::Fetch::store_stream() {
  const bool queued = fill_->table_.disk_.post(
      [self = shared_from_this()]() -> base::Status {
        self->store_on_disk_thread();
        return {};
      },
      [self = shared_from_this()](const base::Status& status) {
        if (!status) self->storing_is_late();
      });
  if (!queued) settle_stream(false);
}

// A drive that only takes its time is waited for.
void Fill::Fetch::storing_is_late() {
  store::Store& store = fill_->table_.store_;
  std::shared_ptr<store::Object> object;
  {
    const std::lock_guard lock(fill_->mutex_);
    object = fill_->object_;
    is_not_stored_ = !object;
  }
  if (object && !store.is_hanging(*object)) return;
  if (object) store.remove(*object);
  settle_stream(false);
}

void Fill::Fetch::store_on_disk_thread() {
  const std::uint64_t length = stream_->whole_length().value_or(0);
  const bool is_kept = length > 0;
  // So much takes its time to be stored: readers are not kept from its end meanwhile.
  if (length > kLongestAwaited) stream_->settle();
  const base::Status stored = is_kept ? store_whole(length) : base::Status{};
  if (!stored) base::log_debug("an answer was not stored", {{"reason", stored.error().message}});
  settle_stream(is_kept && stored);
}

base::Status Fill::Fetch::store_whole(std::uint64_t length) {
  http::ResponseHead head = stream_head_;
  head.chunked = false;
  head.content_length = length;
  const Opening opening = judge_(head);
  if (!opening.storable) {
    return base::fail(base::ErrorCode::FailedPrecondition, std::string(opening.reason));
  }
  store::Store& store = fill_->table_.store_;
  if (const std::shared_ptr<store::Object> stored = store.find(fill_->key_)) {
    const auto response = parse_stored_response(base::as_bytes(*stored->metadata()));
    if (response && response->request_time > opening.response.request_time) {
      return base::fail(base::ErrorCode::FailedPrecondition, "what was asked for later is stored");
    }
  }
  // Who finds it before its slices are written waits for them with this fill.
  const auto announce = [this](const std::shared_ptr<store::Object>& object) {
    fill_->table_.record_object(*fill_, object);
    {
      const std::lock_guard lock(fill_->mutex_);
      if (!is_not_stored_) fill_->object_ = object;
    }
    if (is_not_stored_) fill_->table_.drop_object(*object);
  };
  const auto object =
      store.create(fill_->key_, base::as_bytes(opening.metadata), length, opening.group, announce);
  if (!object) return std::unexpected(object.error());
  if (is_not_stored_) {
    store.remove(**object);
    return base::fail(base::ErrorCode::DeadlineExceeded, "the drive took too long");
  }
  remove_if_outdated(opening, **object);
  base::Status stored;
  for (std::uint32_t index = 0; stored && index < (*object)->slice_count(); ++index) {
    if (fill_->table_.spools_->ending) {
      stored = base::fail(base::ErrorCode::Unavailable, "the node is stopping");
      break;
    }
    const auto slice = stream_->copy(index * kSliceSize, (*object)->slice_length(index));
    stored = slice ? store.write_slice(**object, index, base::as_bytes(*slice))
                   : base::Status(std::unexpected(slice.error()));
    fill_->changed_.notify();
  }
  if (!stored) store.remove(**object);
  return stored;
}

void Fill::Fetch::settle_stream(bool is_stored) {
  {
    const std::lock_guard lock(fill_->mutex_);
    if (std::exchange(is_settled_, true)) return;
    fill_->stream_stored_ = is_stored;
    --fill_->unsaved_;
  }
  // First: whoever has read the end of it asks anew.
  fill_->table_.forget(*fill_);
  stream_->settle();
  fill_->changed_.notify();
}

}  // namespace larder::cache
