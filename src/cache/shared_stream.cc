#include "cache/shared_stream.h"

#include <algorithm>
#include <utility>

namespace larder::cache {

namespace {

constexpr std::uint64_t kPiece = 256 * 1024;    // of one read
constexpr std::uint64_t kCharge = 1024 * 1024;  // memory is taken in these

}  // namespace

std::shared_ptr<SharedStream::Reader> SharedStream::join() {
  const std::lock_guard lock(mutex_);
  if (base_ > 0) return nullptr;
  const std::uint64_t id = next_reader_++;
  readers_[id] = 0;
  return std::make_shared<Reader>(shared_from_this(), id);
}

net::Task<base::Result<http::ResponseHead>> SharedStream::Reader::head(
    base::SteadyTime /*deadline*/) {
  co_return stream_->head_;
}

net::Task<base::Result<std::string>> SharedStream::Reader::read(base::SteadyTime deadline) {
  SharedStream& stream = *stream_;
  for (;;) {
    const std::uint64_t seen = stream.changed_.count();
    std::string piece;
    bool ended = false;
    std::optional<Origin::FetchId> resume;
    {
      const std::lock_guard lock(stream.mutex_);
      if (at_ < stream.base_) {
        co_return base::fail(base::ErrorCode::ResourceExhausted,
                             "too slow for an answer that is not stored");
      }
      piece = stream.bytes_.substr(at_ - stream.base_, kPiece);
      at_ += piece.size();
      if (const auto self = stream.readers_.find(id_); self != stream.readers_.end()) {
        self->second = at_;
      }
      if (!piece.empty() && std::exchange(stream.paused_, false)) resume = stream.fetch_;
      if (stream.ended_ && piece.empty() && !stream.status_) {
        co_return std::unexpected(stream.status_.error());
      }
      ended = stream.settled_;
    }
    if (resume) stream.origin_.resume(*resume);
    if (ended || !piece.empty()) co_return piece;
    if (!co_await stream.changed_.wait(seen, deadline)) {
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the origin stalled");
    }
  }
}

net::Task<std::optional<std::uint64_t>> SharedStream::Reader::length(base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = stream_->changed_.count();
    {
      const std::lock_guard lock(stream_->mutex_);
      if (stream_->settled_ && stream_->status_ && stream_->base_ == 0) {
        co_return stream_->bytes_.size();
      }
      if (stream_->settled_ || stream_->base_ > 0 || stream_->paused_) co_return std::nullopt;
    }
    if (!co_await stream_->changed_.wait(seen, deadline)) co_return std::nullopt;
  }
}

void SharedStream::Reader::abandon() {
  std::optional<Origin::FetchId> cancel;
  {
    const std::lock_guard lock(stream_->mutex_);
    if (stream_->readers_.erase(id_) == 0) return;
    const bool unwanted =
        stream_->readers_.empty() && !stream_->ended_ && (stream_->base_ > 0 || stream_->paused_);
    if (unwanted) cancel = stream_->fetch_;
  }
  if (cancel) stream_->origin_.cancel(*cancel);
}

OriginSink::Next SharedStream::put(std::span<const std::uint8_t> bytes, Origin::FetchId fetch) {
  const std::lock_guard lock(mutex_);
  fetch_ = fetch;
  notify_ = true;
  if (bytes_.size() + bytes.size() > kWindow) {
    if (readers_.empty()) return OriginSink::Next::Abort;
    std::uint64_t furthest = 0;
    for (const auto& [id, at] : readers_) furthest = std::max(furthest, at);
    const std::uint64_t kept_from = base_ + bytes_.size() - kWindow / 2;
    if (furthest < kept_from) {
      paused_ = true;
      return OriginSink::Next::Pause;
    }
    bytes_.erase(0, kept_from - base_);
    base_ = kept_from;
  }
  const std::uint64_t needed = (bytes_.size() + bytes.size() + kCharge - 1) / kCharge * kCharge;
  if (needed > charged_) {
    if (!memory_->take(needed - charged_, fetch)) return OriginSink::Next::Pause;
    charged_ = needed;
  }
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return OriginSink::Next::Continue;
}

bool SharedStream::burst() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(notify_, false)) return false;
  }
  changed_.notify();
  return false;
}

void SharedStream::end(base::Status status) {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    status_ = std::move(status);
  }
  changed_.notify();
}

void SharedStream::settle() {
  {
    const std::lock_guard lock(mutex_);
    settled_ = true;
  }
  changed_.notify();
}

bool SharedStream::is_too_long() const {
  const std::lock_guard lock(mutex_);
  return base_ > 0;
}

std::optional<std::string_view> SharedStream::whole() const {
  const std::lock_guard lock(mutex_);
  if (!ended_ || !status_ || base_ > 0) return std::nullopt;
  return bytes_;
}

}  // namespace larder::cache
