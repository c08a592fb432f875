// The calls of a device to its site (docs/protocol.md), and what it keeps of their answers. Private
// to this folder.
#pragma once

#include <string>
#include <string_view>

#include "agent/device.h"
#include "agent/site_session.h"

namespace larder::agent {

// Stores both over what was there from the same site.
base::Status store_registration(const std::string& folder, const Registration& registration,
                                std::string_view client_token);
base::Result<std::string> load_client_token(const std::string& folder);
// Before the registration at another site is stored: parts of two must never be read as one.
base::Status forget_registration(const std::string& folder);

// Redeems a registration secret for the session's key.
struct IssuedToken {
  std::string client_id;  // empty in answers that do not name it
  std::string text;       // secret
  std::chrono::seconds lifetime{0};
};
base::Result<IssuedToken> request_registration(SiteSession& session, std::string_view secret,
                                               std::string_view name, std::string_view hardware_id);

// From a third of its life on, a client token is renewed when the device talks to its site anyway.
bool is_renewal_due(const Registration& registration, base::WallTime now);

// The client token to use now: renewed and stored when that is due. A renewal that fails is no
// failure as long as the old token lasts. Unauthenticated when it is over.
base::Result<std::string> current_client_token(SiteSession& session, const std::string& folder,
                                               Registration& registration, base::WallTime now);

// A content token bound to the device's certificate.
base::Result<IssuedToken> request_content_token(SiteSession& session,
                                                std::string_view certificate_der);

}  // namespace larder::agent
