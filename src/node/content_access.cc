#include "node/content_access.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace larder::node {

using Reason = ContentAccess::Reason;

namespace {

// 2026-01-01: a clock that shows less is not set, and dates of tokens mean nothing to it.
constexpr std::int64_t kEarliestTime = 1'767'225'600;
constexpr std::size_t kTokenLimit = 16 << 10;

}  // namespace

std::string_view ContentAccess::name() const {
  switch (reason) {
    case Reason::Allowed:
      return "allowed";
    case Reason::NoView:
      return "no_view";
    case Reason::WrongClock:
      return "wrong_clock";
    case Reason::NoToken:
      return "no_token";
    case Reason::NoCertificate:
      return "no_certificate";
    case Reason::BadToken:
      return token::name(refusal);
    case Reason::Denied:
      return "denied";
  }
  return "no_view";
}

std::string_view ContentAccess::oauth_error() const {
  switch (reason) {
    case Reason::NoCertificate:
    case Reason::BadToken:
    case Reason::Denied:
      return "invalid_token";
    default:
      return {};
  }
}

std::string_view ContentAccess::description() const {
  switch (reason) {
    case Reason::Allowed:
      return "The request is allowed.";
    case Reason::NoView:
      return "This node has not yet heard from its site whom it may serve.";
    case Reason::WrongClock:
      return "The clock of this node is not set.";
    case Reason::NoToken:
      return "A content token is needed.";
    case Reason::NoCertificate:
      return "The content token needs the client certificate that it is bound to.";
    case Reason::BadToken:
      return token::description(refusal);
    case Reason::Denied:
      return "This client is blocked.";
  }
  return {};
}

int ContentAccess::status() const {
  switch (reason) {
    case Reason::Allowed:
      return 200;
    case Reason::NoView:
    case Reason::WrongClock:
      return 503;
    default:
      return 401;
  }
}

ContentAuthorizer::ContentAuthorizer(std::size_t capacity)
    : capacity_(std::max<std::size_t>(capacity, 1)) {}

ContentAccess ContentAuthorizer::authorize(const SiteView* view, std::string_view token,
                                           std::string_view certificate_sha256,
                                           base::WallTime now) {
  if (view == nullptr) return {.reason = Reason::NoView};
  if (base::to_unix_seconds(now) < kEarliestTime) return {.reason = Reason::WrongClock};
  if (token.empty() || token.size() > kTokenLimit) return {.reason = Reason::NoToken};
  crypto::Sha256Digest certificate{};
  if (certificate_sha256.size() != certificate.size()) return {.reason = Reason::NoCertificate};
  std::ranges::copy(base::as_bytes(certificate_sha256), certificate.begin());

  const auto verified = verify(*view, token);
  if (!verified) return {.reason = Reason::BadToken, .refusal = verified.error()};
  const auto checked = token::check(verified->claims, view->issuer, certificate, now);
  if (!checked) return {.reason = Reason::BadToken, .refusal = checked.error()};
  const auto& client = verified->claims.client_id;
  const bool denied = view->denied_clients.contains(client);
  return {.reason = denied ? Reason::Denied : Reason::Allowed, .client_id = client};
}

token::Reading<ContentAuthorizer::Verified> ContentAuthorizer::verify(const SiteView& view,
                                                                      std::string_view token) {
  const auto bytes = crypto::sha256(token);
  std::string digest(base::as_text(bytes));
  {
    const std::scoped_lock lock(mutex_);
    const auto found = places_.find(digest);
    if (found != places_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      const auto& verified = found->second->verified;
      if (view.find_token_key(verified.key_id) != nullptr) return verified;
      return std::unexpected(token::Refusal::UnknownKey);
    }
  }
  Verified verified;
  const token::FindKey find_key = [&view](std::string_view id) -> const crypto::PublicKey* {
    const auto* key = view.find_token_key(id);
    return key != nullptr ? &key->key : nullptr;
  };
  auto claims = token::read_content_token(token, find_key, &verified.key_id);
  if (!claims) return std::unexpected(claims.error());
  verified.claims = std::move(*claims);

  const std::scoped_lock lock(mutex_);
  if (places_.contains(digest)) return verified;
  if (entries_.size() >= capacity_) {
    places_.erase(entries_.back().token_digest);
    entries_.pop_back();
  }
  entries_.push_front({.token_digest = std::move(digest), .verified = verified});
  places_.emplace(entries_.front().token_digest, entries_.begin());
  return verified;
}

std::size_t ContentAuthorizer::remembered() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

ContentAccess authorize_content(const SiteView& view, std::string_view token,
                                std::string_view certificate_sha256, base::WallTime now) {
  return ContentAuthorizer(1).authorize(&view, token, certificate_sha256, now);
}

}  // namespace larder::node
