#include "site/serving.h"

#include <sys/stat.h>

#include "authority/signing.h"
#include "base/address.h"
#include "base/file.h"
#include "base/log.h"
#include "certs/renewal.h"
#include "crypto/request.h"

namespace larder::site {
namespace {

crypto::AlternativeNames own_names(const State& state) {
  crypto::AlternativeNames names;
  (base::is_address(state.public_host) ? names.addresses : names.dns).push_back(state.public_host);
  return names;
}

// The site needs no permission of anybody but its own settings, which are checked at start.
class OwnAuthorisation final : public authority::Authorisation {
 public:
  explicit OwnAuthorisation(const State& state) : state_(state) {}

  base::Result<authority::Grant> verify(const crypto::PublicKey&, base::WallTime) override {
    authority::Grant grant;
    grant.owner = "site";
    grant.names = own_names(state_);
    if (!state_.settings.pki_listen.empty()) {
      const auto listen = base::parse_listen_address(state_.settings.pki_listen.front());
      if (!listen) return std::unexpected(listen.error());
      const bool ipv6 = state_.public_host.find(':') != std::string::npos;
      grant.crl_host = (ipv6 ? "[" + state_.public_host + "]" : state_.public_host) + ":" +
                       std::to_string(listen->port);
    }
    return grant;
  }
  base::Status spend(const crypto::PublicKey&, base::WallTime) override { return {}; }

 private:
  const State& state_;
};

}  // namespace

base::Status Serving::load(base::WallTime now) {
  const std::string key_path = state_.settings.state_dir + "/keys/serving.key";
  const auto key = crypto::load_or_create_key(key_path, crypto::KeyAlgorithm::EcP256);
  if (!key) return std::unexpected(key.error());
  auto pem = key->to_pem();
  if (!pem) return std::unexpected(pem.error());
  key_pem_ = std::move(*pem);
  struct stat facts{};
  if (::stat(chain_path().c_str(), &facts) == 0) {
    auto chain = base::read_file(chain_path(), 64 * 1024);
    if (!chain) return std::unexpected(chain.error());
    const auto parsed = crypto::parse_certificates(*chain);
    // A changed public_url needs another certificate.
    if (parsed && parsed->front().matches(*key) && parsed->front().covers(state_.public_host)) {
      LARDER_TRY(adopt(std::move(*chain)));
      const auto renewed = renew_if_due(now);
      if (!renewed) return std::unexpected(renewed.error());
      return {};
    }
  }
  return issue(now);
}

base::Result<bool> Serving::renew_if_due(base::WallTime now) {
  const ServingCertificate served = current();
  const certs::Lifetime life{.not_before = served.not_before, .not_after = served.not_after};
  if (!certs::decide_renewal(life, {}, now).due) return false;
  LARDER_TRY(issue(now));
  return true;
}

ServingCertificate Serving::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

base::Status Serving::issue(base::WallTime now) {
  const auto key = crypto::PrivateKey::from_pem(key_pem_);
  if (!key) return std::unexpected(key.error());
  const auto request = crypto::CertificateRequest::create(*key, {}, own_names(state_));
  if (!request) return std::unexpected(request.error());
  OwnAuthorisation authorisation(state_);
  auto answer = authority::sign(request->to_pem(), authorisation, *state_.records, state_.policy,
                                *state_.authority, now);
  if (!answer) return std::unexpected(answer.error());
  LARDER_TRY(base::write_file_atomically(chain_path(), answer->chain, 0644));
  base::log_info("the site has a new certificate",
                 {{"name", state_.public_host},
                  {"not_after", base::to_rfc3339(answer->certificate.not_after())}});
  return adopt(std::move(answer->chain));
}

base::Status Serving::adopt(std::string chain) {
  const auto parsed = crypto::parse_certificates(chain);
  if (!parsed) return std::unexpected(parsed.error());
  const std::lock_guard lock(mutex_);
  current_ = {key_pem_, std::move(chain), parsed->front().not_before(),
              parsed->front().not_after()};
  return {};
}

}  // namespace larder::site
