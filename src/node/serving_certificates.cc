#include "node/serving_certificates.h"

#include <algorithm>
#include <span>
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

namespace {

// What `before` is known to be accepted by goes on for the same chain.
void keep_accepted(ServingCertificates::Identity& identity,
                   std::span<const ServingCertificates::Identity> before) {
  const auto same =
      std::ranges::find(before, identity.chain_pem, &ServingCertificates::Identity::chain_pem);
  identity.accepted =
      same != before.end() ? same->accepted : std::make_shared<std::atomic<bool>>(false);
}

}  // namespace

base::Status ServingCertificates::set_pki(bool disabled, std::vector<Identity> identities) {
  const std::lock_guard lock(mutex_);
  for (Identity& identity : identities) keep_accepted(identity, pki_);
  const bool was_disabled = std::exchange(disabled_, disabled);
  std::vector<Identity> before = std::exchange(pki_, std::move(identities));
  const base::Status applied = apply_locked();
  if (!applied) {
    disabled_ = was_disabled;
    pki_ = std::move(before);
  }
  return applied;
}

base::Status ServingCertificates::set_site(std::optional<Identity> identity) {
  const std::lock_guard lock(mutex_);
  if (identity) {
    keep_accepted(*identity,
                  site_ ? std::span<const Identity>(&*site_, 1) : std::span<const Identity>());
  }
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
      choose_certificates(disabled_, !pki_.empty(), site_.has_value(), site_for_delivery_);
  const auto make = [&](CertificateSource source, bool ask,
                        const std::shared_ptr<net::TicketKeys>& tickets)
      -> base::Result<std::shared_ptr<const net::TlsContext>> {
    if (source == CertificateSource::None) return nullptr;
    net::TlsContext::Settings settings{
        .identities = {}, .ask_client_certificate = ask, .tickets = tickets, .staples = staples_};
    const auto add = [&](const Identity& identity) {
      settings.identities.push_back({.chain_pem = identity.chain_pem,
                                     .key_pem = identity.key_pem,
                                     .is_default = identity.is_default,
                                     .accepted = identity.accepted});
    };
    if (source == CertificateSource::Site) add(*site_);
    if (source == CertificateSource::Pki) std::ranges::for_each(pki_, add);
    return net::TlsContext::create(settings);
  };
  auto delivery = make(choice.delivery, false, delivery_tickets_);
  if (!delivery) return std::unexpected(delivery.error());
  auto content = make(choice.content, true, content_tickets_);
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

std::vector<ServingCertificates::Shown> ServingCertificates::shown() const {
  const std::lock_guard lock(mutex_);
  std::vector<Shown> list;
  const auto add = [&](const std::string& name, const Identity& identity) {
    list.push_back({name, identity.chain_pem, identity.accepted->load(std::memory_order_relaxed)});
  };
  const auto is_shown = [&](CertificateSource source) {
    return choice_.delivery == source || choice_.content == source;
  };
  if (is_shown(CertificateSource::Pki)) {
    for (const Identity& identity : pki_) add(identity.name, identity);
  }
  if (is_shown(CertificateSource::Site) && site_) add("site-role", *site_);
  return list;
}

std::string ServingCertificates::chain_of(CertificateSource source) const {
  const std::lock_guard lock(mutex_);
  std::string chains;
  if (source == CertificateSource::Site && site_) chains = site_->chain_pem;
  if (source == CertificateSource::Pki) {
    for (const Identity& identity : pki_) chains += identity.chain_pem;
  }
  return chains;
}

std::optional<ServingCertificates::Identity> ServingCertificates::pki(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(pki_, id, &Identity::id);
  return found == pki_.end() ? std::nullopt : std::optional(*found);
}

}  // namespace larder::node
