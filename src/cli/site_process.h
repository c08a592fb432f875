// A site with its listeners: devices (TLS), status page, PKI, control socket.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "net/tls_context.h"
#include "net/worker_pool.h"
#include "server/server.h"
#include "site/settings.h"
#include "site/site.h"

namespace larder::cli {

class SiteProcess {
 public:
  // Opens the site and listens; `clock` must outlive it. Errors name what could not be opened.
  static base::Result<std::unique_ptr<SiteProcess>> start(const site::SiteSettings& settings,
                                                          const base::Clock& clock);
  // The site first, then its listeners. Idempotent.
  void stop();
  ~SiteProcess() { stop(); }
  SiteProcess(const SiteProcess&) = delete;
  SiteProcess& operator=(const SiteProcess&) = delete;

 private:
  explicit SiteProcess(std::unique_ptr<site::Site> site) : site_(std::move(site)) {}
  base::Status serve_with(const site::ServingIdentity& identity);

  std::unique_ptr<site::Site> site_;
  // What new handshakes show; swapped as a whole when the site renews it.
  const std::shared_ptr<net::TicketKeys> tickets_ = std::make_shared<net::TicketKeys>();
  net::TlsContextHolder tls_;
  // Apart, so that waiting devices cannot keep an administrator from blocking one of them.
  net::WorkerPool device_pool_{8, 1024};
  net::WorkerPool control_pool_{2, 64};
  std::unique_ptr<server::Server> server_;  // ends before all that its handlers use
};

}  // namespace larder::cli
