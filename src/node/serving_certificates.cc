#include "node/serving_certificates.h"

#include <utility>

namespace larder::node {

CertificateChoice choose_certificates(bool disabled, bool has_pki, bool has_site,
                                      bool site_certificate_for_delivery) {
  CertificateChoice choice;
  if (disabled) return choice;
  if (has_pki) {
    choice.delivery = CertificateSource::Pki;
    choice.content = CertificateSource::Pki;
  }
  if (has_site && !has_pki) choice.content = CertificateSource::Site;
  if (has_site && !has_pki && site_certificate_for_delivery) {
    choice.delivery = CertificateSource::Site;
  }
  return choice;
}

base::Status ServingCertificates::set_pki(bool disabled, std::optional<Identity> identity) {
  const std::lock_guard lock(mutex_);
  const bool was_disabled = std::exchange(disabled_, disabled);
  std::optional<Identity> before = std::exchange(pki_, std::move(identity));
  const base::Status applied = apply_locked();
  if (!applied) {
    disabled_ = was_disabled;
    pki_ = std::move(before);
  }
  return applied;
}

base::Status ServingCertificates::set_site(std::optional<Identity> identity) {
  const std::lock_guard lock(mutex_);
  std::optional<Identity> before = std::exchange(site_, std::move(identity));
  const base::Status applied = apply_locked();
  if (!applied) site_ = std::move(before);
  return applied;
}

base::Status ServingCertificates::set_site_for_delivery(bool allowed) {
  const std::lock_guard lock(mutex_);
  const bool before = std::exchange(site_for_delivery_, allowed);
  if (before == allowed) return {};
  const base::Status applied = apply_locked();
  if (!applied) site_for_delivery_ = before;
  return applied;
}

base::Status ServingCertificates::apply_locked() {
  const CertificateChoice choice =
      choose_certificates(disabled_, pki_.has_value(), site_.has_value(), site_for_delivery_);
  const auto make = [&](CertificateSource source,
                        bool ask) -> base::Result<std::shared_ptr<const net::TlsContext>> {
    if (source == CertificateSource::None) return nullptr;
    const Identity& identity = source == CertificateSource::Pki ? *pki_ : *site_;
    return net::TlsContext::create({identity.chain_pem, identity.key_pem, ask});
  };
  auto delivery = make(choice.delivery, false);
  if (!delivery) return std::unexpected(delivery.error());
  auto content = make(choice.content, true);
  if (!content) return std::unexpected(content.error());
  delivery_.set(std::move(*delivery));
  content_.set(std::move(*content));
  choice_ = choice;
  return {};
}

CertificateChoice ServingCertificates::choice() const {
  const std::lock_guard lock(mutex_);
  return choice_;
}

std::string ServingCertificates::chain_of(CertificateSource source) const {
  const std::lock_guard lock(mutex_);
  const std::optional<Identity>& identity = source == CertificateSource::Pki ? pki_ : site_;
  return source == CertificateSource::None || !identity ? std::string() : identity->chain_pem;
}

}  // namespace larder::node
