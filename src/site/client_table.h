// What the site knows of its clients, in memory: tokens are given out without a look into the
// database. Changes go to the database first and then here. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace larder::site {

struct Client {
  std::string id;
  std::string thumbprint;  // of the registered key (RFC 7638)
  std::string name;
  std::string hardware_id;  // empty: not told
  bool conflict = false;    // its hardware id was registered with another key before
  std::int64_t registered_at = 0;
  std::int64_t blocked_at = 0;  // 0: active
  std::int64_t last_seen = 0;   // 0: not since the site started

  bool blocked() const { return blocked_at != 0; }
};

class ClientTable {
 public:
  std::optional<Client> find_by_key(const std::string& thumbprint) const;
  std::optional<Client> find(const std::string& id) const;
  void put(Client client);
  void seen(const std::string& thumbprint, base::WallTime now);

  struct Summary {
    std::size_t total = 0;
    std::size_t blocked = 0;
    std::vector<Client> newest;
  };
  Summary summary(std::size_t limit) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Client> by_key_;      // guarded by mutex_
  std::unordered_map<std::string, std::string> by_id_;  // id to thumbprint, guarded by mutex_
};

}  // namespace larder::site
