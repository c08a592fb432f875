#include "crypto/key.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>

#include "base/encoding.h"
#include "base/file.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kKeyFileLimit = 64 * 1024;

// OpenSSL would ask on the terminal for the password of an encrypted key.
int no_password(char*, int, int, void*) {
  return -1;
}

BioHandle read_only_bio(std::string_view text) {
  if (text.size() > INT_MAX) return nullptr;
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string bio_content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

KeyType ec_type(EVP_PKEY* key) {
  int is_explicit = 0;
  // A curve written out parameter by parameter can be a weak twin of the named one.
  if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) ==
          1 &&
      is_explicit != 0) {
    return KeyType::Other;
  }
  char group[64] = {};
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                     nullptr) != 1) {
    return KeyType::Other;
  }
  if (std::string_view(group) == "prime256v1") return KeyType::EcP256;
  if (std::string_view(group) == "secp384r1") return KeyType::EcP384;
  return KeyType::Other;
}

EVP_PKEY* generate_native(KeyAlgorithm algorithm) {
  switch (algorithm) {
    case KeyAlgorithm::Rsa2048:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048});
    case KeyAlgorithm::Rsa3072:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{3072});
    case KeyAlgorithm::Rsa4096:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{4096});
    case KeyAlgorithm::EcP256:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    case KeyAlgorithm::EcP384:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384");
    case KeyAlgorithm::Ed25519:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    case KeyAlgorithm::Ed448:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED448");
  }
  return nullptr;
}

// Renames without replacing; file systems that cannot do so get a link and an unlink.
int rename_to_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  ::unlink(from.c_str());
  return 0;
}

Status check_key_file(int fd, const std::string& path) {
  struct stat facts{};
  if (::fstat(fd, &facts) != 0) return base::fail_errno("cannot look at " + path, errno);
  if (!S_ISREG(facts.st_mode)) {
    return fail(ErrorCode::InvalidArgument, path + " is not a regular file");
  }
  if ((facts.st_mode & 077) != 0) {
    return fail(
        ErrorCode::PermissionDenied,
        "the key file " + path + " can be read or changed by others; run: chmod 600 " + path);
  }
  // Who may write the folder may put another key in its place; in a sticky one they may not.
  const std::string folder = std::filesystem::path(path).parent_path();
  struct stat around{};
  if (::stat(folder.empty() ? "." : folder.c_str(), &around) == 0 &&
      (around.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH) {
    return fail(ErrorCode::PermissionDenied,
                "the key file " + path + " can be replaced by others: " +
                    "everybody may write its folder; run: chmod o-w " + folder);
  }
  if (facts.st_uid != ::geteuid() && facts.st_uid != 0 && ::geteuid() != 0) {
    return fail(ErrorCode::PermissionDenied, "the key file " + path +
                                                 " belongs to another user; run: chown " +
                                                 std::to_string(::geteuid()) + " " + path);
  }
  return {};
}

}  // namespace

Result<KeyAlgorithm> parse_key_algorithm(std::string_view algorithm,
                                         std::string_view size_or_curve) {
  const std::string family = base::to_lower(algorithm);
  const std::string detail = base::to_lower(size_or_curve);
  if (family == "rsa") {
    if (detail.empty() || detail == "2048") return KeyAlgorithm::Rsa2048;
    if (detail == "3072") return KeyAlgorithm::Rsa3072;
    if (detail == "4096") return KeyAlgorithm::Rsa4096;
    return fail(ErrorCode::InvalidArgument, "RSA keys have 2048, 3072 or 4096 bits");
  }
  if (family == "ec") {
    if (detail.empty() || detail == "p256" || detail == "p-256" || detail == "secp256r1" ||
        detail == "prime256v1" || detail == "256") {
      return KeyAlgorithm::EcP256;
    }
    if (detail == "p384" || detail == "p-384" || detail == "secp384r1" || detail == "384") {
      return KeyAlgorithm::EcP384;
    }
    return fail(ErrorCode::InvalidArgument, "EC keys are on P-256 or P-384");
  }
  if (family == "ed25519" && detail.empty()) return KeyAlgorithm::Ed25519;
  if (family == "ed448" && detail.empty()) return KeyAlgorithm::Ed448;
  return fail(ErrorCode::InvalidArgument,
              "the key algorithm is rsa, ec, ed25519 or ed448; the last two take no size");
}

std::string_view name(KeyAlgorithm algorithm) {
  switch (algorithm) {
    case KeyAlgorithm::Rsa2048:
      return "RSA 2048";
    case KeyAlgorithm::Rsa3072:
      return "RSA 3072";
    case KeyAlgorithm::Rsa4096:
      return "RSA 4096";
    case KeyAlgorithm::EcP256:
      return "EC P-256";
    case KeyAlgorithm::EcP384:
      return "EC P-384";
    case KeyAlgorithm::Ed25519:
      return "Ed25519";
    case KeyAlgorithm::Ed448:
      return "Ed448";
  }
  return "unknown";
}

Result<PublicKey> PublicKey::from_spki_der(std::span<const std::uint8_t> der) {
  const unsigned char* position = der.data();
  KeyHandle key(d2i_PUBKEY(nullptr, &position, static_cast<long>(der.size())));
  if (!key) return fail_openssl(ErrorCode::InvalidArgument, "not a public key");
  if (position != der.data() + der.size()) {
    return fail(ErrorCode::InvalidArgument, "bytes after the public key");
  }
  return PublicKey(SharedKey(key.release()));
}

Result<std::string> PublicKey::to_spki_der() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(native(), &der);
  if (size <= 0) return fail_openssl(ErrorCode::Internal, "cannot encode the public key");
  std::string result(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return result;
}

KeyType PublicKey::type() const {
  switch (EVP_PKEY_get_base_id(native())) {
    case EVP_PKEY_RSA:
      return KeyType::Rsa;
    case EVP_PKEY_EC:
      return ec_type(native());
    case EVP_PKEY_ED25519:
      return KeyType::Ed25519;
    case EVP_PKEY_ED448:
      return KeyType::Ed448;
    default:
      return KeyType::Other;
  }
}

int PublicKey::bits() const {
  return EVP_PKEY_get_bits(native());
}

int PublicKey::security_bits() const {
  return EVP_PKEY_get_security_bits(native());
}

std::string PublicKey::description() const {
  switch (type()) {
    case KeyType::Rsa:
      return "RSA " + std::to_string(bits());
    case KeyType::EcP256:
      return "EC P-256";
    case KeyType::EcP384:
      return "EC P-384";
    case KeyType::Ed25519:
      return "Ed25519";
    case KeyType::Ed448:
      return "Ed448";
    case KeyType::Other:
      break;
  }
  const char* type_name = EVP_PKEY_get0_type_name(native());
  return std::string(type_name != nullptr ? type_name : "unknown") + " " + std::to_string(bits());
}

bool operator==(const PublicKey& a, const PublicKey& b) {
  return EVP_PKEY_eq(a.native(), b.native()) == 1;
}

Result<PrivateKey> PrivateKey::generate(KeyAlgorithm algorithm) {
  KeyHandle key(generate_native(algorithm));
  if (!key) return fail_openssl(ErrorCode::Internal, "cannot make a key pair");
  return PrivateKey(SharedKey(key.release()));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const BioHandle bio = read_only_bio(pem);
  if (!bio) return fail(ErrorCode::InvalidArgument, "the private key is too long");
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) {
    if (pem.find("ENCRYPTED") != std::string_view::npos) {
      (void)fail_openssl(ErrorCode::InvalidArgument, "");
      return fail(ErrorCode::InvalidArgument, "the private key is encrypted");
    }
    return fail_openssl(ErrorCode::InvalidArgument, "not a private key in PEM form");
  }
  return PrivateKey(SharedKey(key.release()));
}

Result<PrivateKey> PrivateKey::load(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return base::fail_errno("cannot open the key file " + path, errno);
  LARDER_TRY(check_key_file(fd.get(), path));
  std::string pem(kKeyFileLimit, '\0');
  std::size_t size = 0;
  while (size < pem.size()) {
    const ssize_t got = ::read(fd.get(), pem.data() + size, pem.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno("cannot read the key file " + path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  auto key = from_pem(std::string_view(pem).substr(0, size));
  OPENSSL_cleanse(pem.data(), pem.size());
  if (!key) return base::with_context(path, key.error());
  return key;
}

Result<std::string> PrivateKey::to_pem() const {
  const BioHandle bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), native(), nullptr, nullptr, 0, nullptr,
                                            nullptr) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot encode the private key");
  }
  return bio_content(bio.get());
}

Status PrivateKey::create_file(const std::string& path) const {
  auto pem = to_pem();
  if (!pem) return std::unexpected(pem.error());
  std::array<std::uint8_t, 8> suffix{};
  base::random_bytes(suffix);
  const std::string temporary = path + ".new-" + base::to_hex(suffix);
  base::UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return base::fail_errno("cannot create " + temporary, errno);
  Status written = base::write_all(fd.get(), *pem);
  OPENSSL_cleanse(pem->data(), pem->size());
  if (written && ::fsync(fd.get()) != 0) written = base::fail_errno("cannot sync", errno);
  if (!written) {
    ::unlink(temporary.c_str());
    return base::with_context(temporary, written.error());
  }
  if (const int error = rename_to_new(temporary, path); error != 0) {
    ::unlink(temporary.c_str());
    if (error == EEXIST) return fail(ErrorCode::AlreadyExists, path + " exists already");
    return base::fail_errno("cannot rename to " + path, error);
  }
  return base::sync_folder_of(path);
}

Result<PrivateKey> load_or_create_key(const std::string& path, KeyAlgorithm algorithm) {
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) == 0) return PrivateKey::load(path);
  if (errno != ENOENT) return base::fail_errno("cannot look at " + path, errno);
  auto key = PrivateKey::generate(algorithm);
  if (!key) return key;
  if (const Status created = key->create_file(path); !created) {
    // Another process was faster: its key counts.
    if (created.error().code == ErrorCode::AlreadyExists) return PrivateKey::load(path);
    return std::unexpected(created.error());
  }
  return key;
}

}  // namespace larder::crypto
