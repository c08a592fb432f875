// What a running node consists of, in the order in which it is made; the reverse is the order of
// destruction. For node.cc and control.cc only.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "alerts/notifier.h"
#include "base/unique_fd.h"
#include "cache/fill_table.h"
#include "certs/certificate_store.h"
#include "client/origin_pool.h"
#include "content/library.h"
#include "net/worker_pool.h"
#include "node/certificate_watch.h"
#include "node/challenges.h"
#include "node/content_access.h"
#include "node/counters.h"
#include "node/delivery.h"
#include "node/drive_watch.h"
#include "node/node.h"
#include "node/origin_adapter.h"
#include "node/policy.h"
#include "node/renewals.h"
#include "node/retention_worker.h"
#include "node/serving_certificates.h"
#include "node/site_link.h"
#include "server/access_log.h"
#include "server/router.h"
#include "server/server.h"
#include "store/store.h"

namespace larder::node {

// How the last reading of the settings went. Thread-safe.
class ReloadState {
 public:
  struct Facts {
    base::WallTime loaded_at{};         // of what is in force
    std::uint64_t reloads = 0;          // that succeeded
    std::uint64_t refused = 0;          // that did not
    std::string error;                  // of the last one; empty: it succeeded
    std::vector<std::string> restarts;  // settings that wait for a restart
  };
  Facts get() const {
    const std::lock_guard lock(mutex_);
    return facts_;
  }
  void succeeded(base::WallTime at, std::vector<std::string> restarts) {
    const std::lock_guard lock(mutex_);
    facts_.loaded_at = at;
    ++facts_.reloads;
    facts_.error.clear();
    facts_.restarts = std::move(restarts);
  }
  void failed(std::string error) {
    const std::lock_guard lock(mutex_);
    ++facts_.refused;
    facts_.error = std::move(error);
  }
  void started(base::WallTime at) {
    const std::lock_guard lock(mutex_);
    facts_.loaded_at = at;
  }

 private:
  mutable std::mutex mutex_;
  Facts facts_;
};

struct Node::Parts {
  Parts(NodeSettings node_settings, const base::Clock& node_clock, SettingsSource settings_source)
      : settings(std::move(node_settings)),
        source(std::move(settings_source)),
        clock(node_clock),
        started_at(node_clock.wall()),
        policy(std::make_shared<const Policy>(counted(settings))),
        serving(settings.site_certificate_for_delivery, &staples) {}

  const NodeSettings settings;  // as the node was started; what is in force now is in `policy`
  const SettingsSource source;
  const base::Clock& clock;
  const base::WallTime started_at;
  base::UniqueFd lock;
  CounterSet counters;
  PolicyHolder policy;
  std::shared_ptr<Counters> handshakes = counters.add_thread();
  net::StapleBoard staples;
  ServingCertificates serving;
  std::optional<certs::CertificateStore> certificates;
  std::unique_ptr<content::Library> library;
  ContentAuthorizer authorizer;
  Challenges challenges{clock};
  std::unique_ptr<store::Store> store;
  std::unique_ptr<client::OriginPool> origins;
  std::unique_ptr<OriginAdapter> origin;
  std::unique_ptr<net::WorkerPool> disk;
  std::unique_ptr<cache::FillTable> fills;
  std::unique_ptr<Delivery> delivery;
  std::unique_ptr<SiteLink> link;
  std::unique_ptr<Renewals> renewals;
  std::unique_ptr<RetentionWorker> retention;
  std::unique_ptr<alerts::Notifier> notifier;
  std::unique_ptr<CertificateWatch> watch;
  std::unique_ptr<DriveWatch> drive_watch;
  std::unique_ptr<net::WorkerPool> control_pool;
  server::Router control_router;
  server::Router admin_router;
  std::unique_ptr<server::Server> server;
  std::atomic<server::Server*> running =
      nullptr;              // for the routes, which may be asked before it is set
  std::mutex reload_mutex;  // held while settings are read anew
  ReloadState reloads;

  // Reads the settings anew: everything that is live is then in force, or nothing has changed.
  base::Result<ReloadReport> reload();
  base::Status reopen_logs();
  // Gives every origin its place among the counters.
  NodeSettings counted(NodeSettings next);

  // Reads the certificate files anew and serves accordingly; what was served stays on an error.
  base::Status reload_certificates();
  std::mutex certificates_mutex;  // held while that goes on: the last to read is the last to serve
  // The heartbeat, docs/protocol.md.
  std::string report() const;
  std::string status_json() const;
  std::string certificates_json() const;
  // What is wrong now with certificates and drives, as sentences.
  std::vector<std::string> alerts() const;
  std::string metrics() const;
  std::size_t connection_count() const {
    const server::Server* now = running.load();
    return now != nullptr ? now->connection_count() : 0;
  }
};

// What the server is to do under these settings.
std::vector<server::ListenerSettings> make_listeners(Node::Parts& parts,
                                                     const NodeSettings& settings);
server::Limits make_limits(const NodeSettings& settings);
// Null when these settings want none; the one in use when its path stays.
base::Result<std::shared_ptr<server::AccessLog>> open_access_log(
    const NodeSettings& settings, std::shared_ptr<server::AccessLog> in_use);
// The shares of origins on the drives.
void set_quotas(store::Store& store, const NodeSettings& settings);
// As it is compared and used: `threads` is never 0.
NodeSettings completed(NodeSettings settings);

// Connections, limits and settings, for the metrics page.
void add_serving_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges);

// renewal_routes.cc
void open_renewals(Node::Parts& parts);
void add_renewal_routes(Node::Parts& parts);
// Keys whose signer does not get a first certificate.
void add_missing_certificates(const Node::Parts& parts, std::vector<CertificateTrouble>& troubles);
void add_renewal_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges);

// watch_routes.cc
void open_watch(Node::Parts& parts);
void add_watch_routes(Node::Parts& parts);
void add_watch_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges);

// Routes of the control socket and of the read-only TCP admin port.
void add_control_routes(Node::Parts& parts);
// cache_control.cc
void add_cache_routes(Node::Parts& parts);
// The drives that are not as they should be, for readyz: path, state, size and limit.
nlohmann::json drive_troubles(const store::Statistics& cache);
void add_cache_gauges(const store::Statistics& cache, std::vector<Gauge>& gauges);
void add_admin_routes(Node::Parts& parts);

}  // namespace larder::node
