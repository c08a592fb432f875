// Who could not agree with the node in a TLS handshake, and why: a certificate that clients refuse
// is otherwise noticed only by the traffic to the origins. Bounded, thread-safe.
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
  // On any thread. True when a refusal is waiting to be reported, see take_report.
  bool add(std::string_view address, std::string_view reason, base::WallTime now);

  struct Client {
    std::string address;
    std::string cause;  // of the last failure
    std::uint64_t failures = 0;
    base::WallTime last;
  };
  struct Facts {
    std::map<std::string, std::uint64_t> by_cause;
    std::vector<Client> clients;  // latest first
  };
  Facts facts() const;

  // Clients whose last failure since `from` was a refusal.
  std::size_t refusing_clients(base::WallTime from) const;

  struct Report {
    std::uint64_t refusals = 0;  // since the last report
    std::string cause;           // of the latest
    std::string address;         // of the latest
  };
  // At most once a minute.
  std::optional<Report> take_report(base::WallTime now);

 private:
  static constexpr std::size_t kCausesLimit = 32;
  static constexpr std::size_t kClientsLimit = 256;
  static constexpr std::chrono::minutes kReportPause{1};

  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> by_cause_;
  std::unordered_map<std::string, Client> clients_;
  Report waiting_;
  std::optional<base::WallTime> reported_at_;
};

}  // namespace larder::node
