#include "cache/fill.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cache/fill_fetch.h"
#include "cache/fill_table.h"
#include "cache/freshness.h"
#include "http/range.h"

namespace larder::cache {

namespace {

using store::kSliceSize;

// The first range that is asked of an origin that is known to serve them, in slices.
constexpr std::uint32_t kFirstRange = 4;
// Fetches that waited for the disk go on when at most so many slices are left.
constexpr std::size_t kResumeBelow = 8;
// What is coming since so lately answers those who ask at about the same time, fresh or not.
constexpr std::chrono::seconds kNewest{5};
// A fetch that has brought nothing for so long is taken over when a reader waits for it.
constexpr std::chrono::seconds kStalled{5};
// The same for one that has no answer yet.
constexpr std::chrono::seconds kSilent{10};
// What nobody waits for any more may take so long to its end.
constexpr std::chrono::minutes kLongestAlone{10};

}  // namespace

Fill::Fill(FillTable& table, store::Key key, std::shared_ptr<store::Object> object,
           const StoredResponse* response, IdentityRule rule)
    : table_(table), key_(key), opens_(object == nullptr), rule_(rule), object_(std::move(object)) {
  if (!object_) return;
  phase_ = Phase::Open;
  response_ = *response;
  combinable_ =
      response_.generation.kind != GenerationKind::SingleResponse && !table.is_flipping(key);
}

void Fill::release(std::uint64_t id) {
  std::vector<Origin::FetchId> resume;
  {
    const std::lock_guard lock(mutex_);
    readers_.remove(id);
    if (readers_.is_empty()) alone_since_ = table_.clock_.steady();
    const std::size_t kept = lost_.size();
    drop_passed_locked();
    // One that waits for memory would wait although nobody needs what it brings.
    for (const std::shared_ptr<Fetch>& fetch : fetches_) {
      if (!fetch->paused_ || !fetch->lacks_memory_) continue;
      if (readers_.want(fetch->next_, fetch->last_)) continue;
      fetch->is_over_ = true;
      table_.origin_.cancel(fetch->id_);
    }
    // So would one behind what was kept for this reader.
    if (lost_.size() < kept) resume = resumable_locked();
  }
  for (const Origin::FetchId fetch : resume) table_.origin_.resume(fetch);
  table_.forget_if_idle(*this);
}

std::uint64_t Fill::add_reader() {
  const std::lock_guard lock(mutex_);
  alone_since_.reset();
  return readers_.add();
}

bool Fill::is_left_alone_locked() const {
  return alone_since_ && table_.clock_.steady() - *alone_since_ >= kLongestAlone;
}

bool Fill::takes_newcomers(const store::Object* refused, base::WallTime now,
                           base::SteadyTime steady_now) const {
  const std::lock_guard lock(mutex_);
  // Purged or changed since it was asked for: who comes after that does not want it.
  if (is_outdated_ && is_outdated_()) return false;
  // Until the table has forgotten it: a failure, or an answer for one alone, is over for others.
  if (phase_ == Phase::Failed || phase_ == Phase::Unshared) return false;
  // Of a stream the caller judges itself: another one beside it would be stored before it ends.
  if (phase_ != Phase::Open) return true;
  if (object_->is_removed()) return false;
  // RFC 9111 section 4: requests may share a response that each of them may be answered with. Who
  // comes when all of it is here has not asked at the same time.
  if (is_arriving_locked() && is_new_locked(steady_now)) return true;
  return object_.get() != refused && current_age(response_, now) < response_.freshness.lifetime;
}

bool Fill::is_new(base::SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  return is_new_locked(now);
}

bool Fill::is_new_locked(base::SteadyTime now) const {
  return answered_ && now - *answered_ < kNewest;
}

// Whether bytes are still to come; none are from the moment that a reader can have the last one.
bool Fill::is_arriving_locked() const {
  return std::ranges::any_of(fetches_, [](const std::shared_ptr<Fetch>& fetch) {
    if (fetch->is_over_ || fetch->next_ > fetch->last_) return false;
    return fetch->next_ < fetch->last_ || !fetch->buffer_ || !fetch->buffer_->is_complete();
  });
}

bool Fill::is_idle() const {
  const std::lock_guard lock(mutex_);
  return readers_.is_empty() && fetches_.empty() && unsaved_ == 0;
}

bool Fill::open(OriginRequest request, std::optional<SliceRange> slices, OpeningJudge judge,
                bool or_whole) {
  base::Error refused;
  {
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::Opening || std::exchange(opening_started_, true)) return false;
    host_ = request.host;
    target_ = request.target;
    window_ = FillWindow(table_.window_of(host_));
    permit_ = table_.origin_.admit(host_, false);
    if (permit_) {
      // One answer of a flipping object is all that can be kept of it.
      const bool single = table_.is_flipping(key_);
      if (single) slices.reset();
      const bool own_range = !slices && !single && request.serves_ranges;
      request.is_first = true;
      if (own_range) slices = {0, kFirstRange - 1};
      // The rest when the answer tells that ranges are served.
      if (slices) slices->second = std::min(slices->second, slices->first + kFirstRange - 1);
      const std::shared_ptr<Fetch> fetch =
          add_fetch_locked(slices ? slices->first : 0, slices ? slices->second : UINT32_MAX);
      if (slices) fetch->without_range_ = request;
      fetch->needs_whole_ = own_range || or_whole;
      fetch->judge_ = std::move(judge);
      if (slices) {
        request.fields.emplace_back(
            "Range", http::range_text({slices->first * kSliceSize,
                                       (std::uint64_t{slices->second} + 1) * kSliceSize - 1}));
      }
      // Under the lock: callbacks of the fetch wait until its id is known.
      fetch->id_ = table_.origin_.fetch(std::move(request), fetch);
      return true;
    }
    refused = refused_by_cap();
  }
  give_up(std::move(refused));
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

bool Fill::has(SliceRange slices) const {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t index = slices.first; index <= slices.second; ++index) {
    if (!has_come_locked(static_cast<std::uint32_t>(index))) return false;
  }
  return true;
}

void Fill::add_missing(SliceRange slices, SliceSet& to) const {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t index = slices.first; index <= slices.second; ++index) {
    const auto number = static_cast<std::uint32_t>(index);
    if (!has_come_locked(number)) to.add(number);
  }
}

bool Fill::is_seekable() const {
  const std::lock_guard lock(mutex_);
  if (!combinable_ || ranges_ == Ranges::Ignored) return false;
  return ranges_ == Ranges::Served ||
         std::none_of(fetches_.begin(), fetches_.end(),
                      [](const auto& fetch) { return fetch->is_whole_ && !fetch->is_over_; });
}

std::shared_ptr<PassQueue> Fill::pass() const {
  const std::lock_guard lock(mutex_);
  return pass_;
}

std::shared_ptr<SharedStream> Fill::stream() const {
  const std::lock_guard lock(mutex_);
  return stream_;
}

StoredResponse Fill::response() const {
  const std::lock_guard lock(mutex_);
  return response_;
}

std::string Fill::target() const {
  const std::lock_guard lock(mutex_);
  return target_;
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

bool Fill::was_not_taken() const {
  const std::lock_guard lock(mutex_);
  return not_taken_;
}

base::Error Fill::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

void Fill::ask(std::uint64_t id, OriginRequest request, SliceRange slices) {
  const std::lock_guard lock(mutex_);
  FillReaders::Reader& reader = readers_.of(id);
  reader.want = {slices.first, slices.second};
  if (host_.empty()) {
    host_ = request.host;
    window_ = FillWindow(table_.window_of(host_));
  }
  reader.request = std::make_shared<const OriginRequest>(std::move(request));
  if (permit_) plan_locked();
}

void Fill::promise(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  readers_.of(id).is_promised = true;
}

std::optional<base::Result<std::shared_ptr<SliceBuffer>>> Fill::find_locked(
    FillReaders::Reader& reader, std::uint32_t index, std::uint64_t have) {
  const bool has_to_come = !combinable_ && !stream_;  // nothing can be asked for by itself
  if (has_to_come && !reader.is_promised &&
      !(comes_soon_locked(index) && can_have_locked(reader.want))) {
    if (!opens_) {
      return base::fail(base::ErrorCode::DataLoss,
                        "an object without a validator cannot be completed");
    }
    if (!error_.message.empty()) return std::unexpected(error_);
    return base::fail(base::ErrorCode::FailedPrecondition,
                      "it was kept nowhere, or comes much later");
  }
  // Before its first bytes, and also where those are here: the rest must be allowed to come.
  if (!reader.is_promised && !permit_ && combinable_ && phase_ == Phase::Open &&
      !can_have_locked(reader.want)) {
    permit_ = table_.origin_.admit(host_, false);
    if (!permit_) return std::unexpected(refused_by_cap());
    plan_locked();
  }
  if (object_->has_slice(index)) return nullptr;
  const auto found = buffers_.find(index);
  if (found != buffers_.end() && (found->second->is_fed || found->second->filled > have)) {
    return found->second;
  }
  if (phase_ == Phase::Failed) return std::unexpected(error_);
  if (stream_) {
    // It is all here, and on its way to the disk.
    if (!stream_stored_) return std::nullopt;
    return base::fail(base::ErrorCode::DataLoss, *stream_stored_
                                                     ? "a slice was dropped from the store"
                                                     : "the answer was not stored");
  }
  if (comes_soon_locked(index)) return std::nullopt;
  if (has_to_come) {
    if (comes_locked(index)) return std::nullopt;
    if (!opens_) {
      return base::fail(base::ErrorCode::DataLoss,
                        "an object without a validator cannot be completed");
    }
    return error_.message.empty() ? base::fail(base::ErrorCode::Unavailable, "the origin broke off")
                                  : std::unexpected(error_);
  }
  if (retries_.is_exhausted(std::chrono::steady_clock::now()) || !readers_.can_ask()) {
    return error_.message.empty() ? base::fail(base::ErrorCode::Unavailable, "the origin broke off")
                                  : std::unexpected(error_);
  }
  if (std::chrono::steady_clock::now() < retries_.next()) return std::nullopt;
  plan_locked();
  return std::nullopt;
}

net::Task<base::Result<std::shared_ptr<SliceBuffer>>> Fill::slice(std::uint64_t id,
                                                                  std::uint32_t index,
                                                                  std::uint64_t have,
                                                                  base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = changed_.count();
    std::vector<Origin::FetchId> resume;
    std::optional<base::Result<std::shared_ptr<SliceBuffer>>> found;
    base::SteadyTime retry{};
    {
      const std::lock_guard lock(mutex_);
      FillReaders::Reader& reader = readers_.of(id);
      if (reader.want.at != index) {
        reader.want.at = index;
        drop_passed_locked();
        resume = resumable_locked();
      }
      found = find_locked(reader, index, have);
      if (found && *found) reader.is_promised = true;
      retry = retries_.next();
    }
    for (const Origin::FetchId fetch : resume) table_.origin_.resume(fetch);
    if (found) co_return std::move(*found);
    const base::SteadyTime now = std::chrono::steady_clock::now();
    if (now >= deadline) {
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the origin stalled");
    }
    const base::SteadyTime stalls = now + kStalled;
    const base::SteadyTime look_again = retry > now ? std::min(retry, stalls) : stalls;
    if (!co_await changed_.wait(seen, std::min(deadline, look_again)) && look_again == stalls) {
      const std::lock_guard lock(mutex_);
      take_over_locked(index, std::chrono::steady_clock::now());
    }
  }
}

net::Task<bool> Fill::progress(const SliceBuffer& buffer, std::uint64_t have,
                               base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = changed_.count();
    if (buffer.filled.load(std::memory_order_acquire) > have) co_return true;
    if (!buffer.is_fed) co_return false;
    const base::SteadyTime now = std::chrono::steady_clock::now();
    if (now >= deadline) co_return false;
    if (!co_await changed_.wait(seen, std::min(deadline, now + kStalled))) {
      const std::lock_guard lock(mutex_);
      for (const auto& [index, arriving] : buffers_) {
        if (arriving.get() != &buffer) continue;
        take_over_locked(index, std::chrono::steady_clock::now());
        break;
      }
    }
  }
}

// A fetch that brings nothing is ended, so that another one goes on where it stopped; and what the
// disk did not take is dropped when it is what keeps a fetch from going on.
void Fill::take_over_locked(std::uint32_t index, base::SteadyTime now) {
  for (const std::shared_ptr<Fetch>& fetch : fetches_) {
    if (!fetch->brings_locked(index)) continue;
    if (fetch->paused_) {
      for (const std::uint32_t lost : std::exchange(lost_, {})) buffers_.erase(lost);
      table_.origin_.resume(fetch->id_);
      continue;
    }
    const bool answered = fetch->heard_ != base::SteadyTime{};
    const bool stalls = answered ? now - fetch->heard_ >= kStalled : now - fetch->asked_ >= kSilent;
    if (stalls && combinable_ && phase_ == Phase::Open && retries_.has_spare()) {
      table_.origin_.cancel(fetch->id_);
    }
  }
}

// What the disk did not take is kept for readers who have yet to send it.
void Fill::drop_passed_locked() {
  for (auto lost = lost_.begin(); lost != lost_.end();) {
    if (readers_.want(*lost)) {
      ++lost;
    } else {
      buffers_.erase(*lost);
      lost = lost_.erase(lost);
    }
  }
}

std::vector<Origin::FetchId> Fill::resumable_locked() {
  std::vector<Origin::FetchId> resume;
  if (static_cast<std::size_t>(unsaved_) + lost_.size() > kResumeBelow) return resume;
  for (const std::shared_ptr<Fetch>& fetch : fetches_) {
    if (fetch->ready_ && std::exchange(fetch->paused_, false)) resume.push_back(fetch->id_);
  }
  return resume;
}

void Fill::save(std::uint32_t index, const std::shared_ptr<SliceBuffer>& buffer) {
  const bool queued = table_.disk_.post(
      [self = shared_from_this(), index, buffer] {
        return self->table_.store_.write_slice(*self->object(), index,
                                               {buffer->bytes.get(), buffer->length});
      },
      [self = shared_from_this(), index](const base::Status& status) {
        self->saved(index, status);
      });
  if (!queued) {
    saved(index, base::fail(base::ErrorCode::ResourceExhausted, "the disk queue is full"));
  }
}

void Fill::saved(std::uint32_t index, const base::Status& status) {
  std::vector<Origin::FetchId> resume;
  {
    const std::lock_guard lock(mutex_);
    --unsaved_;
    if (!object_->is_removed()) table_.drives_refuse_ = !status && !object_->has_slice(index);
    // Stored is stored, whoever did it. Scarce memory is not for what can be fetched again.
    if (status || object_->has_slice(index) || (table_.memory_->is_scarce() && combinable_) ||
        !readers_.want(index)) {
      buffers_.erase(index);
    } else {
      lost_.insert(index);
    }
    resume = resumable_locked();
  }
  if (!status) {
    base::log_warning("a slice was not stored", {{"reason", status.error().message}});
    changed_.notify();
  }
  for (const Origin::FetchId id : resume) table_.origin_.resume(id);
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
    for (const auto& [index, buffer] : buffers_) buffer->is_fed = false;
    for (const std::shared_ptr<Fetch>& fetch : fetches_) table_.origin_.cancel(fetch->id_);
    object = object_;
    permit_.reset();
  }
  changed_.notify();
  table_.forget(*this);
  if (object) table_.disk_.post([&store = table_.store_, object] { store.remove(*object); });
}

}  // namespace larder::cache
