// The caps on what comes from origins, by origin and for all, with the settings in force.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cache/origin.h"
#include "client/rate_limit.h"
#include "node/settings.h"

namespace larder::node {

// Thread-safe.
class UpstreamCaps {
 public:
  explicit UpstreamCaps(const NodeSettings& settings) { apply(settings); }

  // Counts for transfers under way too.
  void apply(const NodeSettings& settings);

  // The caps of a transfer from that origin (null: of none), empty when there are none.
  using Limits = std::vector<std::shared_ptr<client::RateLimit>>;
  Limits limits_of(const OriginSettings* origin) const;

  // cache::Origin::admit.
  cache::Origin::Permit admit(const OriginSettings* origin, bool must) const;
  // cache::Origin::has_room.
  bool has_room(const OriginSettings* origin) const;

 private:
  mutable std::mutex mutex_;  // guards what follows
  // By the origin's name; "" is all. A cap that was lifted stays, without a limit.
  std::map<std::string, std::shared_ptr<client::RateLimit>> limits_;
};

}  // namespace larder::node
