#include "content/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "crypto/jws.h"

namespace larder::content {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kNameLimit = 128;
constexpr std::size_t kDigestSize = 32;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Status check_file(const ManifestFile& file) {
  if (!is_safe_name(file.name)) {
    return fail(ErrorCode::InvalidArgument, "a file's name is not acceptable");
  }
  if (file.size > kFileSizeLimit) {
    return fail(ErrorCode::InvalidArgument, file.name + ": larger than allowed");
  }
  if (!is_sha256(file.sha256)) {
    return fail(ErrorCode::InvalidArgument, file.name + ": malformed SHA-256");
  }
  if (file.pieces.size() != piece_count(file.size) * kDigestSize) {
    return fail(ErrorCode::InvalidArgument, file.name + ": the pieces do not match the size");
  }
  return {};
}

Json to_json(const Manifest& manifest) {
  Json files = Json::array();
  for (const auto& file : manifest.files) {
    files.push_back({{"name", file.name},
                     {"size", file.size},
                     {"sha256", file.sha256},
                     {"piece_size", kPieceSize},
                     {"pieces", base::to_base64url(base::as_bytes(file.pieces))}});
  }
  return {{"package", manifest.package},
          {"version", manifest.version},
          {"created_at", base::to_rfc3339(manifest.created_at)},
          {"files", std::move(files)}};
}

Result<ManifestFile> parse_file(const Json& object) {
  auto name = base::json_string(object, "name");
  if (!name) return std::unexpected(name.error());
  const auto size = base::json_integer(object, "size");
  if (!size) return std::unexpected(size.error());
  auto sha256 = base::json_string(object, "sha256");
  if (!sha256) return std::unexpected(sha256.error());
  const auto piece = base::json_integer(object, "piece_size");
  if (!piece) return std::unexpected(piece.error());
  const auto text = base::json_string(object, "pieces");
  if (!text) return std::unexpected(text.error());
  auto pieces = base::from_base64url(*text);
  if (!pieces) return std::unexpected(pieces.error());
  if (*size < 0 || *piece != static_cast<std::int64_t>(kPieceSize)) {
    return fail(ErrorCode::InvalidArgument, "a file has an impossible size");
  }
  return ManifestFile{.name = std::move(*name),
                      .size = static_cast<std::uint64_t>(*size),
                      .sha256 = std::move(*sha256),
                      .pieces = std::move(*pieces)};
}

Result<Manifest> parse_manifest(std::string_view payload) {
  const auto json = base::parse_json(payload, 4);
  if (!json) return std::unexpected(json.error());
  Manifest manifest;
  auto package = base::json_string(*json, "package");
  if (!package) return std::unexpected(package.error());
  auto version = base::json_string(*json, "version");
  if (!version) return std::unexpected(version.error());
  const auto text = base::json_string(*json, "created_at");
  if (!text) return std::unexpected(text.error());
  const auto created_at = base::parse_rfc3339(*text);
  if (!created_at) return std::unexpected(created_at.error());
  if (!json->contains("files") || !(*json)["files"].is_array() ||
      (*json)["files"].size() > kFileCountLimit) {
    return fail(ErrorCode::InvalidArgument, "\"files\" must be a list of acceptable length");
  }
  manifest.package = std::move(*package);
  manifest.version = std::move(*version);
  manifest.created_at = *created_at;
  for (const auto& object : (*json)["files"]) {
    auto file = parse_file(object);
    if (!file) return std::unexpected(file.error());
    manifest.files.push_back(std::move(*file));
  }
  LARDER_TRY(check(manifest));
  return manifest;
}

}  // namespace

std::uint64_t piece_count(std::uint64_t size) {
  return size / kPieceSize + (size % kPieceSize != 0 ? 1 : 0);
}

std::uint64_t piece_size(std::uint64_t size, std::uint64_t index) {
  return std::min(kPieceSize, size - index * kPieceSize);
}

const ManifestFile* Manifest::find(std::string_view name) const {
  for (const auto& file : files) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

std::uint64_t Manifest::total_size() const {
  std::uint64_t total = 0;
  for (const auto& file : files) total += file.size;
  return total;
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > kNameLimit) return false;
  if (!is_alphanumeric(name.front()) && name.front() != '_') return false;
  return std::ranges::all_of(name, [](char c) {
    return is_alphanumeric(c) || std::string_view("._+~-").find(c) != std::string_view::npos;
  });
}

bool is_sha256(std::string_view text) {
  return text.size() == 2 * kDigestSize && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Status check(const Manifest& manifest) {
  if (!is_safe_name(manifest.package) || !is_safe_name(manifest.version)) {
    return fail(ErrorCode::InvalidArgument, "the package's name or version is not acceptable");
  }
  if (manifest.files.empty() || manifest.files.size() > kFileCountLimit) {
    return fail(ErrorCode::InvalidArgument, "a package has 1 to 1000 files");
  }
  std::set<std::string> names;
  for (const auto& file : manifest.files) {
    LARDER_TRY(check_file(file));
    // Two names that differ in case only would be one file on some devices.
    if (!names.insert(base::to_lower(file.name)).second) {
      return fail(ErrorCode::InvalidArgument, file.name + ": the name occurs twice");
    }
  }
  return {};
}

Result<std::string> sign_manifest(const Manifest& manifest, const crypto::PrivateKey& key) {
  LARDER_TRY(check(manifest));
  auto key_id = key.public_key().thumbprint();
  if (!key_id) return std::unexpected(key_id.error());
  const crypto::JwsHeader header{.type = std::string(kManifestType), .key_id = std::move(*key_id)};
  auto text = crypto::sign_jws(header, to_json(manifest).dump(), key);
  if (text && text->size() > kManifestLimit) {
    return fail(ErrorCode::ResourceExhausted, "the package is too large for one manifest");
  }
  return text;
}

Result<Manifest> verify_manifest(std::string_view signed_text, const crypto::PublicKey& key) {
  const auto jws =
      crypto::parse_jws(signed_text, {.type = kManifestType, .size_limit = kManifestLimit});
  if (!jws) return std::unexpected(jws.error());
  LARDER_TRY(crypto::verify_jws(*jws, key));
  return parse_manifest(jws->payload);
}

std::string manifest_sha256(std::string_view signed_text) {
  return crypto::sha256_hex(signed_text);
}

}  // namespace larder::content
