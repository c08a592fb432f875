#include "node/setting_files.h"

#include <pwd.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "alerts/webhook.h"
#include "base/file.h"
#include "certs/certificate_folder.h"
#include "crypto/certificate.h"
#include "node/alert_settings.h"
#include "node/origin_pool_settings.h"
#include "node/signer_settings.h"

namespace larder::node {

namespace {

using base::ErrorCode;
using base::Status;

constexpr std::uint64_t kTrustLimit = 4 << 20;  // bytes
constexpr std::size_t kRootsLimit = 1000;       // as where they are used

// What some programs write beside certificates into their bundles is theirs to understand.
Status check_bundle(const std::string& setting, const std::string& file) {
  const auto text = base::read_file(file, kTrustLimit);
  if (!text) return base::with_context(setting, text.error());
  if (text->find("-----BEGIN ") != std::string::npos &&
      text->find("CERTIFICATE-----") != std::string::npos) {
    return {};
  }
  return base::fail(ErrorCode::InvalidArgument,
                    setting + ": " + file +
                        " holds no certificate in PEM form; one in DER form becomes one by "
                        "`openssl x509 -inform der`");
}

Status check_client_trust(const std::string& file) {
  const std::string setting = "[node] client_trust";
  LARDER_TRY(check_bundle(setting, file));
  const auto text = base::read_file(file, kTrustLimit);
  if (!text) return base::with_context(setting, text.error());
  if (const auto roots = crypto::parse_certificates(*text, kRootsLimit); !roots)
    return base::with_context(setting + ": " + file, roots.error());
  return {};
}

Status check_program(const std::string& path) {
  const auto wrong = [&](const std::string& what) {
    return base::fail(ErrorCode::FailedPrecondition, "[[node.signer]] command: " + path + what);
  };
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    // Somebody who may not look there cannot tell.
    if (errno == EACCES) return {};
    return wrong(std::string(": ") + std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return wrong(" is no program");
  if ((status.st_mode & 0111) == 0) return wrong(" is not executable; chmod 0755 it");
  return {};
}

Status check_user(const std::string& name) {
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  const int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return {};
  // A directory of users that does not answer now says nothing.
  if (error != 0 && error != ENOENT) return {};
  return base::fail(ErrorCode::FailedPrecondition,
                    "[[node.signer]] user: there is no user named " + name);
}

// Without a request of the administrator's the node makes one, for names that it must have.
Status check_names(const SignerSettings& signer, const NodeSettings& settings) {
  if (!settings.connection_names.empty()) return {};
  const certs::CertificateFolder folder(settings.state_dir + "/certificates",
                                        std::chrono::milliseconds(0));
  struct stat status{};
  const std::string request = folder.request_path(signer.certificate);
  if (::stat(request.c_str(), &status) == 0 || errno == EACCES) return {};
  return base::fail(ErrorCode::FailedPrecondition,
                    "[[node.signer]] " + signer.certificate +
                        ": nobody says for which names: set connection_names of [node], or make a "
                        "request with `larder cert request --name " +
                        signer.certificate + "`");
}

Status check_signer_files(const SignerSettings& signer, const NodeSettings& settings) {
  if (!signer.ca_file.empty()) {
    LARDER_TRY(check_bundle("[[node.signer]] ca_file", signer.ca_file));
  }
  if (!signer.external_key_file.empty()) {
    if (const auto key = read_external_key(signer.external_key_file); !key)
      return std::unexpected(key.error());
  }
  if (!signer.command.empty()) LARDER_TRY(check_program(signer.command.front()));
  if (!signer.user.empty()) LARDER_TRY(check_user(signer.user));
  return check_names(signer, settings);
}

}  // namespace

Status check_setting_files(const NodeSettings& settings) {
  for (const std::string& file : settings.client_trust) LARDER_TRY(check_client_trust(file));
  for (const OriginSettings& origin : settings.origins) {
    if (!origin.ca_file.empty()) LARDER_TRY(check_bundle("[[origin]] ca_file", origin.ca_file));
  }
  if (!settings.origin_ca_file.empty()) {
    LARDER_TRY(check_bundle("[node] origin_ca_file", settings.origin_ca_file));
  }
  for (const SignerSettings& signer : settings.signers) {
    LARDER_TRY(check_signer_files(signer, settings));
  }
  const alerts::WebhookSettings webhook = webhook_of(settings);
  if (!webhook.trust.empty()) {
    LARDER_TRY(check_bundle("[node] alert_webhook_trust", webhook.trust));
  }
  if (!webhook.secret.empty()) {
    if (const auto secret = alerts::read_webhook_secret(webhook.secret); !secret)
      return std::unexpected(secret.error());
  }
  if (const auto pool = origin_pool_settings(settings); !pool) return std::unexpected(pool.error());
  return {};
}

}  // namespace larder::node
