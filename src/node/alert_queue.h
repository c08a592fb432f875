// What has been told to the administrator and what is still to be delivered to the webhook, kept in
// <state_dir>/alerts.json so that a restart neither repeats nor loses anything. For one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "certs/expiry_alerts.h"

namespace larder::node {

struct Alert {
  std::string id;  // random: a receiver may get one twice
  base::WallTime at;
  std::string kind;  // "certificate-expires", "certificate-expired", "certificate-revoked", ...
  std::string text;  // a sentence
  std::string certificate;  // SHA-256; empty when it is not about one
  unsigned attempts = 0;    // to deliver
  base::WallTime next_attempt;
};

// After `attempts` that failed; doubles from 2 s to an hour.
std::chrono::seconds retry_pause(unsigned attempts);

class AlertQueue {
 public:
  static constexpr std::size_t kLimit = 64;
  static constexpr unsigned kAttemptsLimit = 20;  // about half a day

  // With nothing in it; what was in the file goes with the next save.
  explicit AlertQueue(std::string path) : path_(std::move(path)) {}
  // What the file says; nothing when there is none. DataLoss when it cannot be understood.
  static base::Result<AlertQueue> open(std::string path);

  certs::ToldStages told;         // of expiry
  std::set<std::string> revoked;  // told to be revoked

  // The oldest goes when there are too many.
  void add(Alert alert);
  const std::vector<Alert>& waiting() const { return waiting_; }
  // The alert to deliver now; null when none is due.
  const Alert* due(base::WallTime now) const;
  void delivered(const std::string& id);
  // Tries again later; false when it was given up.
  bool failed(const std::string& id, base::WallTime now);
  // Nobody is to be told any more.
  void forget() { waiting_.clear(); }

  // Writes the file when something has changed since.
  base::Status save();

 private:
  std::string print() const;

  std::string path_;
  std::string saved_;
  std::vector<Alert> waiting_;
};

}  // namespace larder::node
