#include "node/handshake_failures.h"

#include <algorithm>
#include <array>

namespace larder::node {

std::string failure_cause(std::string_view reason) {
  if (const auto alert = reason.find(" alert "); alert != std::string_view::npos) {
    reason.remove_prefix(alert + 7);
  }
  std::string cause;
  for (const char c : reason.substr(0, 48)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool capital = c >= 'A' && c <= 'Z';
    cause += plain ? c : capital ? static_cast<char>(c + ('a' - 'A')) : '_';
  }
  return cause.empty() ? "unknown" : cause;
}

bool is_refusal(std::string_view cause) {
  constexpr std::array<std::string_view, 7> kRefusals = {"unknown_ca",
                                                         "bad_certificate",
                                                         "certificate_unknown",
                                                         "certificate_expired",
                                                         "certificate_revoked",
                                                         "unsupported_certificate",
                                                         "bad_certificate_status_response"};
  return std::ranges::find(kRefusals, cause) != kRefusals.end();
}

namespace {

// Of `address`, in place of the least recent one when there are too many.
template <typename Entry>
Entry& entry_of(std::unordered_map<std::string, Entry>& entries, std::string_view address,
                std::size_t limit) {
  const auto found = entries.find(std::string(address));
  if (found != entries.end()) return found->second;
  if (entries.size() >= limit) {
    entries.erase(
        std::ranges::min_element(entries, {}, [](const auto& each) { return each.second.last; }));
  }
  Entry& entry = entries[std::string(address)];
  entry.address = address;
  return entry;
}

template <typename Entry>
std::vector<Entry> latest_first(const std::unordered_map<std::string, Entry>& entries) {
  std::vector<Entry> list;
  for (const auto& [address, entry] : entries) list.push_back(entry);
  std::ranges::sort(list, std::ranges::greater(), &Entry::last);
  return list;
}

}  // namespace

bool HandshakeFailures::add(std::string_view address, std::string_view reason,
                            const std::string& certificate, base::WallTime now) {
  std::string cause = failure_cause(reason);
  const std::lock_guard lock(mutex_);
  if (!by_cause_.contains(cause) && by_cause_.size() >= kCausesLimit) cause = "other";
  ++by_cause_[cause];
  Client& client = entry_of(clients_, address, kClientsLimit);
  client.cause = cause;
  client.last = now;
  ++client.failures;
  if (!is_refusal(cause)) return false;
  client.refused = certificate;
  client.refused_at = now;
  const bool is_known = waiting_.contains(certificate) || waiting_.size() < kReportsLimit;
  Report& report = waiting_[is_known ? certificate : std::string()];
  report.certificate = is_known ? certificate : std::string();
  report.address = address;
  ++report.refusals[cause];
  return is_report_due(now);
}

bool HandshakeFailures::add_silent(std::string_view address, const std::string& certificate,
                                   base::WallTime now) {
  const std::lock_guard lock(mutex_);
  ++silent_connections_;
  Silent& client = entry_of(silent_, address, kClientsLimit);
  const bool is_new = client.connections == 0 || client.certificate != certificate;
  client.certificate = certificate;
  client.last = now;
  ++client.connections;
  return is_new && std::ranges::count_if(silent_, [&](const auto& each) {
                     return each.second.certificate == certificate;
                   }) == kEnoughSilent;
}

HandshakeFailures::Facts HandshakeFailures::facts() const {
  const std::lock_guard lock(mutex_);
  return {.by_cause = by_cause_,
          .clients = latest_first(clients_),
          .silent_connections = silent_connections_,
          .silent = latest_first(silent_)};
}

std::map<std::string, std::size_t> HandshakeFailures::refusing_clients(base::WallTime from) const {
  std::map<std::string, std::size_t> counts;
  const std::lock_guard lock(mutex_);
  for (const auto& [address, client] : clients_) {
    if (client.refused_at && *client.refused_at >= from) ++counts[client.refused];
  }
  return counts;
}

std::map<std::string, std::size_t> HandshakeFailures::silent_clients(base::WallTime from) const {
  std::map<std::string, std::size_t> counts;
  const std::lock_guard lock(mutex_);
  for (const auto& [address, client] : silent_) {
    if (client.last >= from) ++counts[client.certificate];
  }
  return counts;
}

bool HandshakeFailures::is_report_due(base::WallTime now) const {
  return !reported_at_ || now - *reported_at_ >= kReportPause || now < *reported_at_;
}

std::vector<HandshakeFailures::Report> HandshakeFailures::take_reports(base::WallTime now) {
  std::vector<Report> reports;
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() || !is_report_due(now)) return reports;
  reported_at_ = now;
  for (auto& [certificate, report] : waiting_) reports.push_back(std::move(report));
  waiting_.clear();
  return reports;
}

}  // namespace larder::node
