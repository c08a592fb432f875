// A site: issuing authority, management point, administration and status page, without sockets.
//
// The program gives each router to a listener of its own (none shares a port) and the serving
// certificate to the device listener's TLS. Router handlers are thread-safe and may be called until
// the Site is destroyed. In order: stop() the site, stop the listeners, destroy the site.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "server/router.h"
#include "site/settings.h"

namespace larder::site {

// What the device listener shows. The key is a secret.
struct ServingIdentity {
  std::string key_pem;
  std::string chain_pem;  // leaf first, without the root
  base::WallTime not_after;
};

class Site {
 public:
  // Opens the state folder, made at first start with keys, root and database. InvalidArgument for
  // settings that contradict each other; FailedPrecondition when another process has the folder
  // open, or its root or database does not fit. `clock` must outlive the site.
  static base::Result<std::unique_ptr<Site>> open(const SiteSettings& settings,
                                                  const base::Clock& clock);
  ~Site();  // stop()
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  const server::Router& device_router() const;   // HTTPS; asks for client certificates
  const server::Router& control_router() const;  // unix socket
  const server::Router& admin_router() const;    // loopback TCP, read-only
  const server::Router& pki_router() const;      // plain HTTP

  ServingIdentity serving_certificate() const;
  // Called from the timer's thread after each renewal. Set before start().
  void on_serving_certificate(std::function<void(const ServingIdentity&)> callback);

  // One round of what the timer does: rotate the issuing CA, renew the serving certificate, refresh
  // the revocation lists, sign the ledger's head. Every part is tried; the first error is the
  // answer.
  base::Status step(base::WallTime now);
  void start();  // the timer, once a second
  // Ends the timer and answers the waiting long polls, so that listeners stop quickly afterwards.
  // Idempotent.
  void stop();

  // The whole ledger of the authority; the number of entries, or DataLoss.
  base::Result<std::int64_t> verify_ledger() const;

 private:
  struct Impl;
  explicit Site(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::site
