// Where origins' redirects led lately and what was decided on each, by the key of the object that
// was asked for: for whoever asks why an answer came from elsewhere, or did not. Bounded: of kMost
// keys, the latest. Thread-safe.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cache/recent_keys.h"
#include "store/object.h"

namespace larder::node {

struct RedirectHop {
  int status = 0;
  std::string to;  // without values of the query: signed URLs are secrets
  bool is_followed = false;
  std::string_view reason;  // static text
};

// Of one fetch.
struct RedirectTrail {
  base::WallTime at{};
  std::vector<RedirectHop> hops;  // in their order; only the last one may not have been followed
  std::string failure;            // why there was no answer at the end; empty: there was one
};

class RedirectTrails {
 public:
  static constexpr std::size_t kMost = 1024;
  // A trail without hops forgets what was known: there is no redirect any more.
  void note(const store::Key& key, const RedirectTrail& trail);
  std::optional<RedirectTrail> find(const store::Key& key) const;

 private:
  mutable std::mutex mutex_;
  cache::RecentKeys<RedirectTrail> latest_{kMost};  // guarded by mutex_
};

// "https://host/path?...", of at most 512 bytes.
std::string redirect_text(bool https, std::string_view authority, std::string_view target);

}  // namespace larder::node
