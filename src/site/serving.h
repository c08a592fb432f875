// The site's own certificate for its device listener, issued by its own authority under the same
// rules as a node's. Private to this folder.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "site/state.h"

namespace larder::site {

struct ServingCertificate {
  std::string key;    // PEM; secret
  std::string chain;  // PEM, leaf first
  base::WallTime not_before;
  base::WallTime not_after;
};

class Serving {
 public:
  explicit Serving(State& state) : state_(state) {}

  // The certificate of the last start when it is good for a while, else a new one.
  base::Status load(base::WallTime now);
  // Renews at two thirds of its life; true when it did.
  base::Result<bool> renew_if_due(base::WallTime now);
  ServingCertificate current() const;

 private:
  base::Status issue(base::WallTime now);
  base::Status adopt(std::string chain);
  std::string chain_path() const { return state_.settings.state_dir + "/serving.crt"; }

  State& state_;
  std::string key_pem_;
  mutable std::mutex mutex_;
  ServingCertificate current_;  // guarded by mutex_
};

}  // namespace larder::site
