// Requests of a device to its site that prove possession of the device's key (DPoP, RFC 9449).
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "client/exchange.h"
#include "crypto/key.h"

namespace larder::agent {

struct SiteAddress {
  std::string url;       // https, without a slash at the end
  std::string root_pem;  // the only trust
};

// One thread at a time. Keeps the nonce that the site gave last.
class SiteSession {
 public:
  // `clock` must outlive the session.
  SiteSession(client::HttpExchange exchange, SiteAddress site, crypto::PrivateKey key,
              const base::Clock& clock);

  // POSTs with a proof; once more when the site asks for another nonce. The body of a 2xx answer.
  // Otherwise an error with the site's own sentence: Unauthenticated for 401, PermissionDenied for
  // 403, NotFound for 404, InvalidArgument for other 4xx, Unavailable for the rest.
  base::Result<std::string> post(std::string_view path, std::string_view content_type,
                                 std::string body, std::string_view access_token = {});

 private:
  base::Result<client::HttpResponse> attempt(const std::string& url, std::string_view content_type,
                                             const std::string& body,
                                             std::string_view access_token);

  client::HttpExchange exchange_;
  SiteAddress site_;
  crypto::PrivateKey key_;
  const base::Clock& clock_;
  std::string nonce_;
};

}  // namespace larder::agent
