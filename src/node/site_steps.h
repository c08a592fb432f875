// What a node does to stay joined, one step at a time and without threads: SiteLink repeats the
// steps, tests call them.
//
// Thread-safe: each step may run on its own thread, one run of a step at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "client/exchange.h"
#include "content/library.h"
#include "crypto/certificate.h"
#include "node/site_link.h"
#include "node/site_state.h"
#include "node/site_view.h"

namespace larder::node {

class SiteSteps {
 public:
  // Loads what is stored. A stored snapshot that does not verify is ignored and logged: the site
  // sends a new one.
  static base::Result<std::unique_ptr<SiteSteps>> open(const std::string& state_dir,
                                                       content::Library& library,
                                                       const base::Clock& clock,
                                                       SiteLinkCallbacks callbacks);

  base::Status join(const client::HttpExchange& exchange, std::string_view token);
  // Calls back with the stored view.
  void publish_stored();

  // Each is FailedPrecondition while the node is not joined.

  // Waits for a newer snapshot, at most `wait`; true when a new view is in force.
  base::Result<bool> follow_changes(const client::HttpExchange& exchange,
                                    std::chrono::seconds wait);
  // Renews the identity certificate when two thirds of its life are over.
  base::Status keep_identity(const client::HttpExchange& exchange);
  // Serves, requests, renews or withdraws the role certificate.
  base::Status keep_role(const client::HttpExchange& exchange);
  // Fetches the files of the view that the library lacks.
  base::Status pull_content(const client::HttpExchange& exchange);
  base::Status report(const client::HttpExchange& exchange);

  // The revocation list of the role certificate's issuer, DER; null when `issuer` names another or
  // there is none yet.
  std::shared_ptr<const std::string> revocation_list(std::string_view issuer) const;

  bool joined() const;
  std::shared_ptr<const SiteView> view() const { return view_.get(); }
  SiteLinkStatus status() const;
  // Failures from now on come from stopping and say nothing about the site.
  void stop_noting();

 private:
  SiteSteps(SiteState state, content::Library& library, const base::Clock& clock,
            SiteLinkCallbacks callbacks);
  base::Status load();
  base::Status load_role();
  base::Result<std::shared_ptr<const SiteIdentity>> identity() const;
  base::Result<bool> take_snapshot(const std::shared_ptr<const SiteIdentity>& from,
                                   const std::string& signed_text);
  base::Status renew_role(const client::HttpExchange& exchange, const SiteView& view);
  void serve_role();
  void refresh_revocation_list(const client::HttpExchange& exchange);
  void withdraw_role();
  base::Status pull_file(const client::HttpExchange& exchange, const SiteIdentity& from,
                         const content::ManifestFile& file);
  // Notes how an exchange went, and logs when that changed.
  void note(const base::Status& outcome);

  struct Role {
    RoleFiles files;
    crypto::Certificate certificate;
  };

  const SiteState state_;
  content::Library& library_;
  const base::Clock& clock_;
  const SiteLinkCallbacks callbacks_;
  SiteViewHolder view_;

  mutable std::mutex mutex_;  // guards what follows, and every change of state_ and view_
  std::shared_ptr<const SiteIdentity> identity_;
  std::string pinned_key_;  // JWK; empty before the first snapshot
  std::optional<base::WallTime> last_contact_;
  std::string last_error_;
  bool connected_ = false;
  bool noting_ = true;
  std::size_t files_missing_ = 0;

  mutable std::mutex
      role_mutex_;  // guards what follows; taken before mutex_, held while calling back
  std::optional<Role> role_;
  bool role_served_ = false;
  std::string revocation_issuer_;  // name of the list that is held
  std::shared_ptr<const std::string> revocation_list_;
  base::WallTime revocation_fetched_{};
};

}  // namespace larder::node
