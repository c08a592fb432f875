// The authority's revocation lists, kept ready: made anew each day and whenever a certificate is
// revoked. Private to this folder.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "site/state.h"

namespace larder::site {

class RevocationLists {
 public:
  explicit RevocationLists(State& state) : state_(state) {}

  base::Status refresh(base::WallTime now);
  // Refreshes after a day, and when something was revoked; true when it did.
  base::Result<bool> refresh_if_due(base::WallTime now);
  // DER of the list of "<issuer id>"; nothing for an unknown issuer.
  std::optional<std::string> find(const std::string& issuer) const;

 private:
  State& state_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> lists_;  // guarded by mutex_
  base::WallTime made_at_;                    // guarded by mutex_
  std::int64_t made_for_ = -1;                // sequence, guarded by mutex_
};

}  // namespace larder::site
