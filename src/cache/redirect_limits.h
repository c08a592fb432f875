// What redirects that were followed allow of the answer at their end. It is kept under the address
// that was asked for, and is only as good there as each redirect on the way (RFC 9111 sections 3
// and 4): the least lifetime and the strictest directives of all of them count.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "http/response_head.h"

namespace larder::cache {

class RedirectLimits {
 public:
  // A redirect that is followed.
  void add(const http::ResponseHead& redirect, base::WallTime now);
  bool has_any() const { return has_any_; }
  // Rewrites what the answer says about its use in caches, for this one and for those of clients.
  // `authorized`: the request had Authorization.
  void narrow(http::ResponseHead& answer, bool authorized, base::WallTime now) const;

 private:
  bool has_any_ = false;
  bool no_store_ = false;
  bool is_private_ = false;
  bool no_cache_ = false;
  bool must_revalidate_ = false;
  bool answers_authorization_ = true;  // every redirect may be shared although it was authorized
  // What is left of the shortest lifetime, and of how long each may be used beyond.
  std::chrono::seconds left_ = std::chrono::seconds::max();
  std::chrono::seconds stale_while_revalidate_ = std::chrono::seconds::max();
  std::chrono::seconds stale_if_error_ = std::chrono::seconds::max();
  std::vector<std::string> vary_;
};

}  // namespace larder::cache
