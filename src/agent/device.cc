#include "agent/device.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/registration.h"
#include "base/file.h"
#include "base/json.h"
#include "crypto/certificate.h"
#include "crypto/issue.h"

namespace larder::agent {

using base::ErrorCode;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kFileLimit = 256 << 10;
constexpr std::chrono::hours kDay{24};
// The certificate is only a vessel for the key: what ends is the token that is bound to it.
constexpr std::chrono::hours kCertificateLife = 3650 * kDay;

Result<std::optional<std::string>> read_if_there(const std::string& path) {
  auto content = base::read_file(path, kFileLimit);
  if (content) return std::optional(std::move(*content));
  if (content.error().code == ErrorCode::NotFound) return std::nullopt;
  return std::unexpected(content.error());
}

// The certificate of the file when it is there, is the key's, and lasts.
std::optional<crypto::Certificate> usable_certificate(const std::string& path,
                                                      const crypto::PrivateKey& key,
                                                      base::WallTime now) {
  const auto pem = read_if_there(path);
  if (!pem || !*pem) return std::nullopt;
  const auto certificate = crypto::Certificate::from_pem(**pem);
  if (!certificate || !certificate->matches(key)) return std::nullopt;
  if (now < certificate->not_before() || now + kDay > certificate->not_after()) return std::nullopt;
  return *certificate;
}

Result<Device> device_of(std::string folder, crypto::PrivateKey key,
                         const crypto::Certificate& certificate) {
  auto pem = key.to_pem();
  if (!pem) return std::unexpected(pem.error());
  return Device{.folder = std::move(folder),
                .key = std::move(key),
                .key_pem = std::move(*pem),
                .certificate_pem = certificate.to_pem(),
                .certificate_der = certificate.to_der()};
}

Result<base::WallTime> json_time(const base::Json& json, const char* name) {
  const auto text = base::json_string(json, name);
  if (!text) return std::unexpected(text.error());
  return base::parse_rfc3339(*text);
}

}  // namespace

Result<Device> open_device(const std::string& folder, base::WallTime now) {
  LARDER_TRY(base::make_directories(folder, 0700));
  const auto path = folder + "/device.pem";
  if (auto key = crypto::PrivateKey::load(folder + "/device.key")) {
    const auto certificate = usable_certificate(path, *key, now);
    if (certificate) return device_of(folder, std::move(*key), *certificate);
  } else if (key.error().code != ErrorCode::NotFound) {
    return std::unexpected(key.error());
  }
  const auto lock = base::lock_file(folder + "/device.lock", "the device folder " + folder);
  if (!lock) return std::unexpected(lock.error());
  auto key = crypto::load_or_create_key(folder + "/device.key", crypto::KeyAlgorithm::EcP256);
  if (!key) return std::unexpected(key.error());
  auto certificate = usable_certificate(path, *key, now);
  if (!certificate) {
    // A day earlier: a node's clock may be behind.
    auto made =
        crypto::make_client_certificate(*key, "larder-device", now - kDay, now + kCertificateLife);
    if (!made) return std::unexpected(made.error());
    LARDER_TRY(base::write_file_atomically(path, made->to_pem(), 0600));
    certificate = std::move(*made);
  }
  return device_of(folder, std::move(*key), *certificate);
}

Result<std::optional<Registration>> load_registration(const std::string& folder) {
  const auto path = folder + "/registration.json";
  const auto text = read_if_there(path);
  if (!text) return std::unexpected(text.error());
  if (!*text) return std::nullopt;
  const auto json = base::parse_json(**text);
  if (!json) return base::with_context(path, json.error());
  Registration registration;
  const std::pair<const char*, std::string*> texts[] = {{"site_url", &registration.site_url},
                                                        {"root", &registration.root_pem},
                                                        {"client_id", &registration.client_id},
                                                        {"name", &registration.name}};
  for (const auto& [name, target] : texts) {
    auto value = base::json_string(*json, name);
    if (!value) return base::with_context(path, value.error());
    *target = std::move(*value);
  }
  const std::pair<const char*, base::WallTime*> times[] = {
      {"registered_at", &registration.registered_at},
      {"token_issued_at", &registration.token_issued_at},
      {"token_expires_at", &registration.token_expires_at}};
  for (const auto& [name, target] : times) {
    const auto value = json_time(*json, name);
    if (!value) return base::with_context(path, value.error());
    *target = *value;
  }
  return std::optional(std::move(registration));
}

Status store_registration(const std::string& folder, const Registration& registration,
                          std::string_view client_token) {
  // The token first: with old dates it is renewed early, a new date on an old token would lie.
  LARDER_TRY(base::write_file_atomically(folder + "/client.token", client_token, 0600));
  const base::Json json = {{"site_url", registration.site_url},
                           {"root", registration.root_pem},
                           {"client_id", registration.client_id},
                           {"name", registration.name},
                           {"registered_at", base::to_rfc3339(registration.registered_at)},
                           {"token_issued_at", base::to_rfc3339(registration.token_issued_at)},
                           {"token_expires_at", base::to_rfc3339(registration.token_expires_at)}};
  return base::write_file_atomically(folder + "/registration.json", json.dump(2) + "\n", 0600);
}

Status forget_registration(const std::string& folder) {
  for (const auto* name : {"/registration.json", "/client.token"}) {
    const auto path = folder + name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return base::fail_errno("cannot remove " + path, errno);
    }
  }
  return {};
}

Result<std::string> load_client_token(const std::string& folder) {
  return base::read_file(folder + "/client.token", kFileLimit);
}

}  // namespace larder::agent
