#include "node/challenges.h"

#include "base/encoding.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/issue.h"

namespace larder::node {

using base::Result;

namespace {

constexpr std::string_view kFolder = "/.well-known/acme-challenge/";

// As an authority in a request has it.
std::string host_of(const signers::AcmeIdentifier& identifier) {
  const bool ipv6 = identifier.is_address && identifier.value.find(':') != std::string::npos;
  return base::to_lower(ipv6 ? "[" + identifier.value + "]" : identifier.value);
}

}  // namespace

std::string challenge_server_name(const signers::AcmeIdentifier& identifier) {
  if (!identifier.is_address) return base::to_lower(identifier.value);
  const auto bytes = crypto::parse_address(identifier.value);
  if (!bytes) return identifier.value;
  std::string name;
  for (auto byte = bytes->rbegin(); byte != bytes->rend(); ++byte) {
    if (bytes->size() == 4) {
      name += std::to_string(*byte) + ".";
    } else {
      const std::string digits = base::to_hex(std::span(&*byte, 1));
      name += {digits[1], '.', digits[0], '.'};
    }
  }
  return name + (bytes->size() == 4 ? "in-addr.arpa" : "ip6.arpa");
}

Result<std::shared_ptr<void>> Challenges::open(signers::AcmeProofKind kind,
                                               const signers::AcmeIdentifier& identifier,
                                               const std::string& token,
                                               const std::string& key_authorization) {
  if (kind == signers::AcmeProofKind::TlsAlpn01) {
    const std::string server_name = challenge_server_name(identifier);
    LARDER_TRY(open_tls(identifier, key_authorization, server_name));
    return std::shared_ptr<void>(this, [this, server_name](void*) { tls_->close(server_name); });
  }
  const std::lock_guard lock(mutex_);
  Http answer{.host = host_of(identifier), .key_authorization = key_authorization};
  if (!http_.try_emplace(token, std::move(answer)).second) {
    return base::fail(base::ErrorCode::AlreadyExists,
                      "another challenge is open for " + identifier.value);
  }
  http_count_ = http_.size();
  return std::shared_ptr<void>(this, [this, token](void*) {
    const std::lock_guard closing(mutex_);
    http_.erase(token);
    http_count_ = http_.size();
  });
}

base::Status Challenges::open_tls(const signers::AcmeIdentifier& identifier,
                                  std::string_view answer, const std::string& server_name) {
  crypto::AlternativeNames name;
  (identifier.is_address ? name.addresses : name.dns).push_back(identifier.value);
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256);
  if (!key) return std::unexpected(key.error());
  const auto key_pem = key->to_pem();
  if (!key_pem) return std::unexpected(key_pem.error());
  const auto certificate =
      crypto::make_challenge_certificate(*key, name, crypto::sha256(answer), clock_.wall());
  if (!certificate) return std::unexpected(certificate.error());
  return tls_->open(server_name, certificate->to_pem(), *key_pem);
}

std::optional<std::string> Challenges::find_http(std::string_view host,
                                                 std::string_view path) const {
  if (!path.starts_with(kFolder)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto found = http_.find(path.substr(kFolder.size()));
  if (found == http_.end() || found->second.host != host) return std::nullopt;
  return found->second.key_authorization;
}

std::shared_ptr<const net::TlsContext> Challenges::context_for(
    std::shared_ptr<const net::TlsContext> active) {
  if (!tls_->any_open()) return active;
  const std::lock_guard lock(mutex_);
  if (!wrapped_ || active_ != active) {
    auto made = net::TlsContext::create_for_challenges(tls_, active);
    if (!made) {
      base::log_error("challenges cannot be answered over TLS", {{"reason", made.error().message}});
      return active;
    }
    active_ = std::move(active);
    wrapped_ = std::move(*made);
  }
  return wrapped_;
}

}  // namespace larder::node
