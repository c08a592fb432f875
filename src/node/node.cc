#include "node/node.h"

#include <algorithm>
#include <thread>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "node/content_path.h"
#include "node/node_parts.h"
#include "node/origin_pool_settings.h"
#include "node/request_path.h"
#include "server/router_handler.h"

namespace larder::node {

namespace {

constexpr std::size_t kDiskThreads = 4;
constexpr std::size_t kDiskQueue = 4096;

std::vector<server::ListenerSettings> make_listeners(Node::Parts& parts) {
  std::vector<server::ListenerSettings> listeners;
  const auto add = [&](const std::string& name, const std::vector<base::ListenAddress>& addresses,
                       const server::HandlerFactory& handler, const server::TlsProvider& tls) {
    for (const base::ListenAddress& address : addresses) {
      server::ListenerSettings listener;
      listener.name = name;
      listener.address = address.address;
      listener.port = address.port;
      listener.handler = handler;
      listener.tls = tls;
      listener.congestion_control = parts.settings.congestion_control;
      listener.on_handshake_failure = [&parts](std::string_view address_text,
                                               std::string_view reason) {
        parts.handshakes->add(Counter::HandshakeFailures);
        base::log_debug("a TLS handshake failed",
                        {{"client", std::string(address_text)}, {"reason", std::string(reason)}});
      };
      listeners.push_back(std::move(listener));
    }
  };
  const auto delivery = [&parts](bool tls) {
    return [&parts, tls](net::Loop& loop) {
      return std::make_unique<RequestPath>(*parts.delivery, parts.delivery->loop_state(loop), tls);
    };
  };
  add("http", parts.settings.http_listen, delivery(false), nullptr);
  add("https", parts.settings.https_listen, delivery(true),
      [&parts] { return parts.serving.delivery(); });
  add(
      "content", parts.settings.content_listen,
      [&parts](net::Loop& loop) {
        return std::make_unique<ContentPath>(*parts.delivery, parts.delivery->loop_state(loop),
                                             *parts.library, parts.authorizer,
                                             [&parts] { return parts.link->view(); });
      },
      [&parts] { return parts.serving.content(); });
  if (parts.settings.admin_listen) {
    add("admin", {*parts.settings.admin_listen},
        server::route_with(parts.admin_router, *parts.control_pool), nullptr);
  }
  server::ListenerSettings control;
  control.name = "control";
  control.unix_path = parts.settings.control_socket;
  control.handler = server::route_with(parts.control_router, *parts.control_pool);
  listeners.push_back(std::move(control));
  return listeners;
}

base::Status open_cache(Node::Parts& parts) {
  store::StoreSettings store_settings;
  for (const DriveSettings& drive : parts.settings.drives) {
    store_settings.drives.push_back({drive.path, drive.size});
  }
  auto store = store::Store::open(std::move(store_settings));
  if (!store) return base::with_context("cannot open the cache", store.error());
  parts.store = std::move(*store);

  auto pool = origin_pool_settings(parts.settings);
  if (!pool) return std::unexpected(pool.error());
  auto origins = client::OriginPool::start(std::move(*pool));
  if (!origins) return std::unexpected(origins.error());
  parts.origins = std::move(*origins);
  parts.origin = std::make_unique<OriginAdapter>(*parts.origins, parts.hosts, parts.settings);
  parts.disk = std::make_unique<net::WorkerPool>(kDiskThreads, kDiskQueue);
  parts.fills = std::make_unique<cache::FillTable>(*parts.origin, *parts.store, *parts.disk);
  parts.delivery =
      std::make_unique<Delivery>(parts.settings, parts.clock, parts.hosts, *parts.store,
                                 *parts.disk, *parts.origin, *parts.fills, parts.counters);
  if (parts.settings.access_log != "off") {
    auto log = server::AccessLog::open(parts.settings.access_log);
    if (!log) return std::unexpected(log.error());
    parts.access_log = std::move(*log);
    parts.delivery->access_log = parts.access_log.get();
  }
  // Known to nobody outside, the same after a restart, and not the secret itself.
  parts.delivery->via =
      "larder-" + crypto::sha256_hex(base::as_text(parts.store->secret())).substr(0, 16);
  return {};
}

base::Status open_identity(Node::Parts& parts) {
  auto certificates =
      certs::CertificateStore::open({parts.settings.state_dir + "/certificates",
                                     parts.settings.connection_names, parts.settings.client_trust});
  if (!certificates) return std::unexpected(certificates.error());
  parts.certificates.emplace(std::move(*certificates));
  if (const base::Status loaded = parts.reload_certificates(); !loaded) {
    // HTTP goes on; the HTTPS port answers with an alert.
    base::log_error("the active certificate cannot be served",
                    {{"reason", loaded.error().message}});
  }
  auto library = content::Library::open(parts.settings.state_dir + "/content");
  if (!library) return std::unexpected(library.error());
  parts.library = std::move(*library);

  SiteLinkCallbacks callbacks;
  callbacks.on_view = [](std::shared_ptr<const SiteView> view) {
    base::log_info("the site's snapshot is in force",
                   {{"sequence", std::to_string(view->sequence)},
                    {"packages", std::to_string(view->packages.size())},
                    {"denied", std::to_string(view->denied_clients.size())}});
  };
  callbacks.on_role_certificate = [&parts](const std::string& key, const std::string& chain) {
    const base::Status set = parts.serving.set_site(ServingCertificates::Identity{key, chain});
    base::log_info(
        set ? "the site's role certificate is in effect" : "the role certificate was refused",
        {{"reason", set ? "-" : set.error().message}});
  };
  callbacks.on_role_withdrawn = [&parts] {
    const base::Status set = parts.serving.set_site(std::nullopt);
    base::log_info("the site's role certificate was withdrawn",
                   {{"reason", set ? "-" : set.error().message}});
  };
  callbacks.report = [&parts] { return parts.report(); };
  auto link =
      SiteLink::open(parts.settings.state_dir, *parts.library, parts.clock, std::move(callbacks));
  if (!link) return std::unexpected(link.error());
  parts.link = std::move(*link);
  parts.delivery->revocation_list = [&parts](std::string_view issuer) {
    return parts.link->revocation_list(issuer);
  };
  return {};
}

}  // namespace

Node::Node() = default;

base::Result<std::unique_ptr<Node>> Node::start(NodeSettings settings, const base::Clock& clock) {
  if (settings.threads == 0) {
    settings.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }
  std::unique_ptr<Node> node(new Node());
  node->parts_ = std::make_unique<Parts>(std::move(settings), clock);
  Parts& parts = *node->parts_;
  LARDER_TRY(base::make_directories(parts.settings.state_dir, 0750));
  auto lock = base::lock_file(parts.settings.state_dir + "/node.lock",
                              "the node's state folder " + parts.settings.state_dir);
  if (!lock) return std::unexpected(lock.error());
  parts.lock = std::move(*lock);
  LARDER_TRY(open_cache(parts));
  LARDER_TRY(open_identity(parts));
  parts.control_pool = std::make_unique<net::WorkerPool>(2, 64);
  add_control_routes(parts);
  add_admin_routes(parts);

  server::ServerSettings limits;
  limits.threads = static_cast<unsigned>(parts.settings.threads);
  limits.connection_limit = static_cast<std::size_t>(parts.settings.max_connections);
  limits.timeouts.idle = parts.settings.idle_timeout;
  limits.timeouts.header = parts.settings.header_timeout;
  limits.timeouts.stall = parts.settings.write_timeout;
  auto server = server::Server::start(make_listeners(parts), limits);
  if (!server) return std::unexpected(server.error());
  parts.server = std::move(*server);
  parts.running = parts.server.get();
  parts.link->start();
  return node;
}

Node::~Node() {
  stop(std::chrono::seconds(5));
}

void Node::stop(std::chrono::milliseconds grace) {
  if (!parts_) return;
  Parts& parts = *parts_;
  if (parts.server) parts.server->stop(grace);
  if (parts.link) parts.link->stop();
  // From here on nobody asks any more. The origin thread calls fills, fills use the disk threads,
  // both use the store.
  if (parts.origins) parts.origins->stop();
  parts.disk.reset();
  parts.control_pool.reset();  // its work uses the routers, the link and the loops
  parts.running = nullptr;
  parts.server.reset();
  parts.fills.reset();
  parts.delivery.reset();
  parts_.reset();
}

base::Status Node::join(std::string_view token) {
  return parts_->link->join(token);
}

bool Node::is_joined() const {
  return parts_->link->status().joined;
}

}  // namespace larder::node
