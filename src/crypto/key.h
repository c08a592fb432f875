// Key pairs: made here, kept in 0600 files, never printed.
//
// PrivateKey and PublicKey are immutable values over OpenSSL's reference-counted key: cheap to copy
// and safe to use from several threads. PrivateKey has no print operator on purpose.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "crypto/handles.h"

namespace larder::crypto {

// What PrivateKey::generate can make.
enum class KeyAlgorithm { Rsa2048, Rsa3072, Rsa4096, EcP256, EcP384, Ed25519, Ed448 };

// "rsa" with "2048", "3072", "4096" (default 2048); "ec" with "p256", "p384" and the usual other
// spellings, "secp256r1", "P-256", "prime256v1", "secp384r1", "P-384" (default P-256); "ed25519";
// "ed448". Case does not matter.
base::Result<KeyAlgorithm> parse_key_algorithm(std::string_view algorithm,
                                               std::string_view size_or_curve = {});
// "RSA 2048", "EC P-256", "Ed25519", ...
std::string_view name(KeyAlgorithm algorithm);

enum class KeyType { Rsa, EcP256, EcP384, Ed25519, Ed448, Other };

class PublicKey {
 public:
  explicit PublicKey(SharedKey key) : key_(std::move(key)) {}

  // SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
  static base::Result<PublicKey> from_spki_der(std::span<const std::uint8_t> der);
  // One JWK (RFC 7517) as JSON text: EC P-256, EC P-384 or RSA of 2048 to 8192 bits. A JWK with a
  // private member is refused.
  static base::Result<PublicKey> from_jwk(std::string_view json);

  base::Result<std::string> to_spki_der() const;
  // The required members only, in the order and form of RFC 7638 section 3.3. InvalidArgument for
  // key types without a JWK here (Ed25519, Ed448).
  base::Result<std::string> to_jwk() const;
  // RFC 7638: base64url of the SHA-256 of to_jwk().
  base::Result<std::string> thumbprint() const;

  KeyType type() const;
  int bits() const;
  // Comparable over algorithms: RSA 2048 is 112, P-256 is 128.
  int security_bits() const;
  std::string description() const;  // "RSA 2048", "EC P-256"

  friend bool operator==(const PublicKey& a, const PublicKey& b);

  EVP_PKEY* native() const { return key_.get(); }

 private:
  SharedKey key_;
};

class PrivateKey {
 public:
  static base::Result<PrivateKey> generate(KeyAlgorithm algorithm);
  // An unencrypted PEM key (PKCS#8 or the older forms).
  static base::Result<PrivateKey> from_pem(std::string_view pem);
  // From a file that only its owner can read: PermissionDenied otherwise, with the command that
  // mends it. Symbolic links are refused.
  static base::Result<PrivateKey> load(const std::string& path);

  // PKCS#8, unencrypted: for create_file and for tests. The caller owns a secret.
  base::Result<std::string> to_pem() const;
  // Writes the key to a new file with mode 0600 from the first byte; after a crash the file is
  // whole or absent. AlreadyExists when something is at the path.
  base::Status create_file(const std::string& path) const;

  const PublicKey& public_key() const { return public_key_; }

  EVP_PKEY* native() const { return public_key_.native(); }

 private:
  explicit PrivateKey(SharedKey key) : public_key_(std::move(key)) {}

  PublicKey public_key_;  // OpenSSL keeps both halves in one object
};

// The key of a file, made and written first when there is none: for the keys of a site or agent
// that are born at first start.
base::Result<PrivateKey> load_or_create_key(const std::string& path, KeyAlgorithm algorithm);

}  // namespace larder::crypto
