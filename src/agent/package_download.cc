#include "agent/package_download.h"

#include <algorithm>
#include <utility>

#include "agent/patience.h"
#include "agent/target.h"
#include "content/piece_fetch.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

// Each source twice: a passing trouble of all of them at once must not end a long download.
constexpr int kRounds = 2;

}  // namespace

PackageDownload::PackageDownload(client::HttpExchange exchange, Location location,
                                 Credentials credentials,
                                 std::function<Result<std::string>()> renew_token,
                                 ProgressListener& listener, const base::Clock& clock)
    : exchange_(std::move(exchange)),
      manifest_(std::move(location.manifest)),
      sources_(std::move(location.sources)),
      credentials_(std::move(credentials)),
      renew_token_(std::move(renew_token)),
      listener_(listener),
      clock_(clock) {}

Status PackageDownload::fetch(const content::ManifestFile& file, const std::string& path) {
  auto part = content::PieceFile::open(path + std::string(kPartSuffix), file, 0644);
  if (!part) return std::unexpected(part.error());
  if (part->verified() > 0) bytes_["resumed"] += part->verified();
  ProgressMeter meter(listener_, clock_, file.name);
  meter.set_total(file.size);
  meter.update(part->verified());

  Status outcome = fail(ErrorCode::Unavailable, "no source offers the package");
  for (int round = 0; round < kRounds && !part->complete(); ++round) {
    const auto sources = sources_;
    for (const auto& source : sources) {
      outcome = fetch_from(source, *part, meter);
      if (outcome) break;
      if (outcome.error().code == ErrorCode::ResourceExhausted) return outcome;  // the disk is full
      listener_.on_source_failed(source.name, outcome.error());
      const auto failed = std::ranges::find(sources_, source.url, &Source::url);
      std::rotate(failed, failed + 1, sources_.end());
    }
  }
  if (!part->complete()) return base::with_context(file.name, outcome.error());
  meter.finish(file.size);
  return part->commit(path);
}

Status PackageDownload::fetch_from(const Source& source, content::PieceFile& part,
                                   ProgressMeter& meter) {
  meter.set_source(source.name);
  const auto begin = part.verified();
  std::uint64_t received = 0;
  const auto attempt = [&] {
    const auto start = part.verified();
    std::uint64_t fresh = 0;
    return content::fetch_pieces(exchange_, request_for(source, part.expected().name), part,
                                 [&](std::uint64_t count) -> Status {
                                   fresh += count;
                                   received += count;
                                   meter.update(std::min(start + fresh, part.expected().size));
                                   return {};
                                 });
  };
  auto outcome = attempt();
  if (!outcome && outcome.error().code == ErrorCode::Unauthenticated && renew_token_ &&
      part.verified() == begin) {
    // The token may have ended during a long download. Asked once: who refuses a new one as well
    // does not want us.
    const auto renew = std::exchange(renew_token_, nullptr);
    if (auto token = renew()) {
      credentials_.content_token = std::move(*token);
      outcome = attempt();
    }
  }
  if (received > 0) bytes_[source.name] += received;
  return outcome;
}

client::HttpRequest PackageDownload::request_for(const Source& source,
                                                 const std::string& file) const {
  client::HttpRequest request;
  // All three are safe names: they need no escaping.
  request.url = source.url + "/content/" + manifest_.package + "/" + manifest_.version + "/" + file;
  request.trust = source.trust;
  request.certificate = credentials_.certificate_pem;
  request.key = credentials_.key_pem;
  request.fields = {{"Authorization", "Bearer " + credentials_.content_token}};
  request.connect_timeout = source.is_site ? kLastConnectTimeout : kNearbyConnectTimeout;
  return request;
}

}  // namespace larder::agent
