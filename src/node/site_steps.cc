#include "node/site_steps.h"

#include <utility>

#include "base/log.h"
#include "certs/renewal.h"
#include "client/bootstrap.h"
#include "content/piece_fetch.h"
#include "node/role_certificate.h"
#include "node/site_calls.h"

namespace larder::node {

namespace {

constexpr std::chrono::hours kRevocationInterval{24};

}  // namespace

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

SiteSteps::SiteSteps(SiteState state, content::Library& library, const base::Clock& clock,
                     SiteLinkCallbacks callbacks)
    : state_(std::move(state)),
      library_(library),
      clock_(clock),
      callbacks_(std::move(callbacks)) {}

Result<std::unique_ptr<SiteSteps>> SiteSteps::open(const std::string& state_dir,
                                                   content::Library& library,
                                                   const base::Clock& clock,
                                                   SiteLinkCallbacks callbacks) {
  auto state = SiteState::open(state_dir);
  if (!state) return std::unexpected(state.error());
  std::unique_ptr<SiteSteps> steps(
      new SiteSteps(std::move(*state), library, clock, std::move(callbacks)));
  LARDER_TRY(steps->load());
  return steps;
}

Status SiteSteps::load() {
  auto identity = state_.load_identity();
  if (!identity) return std::unexpected(identity.error());
  if (!*identity) return {};
  identity_ = std::make_shared<const SiteIdentity>(std::move(**identity));
  LARDER_TRY(load_role());
  const auto stored = state_.load_snapshot();
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return {};
  pinned_key_ = (*stored)->pinned_key;
  auto view = verify_snapshot((*stored)->signed_text, pinned_key_, (*stored)->received_at);
  if (view) {
    view_.set(std::make_shared<const SiteView>(std::move(*view)));
  } else {
    base::log_error("the stored snapshot of the site is not valid and is ignored",
                    {{"reason", view.error().message}});
  }
  return {};
}

Status SiteSteps::load_role() {
  auto files = state_.load_role();
  if (!files) return std::unexpected(files.error());
  if (!*files) return {};
  const auto chain = crypto::parse_certificates((*files)->chain_pem);
  const auto key = crypto::PrivateKey::from_pem((*files)->key_pem);
  // Files of two different certificates are what a crash between the two writes leaves: the site
  // gives a new one.
  if (!chain || !key || !chain->front().matches(*key)) return {};
  role_ = Role{.files = std::move(**files), .certificate = chain->front()};
  return {};
}

void SiteSteps::publish_stored() {
  const auto view = view_.get();
  if (view && callbacks_.on_view) callbacks_.on_view(view);
}

bool SiteSteps::joined() const {
  const std::scoped_lock lock(mutex_);
  return identity_ != nullptr;
}

Result<std::shared_ptr<const SiteIdentity>> SiteSteps::identity() const {
  const std::scoped_lock lock(mutex_);
  if (!identity_) return fail(ErrorCode::FailedPrecondition, "this node has not joined a site");
  return identity_;
}

Status SiteSteps::join(const client::HttpExchange& exchange, std::string_view token) {
  const auto parsed = client::parse_bootstrap_token(token, client::kJoinPrefix);
  if (!parsed) return std::unexpected(parsed.error());
  auto identity = join_site(exchange, *parsed, clock_.wall());
  if (!identity) return std::unexpected(identity.error());
  withdraw_role();
  {
    const std::scoped_lock lock(role_mutex_, mutex_);
    role_.reset();
    identity_.reset();  // until all is stored, no step may mix the two sites
    view_.set(nullptr);
    pinned_key_.clear();
    LARDER_TRY(state_.store_identity(*identity));
    identity_ = std::make_shared<const SiteIdentity>(std::move(*identity));
    last_contact_ = clock_.wall();
    connected_ = true;
    last_error_.clear();
    base::log_info("joined a site", {{"site", identity_->url}, {"node", identity_->name}});
  }
  return {};
}

Result<bool> SiteSteps::follow_changes(const client::HttpExchange& exchange,
                                       std::chrono::seconds wait) {
  const auto from = identity();
  if (!from) return std::unexpected(from.error());
  const auto view = view_.get();
  const auto snapshot = wait_for_snapshot(exchange, **from, view ? view->sequence : 0, wait);
  note(snapshot ? Status() : Status(std::unexpected(snapshot.error())));
  if (!snapshot) return std::unexpected(snapshot.error());
  if (!*snapshot) return false;
  return take_snapshot(*from, **snapshot);
}

Result<bool> SiteSteps::take_snapshot(const std::shared_ptr<const SiteIdentity>& from,
                                      const std::string& signed_text) {
  std::string pinned;
  {
    const std::scoped_lock lock(mutex_);
    pinned = pinned_key_;
  }
  auto verified = verify_snapshot(signed_text, pinned, clock_.wall());
  if (!verified) return base::with_context("the site's snapshot is refused", verified.error());
  if (pinned.empty()) pinned = verified->snapshot_key;
  const auto view = std::make_shared<const SiteView>(std::move(*verified));
  {
    const std::scoped_lock lock(mutex_);
    if (identity_ != from) return false;  // the node joined another site meanwhile
    const auto current = view_.get();
    if (current && view->sequence < current->sequence) {
      return fail(ErrorCode::PermissionDenied,
                  "the site's snapshot is refused: sequence " + std::to_string(view->sequence) +
                      " is older than " + std::to_string(current->sequence));
    }
    if (current && view->sequence == current->sequence) return false;
    // Stored before it is in force: after a restart nothing older may be believed.
    LARDER_TRY(state_.store_snapshot(signed_text, pinned));
    pinned_key_ = pinned;
    view_.set(view);
  }
  if (callbacks_.on_view) callbacks_.on_view(view);
  return true;
}

Status SiteSteps::keep_identity(const client::HttpExchange& exchange) {
  const auto from = identity();
  if (!from) return std::unexpected(from.error());
  const auto current = crypto::parse_certificates((*from)->certificate_pem);
  if (!current) return base::with_context("the node's identity", current.error());
  // Failures are the link's: it asks later and later by itself.
  const auto renewal =
      certs::decide_renewal(certs::lifetime_of(current->front()), {}, clock_.wall());
  if (!renewal.due) return {};
  base::log_info("asking the site to renew this node's identity", {{"reason", renewal.reason}});
  auto chain = request_identity(exchange, **from, clock_.wall());
  if (!chain) return std::unexpected(chain.error());

  const std::scoped_lock lock(mutex_);
  if (identity_ != *from) return {};  // the node joined another site meanwhile
  LARDER_TRY(state_.store_identity_certificate(*chain));
  auto renewed = std::make_shared<SiteIdentity>(**from);
  renewed->certificate_pem = std::move(*chain);
  identity_ = std::move(renewed);
  base::log_info("this node's identity is renewed");
  return {};
}

Status SiteSteps::keep_role(const client::HttpExchange& exchange) {
  const auto view = view_.get();
  RoleDecision decision;
  {
    const std::scoped_lock lock(role_mutex_);
    const auto* current = role_ ? &role_->certificate : nullptr;
    decision = decide_role(view.get(), current, clock_.wall());
    if (may_serve(view.get(), current, clock_.wall())) serve_role();
  }
  switch (decision.action) {
    case RoleAction::Wait:
      return {};
    case RoleAction::Keep:
      refresh_revocation_list(exchange);
      return {};
    case RoleAction::Withdraw:
      withdraw_role();
      return {};
    case RoleAction::Request:
      base::log_info("asking the site for a role certificate", {{"reason", decision.reason}});
      LARDER_TRY(renew_role(exchange, *view));
      refresh_revocation_list(exchange);
      return {};
  }
  return {};
}

// Clients of Windows refuse a certificate whose list they cannot fetch; its address is this node.
// The list lives seven days, so a day without the site does no harm.
void SiteSteps::refresh_revocation_list(const client::HttpExchange& exchange) {
  std::string issuer;
  {
    const std::scoped_lock lock(role_mutex_);
    if (!role_) return;
    const auto chain = crypto::parse_certificates(role_->files.chain_pem);
    if (!chain || chain->size() < 2) return;
    issuer = (*chain)[1].sha256_hex().substr(0, 32);
    if (!revocation_list_ && revocation_issuer_.empty()) {
      // After a restart the stored one serves until the site answers.
      if (const auto stored = state_.load_revocation_list(); stored && *stored) {
        revocation_list_ = std::make_shared<const std::string>(**stored);
        revocation_issuer_ = issuer;
      }
    }
    if (issuer == revocation_issuer_ && clock_.wall() - revocation_fetched_ < kRevocationInterval) {
      return;
    }
  }
  const auto from = identity();
  if (!from) return;
  const auto list = fetch_revocation_list(exchange, **from, issuer);
  const auto kept = list ? state_.store_revocation_list(*list) : Status();
  if (!list || !kept) {
    base::log_warning("the revocation list was not renewed",
                      {{"reason", list ? kept.error().message : list.error().message}});
    if (!list) return;
  }
  const std::scoped_lock lock(role_mutex_);
  revocation_list_ = std::make_shared<const std::string>(*list);
  revocation_issuer_ = issuer;
  revocation_fetched_ = clock_.wall();
}

std::shared_ptr<const std::string> SiteSteps::revocation_list(std::string_view issuer) const {
  const std::scoped_lock lock(role_mutex_);
  return issuer == revocation_issuer_ ? revocation_list_ : nullptr;
}

// Needs role_mutex_ and a role.
void SiteSteps::serve_role() {
  if (role_served_) return;
  role_served_ = true;
  if (callbacks_.on_role_certificate) {
    callbacks_.on_role_certificate(role_->files.key_pem, role_->files.chain_pem);
  }
}

void SiteSteps::withdraw_role() {
  const std::scoped_lock lock(role_mutex_);
  if (!std::exchange(role_served_, false)) return;
  base::log_info("the role certificate is withdrawn");
  if (callbacks_.on_role_withdrawn) callbacks_.on_role_withdrawn();
}

Status SiteSteps::renew_role(const client::HttpExchange& exchange, const SiteView& view) {
  const auto from = identity();
  if (!from) return std::unexpected(from.error());
  auto files =
      request_role(exchange, **from, view.names, view.addresses,
                   callbacks_.http_port ? callbacks_.http_port() : std::uint16_t{0}, clock_.wall());
  if (!files) return std::unexpected(files.error());
  auto chain = crypto::parse_certificates(files->chain_pem);
  if (!chain) return std::unexpected(chain.error());

  const std::scoped_lock lock(role_mutex_);
  {
    const std::scoped_lock state_lock(mutex_);
    if (identity_ != *from) return {};
    LARDER_TRY(state_.store_role(*files));
  }
  role_ = Role{.files = std::move(*files), .certificate = chain->front()};
  base::log_info("role certificate received",
                 {{"not_after", base::to_rfc3339(role_->certificate.not_after())},
                  {"sha256", role_->certificate.sha256_hex()}});
  role_served_ = false;
  const auto newest = view_.get();
  if (may_serve(newest.get(), &role_->certificate, clock_.wall())) serve_role();
  return {};
}

Status SiteSteps::pull_content(const client::HttpExchange& exchange) {
  const auto from = identity();
  if (!from) return std::unexpected(from.error());
  const auto view = view_.get();
  if (!view) return {};
  std::vector<content::ManifestFile> missing;
  for (const auto& package : view->packages) {
    for (auto& file : library_.missing(package.manifest)) missing.push_back(std::move(file));
  }
  std::size_t left = missing.size();
  const auto set_missing = [this](std::size_t count) {
    const std::scoped_lock lock(mutex_);
    files_missing_ = count;
  };
  set_missing(left);
  Status outcome;
  for (const auto& file : missing) {
    // Two packages may share a file that the first one brought.
    const auto pulled = library_.contains(file) ? Status() : pull_file(exchange, **from, file);
    if (pulled) {
      set_missing(--left);
    } else {
      outcome = base::with_context("cannot fetch " + file.name, pulled.error());
    }
  }
  return outcome;
}

Status SiteSteps::pull_file(const client::HttpExchange& exchange, const SiteIdentity& from,
                            const content::ManifestFile& file) {
  auto part = library_.assemble(file);
  if (!part) return std::unexpected(part.error());
  LARDER_TRY(content::fetch_pieces(exchange, file_request(from, file.sha256), *part, {}));
  LARDER_TRY(library_.store(std::move(*part)));
  base::log_info("content file received", {{"file", file.name}, {"sha256", file.sha256}});
  return {};
}

Status SiteSteps::report(const client::HttpExchange& exchange) {
  const auto from = identity();
  if (!from) return std::unexpected(from.error());
  const auto outcome =
      send_report(exchange, **from, callbacks_.report ? callbacks_.report() : "{}");
  note(outcome);
  return outcome;
}

void SiteSteps::note(const Status& outcome) {
  const std::scoped_lock lock(mutex_);
  if (!noting_) return;
  const bool was_connected = std::exchange(connected_, outcome.has_value());
  if (outcome) {
    last_contact_ = clock_.wall();
    last_error_.clear();
    if (!was_connected) base::log_info("the site is reached");
  } else {
    last_error_ = outcome.error().message;
    if (was_connected) base::log_warning("the site is not reached", {{"reason", last_error_}});
  }
}

void SiteSteps::stop_noting() {
  const std::scoped_lock lock(mutex_);
  noting_ = false;
}

SiteLinkStatus SiteSteps::status() const {
  const auto view = view_.get();
  const std::scoped_lock lock(mutex_);
  SiteLinkStatus status;
  status.joined = identity_ != nullptr;
  if (identity_) {
    status.site_url = identity_->url;
    status.node_id = identity_->node_id;
    status.name = identity_->name;
  }
  status.connected = connected_;
  status.last_contact = last_contact_;
  status.last_error = last_error_;
  status.sequence = view ? view->sequence : 0;
  status.files_missing = files_missing_;
  return status;
}

}  // namespace larder::node
