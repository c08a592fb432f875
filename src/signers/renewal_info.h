// When an ACME server wants a certificate renewed (RFC 9773). Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "certs/renewal.h"
#include "crypto/certificate.h"

namespace larder::signers {

// The window of the server's answer; its other members are not needed.
base::Result<certs::RenewalWindow> parse_renewal_info(std::string_view json);

// By what the server knows a certificate: key identifier of the issuer and serial number. Nothing
// when the certificate does not name its issuer's key.
std::optional<std::string> renewal_info_id(const crypto::Certificate& certificate);

// The place of the answer below the directory's URL.
std::string renewal_info_url(std::string_view base_url, std::string_view id);

// How long until the next look: what Retry-After says, from a minute to a day; else six hours.
std::chrono::seconds until_next_look(std::optional<std::chrono::seconds> retry_after);

}  // namespace larder::signers
