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

bool HandshakeFailures::add(std::string_view address, std::string_view reason, base::WallTime now) {
  std::string cause = failure_cause(reason);
  const std::lock_guard lock(mutex_);
  auto counted = by_cause_.find(cause);
  if (counted == by_cause_.end() && by_cause_.size() >= kCausesLimit) cause = "other";
  ++by_cause_[cause];
  auto found = clients_.find(std::string(address));
  if (found == clients_.end()) {
    if (clients_.size() >= kClientsLimit) {
      clients_.erase(std::ranges::min_element(clients_, {},
                                              [](const auto& entry) { return entry.second.last; }));
    }
    found = clients_.emplace(std::string(address), Client{std::string(address), {}, 0, now}).first;
  }
  found->second.cause = cause;
  found->second.last = now;
  ++found->second.failures;
  if (!is_refusal(cause)) return false;
  ++waiting_.refusals;
  waiting_.cause = std::move(cause);
  waiting_.address = address;
  return !reported_at_ || now - *reported_at_ >= kReportPause || now < *reported_at_;
}

HandshakeFailures::Facts HandshakeFailures::facts() const {
  Facts facts;
  const std::lock_guard lock(mutex_);
  facts.by_cause = by_cause_;
  for (const auto& [address, client] : clients_) facts.clients.push_back(client);
  std::ranges::sort(facts.clients, std::ranges::greater(), &Client::last);
  return facts;
}

std::size_t HandshakeFailures::refusing_clients(base::WallTime from) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(clients_, [&](const auto& entry) {
    return entry.second.last >= from && is_refusal(entry.second.cause);
  }));
}

std::optional<HandshakeFailures::Report> HandshakeFailures::take_report(base::WallTime now) {
  const std::lock_guard lock(mutex_);
  if (waiting_.refusals == 0) return std::nullopt;
  if (reported_at_ && now >= *reported_at_ && now - *reported_at_ < kReportPause) {
    return std::nullopt;
  }
  reported_at_ = now;
  return std::exchange(waiting_, {});
}

}  // namespace larder::node
