// Who turns a request into a certificate without a person in between. Implementations live with
// what they talk to: the site's authority, an ACME directory, a command of the administrator.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "certs/renewal.h"
#include "crypto/certificate.h"

namespace larder::certs {

// What whoever signs says about the time of a renewal.
struct RenewalAdvice {
  std::optional<RenewalWindow> window;  // none: nothing
  std::chrono::seconds look_again = std::chrono::hours(24);
};

class Signer {
 public:
  virtual ~Signer() = default;

  // "site", "acme": for records and logs.
  virtual std::string_view name() const = 0;
  // The PEM chain, leaf first, for a PEM request. Blocks; bounded by the implementation's own
  // deadline. What it returns is checked like any imported file.
  virtual base::Result<std::string> sign(std::string_view request_pem) = 0;
  // What `sign` returned was imported, or never will be: what was kept to get it once more may go.
  virtual void settle() {}
  // When a certificate that it signed should be renewed. Blocks, for a minute at most.
  virtual base::Result<RenewalAdvice> advise(const crypto::Certificate& /*leaf*/) {
    return RenewalAdvice{};
  }
  // After a failure: how long whoever signs wants to be left alone; 0 when nothing was said.
  virtual std::chrono::seconds asked_to_wait() const { return std::chrono::seconds(0); }
};

}  // namespace larder::certs
