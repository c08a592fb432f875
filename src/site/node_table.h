// What the site knows of its nodes, in memory: who they are by their identity certificates, and
// what they last reported. Reports are never stored. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/names.h"

namespace larder::site {

struct NodeCounters {
  std::uint64_t requests = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t bytes_hit = 0;
  std::uint64_t bytes_miss = 0;
  std::uint64_t bytes_origin = 0;
  std::uint64_t bytes_content = 0;

  // To clients; heads and answers of the node's own not counted.
  std::uint64_t bytes_delivered() const { return bytes_hit + bytes_miss + bytes_content; }
  NodeCounters& operator+=(const NodeCounters& other);
};

struct ReportedCertificate {
  std::string name;
  std::string source;  // "pki" or "site"
  std::string state;
  std::string subject;
  std::string issuer;
  std::vector<std::string> dns_names;
  base::WallTime not_before;
  base::WallTime not_after;
  std::string sha256;
};

struct NodeReport {
  std::int64_t sequence = 0;
  std::string version;
  std::string started_at;
  NodeCounters counters;
  std::vector<ReportedCertificate> certificates;
  std::string content_url;  // empty: the node does not serve site content
};

// Bounded and checked: every text is at most 512 bytes, there are at most 64 certificates.
base::Result<NodeReport> parse_report(std::string_view json);

struct Node {
  std::string id;
  std::string name;
  crypto::AlternativeNames names;
  std::int64_t joined_at = 0;
  std::optional<NodeReport> report;
  base::WallTime reported_at;
  NodeCounters earlier;  // of the node's earlier runs since the site started

  NodeCounters total() const;
};

class NodeTable {
 public:
  // New names for a known node; its report stays.
  void put(Node node);
  void add_identity(const std::string& certificate_sha256, const std::string& node,
                    base::WallTime not_after);
  void remove_identity(const std::string& certificate_sha256);

  // The node whose identity certificate this is: exactly one that the site issued, did not revoke
  // and that has not expired. Unauthenticated otherwise. No other proof is needed: the TLS
  // handshake has proven possession of the key.
  base::Result<Node> authenticate(std::string_view certificate_der, base::WallTime now) const;
  void report(const std::string& node, NodeReport report, base::WallTime now);
  std::vector<Node> list() const;  // by name

 private:
  struct Identity {
    std::string node;
    base::WallTime not_after;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Node> nodes_;           // by id, guarded by mutex_
  std::map<std::string, Identity> identities_;  // by certificate digest, guarded by mutex_
};

}  // namespace larder::site
