// What an administrator can say about a node: the tables [node], [[node.drive]] and [[origin]] of
// larder.toml. Read at start and at each reload; every value is checked, so that users of this
// struct need not.
// The member initialisers are the defaults; names, limits and texts are in settings.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "cache/generation.h"
#include "client/rate_schedule.h"

namespace larder::node {

struct DriveSettings {
  std::string path;        // absolute
  std::uint64_t size = 0;  // bytes
  // Nobody named it: it takes at most half of what the file system has for it.
  bool leaves_half = false;
};

enum class OriginScheme {
  Same,  // as the client asked
  Http,  // always plain: the bytes protect themselves (signed packages)
  Https  // always verified TLS
};

// Where to fetch from when that is not the host itself.
struct OriginUrl {
  bool https = false;
  std::string host;  // lower case; IPv6 addresses without brackets
  std::uint16_t port = 0;

  bool operator==(const OriginUrl&) const = default;
};

// A path below `pattern` names the same object as below `canonical`, both as in `hosts`.
struct HostAlias {
  std::string pattern;
  std::string canonical;  // no wildcard

  bool operator==(const HostAlias&) const = default;
};

struct OriginSettings {
  std::string name;
  std::vector<std::string> hosts;  // lower case: "host", or "*.suffix" for every name below suffix
  std::vector<HostAlias> aliases;
  std::optional<OriginUrl> url;
  OriginScheme scheme = OriginScheme::Same;
  // Ranges that connections may reach although they are not public. Never together with a wildcard
  // host unless `url` is fixed: whoever owns a name below the suffix could point it inside.
  std::vector<base::AddressRange> allow_addresses;
  std::string ca_file;  // PEM roots of the origin; empty: the system's store
  std::vector<std::string> methods = {"GET", "HEAD"};  // "*": every method
  bool follow_redirects = false;                       // inside the allow list
  // Query parameters that are no part of the key. Only where `is_public`: bytes fetched with one
  // client's signature answer everybody.
  std::vector<std::string> ignore_query;
  bool sort_query = false;
  bool normalize_path = false;
  client::RateSchedule upstream_rate;  // bytes a second from this origin
  // What proves that two answers are of one object.
  cache::IdentityRule validator = cache::IdentityRule::Standard;
  bool is_public = false;
  // Request fields that Vary may name without choosing another representation.
  std::vector<std::string> vary_ignore;
  std::uint64_t quota = 0;       // bytes on disk; 0: as much as there is
  bool is_profile = false;       // shipped with the product, not written in the file
  std::uint32_t counted_at = 0;  // RequestCounters::origins; set when a node takes the settings

  bool allows_method(std::string_view method) const;
};

// Where the proxy is not used: a range of addresses, a host, or "*.suffix".
struct ProxyException {
  std::string host;  // as written, when there is no range
  std::optional<base::AddressRange> range;

  bool operator==(const ProxyException&) const = default;
};

enum class SignerType { Command, Acme };
enum class AcmeChallengeType { Http01, TlsAlpn01 };

// Who signs a certificate of this node.
struct SignerSettings {
  std::string certificate;  // name of the key
  SignerType type = SignerType::Command;
  std::chrono::milliseconds timeout{600'000};
  std::vector<std::string> command;  // an absolute path, then arguments
  std::string socket;                // path; in place of a command
  std::string user;                  // empty: the node's own, or root behind the socket
  // Of ACME servers.
  std::string directory;  // https URL
  std::vector<std::string> contact;
  bool accept_terms = false;
  AcmeChallengeType challenge = AcmeChallengeType::Http01;
  std::string external_key_id;
  std::string external_key_file;
  std::string ca_file;
  std::string preferred_chain;
};

struct NodeSettings {
  std::string name;
  std::string state_dir = "/var/lib/larder/node";
  std::string control_socket;  // default: <state_dir>/control.sock
  std::vector<base::ListenAddress> http_listen = {{"0.0.0.0", 80, false}, {"::", 80, true}};
  std::vector<base::ListenAddress> https_listen = {{"0.0.0.0", 443, false}, {"::", 443, true}};
  std::vector<base::ListenAddress> content_listen = {{"0.0.0.0", 8445, false}, {"::", 8445, true}};
  std::optional<base::ListenAddress> admin_listen = base::ListenAddress{"127.0.0.1", 8090, false};
  std::vector<std::string> connection_names;  // DNS names in lower case, or addresses
  std::vector<std::string> client_trust;      // CA files
  std::vector<std::string> profiles;
  std::string profile_dir;                  // empty: only the shipped ones
  std::vector<std::string> reserved_hosts;  // below profiles' wildcards, yet another profile's
  bool site_certificate_for_delivery = false;
  std::optional<OriginUrl> proxy;  // on the way to origins
  std::string proxy_credentials;   // file with one line, "user:password"
  std::vector<ProxyException> no_proxy;
  // That the node's own requests may reach although they are neither public nor private.
  std::vector<base::AddressRange> request_allow_addresses;
  std::string origin_ca_file;          // PEM roots beside the system's
  client::RateSchedule upstream_rate;  // bytes a second from all origins

  int threads = 0;  // event loops; 0: one per core
  int max_connections = 20000;
  int max_connections_per_client = 16000;           // an IPv4 address or an IPv6 /64; 0: no limit
  int max_connections_per_origin = 128;             // of the node, to one host
  std::chrono::milliseconds idle_timeout{65000};    // between two requests of a connection
  std::chrono::milliseconds header_timeout{15000};  // from a request's first byte to its last
  std::chrono::milliseconds write_timeout{60000};   // how long a client may be too slow
  std::uint64_t min_client_rate = 500;  // bytes a second that a client takes or sends at least
  std::uint64_t client_rate_limit = 0;  // bytes a second to one client; 0: no limit
  std::uint64_t total_rate_limit = 0;   // bytes a second to all clients; 0: no limit
  std::chrono::milliseconds stop_grace{10000};  // for running answers when the node stops
  std::string congestion_control;               // empty: the system's
  std::uint64_t scrub_rate = 20'000'000;        // bytes a second; 0: no scrub
  std::uint64_t hot_memory = 64 << 20;          // bytes for small objects kept ready to send

  std::string alert_webhook;          // https URL; empty: none
  std::string alert_webhook_trust;    // PEM file; empty: the system's store
  std::string alert_webhook_secret;   // file; empty: alerts are not signed
  bool disable_when_revoked = false;  // serves it no more; ends HTTPS when it is the last

  std::string access_log;  // default: <state_dir>/log/access.log; "off": none
  base::LogLevel log_level = base::LogLevel::Info;
  bool access_log_json = false;
  bool log_json = false;

  std::vector<SignerSettings> signers;
  std::vector<DriveSettings> drives;    // default: one, <state_dir>/cache
  std::vector<OriginSettings> origins;  // those of the file first, then those of the profiles
};

// Reads and checks the whole text of a larder.toml. The error's message has one line per mistake,
// each "<file>:<line>: what is wrong; what would be right". Relative paths are resolved against
// the folder of `file_name`.
base::Result<NodeSettings> parse_node_settings(std::string_view text, const std::string& file_name);
base::Result<NodeSettings> load_node_settings(const std::string& path);

// What differs between two readings, as "[node] idle_timeout" or "[[origin]] packages", with when
// it takes effect. Origins are told apart by their names.
std::vector<base::SettingChange> changes(const NodeSettings& before, const NodeSettings& after);

// The facts of every setting, for the manual.
std::vector<base::SettingsSectionFacts> describe_node_settings();

}  // namespace larder::node
