#include "authority/authority.h"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"

namespace larder::authority {
namespace {

constexpr std::uint64_t kFileLimit = 64 * 1024;
constexpr int kIssuerLimit = 100;

bool exists(const std::string& path) {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) == 0;
}

// A certificate and its key from two files, made by `make` when the certificate is not there yet.
// The key is written first: a crash in between leaves a key without certificate, which is used.
template <typename Make>
base::Result<std::pair<crypto::Certificate, crypto::PrivateKey>> load_or_create(
    const std::string& stem, Make make) {
  if (exists(stem + ".crt") && !exists(stem + ".key")) {
    return base::fail(base::ErrorCode::FailedPrecondition,
                      stem + ".crt is there, its key is not: restore it from the backup");
  }
  auto key = crypto::load_or_create_key(stem + ".key", crypto::KeyAlgorithm::EcP256);
  if (!key) return std::unexpected(key.error());
  if (!exists(stem + ".crt")) {
    base::Result<crypto::Certificate> made = make(*key);
    if (!made) return std::unexpected(made.error());
    LARDER_TRY(base::write_file_atomically(stem + ".crt", made->to_pem(), 0644));
  }
  const auto pem = base::read_file(stem + ".crt", kFileLimit);
  if (!pem) return std::unexpected(pem.error());
  auto certificate = crypto::Certificate::from_pem(*pem);
  if (!certificate) return base::with_context(stem + ".crt", certificate.error());
  if (!certificate->matches(*key)) {
    return base::fail(base::ErrorCode::FailedPrecondition,
                      stem + ".crt and " + stem + ".key do not belong together");
  }
  return std::pair{std::move(*certificate), std::move(*key)};
}

std::string describe(const crypto::NameConstraints& constraints) {
  return nlohmann::json{{"dns_suffixes", constraints.dns_suffixes},
                        {"address_ranges", constraints.address_ranges}}
      .dump();
}

base::Status check_constraints(const AuthoritySettings& settings) {
  const std::string path = settings.folder + "/root.constraints";
  const std::string wanted = describe(settings.constraints);
  if (!exists(path)) return base::write_file_atomically(path, wanted, 0644);
  const auto made_for = base::read_file(path, kFileLimit);
  if (!made_for) return std::unexpected(made_for.error());
  if (*made_for != wanted) {
    return base::fail(base::ErrorCode::FailedPrecondition,
                      "the root in " + settings.folder + " vouches for " + *made_for +
                          ", the settings say " + wanted +
                          ": set them back, or start a new site with another state_dir");
  }
  return {};
}

}  // namespace

Authority::Authority(AuthoritySettings settings, crypto::Certificate root,
                     crypto::PrivateKey root_key)
    : settings_(std::move(settings)), root_(std::move(root)), root_key_(std::move(root_key)) {}

base::Result<std::unique_ptr<Authority>> Authority::open(const AuthoritySettings& settings,
                                                         base::WallTime now) {
  LARDER_TRY(base::make_directories(settings.folder, 0700));
  LARDER_TRY(check_constraints(settings));
  auto root = load_or_create(settings.folder + "/root", [&](const crypto::PrivateKey& key) {
    crypto::CertificateTemplate content;
    content.subject.common_name = settings.organization + " Larder root";
    content.subject.organization = settings.organization;
    content.not_before = now - std::chrono::minutes(5);
    content.not_after = now + kRootLifetime;
    content.is_ca = true;
    content.path_length = 1;
    content.constraints = settings.constraints;
    return crypto::issue_self_signed(content, key);
  });
  if (!root) return std::unexpected(root.error());
  std::unique_ptr<Authority> authority(
      new Authority(settings, std::move(root->first), std::move(root->second)));
  for (int number = 1;
       number == 1 || exists(settings.folder + "/issuing-" + std::to_string(number) + ".crt");
       ++number) {
    if (number > kIssuerLimit) {
      return base::fail(base::ErrorCode::ResourceExhausted,
                        "too many issuing certificates in " + settings.folder);
    }
    auto issuer = authority->load_or_create_issuer(number, now);
    if (!issuer) return std::unexpected(issuer.error());
    authority->issuers_.push_back(std::move(*issuer));
  }
  return authority;
}

base::Result<Issuer> Authority::load_or_create_issuer(int number, base::WallTime now) const {
  const std::string stem = settings_.folder + "/issuing-" + std::to_string(number);
  auto loaded = load_or_create(stem, [&](const crypto::PrivateKey& key) {
    crypto::CertificateTemplate content;
    content.subject.common_name =
        settings_.organization + " Larder issuing " + std::to_string(number);
    content.subject.organization = settings_.organization;
    content.not_before = now - std::chrono::minutes(5);
    content.not_after = std::min(base::WallTime(now + kIssuingLifetime), root_.not_after());
    content.is_ca = true;
    content.path_length = 0;
    content.constraints = settings_.constraints;
    return crypto::issue(content, key.public_key(), root_, root_key_);
  });
  if (!loaded) return std::unexpected(loaded.error());
  std::string id = loaded->first.sha256_hex().substr(0, 32);
  return Issuer{std::move(id), std::move(loaded->first), std::move(loaded->second)};
}

Issuer Authority::issuing() const {
  const std::lock_guard lock(mutex_);
  return issuers_.back();
}

std::vector<Issuer> Authority::issuers() const {
  const std::lock_guard lock(mutex_);
  return issuers_;
}

base::Result<bool> Authority::rotate_if_due(base::WallTime now) {
  const std::vector<Issuer> all = issuers();
  if (all.back().certificate.not_after() - now > kRotateBefore) return false;
  auto next = load_or_create_issuer(static_cast<int>(all.size()) + 1, now);
  if (!next) return std::unexpected(next.error());
  base::log_info(
      "the next issuing certificate signs from now on",
      {{"issuer", next->id}, {"until", base::to_rfc3339(next->certificate.not_after())}});
  const std::lock_guard lock(mutex_);
  issuers_.push_back(std::move(*next));
  return true;
}

base::Result<std::string> Authority::crl(const Issuer& issuer,
                                         std::span<const crypto::RevokedCertificate> revoked,
                                         base::WallTime now) {
  crypto::CrlTemplate content;
  content.number = static_cast<std::uint64_t>(base::to_unix_seconds(now));
  content.this_update = now - std::chrono::minutes(5);
  content.next_update = now + kCrlLifetime;
  content.revoked = revoked;
  return crypto::issue_crl(content, issuer.certificate, issuer.key);
}

}  // namespace larder::authority
