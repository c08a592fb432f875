// JSON Web Signatures in compact form (RFC 7515), no more of them than Larder needs: ES256 to sign;
// ES256, RS256 and PS256 to verify, each only where the caller allows it.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "crypto/key.h"

namespace larder::crypto {

enum class JwsAlgorithm { Es256, Rs256, Ps256 };

std::string_view name(JwsAlgorithm algorithm);  // "ES256"

// What a reader accepts. There is no way to accept `none`, a `crit` header, or an algorithm by the
// word of the message alone.
struct JwsRules {
  bool allow_es256 = true;
  bool allow_rs256 = false;
  bool allow_ps256 = false;
  // Required `typ`, compared without case and without the prefix "application/" (RFC 7515 section
  // 4.1.9); empty accepts any.
  std::string_view type = {};
  std::size_t size_limit = 16 * 1024;  // of the whole text, bytes
};

// A message taken apart; nothing in it is true before verify_jws. The payload is the bytes that
// were signed; parse it with base::parse_json afterwards.
struct Jws {
  JwsAlgorithm algorithm = JwsAlgorithm::Es256;
  std::string key_id;        // `kid`; empty when absent
  std::string type;          // `typ`; empty when absent
  std::string embedded_jwk;  // `jwk` as JSON text; empty when absent
  std::string payload;
  std::string signing_input;
  std::string signature;
};

base::Result<Jws> parse_jws(std::string_view text, const JwsRules& rules);

// Unauthenticated when the signature is not the key's, or the key is not of the algorithm's kind.
base::Status verify_jws(const Jws& jws, const PublicKey& key);

struct JwsHeader {
  std::string type = {};    // `typ`
  std::string key_id = {};  // `kid`; left out when empty
  bool embed_key = false;   // puts the public key into `jwk`
  std::string nonce = {};   // `nonce` and `url` of RFC 8555; left out when empty
  std::string url = {};
};

// ES256 with an EC P-256 key.
base::Result<std::string> sign_jws(const JwsHeader& header, std::string_view payload,
                                   const PrivateKey& key);
// HS256 with a shared secret, for the external account binding of RFC 8555 section 7.3.4. Nothing
// here verifies it.
std::string sign_jws_hmac(const JwsHeader& header, std::string_view payload,
                          std::string_view secret);

}  // namespace larder::crypto
