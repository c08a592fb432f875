#include "site/node_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/digest.h"

namespace larder::site {
namespace {

constexpr std::size_t kTextLimit = 512;
constexpr std::size_t kCertificateLimit = 64;
constexpr std::size_t kNameLimit = 64;

base::Result<std::string> text(const base::Json& object, const char* name) {
  auto value = base::json_string_or(object, name, "");
  if (value && value->size() > kTextLimit) {
    return base::fail(base::ErrorCode::InvalidArgument, std::string(name) + " is too long");
  }
  return value;
}

base::Result<std::uint64_t> counter(const base::Json& object, const char* name) {
  if (!object.contains(name)) return 0;
  const auto value = base::json_integer(object, name);
  if (!value) return std::unexpected(value.error());
  if (*value < 0) {
    return base::fail(base::ErrorCode::InvalidArgument, std::string(name) + " is negative");
  }
  return static_cast<std::uint64_t>(*value);
}

base::Result<NodeCounters> parse_counters(const base::Json& object) {
  NodeCounters counters;
  const std::pair<const char*, std::uint64_t*> fields[] = {
      {"requests", &counters.requests},
      {"hits", &counters.hits},
      {"misses", &counters.misses},
      {"bytes_hit", &counters.bytes_hit},
      {"bytes_miss", &counters.bytes_miss},
      {"bytes_origin", &counters.bytes_origin},
      {"bytes_content", &counters.bytes_content}};
  for (const auto& [name, field] : fields) {
    const auto value = counter(object, name);
    if (!value) return std::unexpected(value.error());
    *field = *value;
  }
  return counters;
}

base::Result<base::WallTime> time(const base::Json& object, const char* name) {
  const auto value = base::json_string(object, name);
  if (!value) return std::unexpected(value.error());
  return base::parse_rfc3339(*value);
}

base::Result<ReportedCertificate> parse_certificate(const base::Json& object) {
  ReportedCertificate certificate;
  const std::pair<const char*, std::string*> fields[] = {
      {"name", &certificate.name},     {"source", &certificate.source},
      {"state", &certificate.state},   {"subject", &certificate.subject},
      {"issuer", &certificate.issuer}, {"sha256", &certificate.sha256}};
  for (const auto& [name, field] : fields) {
    auto value = text(object, name);
    if (!value) return std::unexpected(value.error());
    *field = std::move(*value);
  }
  const auto not_before = time(object, "not_before");
  if (!not_before) return std::unexpected(not_before.error());
  const auto not_after = time(object, "not_after");
  if (!not_after) return std::unexpected(not_after.error());
  certificate.not_before = *not_before;
  certificate.not_after = *not_after;
  if (const auto names = object.find("dns_names"); names != object.end()) {
    if (!names->is_array() || names->size() > kNameLimit) {
      return base::fail(base::ErrorCode::InvalidArgument, "dns_names is not a list of names");
    }
    for (const auto& name : *names) {
      if (!name.is_string() || name.get_ref<const std::string&>().size() > kTextLimit) {
        return base::fail(base::ErrorCode::InvalidArgument, "dns_names is not a list of names");
      }
      certificate.dns_names.push_back(name.get<std::string>());
    }
  }
  return certificate;
}

}  // namespace

NodeCounters& NodeCounters::operator+=(const NodeCounters& other) {
  requests += other.requests;
  hits += other.hits;
  misses += other.misses;
  bytes_hit += other.bytes_hit;
  bytes_miss += other.bytes_miss;
  bytes_origin += other.bytes_origin;
  bytes_content += other.bytes_content;
  return *this;
}

base::Result<NodeReport> parse_report(std::string_view json) {
  const auto object = base::parse_json(json);
  if (!object) return std::unexpected(object.error());
  if (!object->is_object()) {
    return base::fail(base::ErrorCode::InvalidArgument, "a report is not a JSON object");
  }
  NodeReport report;
  const std::pair<const char*, std::string*> fields[] = {{"version", &report.version},
                                                         {"started_at", &report.started_at},
                                                         {"content_url", &report.content_url}};
  for (const auto& [name, field] : fields) {
    auto value = text(*object, name);
    if (!value) return std::unexpected(value.error());
    *field = std::move(*value);
  }
  const auto sequence = counter(*object, "sequence");
  if (!sequence) return std::unexpected(sequence.error());
  report.sequence = static_cast<std::int64_t>(*sequence);
  if (const auto counters = object->find("counters"); counters != object->end()) {
    if (!counters->is_object()) {
      return base::fail(base::ErrorCode::InvalidArgument, "counters is not a JSON object");
    }
    const auto parsed = parse_counters(*counters);
    if (!parsed) return std::unexpected(parsed.error());
    report.counters = *parsed;
  }
  if (const auto list = object->find("certificates"); list != object->end()) {
    if (!list->is_array() || list->size() > kCertificateLimit) {
      return base::fail(base::ErrorCode::InvalidArgument, "certificates is not a short list");
    }
    for (const auto& item : *list) {
      auto certificate = parse_certificate(item);
      if (!certificate) return std::unexpected(certificate.error());
      report.certificates.push_back(std::move(*certificate));
    }
  }
  return report;
}

NodeCounters Node::total() const {
  NodeCounters sum = earlier;
  if (report) sum += report->counters;
  return sum;
}

void NodeTable::put(Node node) {
  const std::lock_guard lock(mutex_);
  Node& kept = nodes_[node.id];
  node.report = std::move(kept.report);
  node.reported_at = kept.reported_at;
  node.earlier = kept.earlier;
  kept = std::move(node);
}

void NodeTable::add_identity(const std::string& certificate_sha256, const std::string& node,
                             base::WallTime not_after) {
  const std::lock_guard lock(mutex_);
  identities_[certificate_sha256] = {node, not_after};
}

void NodeTable::remove_identity(const std::string& certificate_sha256) {
  const std::lock_guard lock(mutex_);
  identities_.erase(certificate_sha256);
}

base::Result<Node> NodeTable::authenticate(std::string_view certificate_der,
                                           base::WallTime now) const {
  if (certificate_der.empty()) {
    return base::fail(base::ErrorCode::Unauthenticated, "no client certificate was shown");
  }
  const std::string sha256 = crypto::sha256_hex(certificate_der);
  const std::lock_guard lock(mutex_);
  const auto identity = identities_.find(sha256);
  if (identity == identities_.end() || identity->second.not_after <= now) {
    return base::fail(base::ErrorCode::Unauthenticated,
                      "the client certificate is no identity of a node, or no longer");
  }
  const auto node = nodes_.find(identity->second.node);
  if (node == nodes_.end()) {
    return base::fail(base::ErrorCode::Unauthenticated, "the node does not exist any more");
  }
  return node->second;
}

void NodeTable::report(const std::string& node, NodeReport report, base::WallTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return;
  // A node counts from zero after each start.
  if (found->second.report && found->second.report->started_at != report.started_at) {
    found->second.earlier += found->second.report->counters;
  }
  found->second.report = std::move(report);
  found->second.reported_at = now;
}

std::vector<Node> NodeTable::list() const {
  std::vector<Node> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, node] : nodes_) all.push_back(node);
  }
  std::ranges::sort(all, {}, &Node::name);
  return all;
}

}  // namespace larder::site
