#include <algorithm>
#include <chrono>
#include <utility>

#include "cache/fill.h"
#include "cache/fill_fetch.h"
#include "cache/fill_table.h"
#include "http/range.h"

// What of the slices is here or comes, and which ranges are asked for to bring the others.
namespace larder::cache {

namespace {

using store::kSliceSize;

// Fetches of one fill at a time.
constexpr std::size_t kMostFetches = 16;
// A reader does not wait for an answer that is more slices away than this, where it can ask itself.
constexpr std::uint32_t kNear = 16;
// An answer to a plain request is cut in favour of ranges when more slices than this are left: what
// its sender had under way then (some MiB) is hardly two parts in a hundred.
constexpr std::uint64_t kWorthCutting = 256;

}  // namespace

bool Fill::has_come_locked(std::uint32_t index) const {
  if (object_->has_slice(index)) return true;
  const auto found = buffers_.find(index);
  return found != buffers_.end() && found->second->is_complete();
}

bool Fill::is_had_locked(std::uint32_t index) const {
  if (object_->has_slice(index)) return true;
  const auto found = buffers_.find(index);
  return found != buffers_.end() && (found->second->is_complete() || found->second->is_fed);
}

bool Fill::comes_soon_locked(std::uint32_t index) const {
  if (is_had_locked(index)) return true;
  return std::any_of(fetches_.begin(), fetches_.end(), [&](const std::shared_ptr<Fetch>& fetch) {
    if (!fetch->brings_locked(index)) return false;
    return !fetch->ready_ || index - fetch->next_ <= kNear || ranges_ == Ranges::Ignored;
  });
}

bool Fill::comes_locked(std::uint32_t index) const {
  if (is_had_locked(index)) return true;
  return std::ranges::any_of(fetches_,
                             [index](const auto& fetch) { return fetch->brings_locked(index); });
}

// Whether all of it is there or comes by itself.
bool Fill::can_have_locked(Want want) const {
  const std::uint32_t last = std::min(want.last, object_->slice_count() - 1);
  for (std::uint64_t index = want.at; index <= last; ++index) {
    const auto number = static_cast<std::uint32_t>(index);
    if (is_had_locked(number)) continue;
    const auto brings = std::ranges::find_if(
        fetches_, [number](const auto& fetch) { return fetch->brings_locked(number); });
    if (brings == fetches_.end()) return false;
    index = (*brings)->last_;
  }
  return true;
}

// What running fetches have still to bring.
std::uint64_t Fill::bytes_left_locked() const {
  std::uint64_t slices = 0;
  for (const std::shared_ptr<Fetch>& fetch : fetches_) {
    if (!fetch->is_over_ && fetch->next_ <= fetch->last_) slices += fetch->last_ - fetch->next_ + 1;
  }
  return slices * kSliceSize;
}

// How many more may be begun now.
std::size_t Fill::fetches_left_locked() const {
  const std::size_t left = kMostFetches - std::min(kMostFetches, fetches_.size());
  if (!retries_.is_probing()) return left;
  // What was begun before the last failure tells nothing of how the origin is now, and may hang.
  const bool probes =
      std::any_of(fetches_.begin(), fetches_.end(), [this](const std::shared_ptr<Fetch>& fetch) {
        return !fetch->is_over_ && fetch->asked_ >= retries_.last();
      });
  return std::min<std::size_t>(left, probes ? 0 : 1);
}

// Starts what readers need now, and what fits into the window of what they asked for.
void Fill::plan_locked() {
  if (phase_ != Phase::Open || !combinable_) return;
  if (std::chrono::steady_clock::now() < retries_.next()) return;
  std::uint64_t under_way = 0;
  bool streams = false;
  for (const std::shared_ptr<Fetch>& fetch : fetches_) {
    if (fetch->is_over_ || fetch->next_ > fetch->last_) continue;
    const std::uint64_t left = fetch->last_ - fetch->next_ + 1;
    streams = streams || fetch->is_whole_;
    if (fetch->is_whole_ && ranges_ == Ranges::Served && left > kWorthCutting) {
      fetch->last_ = fetch->next_ + kNear - 1;  // the rest in parts, several at a time
      continue;
    }
    under_way += left;
  }
  // It brings all there is; ranges would only begin it again.
  if (streams && ranges_ == Ranges::Ignored) return;
  // A line that is shared by turns is not shared better by asking for more.
  const std::uint64_t capped =
      permit_ ? std::max(permit_->rate / 4, FillWindow::kSmallest) : FillWindow::kLargest;
  const std::uint64_t window = std::min(window_.bytes(), capped) / kSliceSize;
  PlanInput input;
  // Where the disk takes nothing, only what is sent right now is fetched.
  input.room = lost_.empty() && window > under_way ? window - under_way : 0;
  input.chunk = static_cast<std::uint32_t>(window_.chunk() / kSliceSize);
  // Whole chunks: a window that shrinks and grows by a slice must not make fetches of a slice.
  if (input.room < input.chunk) input.room = 0;
  window_is_full_ = input.room == 0 && !streams;
  input.fetches = fetches_left_locked();
  const std::vector<Want> wants = readers_.wants();
  input.wants = wants;
  input.slice_count = object_->slice_count();
  input.comes_soon = [this](std::uint32_t index) { return comes_soon_locked(index); };
  input.comes = [this](std::uint32_t index) { return comes_locked(index); };
  for (const FetchRun run : plan_fetches(input)) start_locked(run);
}

void Fill::start_locked(FetchRun run) {
  const std::optional<FillReaders::Asker> asker = readers_.asker_for(run.first);
  if (!asker) return;
  if (!permit_) permit_ = table_.origin_.admit(host_, true);
  std::uint64_t first = run.first * kSliceSize;
  std::uint64_t begun = 0;
  if (const auto found = buffers_.find(run.first); found != buffers_.end()) {
    begun = found->second->filled.load(std::memory_order_relaxed);
  }
  first += begun;
  const std::uint64_t last =
      std::min((std::uint64_t{run.last} + 1) * kSliceSize, object_->length()) - 1;
  OriginRequest request = *asker->request;
  request.fields.emplace_back("Range", http::range_text({first, last}));
  request.fields.emplace_back("If-Range", response_.generation.validator);
  const std::shared_ptr<Fetch> fetch = add_fetch_locked(run.first, run.last);
  fetch->position_ = begun;
  fetch->reader_ = asker->id;
  fetch->id_ = table_.origin_.fetch(std::move(request), fetch);
}

std::shared_ptr<Fill::Fetch> Fill::add_fetch_locked(std::uint32_t first, std::uint32_t last) {
  auto fetch = std::make_shared<Fetch>(shared_from_this(), first, last);
  fetch->asked_ = std::chrono::steady_clock::now();
  fetches_.push_back(fetch);
  ++table_.statistics_.fetches;
  return fetch;
}

}  // namespace larder::cache
