#include "cli/prefetch_fetcher.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "cache/cache_status.h"
#include "http/retry_after.h"

namespace larder::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

// Looks whether the last bytes are on the drive, which may take a moment.
constexpr int kLooks = 20;
constexpr std::chrono::milliseconds kBetweenLooks{100};
constexpr const char* kEnded = "ended before it was done";
// The node's word for what is there but may not be served before its origin has confirmed it.
constexpr std::string_view kUnconfirmed = "stored, to be confirmed";

// What the node itself said; caches between it and the origin stand before it.
std::string_view status_of(const client::HttpResponse& response) {
  return cache::nearest_cache_status(response.field("Cache-Status"));
}

bool says(const client::HttpResponse& response, std::string_view what) {
  return status_of(response).find(what) != std::string_view::npos;
}

// The text of detail="..." in it.
std::string detail_of(const client::HttpResponse& response) {
  const std::string_view status = status_of(response);
  constexpr std::string_view kMark = "detail=\"";
  const std::size_t at = status.find(kMark);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = status.substr(at + kMark.size());
  return std::string(rest.substr(0, rest.find('"')));
}

// Total length behind the slash of "bytes 0-99/1234".
std::uint64_t total_in(std::string_view content_range) {
  std::uint64_t total = 0;
  const std::size_t slash = content_range.find('/');
  if (slash == std::string_view::npos) return 0;
  const std::string_view digits = content_range.substr(slash + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), total);
  return total;
}

}  // namespace

PrefetchFetcher::PrefetchFetcher(const NodePlace& node, Prefetch& prefetch)
    : node_(node), prefetch_(prefetch) {
  prefetch_.add_client(http_);
}

PrefetchFetcher::~PrefetchFetcher() {
  prefetch_.remove_client(http_);
}

void PrefetchFetcher::run() {
  while (const auto number = prefetch_.take()) {
    const std::string& url = prefetch_.url(*number);
    auto done = fetch(url, *number);
    const bool was_silent = !done && !answered_;
    prefetch_.finish(*number, std::move(done));
    // One answer that was cut says nothing of the others; a node that is away does.
    if (was_silent && !is_stored(url, "bytes=0-0") && !answered_) {
      prefetch_.end({"the node does not answer", "is the node running?"});
    }
  }
}

Result<PrefetchProgress> PrefetchFetcher::fetch(const std::string& url, std::size_t number) {
  PrefetchProgress progress;
  do {
    auto got = piece(url, progress);
    PrefetchPatience patience;
    while (!got && got.error().code == ErrorCode::Unavailable && refusal_) {
      const auto wait =
          patience.next(*refusal_, std::chrono::steady_clock::now(), prefetch_.last_progress());
      if (!wait || !prefetch_.pause(*wait)) break;
      got = piece(url, progress);
    }
    if (!got) return std::unexpected(got.error());
    if (progress.is_stored) prefetch_.show(number, progress);
  } while (progress.is_stored && progress.done < progress.total);
  if (progress.from_origin > 0 && !prefetch_.catch_up())
    return fail(ErrorCode::Unavailable, kEnded);
  if (!progress.is_stored || progress.total == 0) return progress;
  const std::string last = "bytes=" + std::to_string(progress.total - 1) + "-";
  auto is_there = is_stored(url, last);
  for (int look = 1; is_there && !*is_there && look < kLooks; ++look) {
    if (!prefetch_.pause(kBetweenLooks)) return fail(ErrorCode::Unavailable, kEnded);
    is_there = is_stored(url, last);
  }
  if (!is_there) return std::unexpected(is_there.error());
  progress.is_stored = *is_there;
  if (!progress.is_stored && progress.why_not.empty()) {
    progress.why_not = "it came, but was not there afterwards";
  }
  return progress;
}

client::HttpRequest PrefetchFetcher::request_for(const std::string& url,
                                                 const std::string& range) const {
  client::HttpRequest request;
  request.url = node_.url + "/";
  request.connect_to = node_.connect_to;
  request.trust = node_.trust;
  request.target = url;
  const std::size_t host = url.find("://") + 3;
  request.fields = {{"Host", url.substr(host, std::min(url.find('/', host), url.size()) - host)},
                    {"Range", range}};
  request.timeout = std::chrono::milliseconds(0);
  request.low_speed = 1;
  return request;
}

Result<bool> PrefetchFetcher::is_stored(const std::string& url, const std::string& range) {
  const Read there = read(url, range, true);
  if (!there.response) return std::unexpected(there.response.error());
  return (there.response->status < 300 && says(*there.response, "; hit")) ||
         detail_of(*there.response) == kUnconfirmed;
}

// What is there is read without waiting for a turn, until something had to come from the origin:
// from then on a hit may be what came along with it.
base::Status PrefetchFetcher::piece(const std::string& url, PrefetchProgress& progress) {
  const std::string range = "bytes=" + std::to_string(progress.done) + "-" +
                            std::to_string(progress.done + prefetch_.piece() - 1);
  bool is_unconfirmed = false;
  if (progress.from_origin == 0) {
    Read there = read(url, range, true);
    if (!there.response) return std::unexpected(there.response.error());
    if (says(*there.response, "; hit")) return advance(there, progress);
    is_unconfirmed = detail_of(*there.response) == kUnconfirmed;
  }
  const std::uint64_t taken = progress.total == 0
                                  ? prefetch_.piece()
                                  : std::min(prefetch_.piece(), progress.total - progress.done);
  if (!prefetch_.wait_for_turn(taken)) return fail(ErrorCode::Unavailable, kEnded);
  const Read came = read(url, range, false);
  const bool was_confirmed =
      is_unconfirmed && came.response && says(*came.response, "; fwd-status=304");
  const std::uint64_t from_origin = was_confirmed ? 0 : came.bytes;
  prefetch_.settle(taken, from_origin);
  if (came.is_refused) {
    progress.is_stored = false;
    progress.why_not = came.why_not;
    return {};
  }
  if (!came.response) return std::unexpected(came.response.error());
  progress.from_origin += from_origin;
  return advance(came, progress);
}

PrefetchFetcher::Read PrefetchFetcher::read(const std::string& url, const std::string& range,
                                            bool only_if_cached) {
  client::HttpRequest request = request_for(url, range);
  Read came;
  if (only_if_cached) {
    request.fields.emplace_back("Cache-Control", "only-if-cached");
  } else {
    // What is not stored is not worth its bytes. An answer without a length may still be.
    request.on_head = [&](int status, const auto& fields) -> base::Status {
      client::HttpResponse head{.status = status, .fields = fields, .body = {}};
      const bool has_length = !head.field("Content-Length").empty();
      came.is_refused = (status == 200 || status == 206) && has_length && !says(head, "; hit") &&
                        !says(head, "; stored");
      if (!came.is_refused) return {};
      came.why_not = detail_of(head);
      return fail(ErrorCode::FailedPrecondition, "not stored");
    };
  }
  request.on_body = [&](std::span<const std::uint8_t> part) -> base::Status {
    came.bytes += part.size();
    if (!only_if_cached) prefetch_.note_progress();
    return {};
  };
  answered_ = false;
  came.response = http_.perform(request);
  answered_ = came.is_refused || came.response.has_value();
  refusal_.reset();
  if (came.response && came.response->status == 503) {
    refusal_ = {.is_of_origin = says(*came.response, "; fwd-status="),
                .retry_after = http::parse_retry_after(came.response->field("Retry-After"),
                                                       base::SystemClock().wall())};
  }
  return came;
}

base::Status PrefetchFetcher::advance(const Read& came, PrefetchProgress& progress) {
  const client::HttpResponse& response = *came.response;
  if (response.status == 416 && progress.done == 0) return {};  // an empty object
  if (response.status != 206 && response.status != 200) {
    return fail(response.status == 503 ? ErrorCode::Unavailable : ErrorCode::Internal,
                "status " + std::to_string(response.status));
  }
  if (!says(response, "; hit")) progress.why_not = detail_of(response);
  progress.done = response.status == 200 ? came.bytes : progress.done + came.bytes;
  progress.total = response.status == 200 ? came.bytes : total_in(response.field("Content-Range"));
  if (progress.total == 0 || came.bytes == 0) progress.total = progress.done;
  return {};
}

}  // namespace larder::cli
