#include <utility>

#include "agent/get.h"
#include "agent/patience.h"
#include "agent/progress_meter.h"
#include "agent/target.h"
#include "agent/url.h"
#include "agent/url_part.h"
#include "base/encoding.h"
#include "client/exchange.h"
#include "content/manifest.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kCacheLowSpeed = 4000;  // bytes/s; there is another source
constexpr std::uint64_t kOriginLowSpeed = 1;    // there is none: only a standstill ends it
constexpr int kRedirectLimit = 10;

class UrlDownload {
 public:
  UrlDownload(const UrlRequest& request, Url origin, UrlPart& part, ProgressMeter& meter,
              ProgressListener& listener)
      : request_(request),
        origin_(std::move(origin)),
        part_(part),
        meter_(meter),
        listener_(listener) {}

  // From the cache, when there is one and it is wanted, then from the origin.
  Status run(bool use_cache) {
    if (use_cache && !request_.cache_host.empty()) {
      const auto cached = from_cache();
      if (cached || cached.error().code == ErrorCode::ResourceExhausted) return cached;
      listener_.on_source_failed(request_.cache_host, cached.error());
    }
    return from_origin();
  }

  std::map<std::string, std::uint64_t> bytes;

 private:
  Status from_cache() {
    const auto url = through_cache(origin_, request_.cache_host);
    if (!url) return std::unexpected(url.error());
    client::HttpRequest request;
    request.trust = request_.trust;
    request.connect_timeout = kNearbyConnectTimeout;
    request.low_speed = kCacheLowSpeed;
    // A redirect is the origin's word: it is followed there.
    return ask(*url, request, request_.cache_host, false);
  }

  Status from_origin() {
    client::HttpRequest request;
    request.connect_timeout = kLastConnectTimeout;
    request.low_speed = kOriginLowSpeed;
    for (;;) {
      const auto before = part_.size();
      auto outcome = ask(origin_, request, origin_.host, true);
      // A cut answer goes on from where it was cut, as long as that gets somewhere.
      const bool again = !outcome && part_.size() > before &&
                         (outcome.error().code == ErrorCode::Unavailable ||
                          outcome.error().code == ErrorCode::DeadlineExceeded);
      if (!again) return outcome;
      listener_.on_source_failed(origin_.host, outcome.error());
    }
  }

  Status ask(Url url, client::HttpRequest request, const std::string& source, bool follows) {
    meter_.set_source(source);
    for (int step = 0; step <= kRedirectLimit; ++step) {
      auto fields = part_.begin_request();
      if (!fields) return std::unexpected(fields.error());
      if (part_.complete()) return {};
      request.url = url.text();
      request.fields = std::move(*fields);
      const auto response = exchange(request, source);
      if (!response) return std::unexpected(response.error());
      if (!is_redirect(response->status)) return end(*response);
      if (!follows) return fail(ErrorCode::Unavailable, "the answer is a redirect");
      auto next = follow(url, response->field("Location"));
      if (!next) return std::unexpected(next.error());
      url = std::move(*next);
    }
    return fail(ErrorCode::Unavailable, "the answers redirect too often");
  }

  Result<client::HttpResponse> exchange(client::HttpRequest& request, const std::string& source) {
    request.timeout = std::chrono::milliseconds(0);
    request.on_head = [this](int status, const Fields& fields) -> Status {
      if (is_redirect(status)) return {};
      LARDER_TRY(part_.take_head(status, fields));
      meter_.set_total(part_.total().value_or(0));
      return {};
    };
    request.on_body = [this, &source](std::span<const std::uint8_t> received) -> Status {
      LARDER_TRY(part_.append(received));
      bytes[source] += received.size();
      meter_.update(part_.size());
      return {};
    };
    return http_.perform(request);
  }

  Status end(const client::HttpResponse& response) {
    if (response.status != 200 && response.status != 206) {
      return fail(ErrorCode::Unavailable, "the answer is " + std::to_string(response.status));
    }
    part_.end_of_answer();
    if (part_.complete()) return {};
    return fail(ErrorCode::Unavailable, "the answer is shorter than announced");
  }

  static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  }

  const UrlRequest& request_;
  Url origin_;
  UrlPart& part_;
  ProgressMeter& meter_;
  ProgressListener& listener_;
  client::HttpClient http_;
};

Result<std::string> target_of(const UrlRequest& request, const Url& url) {
  const auto name = file_name_of(url);
  if (!name && (request.output.empty() || is_folder(request.output))) {
    return fail(ErrorCode::InvalidArgument, "the URL ends without a file name: name the file");
  }
  return target_path(request.output, name.value_or(""));
}

// Downloads into the part and compares the digest. What came through a cache or from an earlier
// attempt and is wrong is fetched once more, from the origin alone.
Result<std::string> fetch_verified(const UrlRequest& request, UrlDownload& download,
                                   UrlPart& part) {
  bool may_be_stale = part.size() > 0 || !request.cache_host.empty();
  bool use_cache = true;
  for (;;) {
    LARDER_TRY(download.run(use_cache));
    auto digest = sha256_of(part.path());
    if (!digest || request.sha256.empty() || *digest == base::to_lower(request.sha256)) {
      return digest;
    }
    LARDER_TRY(part.drop());
    if (!may_be_stale) {
      return fail(ErrorCode::DataLoss, "the origin's file has SHA-256 " + *digest + ", not " +
                                           base::to_lower(request.sha256));
    }
    may_be_stale = false;
    use_cache = false;
  }
}

}  // namespace

Result<GetResult> get_url(const UrlRequest& request, ProgressListener& listener,
                          const base::Clock& clock) {
  const auto url = parse_url(request.url);
  if (!url) return std::unexpected(url.error());
  if (!request.sha256.empty() && !content::is_sha256(base::to_lower(request.sha256))) {
    return fail(ErrorCode::InvalidArgument, "a SHA-256 has 64 hexadecimal digits");
  }
  if (!request.cache_host.empty()) {
    const auto cached = through_cache(*url, request.cache_host);
    if (!cached) return std::unexpected(cached.error());
  }
  const auto target = target_of(request, *url);
  if (!target) return std::unexpected(target.error());
  auto part = UrlPart::open(*target, url->text());
  if (!part) return std::unexpected(part.error());

  const auto resumed = part->size();
  ProgressMeter meter(listener, clock, target->substr(target->rfind('/') + 1));
  UrlDownload download(request, *url, *part, meter, listener);
  const auto digest = fetch_verified(request, download, *part);
  if (!digest) {
    part->tidy();
    return std::unexpected(digest.error());
  }
  const auto size = part->size();
  meter.finish(size);
  LARDER_TRY(part->commit(*target));
  if (resumed > 0) download.bytes["resumed"] = resumed;
  return GetResult{.files = {{.path = *target, .size = size, .sha256 = *digest}},
                   .bytes_by_source = std::move(download.bytes)};
}

}  // namespace larder::agent
