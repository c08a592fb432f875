// How a node becomes part of the site: a join token with names that the administrator fixed,
// redeemed once for a key. Private to this folder.
#pragma once

#include <string>
#include <string_view>

#include "authority/signing.h"
#include "site/state.h"

namespace larder::site {

inline constexpr std::chrono::hours kJoinTokenLifetime{1};

struct NewToken {
  std::string id;
  std::string text;  // secret: shown once, never logged
  base::WallTime expires_at;
};

// A token for the node of that name, existing or not; it replaces an earlier unspent one.
// PermissionDenied for names that the authority may not vouch for, AlreadyExists for a DNS name of
// another node.
base::Result<NewToken> create_join_token(State& state, const std::string& actor,
                                         const std::string& node_name,
                                         const crypto::AlternativeNames& names);

struct Joined {
  Node node;
  std::string chain;  // PEM of the identity certificate and its issuer
};
// `secret` is the secret of a join token, `request_pem` a request by the node's identity key.
base::Result<Joined> join(State& state, std::string_view secret, std::string_view request_pem);

// The role certificate of a joined node for a key of its own; only while the mode is enhanced.
// `http_port` is where the node answers for the certificate's revocation list.
base::Result<authority::SigningAnswer> sign_role(State& state, const Node& node,
                                                 std::string_view request_pem,
                                                 std::uint16_t http_port);

// A new identity certificate for a joined node that holds `current` (DER), for the key of that one:
// PermissionDenied when the request is by another key.
base::Result<authority::SigningAnswer> renew_identity(State& state, const Node& node,
                                                      std::string_view current,
                                                      std::string_view request_pem);

// "<prefix><base64url(JSON)>" with a fresh secret, and the hash that is stored instead of it.
struct Secret {
  std::string text;
  std::string hash;
};
base::Result<Secret> make_secret(const State& state, std::string_view prefix);
std::string hash_of_secret(std::string_view secret);

}  // namespace larder::site
