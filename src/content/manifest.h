// Packages: named, versioned sets of files, described by a manifest that the site signs
// (docs/protocol.md, "Manifest"). Values and pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/key.h"

namespace larder::content {

inline constexpr std::uint64_t kPieceSize = 1 << 20;         // bytes
inline constexpr std::uint64_t kFileSizeLimit = 1ULL << 40;  // bytes
inline constexpr std::size_t kFileCountLimit = 1000;         // of one package
inline constexpr std::size_t kManifestLimit = 1 << 20;       // bytes of the signed text
inline constexpr std::string_view kManifestType = "larder-manifest+jwt";

// One file: its size, its SHA-256, and the SHA-256 of each piece, so that a reader can check bytes
// as they arrive and fetch a wrong piece alone again.
struct ManifestFile {
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;  // 64 lower-case hexadecimal digits
  std::string pieces;  // 32 bytes for each piece of kPieceSize bytes; the last piece may be shorter
};

// Number of pieces of a file of that size; an empty file has none.
std::uint64_t piece_count(std::uint64_t size);
// Size in bytes of piece `index` of a file of `size` bytes.
std::uint64_t piece_size(std::uint64_t size, std::uint64_t index);

struct Manifest {
  std::string package;
  std::string version;
  base::WallTime created_at;
  std::vector<ManifestFile> files;  // names differ, ignoring case

  const ManifestFile* find(std::string_view name) const;  // null when absent; valid with *this
  std::uint64_t total_size() const;                       // bytes
};

// Whether `name` may name a package, a version or a file: 1 to 128 letters, digits and "._+~-",
// beginning with a letter, digit or underscore. Such a name is one path segment everywhere, needs
// no escaping in a URL, and cannot leave a folder.
bool is_safe_name(std::string_view name);
// Whether `text` is 64 lower-case hexadecimal digits.
bool is_sha256(std::string_view text);

// InvalidArgument unless all names, sizes, counts and digests have their form and the names differ.
base::Status check(const Manifest& manifest);

// The signed text (JWS, ES256). `key` is the site's manifest key. ResourceExhausted when the text
// would be longer than kManifestLimit.
base::Result<std::string> sign_manifest(const Manifest& manifest, const crypto::PrivateKey& key);
// The content of a signed text. Unauthenticated when the signature or type is wrong,
// InvalidArgument when the content is.
base::Result<Manifest> verify_manifest(std::string_view signed_text, const crypto::PublicKey& key);

// Hexadecimal SHA-256 of the signed text, byte for byte: `manifest_sha256` of a location answer.
std::string manifest_sha256(std::string_view signed_text);

}  // namespace larder::content
