#include "node/node.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "cache/stored_response.h"
#include "crypto/digest.h"
#include "http/forwarding.h"
#include "node/drive_advice.h"
#include "node/drive_mounts.h"
#include "node/node_parts.h"
#include "node/origin_pool_settings.h"

namespace larder::node {

namespace {

constexpr std::size_t kDiskThreads = 4;
constexpr std::size_t kDiskQueue = 4096;
// Clients go elsewhere when nothing comes for 20 s: a drive that does not answer leaves time to ask
// the origin. Longer than store::Operations::kHangsAfter, so that the store knows it by then.
constexpr net::WorkerPool::Patience kDiskPatience{
    .for_outcome = std::chrono::seconds(7),
    .for_thread = std::chrono::seconds(1),
    .most_threads = 32,
};

// For the next start: where the drives are that are used.
void keep_drive_mounts(const Node::Parts& parts, const std::vector<DrivePlace>& places) {
  const std::string& folder = parts.settings.state_dir;
  const DriveMounts before = load_drive_mounts(folder);
  DriveMounts now;
  for (const store::DriveStatistics& drive : parts.store->drive_statistics()) {
    const auto place = std::ranges::find(places, drive.path,
                                         [](const DrivePlace& each) { return each.drive.path; });
    const auto known = before.find(drive.path);
    if (drive.state != store::DriveState::Missing && place != places.end() &&
        !place->mount_point.empty()) {
      now.emplace(drive.path, place->mount_point);
    } else if (known != before.end()) {
      now.insert(*known);
    }
  }
  if (now == before) return;
  if (const auto saved = save_drive_mounts(folder, now); !saved) {
    base::log_warning("where the drives are mounted cannot be kept",
                      {{"reason", saved.error().message}});
  }
}

base::Status open_cache(Node::Parts& parts) {
  store::StoreSettings store_settings;
  const std::vector<DrivePlace> places = find_drive_places(parts.settings);
  for (const DrivePlace& place : places) {
    store_settings.drives.push_back({.path = place.drive.path,
                                     .size = place.drive.size,
                                     .leaves_half = place.drive.leaves_half,
                                     .unusable = place.unusable});
  }
  for (const std::string& advice : advise_on_drives(places)) {
    base::log_warning("the drives are not as the settings want them", {{"reason", advice}});
  }
  store_settings.scrub_rate = parts.settings.scrub_rate;
  store_settings.name_of = cache::stored_key;
  auto store = store::Store::open(std::move(store_settings));
  if (!store) return base::with_context("cannot open the cache", store.error());
  parts.store = std::move(*store);
  keep_drive_mounts(parts, places);
  set_quotas(*parts.store, parts.settings);

  auto pool = origin_pool_settings(parts.settings);
  if (!pool) return std::unexpected(pool.error());
  auto origins = client::OriginPool::start(std::move(*pool));
  if (!origins) return std::unexpected(origins.error());
  parts.origins = std::move(*origins);
  parts.origin = std::make_unique<OriginAdapter>(*parts.origins, parts.policy, parts.clock);
  parts.disk = std::make_unique<net::WorkerPool>(kDiskThreads, kDiskQueue, kDiskPatience);
  parts.fills =
      std::make_unique<cache::FillTable>(*parts.origin, *parts.store, *parts.disk, parts.clock);
  parts.delivery = std::make_unique<Delivery>(parts.policy, parts.clock, *parts.store, *parts.disk,
                                              *parts.origin, *parts.fills, parts.counters);
  auto log = open_access_log(parts.settings, nullptr);
  if (!log) return std::unexpected(log.error());
  parts.delivery->apply(std::move(*log));
  parts.store->on_space_awaited([&parts] { parts.delivery->let_go(); });
  parts.delivery->challenges = &parts.challenges;
  parts.delivery->redirects = &parts.origin->redirects();
  // Known to nobody outside, the same after a restart, and not the secret itself.
  parts.delivery->via = http::via_name(crypto::sha256_hex(base::as_text(parts.store->secret())));
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
    const base::Status set =
        parts.serving.set_site(ServingCertificates::Identity{.key_pem = key, .chain_pem = chain});
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
  callbacks.http_port = [&parts] {
    const std::shared_ptr<const Policy> policy = parts.policy.get();
    const auto& listeners = policy->settings.http_listen;
    return listeners.empty() ? std::uint16_t{0} : listeners.front().port;
  };
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

base::Result<std::unique_ptr<Node>> Node::start(NodeSettings settings, const base::Clock& clock,
                                                SettingsSource source) {
  std::unique_ptr<Node> node(new Node());
  node->parts_ = std::make_unique<Parts>(completed(std::move(settings)), clock, std::move(source));
  Parts& parts = *node->parts_;
  parts.reloads.started(parts.started_at);
  LARDER_TRY(base::make_directories(parts.settings.state_dir, 0750));
  auto lock = base::lock_file(parts.settings.state_dir + "/node.lock",
                              "the node's state folder " + parts.settings.state_dir);
  if (!lock) return std::unexpected(lock.error());
  parts.lock = std::move(*lock);
  LARDER_TRY(open_cache(parts));
  LARDER_TRY(open_identity(parts));
  open_renewals(parts);
  parts.retention =
      std::make_unique<RetentionWorker>(parts.settings.state_dir + "/certificates", clock);
  open_watch(parts);
  parts.control_pool = std::make_unique<net::WorkerPool>(2, 64);
  add_control_routes(parts);
  add_cache_routes(parts);
  add_admin_routes(parts);
  add_renewal_routes(parts);
  add_watch_routes(parts);

  server::ServerSettings serving;
  serving.threads = static_cast<unsigned>(parts.settings.threads);
  serving.limits = make_limits(parts.settings);
  auto server = server::Server::start(make_listeners(parts, parts.settings), serving);
  if (!server) return std::unexpected(server.error());
  parts.server = std::move(*server);
  parts.running = parts.server.get();
  parts.link->start();
  parts.renewals->start();
  parts.retention->start();
  parts.notifier->start();
  parts.watch->start();
  parts.drive_watch->start();
  return node;
}

Node::~Node() {
  stop(std::chrono::seconds(5));
}

void Node::stop(std::chrono::milliseconds grace) {
  if (!parts_) return;
  Parts& parts = *parts_;
  std::vector<base::UniqueFd> open;  // clients are refused only when the process is about to end
  if (parts.server) {
    parts.server->stop(grace);
    open = parts.server->listening_descriptors();
  }
  if (parts.link) parts.link->stop();
  if (parts.renewals) parts.renewals->stop();
  if (parts.retention) parts.retention->stop();
  if (parts.watch) parts.watch->stop();
  if (parts.drive_watch) parts.drive_watch->stop();
  if (parts.notifier) parts.notifier->stop();
  // From here on nobody asks any more. The origin thread calls fills, fills use the disk threads,
  // both use the store.
  if (parts.origins) parts.origins->stop();
  if (parts.fills) parts.fills->stop();
  parts.disk.reset();
  parts.control_pool.reset();  // its work uses the routers, the link and the loops
  parts.running = nullptr;
  if (parts.store) parts.store->on_space_awaited(nullptr);  // the loops go
  parts.server.reset();
  parts.fills.reset();
  parts.delivery.reset();
  parts_.reset();
}

std::chrono::milliseconds Node::stop_grace() const {
  return parts_->policy.get()->settings.stop_grace;
}

base::Result<ReloadReport> Node::reload() {
  return parts_->reload();
}

base::Status Node::reopen_logs() {
  return parts_->reopen_logs();
}

bool Node::is_responsive(std::chrono::milliseconds limit) const {
  return parts_->server->is_responsive(limit);
}

base::Status Node::join(std::string_view token) {
  return parts_->link->join(token);
}

bool Node::is_joined() const {
  return parts_->link->status().joined;
}

}  // namespace larder::node
