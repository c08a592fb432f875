// Proof of possession of a key, request by request (DPoP, RFC 9449). The device makes proofs, the
// site verifies them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/digest.h"
#include "crypto/key.h"

namespace larder::token {

// The request that a proof is for.
struct DpopRequest {
  std::string_view method;  // "POST"
  // The full address without user information. Query and fragment do not count (RFC 9449 section
  // 4.2). The site takes it from its settings, never from the Host field.
  std::string_view url;
  std::string_view access_token = {};  // sent along with the proof; empty: none
};

// ES256 with the device's EC P-256 key. `nonce` is what the site gave last; empty before the first
// answer.
base::Result<std::string> make_dpop_proof(const crypto::PrivateKey& key, const DpopRequest& request,
                                          std::string_view nonce, base::WallTime now);

enum class DpopRefusal {
  Malformed,     // not a proof: form, type, algorithm, key or a claim
  UseNonce,      // without a nonce of this process, or with an old one: answer with nonce()
  BadSignature,  // not made by the key inside it
  WrongMethod,
  WrongUrl,
  WrongTime,   // `iat` is too far from our clock
  WrongToken,  // made for another access token, or for none, or a token is missing
  Replayed,    // this very proof was used before
  Busy,        // the memory for used proofs is full: refused rather than forgotten (503)
};

std::string_view name(DpopRefusal refusal);         // "use_nonce": for logs and metrics
std::string_view description(DpopRefusal refusal);  // one public sentence

struct DpopProof {
  crypto::PublicKey key;
  std::string key_thumbprint;  // RFC 7638
};

// Verifies proofs for one process of a site. Thread-safe.
//
// A nonce is an HMAC of the current minute under a secret that dies with the process: it needs no
// memory, and a proof made for this process is void at every other. Minutes are counted by the
// steady clock, so that a wall clock set back does not bring old nonces to life. Used proofs are
// remembered for as long as their nonce is accepted.
class DpopVerifier {
 public:
  explicit DpopVerifier(std::size_t replay_capacity = 1 << 18);

  // For the field DPoP-Nonce; good for one to two minutes.
  std::string nonce(base::SteadyTime now) const;

  // Cheap checks come first; only a proof that is right in everything is remembered as used.
  std::expected<DpopProof, DpopRefusal> verify(std::string_view proof, const DpopRequest& request,
                                               base::WallTime now, base::SteadyTime steady_now);

 private:
  using ProofId = std::array<std::uint8_t, 16>;
  struct ProofIdHash {
    std::size_t operator()(const ProofId& id) const;
  };

  std::string nonce_of(std::int64_t minute) const;
  std::expected<void, DpopRefusal> remember(const ProofId& id, std::int64_t minute);

  const std::size_t replay_capacity_;
  std::array<std::uint8_t, 32> secret_{};

  std::mutex mutex_;
  // Guarded by mutex_.
  std::int64_t minute_ = 0;
  std::unordered_set<ProofId, ProofIdHash> this_minute_;
  std::unordered_set<ProofId, ProofIdHash> last_minute_;
};

}  // namespace larder::token
