// What has been told to the administrator and what is still to be delivered to the webhook, kept in
// a file so that a restart neither repeats nor loses anything. For one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace larder::alerts {

struct Alert {
  std::string id;  // random: a receiver may get one twice
  base::WallTime at;
  std::string kind;                            // "certificate-expires", "drive-failing", ...
  std::string text;                            // a sentence
  std::map<std::string, std::string> about{};  // like "certificate" and its SHA-256
  unsigned attempts = 0;                       // to deliver
  base::WallTime next_attempt;
};

// What a source of alerts has told: of whom, and what. The words are the source's own.
using Told = std::map<std::string, std::string>;

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

  std::map<std::string, Told, std::less<>> told;  // by source

  // The oldest goes when there are too many, and is returned.
  [[nodiscard]] std::optional<Alert> add(Alert alert);
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

}  // namespace larder::alerts
