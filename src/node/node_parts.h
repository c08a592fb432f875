// What a running node consists of, in the order in which it is made; the reverse is the order of
// destruction. For node.cc and control.cc only.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "cache/fill.h"
#include "certs/certificate_store.h"
#include "client/origin_pool.h"
#include "content/library.h"
#include "net/worker_pool.h"
#include "node/content_access.h"
#include "node/counters.h"
#include "node/delivery.h"
#include "node/host_table.h"
#include "node/node.h"
#include "node/origin_adapter.h"
#include "node/serving_certificates.h"
#include "node/site_link.h"
#include "server/access_log.h"
#include "server/router.h"
#include "server/server.h"
#include "store/store.h"

namespace larder::node {

struct Node::Parts {
  Parts(NodeSettings node_settings, const base::Clock& node_clock)
      : settings(std::move(node_settings)),
        clock(node_clock),
        started_at(node_clock.wall()),
        hosts(settings),
        serving(settings.site_certificate_for_delivery) {}

  const NodeSettings settings;
  const base::Clock& clock;
  const base::WallTime started_at;
  base::UniqueFd lock;
  const HostTable hosts;
  CounterSet counters;
  std::shared_ptr<Counters> handshakes = counters.add_thread();
  ServingCertificates serving;
  std::optional<certs::CertificateStore> certificates;
  std::unique_ptr<content::Library> library;
  ContentAuthorizer authorizer;
  std::unique_ptr<server::AccessLog> access_log;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<client::OriginPool> origins;
  std::unique_ptr<OriginAdapter> origin;
  std::unique_ptr<net::WorkerPool> disk;
  std::unique_ptr<cache::FillTable> fills;
  std::unique_ptr<Delivery> delivery;
  std::unique_ptr<SiteLink> link;
  std::unique_ptr<net::WorkerPool> control_pool;
  server::Router control_router;
  server::Router admin_router;
  std::unique_ptr<server::Server> server;
  std::atomic<const server::Server*> running =
      nullptr;  // for the routes, which may be asked before it is set

  // Reads the certificate files anew and serves accordingly; what was served stays on an error.
  base::Status reload_certificates();
  // The heartbeat, docs/protocol.md.
  std::string report() const;
  std::string status_json() const;
  std::string certificates_json() const;
  std::string metrics() const;
  std::size_t connection_count() const {
    const server::Server* now = running;
    return now != nullptr ? now->connection_count() : 0;
  }
};

// Routes of the control socket and of the read-only TCP admin port.
void add_control_routes(Node::Parts& parts);
void add_admin_routes(Node::Parts& parts);

}  // namespace larder::node
