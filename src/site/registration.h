// How a device becomes a client: a registration token and a proof by its key. Private to this
// folder.
#pragma once

#include <chrono>
#include <string>

#include "site/join.h"
#include "site/state.h"

namespace larder::site {

inline constexpr std::chrono::hours kRegistrationTokenLifetime{3 * 24};
inline constexpr std::chrono::hours kRegistrationTokenLimit{7 * 24};
inline constexpr std::int64_t kRegistrationUsesLimit = 1'000'000;

base::Result<NewToken> create_registration_token(State& state, const std::string& actor,
                                                 std::chrono::seconds lifetime, std::int64_t uses);

struct Registration {
  std::string secret;
  std::string thumbprint;  // of the key that the DPoP proof proved
  std::string name;
  std::string hardware_id;
};
// The client of that key, new or known. Only a new client uses the token up by one.
// Unauthenticated for a bad token, PermissionDenied for a blocked client.
base::Result<Client> register_client(State& state, const Registration& registration);

// NotFound when there is no such client; nothing happens when it is so already.
base::Status set_blocked(State& state, const std::string& actor, const std::string& client_id,
                         bool blocked);

}  // namespace larder::site
