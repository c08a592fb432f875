// Who could not agree with the node in a TLS handshake, and why, and who closed right after one: a
// certificate that clients refuse is otherwise noticed only by the traffic to the origins. Bounded,
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace larder::node {

// "unknown_ca" of "tlsv1 alert unknown ca", "closed_by_the_client": fit for a label.
std::string failure_cause(std::string_view reason);
// The client has said that it does not accept the node's certificate (RFC 8446 section 6.2).
bool is_refusal(std::string_view cause);

class HandshakeFailures {
 public:
  // So many clients that close without a request, and none that sends one, are worth an alert: a
  // load balancer's checks come from one address or two.
  static constexpr std::size_t kEnoughSilent = 3;

  // On any thread. `certificate`: SHA-256 of what the client was shown; empty when it was shown
  // none. True when a refusal is waiting to be reported, see take_reports.
  bool add(std::string_view address, std::string_view reason, const std::string& certificate,
           base::WallTime now);
  // A client that was shown the certificate closed without a byte of a request: it may have refused
  // it without saying so, or have asked only whether the port is open. True when that makes
  // kEnoughSilent.
  bool add_silent(std::string_view address, const std::string& certificate, base::WallTime now);

  struct Client {
    std::string address;
    std::string cause;  // of the last failure
    std::uint64_t failures = 0;
    base::WallTime last;
    std::string refused;  // the certificate of its last refusal
    std::optional<base::WallTime> refused_at;
  };
  struct Silent {
    std::string address;
    std::string certificate;  // of the last time
    std::uint64_t connections = 0;
    base::WallTime last;
  };
  struct Facts {
    std::map<std::string, std::uint64_t> by_cause;
    std::vector<Client> clients;  // latest first
    std::uint64_t silent_connections = 0;
    std::vector<Silent> silent;  // latest first
  };
  Facts facts() const;

  // By certificate, the clients whose last refusal was since `from`.
  std::map<std::string, std::size_t> refusing_clients(base::WallTime from) const;
  // By certificate, those that closed without a request since `from`.
  std::map<std::string, std::size_t> silent_clients(base::WallTime from) const;

  struct Report {
    std::string certificate;
    std::map<std::string, std::uint64_t> refusals;  // by cause, since the last report
    std::string address;                            // of the latest
  };
  // One for each certificate that was refused. At most once a minute.
  std::vector<Report> take_reports(base::WallTime now);

 private:
  static constexpr std::size_t kCausesLimit = 32;
  static constexpr std::size_t kClientsLimit = 256;
  static constexpr std::size_t kReportsLimit = 32;  // further certificates share the empty name
  static constexpr std::chrono::minutes kReportPause{1};

  bool is_report_due(base::WallTime now) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> by_cause_;
  std::unordered_map<std::string, Client> clients_;
  std::uint64_t silent_connections_ = 0;
  std::unordered_map<std::string, Silent> silent_;
  std::map<std::string, Report> waiting_;
  std::optional<base::WallTime> reported_at_;
};

}  // namespace larder::node
