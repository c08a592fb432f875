#include "cache/shared_stream.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"

namespace larder::cache {

namespace {

constexpr std::uint64_t kPiece = 256 * 1024;  // of one read

}  // namespace

SharedStream::~SharedStream() {
  memory_->give_back(charged_, FillMemory::Use::PassedStream);
  if (!std::exchange(spool_, nullptr)) return;
  --spools_->open;
}

std::shared_ptr<SharedStream::Reader> SharedStream::join() {
  const std::lock_guard lock(mutex_);
  if (passed_on_ || is_abandoned_ || (ended_ && !status_)) return nullptr;
  const std::uint64_t id = next_reader_++;
  readers_[id] = 0;
  alone_since_.reset();
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
    std::shared_ptr<store::Spool> spool;
    std::uint64_t size = 0;  // of what the spool has of it
    {
      const std::lock_guard lock(stream.mutex_);
      if (at_ < stream.base_) {
        if (at_ >= stream.spooled_) {
          co_return base::fail(base::ErrorCode::ResourceExhausted,
                               "too slow for an answer that is not stored");
        }
        spool = stream.spool_;
        size = std::min(kPiece, stream.spooled_ - at_);
      } else {
        piece = stream.copy_locked(at_, kPiece);
        if (stream.ended_ && piece.empty() && !stream.status_) {
          co_return std::unexpected(stream.status_.error());
        }
        ended = stream.settled_;
      }
    }
    if (spool) {
      const auto read = [spool, offset = at_, size]() -> base::Result<std::string> {
        std::string bytes(size, '\0');
        LARDER_TRY(
            spool->read(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
        return bytes;
      };
      auto got = co_await stream.spools_->disk.run(read);
      if (!got) co_return std::unexpected(std::move(got).error());
      piece = std::move(*got);
    }
    {
      const std::lock_guard lock(stream.mutex_);
      at_ += piece.size();
      if (const auto self = stream.readers_.find(id_); self != stream.readers_.end()) {
        self->second = at_;
      }
      if (!piece.empty()) {
        stream.drop_passed_locked();
        resume = stream.take_resume_locked();
      }
    }
    if (resume) stream.origin_.resume(*resume);
    if (ended || !piece.empty()) co_return piece;
    if (!co_await stream.changed_.wait(seen, deadline)) {
      // A drive that takes its time to store it is no reason to cut who has had it all.
      const std::lock_guard lock(stream.mutex_);
      if (stream.ended_ && stream.status_ && at_ == stream.end_locked()) co_return piece;
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the origin stalled");
    }
  }
}

net::Task<std::optional<std::uint64_t>> SharedStream::Reader::length(base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = stream_->changed_.count();
    {
      const std::lock_guard lock(stream_->mutex_);
      if (stream_->settled_ && stream_->status_ && !stream_->passed_on_) {
        co_return stream_->end_locked();
      }
      if (stream_->settled_ || stream_->passed_on_) co_return std::nullopt;
    }
    if (!co_await stream_->changed_.wait(seen, deadline)) co_return std::nullopt;
  }
}

void SharedStream::Reader::comes_back() {
  std::optional<Origin::FetchId> resume;
  {
    const std::lock_guard lock(stream_->mutex_);
    stream_->is_wanted_alone_ = true;
    resume = stream_->take_resume_locked();
  }
  if (resume) stream_->origin_.resume(*resume);
}

void SharedStream::Reader::abandon() {
  std::optional<Origin::FetchId> cancel;
  std::optional<Origin::FetchId> resume;
  {
    const std::lock_guard lock(stream_->mutex_);
    if (stream_->readers_.erase(id_) == 0) return;
    const bool is_useless = stream_->readers_.empty() && stream_->passed_on_ && !stream_->ended_;
    if (is_useless) cancel = stream_->fetch_;
    stream_->drop_passed_locked();
    if (!is_useless) resume = stream_->take_resume_locked();
  }
  if (cancel) stream_->origin_.cancel(*cancel);
  if (resume) stream_->origin_.resume(*resume);
}

OriginSink::Next SharedStream::put(std::span<const std::uint8_t> bytes, Origin::FetchId fetch,
                                   base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  fetch_ = fetch;
  notify_ = true;
  if (readers_.empty()) {
    if (!alone_since_) alone_since_ = now;
    const auto patience = is_wanted_alone_ ? base::SteadyTime::duration(kWantedAlone)
                                           : base::SteadyTime::duration(kAlone);
    is_abandoned_ = passed_on_ || now - *alone_since_ >= patience;
    if (is_abandoned_) return OriginSink::Next::Abort;
  }
  if (!passed_on_) {
    const bool is_full =
        end_locked() - base_ + bytes.size() > kLongestKept || !charge_locked(bytes.size(), fetch);
    const bool is_far_ahead = spool_ && !is_wanted_alone_ && !readers_.empty() &&
                              end_locked() > furthest_locked() + kSpooledAhead;
    if (is_full && !is_spooling_) {
      passed_on_ = true;
    } else if (is_full || is_far_ahead) {
      // Goes on when a piece is in the spool, or when a reader has come closer.
      paused_ = true;
      return OriginSink::Next::Pause;
    }
  }
  if (passed_on_) {
    if (readers_.empty()) return OriginSink::Next::Abort;
    drop_passed_locked();
    const bool is_far_ahead = end_locked() + bytes.size() > furthest_locked() + kMostAhead &&
                              end_locked() > furthest_locked();
    if (is_far_ahead || !charge_locked(bytes.size(), fetch)) {
      paused_ = true;
      return OriginSink::Next::Pause;
    }
  }
  paused_ = false;
  while (!bytes.empty()) {
    if (blocks_.empty() || blocks_.back().size() == kBlock) blocks_.emplace_back();
    const std::size_t count = std::min<std::size_t>(bytes.size(), kBlock - blocks_.back().size());
    blocks_.back().append(reinterpret_cast<const char*>(bytes.data()), count);
    bytes = bytes.subspan(count);
  }
  spool_more_locked();
  return OriginSink::Next::Continue;
}

bool SharedStream::can_be_spooled_locked() const {
  return spools_ != nullptr && !spool_failed_ && !passed_on_ && !ended_ && !is_abandoned_;
}

// A piece at a time, so that other work of the disk threads comes in between.
void SharedStream::spool_more_locked() {
  if (is_spooling_ || !can_be_spooled_locked() || end_locked() < kSpoolFrom ||
      end_locked() - spooled_ < store::kSliceSize) {
    return;
  }
  is_spooling_ =
      spools_->disk.post([self = shared_from_this()] { return self->spool_piece(); },
                         [self = shared_from_this()](const base::Result<std::uint64_t>& bytes) {
                           self->spooled(bytes);
                         });
}

// On a disk thread; one at a time.
base::Result<std::uint64_t> SharedStream::spool_piece() {
  std::string piece;
  std::shared_ptr<store::Spool> spool;
  {
    const std::lock_guard lock(mutex_);
    if (can_be_spooled_locked()) piece = copy_locked(spooled_, store::kSliceSize);
    spool = spool_;
  }
  base::Status status;
  if (!piece.empty() && !spool) {
    if (++spools_->open > Spools::kMost) {
      status = base::fail(base::ErrorCode::ResourceExhausted, "too many answers are spooled");
    } else if (auto made = spools_->store.spool(); made) {
      spool = std::move(*made);
    } else {
      status = std::unexpected(std::move(made).error());
    }
    if (!spool) --spools_->open;
    const std::lock_guard lock(mutex_);
    spool_ = spool;
  }
  if (status && !piece.empty()) status = spool->append(base::as_bytes(piece));
  if (!status) return std::unexpected(std::move(status).error());
  return piece.size();
}

void SharedStream::spooled(const base::Result<std::uint64_t>& bytes) {
  if (!bytes) {
    base::log_debug("an answer without a length is not spooled",
                    {{"reason", bytes.error().message}});
  }
  std::optional<Origin::FetchId> resume;
  {
    const std::lock_guard lock(mutex_);
    is_spooling_ = false;
    if (bytes) {
      spooled_ += *bytes;
    } else {
      spool_failed_ = true;
    }
    while (!passed_on_ && !blocks_.empty() && base_ + blocks_.front().size() <= spooled_) {
      base_ += blocks_.front().size();
      blocks_.pop_front();
    }
    if (const std::uint64_t kept = blocks_.size() * kBlock; kept < charged_) {
      memory_->give_back(charged_ - kept, FillMemory::Use::KeptStream);
      charged_ = kept;
    }
    if (bytes.value_or(0) > 0) spool_more_locked();
    resume = take_resume_locked();
  }
  if (resume) origin_.resume(*resume);
}

// Memory for what is here and `coming` bytes more, in whole blocks.
bool SharedStream::charge_locked(std::uint64_t coming, Origin::FetchId fetch) {
  const std::uint64_t held = end_locked() - base_ + coming;
  const std::uint64_t needed = (held + kBlock - 1) / kBlock * kBlock;
  if (needed <= charged_) return true;
  const auto use = passed_on_ ? FillMemory::Use::PassedStream : FillMemory::Use::KeptStream;
  if (!memory_->take(needed - charged_, fetch, use)) return false;
  charged_ = needed;
  return true;
}

std::uint64_t SharedStream::end_locked() const {
  if (blocks_.empty()) return base_;
  return base_ + (blocks_.size() - 1) * kBlock + blocks_.back().size();
}

std::uint64_t SharedStream::furthest_locked() const {
  std::uint64_t furthest = base_;
  for (const auto& [id, at] : readers_) furthest = std::max(furthest, at);
  return furthest;
}

// Gives back what all readers have had of an answer that is only passed on.
void SharedStream::drop_passed_locked() {
  if (!passed_on_) return;
  const std::uint64_t furthest = furthest_locked();
  std::uint64_t needed_from = readers_.empty() ? end_locked() : furthest;
  for (const auto& [id, at] : readers_) {
    if (at + kMostBehind >= furthest) needed_from = std::min(needed_from, std::max(at, base_));
  }
  while (!blocks_.empty() && base_ + blocks_.front().size() <= needed_from) {
    base_ += blocks_.front().size();
    blocks_.pop_front();
  }
  const std::uint64_t kept = blocks_.size() * kBlock;
  if (kept >= charged_) return;
  memory_->give_back(charged_ - kept, FillMemory::Use::PassedStream);
  charged_ = kept;
}

std::optional<Origin::FetchId> SharedStream::take_resume_locked() {
  if (!std::exchange(paused_, false)) return std::nullopt;
  return fetch_;
}

std::string SharedStream::copy_locked(std::uint64_t offset, std::uint64_t length) const {
  std::string copied;
  const std::uint64_t stop = std::min(end_locked(), offset + length);
  while (offset < stop) {
    const std::uint64_t index = (offset - base_) / kBlock;
    const std::uint64_t within = (offset - base_) % kBlock;
    copied.append(blocks_[index], within, stop - offset);
    offset = std::min(stop, base_ + (index + 1) * kBlock);
  }
  return copied;
}

base::Result<std::string> SharedStream::copy(std::uint64_t offset, std::uint64_t length) const {
  std::string copied;
  for (;;) {
    std::shared_ptr<store::Spool> spool;
    std::string piece;
    const std::uint64_t at = offset + copied.size();
    {
      const std::lock_guard lock(mutex_);
      const std::uint64_t rest = length - copied.size();
      if (rest == 0 || at >= base_) return copied + copy_locked(at, rest);
      spool = spool_;
      piece.resize(std::min(rest, spooled_ - at));
    }
    LARDER_TRY(spool->read(at, {reinterpret_cast<std::uint8_t*>(piece.data()), piece.size()}));
    copied += piece;
  }
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

bool SharedStream::is_passed_on() const {
  const std::lock_guard lock(mutex_);
  return passed_on_;
}

std::optional<std::uint64_t> SharedStream::whole_length() const {
  const std::lock_guard lock(mutex_);
  if (!ended_ || !status_ || passed_on_) return std::nullopt;
  return end_locked();
}

}  // namespace larder::cache
