// Keeps a node joined to its site: identity, snapshots, role certificate, content, heartbeats.
//
// State lives under <state_dir>/site (0700). Nothing here listens: the node connects outward only.
// Four threads belong to a started link: changes (long poll), certificates, content, report.
// Callbacks run on those threads, one at a time per callback; they must not call join() or stop().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "client/exchange.h"
#include "content/library.h"
#include "node/site_view.h"

namespace larder::node {

struct SiteLinkCallbacks {
  // A new view is in force (also the stored one, at start).
  std::function<void(std::shared_ptr<const SiteView>)> on_view;
  // A role certificate to serve with, while the site's mode is enhanced (also the stored one, at
  // start): key and chain (leaf first) as PEM. The key is a secret.
  std::function<void(const std::string& key_pem, const std::string& chain_pem)> on_role_certificate;
  // The mode became https-only: the role certificate must not be served any more.
  std::function<void()> on_role_withdrawn;
  // Port of the plain HTTP listener, where clients find the revocation list of the certificate.
  std::function<std::uint16_t()> http_port;
  // The heartbeat's JSON (docs/protocol.md, "Report"); asked for every two seconds.
  std::function<std::string()> report;
};

struct SiteLinkStatus {
  bool joined = false;
  std::string site_url;
  std::string node_id;
  std::string name;
  bool connected = false;  // the last exchange succeeded
  std::optional<base::WallTime> last_contact;
  std::string last_error;      // of the last failed exchange; empty when connected
  std::uint64_t sequence = 0;  // of the view in force
  std::size_t files_missing = 0;
};

class SiteLink {
 public:
  // Reads the stored state; makes no connection and calls nobody back. `library` and `clock` must
  // outlive the link.
  static base::Result<std::unique_ptr<SiteLink>> open(const std::string& state_dir,
                                                      content::Library& library,
                                                      const base::Clock& clock,
                                                      SiteLinkCallbacks callbacks);
  ~SiteLink();  // stops
  SiteLink(const SiteLink&) = delete;
  SiteLink& operator=(const SiteLink&) = delete;

  // Publishes the stored view and role certificate, then starts the threads. They idle until the
  // node is joined. Call once.
  void start();
  // Ends the threads within a second. Idempotent.
  void stop();

  // Redeems a join token ("larder-join...."); blocks until the site has answered. A node that is
  // joined already leaves its old site. May be called before or after start(), from any thread.
  base::Status join(std::string_view token);

  std::shared_ptr<const SiteView> view() const;  // null before the first snapshot
  SiteLinkStatus status() const;
  // What the node answers under /.larder/pki/<issuer>.crl: DER, or null when it has no such list.
  std::shared_ptr<const std::string> revocation_list(std::string_view issuer) const;

 private:
  struct Impl;
  explicit SiteLink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The issuer in the path of a site's revocation list, "/.larder/pki/<issuer>.crl"; empty for every
// other path.
std::string_view issuer_of_list(std::string_view path);

}  // namespace larder::node
