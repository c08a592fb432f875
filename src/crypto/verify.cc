#include "crypto/verify.h"

#include <openssl/x509_vfy.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "base/file.h"
#include "crypto/openssl_error.h"
#include "crypto/system_trust.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kTrustFileLimit = 8 * 1024 * 1024;
constexpr std::size_t kRootsLimit = 1000;
constexpr int kDepthLimit = 8;
constexpr int kSecurityLevel = 2;  // OpenSSL's name for 112 bits

using StoreContextHandle = Handle<X509_STORE_CTX, X509_STORE_CTX_free>;
using BorrowedChain =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * chain) { sk_X509_free(chain); })>;

bool is_unknown_root(int error) {
  return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
         error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
         error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
         error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
         error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
}

std::unexpected<base::Error> refusal(X509_STORE_CTX* context) {
  const int error = X509_STORE_CTX_get_error(context);
  const X509* culprit = X509_STORE_CTX_get_current_cert(context);
  std::string message = X509_verify_cert_error_string(error);
  if (culprit != nullptr) {
    X509_up_ref(const_cast<X509*>(culprit));
    const auto certificate = Certificate::adopt(CertificateHandle(const_cast<X509*>(culprit)));
    if (certificate) {
      message += " (certificate \"" + certificate->subject() + "\" issued by \"" +
                 certificate->issuer() + "\")";
    }
  }
  return fail_openssl(is_unknown_root(error) ? ErrorCode::NotFound : ErrorCode::Unauthenticated,
                      message);
}

}  // namespace

Result<TrustStore> TrustStore::system() {
  StoreHandle store(X509_STORE_new());
  if (!store || X509_STORE_set_default_paths(store.get()) != 1) {
    return fail_openssl(ErrorCode::Unavailable, "cannot read the system's trusted certificates");
  }
  // OpenSSL's own places are those of the system that it was built on, which need not be this one.
  if (::access(X509_get_default_cert_dir(), R_OK) != 0) {
    for (const std::string& file : system_trust().files) {
      if (X509_STORE_load_file(store.get(), file.c_str()) != 1) {
        return fail_openssl(ErrorCode::Unavailable, "cannot read " + file);
      }
    }
  }
  return TrustStore(SharedStore(store.release()));
}

Result<TrustStore> TrustStore::from_certificates(std::span<const Certificate> roots) {
  StoreHandle store(X509_STORE_new());
  if (!store) return fail_openssl(ErrorCode::Internal, "cannot make a trust store");
  for (const Certificate& root : roots) {
    if (X509_STORE_add_cert(store.get(), root.native()) != 1) {
      return fail_openssl(ErrorCode::Internal, "cannot add to a trust store");
    }
  }
  return TrustStore(SharedStore(store.release()));
}

Result<TrustStore> TrustStore::from_pem(std::string_view pem) {
  const auto roots = parse_certificates(pem, kRootsLimit);
  if (!roots) return std::unexpected(roots.error());
  return from_certificates(*roots);
}

Result<TrustStore> TrustStore::from_files(std::span<const std::string> paths) {
  if (paths.empty()) return system();
  std::vector<Certificate> roots;
  for (const std::string& path : paths) {
    const auto text = base::read_file(path, kTrustFileLimit);
    if (!text) return std::unexpected(text.error());
    auto found = parse_certificates(*text, kRootsLimit);
    if (!found) return base::with_context(path, found.error());
    roots.insert(roots.end(), found->begin(), found->end());
  }
  return from_certificates(roots);
}

namespace {

Result<std::vector<Certificate>> verify_path(const Certificate& leaf,
                                             std::span<const Certificate> intermediates,
                                             const TrustStore& trust, ChainPurpose purpose,
                                             std::optional<base::WallTime> now) {
  const BorrowedChain untrusted(sk_X509_new_null());
  const StoreContextHandle context(X509_STORE_CTX_new());
  if (!untrusted || !context) return fail_openssl(ErrorCode::Internal, "cannot verify");
  for (const Certificate& certificate : intermediates) {
    if (sk_X509_push(untrusted.get(), certificate.native()) <= 0) {
      return fail_openssl(ErrorCode::Internal, "cannot verify");
    }
  }
  if (X509_STORE_CTX_init(context.get(), trust.native(), leaf.native(), untrusted.get()) != 1 ||
      X509_STORE_CTX_set_default(
          context.get(), purpose == ChainPurpose::Server ? "ssl_server" : "ssl_client") != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot verify");
  }
  X509_VERIFY_PARAM* const rules = X509_STORE_CTX_get0_param(context.get());
  if (now) {
    X509_VERIFY_PARAM_set_time(rules, base::to_unix_seconds(*now));
  } else {
    X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_NO_CHECK_TIME);
  }
  X509_VERIFY_PARAM_set_depth(rules, kDepthLimit);
  X509_VERIFY_PARAM_set_auth_level(rules, kSecurityLevel);
  if (X509_verify_cert(context.get()) != 1) return refusal(context.get());
  std::vector<Certificate> path;
  STACK_OF(X509)* const found = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(found); ++i) {
    X509* const certificate = sk_X509_value(found, i);
    X509_up_ref(certificate);
    auto adopted = Certificate::adopt(CertificateHandle(certificate));
    if (!adopted) return std::unexpected(adopted.error());
    path.push_back(std::move(*adopted));
  }
  return path;
}

}  // namespace

Result<std::vector<Certificate>> verify_chain_at_any_time(
    const Certificate& leaf, std::span<const Certificate> intermediates, const TrustStore& trust,
    ChainPurpose purpose) {
  return verify_path(leaf, intermediates, trust, purpose, std::nullopt);
}

Status verify_chain(const Certificate& leaf, std::span<const Certificate> intermediates,
                    const TrustStore& trust, ChainPurpose purpose,
                    std::span<const std::string> names, base::WallTime now) {
  LARDER_TRY(verify_path(leaf, intermediates, trust, purpose, now));
  for (const std::string& name : names) {
    if (!leaf.covers(name)) {
      return fail(ErrorCode::Unauthenticated,
                  "the certificate \"" + leaf.subject() + "\" does not cover the name " + name);
    }
  }
  return {};
}

}  // namespace larder::crypto
