#include "client/revocation_look.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "crypto/system_trust.h"

namespace larder::client {

using base::Result;
using crypto::Certificate;
using crypto::RevocationStatus;

namespace {

constexpr std::chrono::seconds kTimeout{10};
constexpr std::uint64_t kResponseLimit = 64 << 10;
constexpr std::uint64_t kTrustLimit = 8 << 20;
constexpr std::size_t kRootsLimit = 1000;
constexpr std::uint64_t kListLimit = 16 << 20;

struct Said {
  RevocationStatus status;
  std::string source;
  std::string staple;  // empty when it came from a list
};

Result<std::string> fetch(const HttpExchange& exchange, HttpRequest request) {
  request.timeout = kTimeout;
  auto answer = exchange(request);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status != 200) {
    return base::fail(base::ErrorCode::Unavailable,
                      request.url + ": answered with " + std::to_string(answer->status));
  }
  return std::move(answer->body);
}

Result<Said> ask_responder(const std::string& url, const Certificate& certificate,
                           const Certificate& issuer, const HttpExchange& exchange,
                           base::WallTime now) {
  auto body = crypto::make_ocsp_request(certificate, issuer);
  if (!body) return std::unexpected(body.error());
  HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.fields = {{"Content-Type", "application/ocsp-request"}};
  request.body = std::move(*body);
  request.body_limit = kResponseLimit;
  auto response = fetch(exchange, std::move(request));
  if (!response) return std::unexpected(response.error());
  const auto status = crypto::read_ocsp_response(*response, certificate, issuer, now);
  if (!status) return base::with_context(url, status.error());
  return Said{*status, url, std::move(*response)};
}

Result<Said> read_list(const std::string& url, const Certificate& certificate,
                       const Certificate& issuer, const HttpExchange& exchange,
                       base::WallTime now) {
  HttpRequest request;
  request.url = url;
  request.body_limit = kListLimit;
  const auto list = fetch(exchange, std::move(request));
  if (!list) return std::unexpected(list.error());
  const auto status = crypto::read_revocation_list(*list, url, certificate, issuer, now);
  if (!status) return base::with_context(url, status.error());
  return Said{*status, url, {}};
}

// The first answer that can be believed; the last error, and NotFound when no place is named.
Result<Said> status_of(const Certificate& certificate, const Certificate& issuer,
                       const HttpExchange& exchange, base::WallTime now) {
  const crypto::RevocationPlaces places = crypto::revocation_places(certificate);
  Result<Said> last = base::fail(base::ErrorCode::NotFound, "");
  for (const std::string& url : places.responders) {
    last = ask_responder(url, certificate, issuer, exchange, now);
    if (last) return last;
  }
  for (const std::string& url : places.lists) {
    last = read_list(url, certificate, issuer, exchange, now);
    if (last) return last;
  }
  return last;
}

// The files of a folder of roots. OpenSSL finds them by links whose names are hashes of theirs,
// here all are wanted, once.
void add_files(const std::string& folder, std::vector<std::string>& files) {
  std::set<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    const auto file = std::filesystem::canonical(entry->path(), ignored);
    if (ignored || !std::filesystem::is_regular_file(file, ignored)) continue;
    if (found.size() < kRootsLimit) found.insert(file.string());
  }
  files.insert(files.end(), found.begin(), found.end());
}

bool names_places(const Certificate& certificate) {
  const crypto::RevocationPlaces places = crypto::revocation_places(certificate);
  return !places.responders.empty() || !places.lists.empty();
}

}  // namespace

std::vector<Certificate> read_trusted(std::vector<std::string> files) {
  if (files.empty()) {
    crypto::SystemTrust system = crypto::system_trust();
    files = std::move(system.files);
    for (const std::string& folder : system.folders) add_files(folder, files);
  }
  std::vector<Certificate> all;
  for (const std::string& file : files) {
    const auto text = base::read_file(file, kTrustLimit);
    if (!text) continue;
    const auto found = crypto::parse_certificates(*text, kRootsLimit);
    if (!found) continue;
    for (const Certificate& root : *found) {
      if (all.size() < kRootsLimit) all.push_back(root);
    }
  }
  return all;
}

RevocationLook look_for_revocation(std::span<const Certificate> chain,
                                   std::span<const Certificate> trusted,
                                   const HttpExchange& exchange, base::WallTime now) {
  RevocationLook look;
  for (const Certificate& certificate : chain) {
    if (certificate.is_self_signed()) break;  // roots are taken back by taking trust away
    const bool is_leaf = &certificate == chain.data();
    const Certificate* const issuer = issuer_of(certificate, chain, trusted);
    if (issuer == nullptr) {
      if (look.error.empty() && (is_leaf || names_places(certificate))) {
        look.error = "its issuer's certificate is not known here: \"" + certificate.issuer() +
                     "\"; import it with the chain, or add it to client_trust";
        look.subject = certificate.subject();
      }
      break;
    }
    auto said = status_of(certificate, *issuer, exchange, now);
    if (!said) {
      if (!said.error().message.empty() && look.error.empty()) {
        look.error = said.error().message;
        look.subject = certificate.subject();
      }
      continue;
    }
    if (is_leaf) {
      look.is_known = true;
      look.source = said->source;
    }
    if (said->status.is_revoked) {
      look.is_revoked = true;
      look.subject = certificate.subject();
      look.source = said->source;
      look.reason = said->status.reason;
      look.staple.clear();
      return look;
    }
    if (is_leaf && !said->staple.empty() && said->status.next_update) {
      look.staple = std::move(said->staple);
      look.staple_from = said->status.this_update;
      look.staple_until = said->status.next_update;
    }
  }
  return look;
}

std::vector<PlaceAnswer> ask_every_place(const Certificate& certificate, const Certificate& issuer,
                                         const HttpExchange& exchange, base::WallTime now) {
  const crypto::RevocationPlaces places = crypto::revocation_places(certificate);
  std::vector<PlaceAnswer> all;
  const auto add = [&](PlaceAnswer::Kind kind, const std::string& url, const Result<Said>& said) {
    all.push_back(
        {kind, url, said ? Result<RevocationStatus>(said->status) : std::unexpected(said.error())});
  };
  for (const std::string& url : places.responders) {
    add(PlaceAnswer::Kind::Responder, url, ask_responder(url, certificate, issuer, exchange, now));
  }
  for (const std::string& url : places.lists) {
    add(PlaceAnswer::Kind::List, url, read_list(url, certificate, issuer, exchange, now));
  }
  return all;
}

const Certificate* issuer_of(const Certificate& certificate, std::span<const Certificate> chain,
                             std::span<const Certificate> trusted) {
  for (const std::span<const Certificate> all : {chain, trusted}) {
    const auto found = std::ranges::find_if(all, [&](const Certificate& other) {
      return !(other == certificate) && other.is_issuer_of(certificate);
    });
    if (found != all.end()) return &*found;
  }
  return nullptr;
}

}  // namespace larder::client
