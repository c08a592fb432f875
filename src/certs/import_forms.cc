#include "certs/import_forms.h"

#include <algorithm>
#include <expected>
#include <utility>

#include "base/encoding.h"
#include "crypto/containers.h"
#include "crypto/der_kind.h"
#include "crypto/pem.h"

namespace larder::certs {

using base::ErrorCode;
using crypto::Certificate;

namespace {

constexpr std::size_t kContentLimit = 1024 * 1024;
constexpr std::size_t kCertificatesLimit = 16;

using Read = std::expected<HandedOver, Check>;

std::unexpected<Check> refuse(Check::Kind kind, std::string message) {
  return std::unexpected(
      Check{.kind = kind, .verdict = Check::Verdict::Failed, .message = std::move(message)});
}

std::unexpected<Check> refuse_private_key() {
  return refuse(Check::Kind::PrivateKey,
                "this is a private key, not a certificate. Nothing of it was stored. The node "
                "makes its own key, which never leaves it; if this key was sent around, replace "
                "it. Import only the certificate that the CA returned");
}

std::unexpected<Check> refuse_request() {
  return refuse(Check::Kind::Form,
                "this is the request; import the certificate that the CA made from it");
}

// UTF-16 with a byte order mark, as Windows writes text; what is outside of ASCII cannot belong to
// PEM.
std::string from_utf16(std::string_view content, bool big_endian) {
  std::string text;
  text.reserve(content.size() / 2);
  for (std::size_t i = 2; i + 1 < content.size(); i += 2) {
    const char high = content[i + (big_endian ? 0 : 1)];
    const char low = content[i + (big_endian ? 1 : 0)];
    text += high == 0 ? low : '?';
  }
  return text;
}

// Without byte order marks.
std::string plain_text(std::string_view content) {
  if (content.starts_with("\xFF\xFE")) return from_utf16(content, false);
  if (content.starts_with("\xFE\xFF")) return from_utf16(content, true);
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  return std::string(content);
}

// In one of the forms that are neither DER nor OpenSSL's PEM.
bool is_foreign_private_key(std::string_view content, std::string_view text) {
  constexpr std::string_view kPvk = "\x1E\xF1\xB5\xB0";  // Windows
  if (content.starts_with(kPvk)) return true;
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (text.starts_with("PuTTY-User-Key-File-")) return true;
  if (text.contains("PRIVATE KEY ----") || text.contains("PRIVATE KEY BLOCK-----")) return true;
  // JWK (RFC 7517), or a set of them: the members that only private and symmetric keys have.
  const bool is_json = text.starts_with('{') || text.starts_with('[');
  return is_json && text.contains("\"kty\"") && (text.contains("\"d\"") || text.contains("\"k\""));
}

Read read_pkcs12(std::string_view der, std::string_view password) {
  auto content = crypto::read_pkcs12(base::as_bytes(der), password, kCertificatesLimit);
  if (content) return HandedOver{std::move(content->certificates), content->holds_key};
  const bool locked = content.error().code == ErrorCode::Unauthenticated;
  return refuse(locked ? Check::Kind::Password : Check::Kind::Form,
                "this is PKCS#12, but " + content.error().message +
                    (locked ? "; give the right one with --password-file" : ""));
}

// One DER value, whatever it is.
Read read_der(std::string_view der, std::string_view password) {
  switch (crypto::classify_der(base::as_bytes(der))) {
    case crypto::DerKind::Certificate: {
      auto certificate = Certificate::from_der(base::as_bytes(der));
      if (!certificate) return refuse(Check::Kind::Form, certificate.error().message);
      return HandedOver{{std::move(*certificate)}, false};
    }
    case crypto::DerKind::PrivateKey:
      return refuse_private_key();
    case crypto::DerKind::Pkcs7: {
      auto certificates = crypto::read_pkcs7(base::as_bytes(der), kCertificatesLimit);
      if (!certificates) return refuse(Check::Kind::Form, certificates.error().message);
      return HandedOver{std::move(*certificates), false};
    }
    case crypto::DerKind::Pkcs12:
      return read_pkcs12(der, password);
    case crypto::DerKind::Request:
      return refuse_request();
    case crypto::DerKind::Other:
      break;
  }
  return refuse(Check::Kind::Form,
                "this is no certificate: neither PEM nor DER, PKCS#7 or PKCS#12");
}

// Labels are not believed: Windows writes PKCS#7 under CERTIFICATE, too.
Read read_pem(std::string_view text, std::string_view password) {
  const auto blocks = crypto::parse_pem(text, kCertificatesLimit);
  if (!blocks) return refuse(Check::Kind::Form, blocks.error().message);
  HandedOver all;
  for (const crypto::PemBlock& block : *blocks) {
    Read read = read_der(block.der, password);
    if (!read) return read;
    all.holds_key = all.holds_key || read->holds_key;
    for (Certificate& certificate : read->certificates) {
      if (all.certificates.size() == kCertificatesLimit) {
        return refuse(Check::Kind::Form, "the file holds more than 16 certificates");
      }
      all.certificates.push_back(std::move(certificate));
    }
  }
  if (!all.certificates.empty()) return all;
  return refuse(Check::Kind::Form, "the text holds no certificate in PEM form");
}

// PEM without its first and last line, as web pages of CAs show it.
std::string from_bare_base64(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == ' ' || c == '\t') continue;
    digits += c == '+' ? '-' : c == '/' ? '_' : c;
  }
  while (digits.ends_with('=')) digits.pop_back();
  return base::from_base64url(digits).value_or("");
}

}  // namespace

Read read_certificates(std::string_view content, std::string_view password) {
  if (content.size() > kContentLimit) {
    return refuse(Check::Kind::Form, "the file is larger than 1 MiB, which no certificate is");
  }
  if (content.empty()) return refuse(Check::Kind::Form, "the file is empty");
  const std::string text = plain_text(content);
  // Before anything is parsed: a key beside the certificate is refused as well.
  if (text.contains("PRIVATE KEY-----") || is_foreign_private_key(content, text)) {
    return refuse_private_key();
  }
  if (text.find("-----BEGIN ") != std::string::npos) return read_pem(text, password);
  if (const std::string der = from_bare_base64(text); !der.empty()) return read_der(der, password);
  return read_der(content, password);
}

}  // namespace larder::certs
