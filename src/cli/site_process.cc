#include "cli/site_process.h"

#include "base/address.h"
#include "base/log.h"
#include "cli/process.h"
#include "server/router_handler.h"

namespace larder::cli {
namespace {

constexpr std::chrono::seconds kStopGrace{5};

base::Status add_listeners(std::vector<server::ListenerSettings>& out, const std::string& name,
                           const std::vector<std::string>& addresses,
                           const server::HandlerFactory& handler, const server::TlsProvider& tls) {
  for (const std::string& text : addresses) {
    const auto address = base::parse_listen_address(text);
    if (!address) return base::with_context(name + " " + text, address.error());
    server::ListenerSettings listener;
    listener.name = name;
    listener.address = address->address;
    listener.port = address->port;
    listener.handler = handler;
    listener.tls = tls;
    out.push_back(std::move(listener));
  }
  return {};
}

}  // namespace

base::Result<std::unique_ptr<SiteProcess>> SiteProcess::start(const site::SiteSettings& settings,
                                                              const base::Clock& clock) {
  auto site = site::Site::open(settings, clock);
  if (!site) return base::with_context("cannot open the site", site.error());
  std::unique_ptr<SiteProcess> process(new SiteProcess(std::move(*site)));
  SiteProcess* const self = process.get();
  LARDER_TRY(self->serve_with(self->site_->serving_certificate()));
  self->site_->on_serving_certificate([self](const site::ServingIdentity& identity) {
    if (const auto status = self->serve_with(identity); !status)
      base::log_error("renewed certificate of the site cannot be served",
                      {{"error", status.error().message}});
  });

  std::vector<server::ListenerSettings> listeners;
  const auto route = [&](const server::Router& router, net::WorkerPool& pool) {
    return server::route_with(router, pool);
  };
  LARDER_TRY(add_listeners(listeners, "site", settings.listen,
                           route(self->site_->device_router(), self->device_pool_),
                           [self] { return self->tls_.get(); }));
  LARDER_TRY(add_listeners(listeners, "site admin", settings.admin_listen,
                           route(self->site_->admin_router(), self->control_pool_), nullptr));
  LARDER_TRY(add_listeners(listeners, "site pki", settings.pki_listen,
                           route(self->site_->pki_router(), self->device_pool_), nullptr));
  server::ListenerSettings control;
  control.name = "site control";
  control.unix_path = settings.control_socket;
  control.handler = route(self->site_->control_router(), self->control_pool_);
  listeners.push_back(std::move(control));

  server::ServerSettings limits;
  limits.threads = 2;
  auto server = server::Server::start(std::move(listeners), limits);
  if (!server) return std::unexpected(server.error());
  self->server_ = std::move(*server);
  admit_administrators(settings.control_socket);
  self->site_->start();
  return process;
}

base::Status SiteProcess::serve_with(const site::ServingIdentity& identity) {
  net::TlsContext::Settings wanted;
  wanted.identities.push_back({.chain_pem = identity.chain_pem, .key_pem = identity.key_pem});
  wanted.ask_client_certificate = true;
  wanted.tickets = tickets_;
  auto context = net::TlsContext::create(wanted);
  if (!context) return base::with_context("the site's certificate", context.error());
  tls_.set(std::move(*context));
  return {};
}

void SiteProcess::stop() {
  // The site first: it answers the long polls, which would hold the listeners up for their grace.
  if (site_) site_->stop();
  if (server_) server_->stop(kStopGrace);
  server_.reset();
}

}  // namespace larder::cli
