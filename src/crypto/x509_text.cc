#include "crypto/x509_text.h"

#include <openssl/err.h>

#include <algorithm>
#include <ctime>

#include "base/encoding.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

// RFC 5280 upper bounds of the attribute types that we write.
constexpr std::size_t kCommonNameLimit = 64;
constexpr std::size_t kTextLimit = 128;
constexpr std::size_t kUriLimit = 2048;

Status add_attribute(X509_NAME* name, int nid, const std::string& value, std::size_t limit) {
  if (value.empty()) return {};
  if (value.size() > limit) {
    return fail(ErrorCode::InvalidArgument, std::string("the subject's ") + OBJ_nid2ln(nid) +
                                                " is longer than " + std::to_string(limit) +
                                                " bytes");
  }
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return fail(ErrorCode::InvalidArgument,
                  std::string("the subject's ") + OBJ_nid2ln(nid) + " has control characters");
    }
  }
  if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, base::as_bytes(value).data(),
                                 static_cast<int>(value.size()), -1, 0) != 1) {
    return fail_openssl(ErrorCode::InvalidArgument,
                        std::string("wrong ") + OBJ_nid2ln(nid) + " in the subject");
  }
  return {};
}

std::string ia5_text(const ASN1_STRING* text) {
  const int size = ASN1_STRING_length(text);
  if (size <= 0) return {};
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(size)};
}

// A name with a NUL or other control character was made to be read differently by two readers.
bool is_plain(const std::string& text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F)
      return false;
  }
  return true;
}

Status push_text(GENERAL_NAMES* names, int type, const std::string& text) {
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  GeneralNameHandle name(GENERAL_NAME_new());
  if (value == nullptr || !name ||
      ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) != 1) {
    ASN1_IA5STRING_free(value);
    return fail_openssl(ErrorCode::Internal, "cannot build an alternative name");
  }
  GENERAL_NAME_set0_value(name.get(), type, value);
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0) {
    return fail_openssl(ErrorCode::Internal, "cannot build an alternative name");
  }
  (void)name.release();
  return {};
}

Status push(GENERAL_NAMES* names, GeneralNameHandle name) {
  if (!name || sk_GENERAL_NAME_push(names, name.get()) <= 0) {
    return fail_openssl(ErrorCode::Internal, "cannot build an alternative name");
  }
  (void)name.release();
  return {};
}

ObjectHandle parse_object_id(const std::string& text) {
  ObjectHandle object(text.size() <= kTextLimit ? OBJ_txt2obj(text.c_str(), 1) : nullptr);
  if (!object) ERR_clear_error();
  return object;
}

Status push_registered_id(GENERAL_NAMES* names, const std::string& text) {
  ObjectHandle object = parse_object_id(text);
  if (!object) {
    return fail(ErrorCode::InvalidArgument,
                "a registered id is numbers with dots, as 1.3.6.1.4.1.311");
  }
  GeneralNameHandle name(GENERAL_NAME_new());
  if (name) GENERAL_NAME_set0_value(name.get(), GEN_RID, object.release());
  return push(names, std::move(name));
}

// "CN=node1,O=Example"; a comma in a value stands behind a backslash.
Status push_directory_name(GENERAL_NAMES* names, std::string_view text) {
  NameHandle directory(X509_NAME_new());
  std::string part;
  for (std::size_t i = 0; directory && i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '\\' && i + 1 < text.size()) {
      part += text[++i];
      continue;
    }
    if (i < text.size() && text[i] != ',') {
      part += text[i];
      continue;
    }
    const std::size_t equals = part.find('=');
    const std::string field = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (value.empty() || value.size() > kTextLimit ||
        X509_NAME_add_entry_by_txt(directory.get(), field.c_str(), MBSTRING_UTF8,
                                   base::as_bytes(value).data(), static_cast<int>(value.size()), -1,
                                   0) != 1) {
      ERR_clear_error();
      return fail(ErrorCode::InvalidArgument, "a directory name is like CN=node1,O=Example");
    }
    part.clear();
  }
  GeneralNameHandle name(GENERAL_NAME_new());
  if (name && directory) {
    GENERAL_NAME_set0_value(name.get(), GEN_DIRNAME, directory.release());
  }
  return push(names, std::move(name));
}

// An object id and a text, as Windows has it for user principal names.
Status push_other_name(GENERAL_NAMES* names, const std::string& text) {
  const std::size_t end = text.find(';');
  ObjectHandle object = parse_object_id(text.substr(0, end));
  const std::string value = end == std::string::npos ? "" : text.substr(end + 1);
  if (!object || value.empty() || value.size() > kUriLimit) {
    return fail(ErrorCode::InvalidArgument,
                "an other name is an object id and a text: 1.3.6.1.4.1.311.20.2.3;node1@x.org");
  }
  ASN1_UTF8STRING* const utf8 = ASN1_UTF8STRING_new();
  ASN1_TYPE* const content = ASN1_TYPE_new();
  GeneralNameHandle name(GENERAL_NAME_new());
  if (utf8 == nullptr || content == nullptr || !name ||
      ASN1_STRING_set(utf8, value.data(), static_cast<int>(value.size())) != 1) {
    ASN1_UTF8STRING_free(utf8);
    ASN1_TYPE_free(content);
    return fail_openssl(ErrorCode::Internal, "cannot build an alternative name");
  }
  ASN1_TYPE_set(content, V_ASN1_UTF8STRING, utf8);
  if (GENERAL_NAME_set0_othername(name.get(), object.get(), content) != 1) {
    ASN1_TYPE_free(content);
    return fail_openssl(ErrorCode::Internal, "cannot build an alternative name");
  }
  (void)object.release();
  return push(names, std::move(name));
}

Status push_address(GENERAL_NAMES* names, const std::string& text) {
  const auto bytes = parse_address(text);
  if (!bytes) return std::unexpected(bytes.error());
  ASN1_OCTET_STRING* value = ASN1_OCTET_STRING_new();
  GeneralNameHandle name(GENERAL_NAME_new());
  if (value == nullptr || !name ||
      ASN1_OCTET_STRING_set(value, bytes->data(), static_cast<int>(bytes->size())) != 1) {
    ASN1_OCTET_STRING_free(value);
    return fail_openssl(ErrorCode::Internal, "cannot build an alternative name");
  }
  GENERAL_NAME_set0_value(name.get(), GEN_IPADD, value);
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0) {
    return fail_openssl(ErrorCode::Internal, "cannot build an alternative name");
  }
  (void)name.release();
  return {};
}

}  // namespace

std::string name_text(const X509_NAME* name) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  // UTF-8 stays readable; control characters and separators are escaped.
  if (!bio ||
      X509_NAME_print_ex(bio.get(), name, 0,
                         XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB)) < 0) {
    return {};
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string common_name_of(const X509_NAME* name) {
  const int position = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (position < 0) return {};
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, position)));
  if (size < 0) return {};
  std::string result(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
  OPENSSL_free(text);
  return result;
}

Result<NameHandle> make_name(const DistinguishedName& name) {
  NameHandle result(X509_NAME_new());
  if (!result) return fail_openssl(ErrorCode::Internal, "cannot build a subject");
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (!name.country.empty() &&
      (name.country.size() != 2 || !std::ranges::all_of(name.country, is_letter))) {
    return fail(ErrorCode::InvalidArgument, "the subject's country is two letters, like DE");
  }
  LARDER_TRY(add_attribute(result.get(), NID_countryName, name.country, 2));
  LARDER_TRY(add_attribute(result.get(), NID_stateOrProvinceName, name.state, kTextLimit));
  LARDER_TRY(
      add_attribute(result.get(), NID_organizationName, name.organization, kCommonNameLimit));
  LARDER_TRY(add_attribute(result.get(), NID_commonName, name.common_name, kCommonNameLimit));
  return result;
}

AlternativeNames from_general_names(const GENERAL_NAMES* names) {
  AlternativeNames result;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_IPADD) {
      const auto size = static_cast<std::size_t>(ASN1_STRING_length(name->d.iPAddress));
      std::string text = format_address(ASN1_STRING_get0_data(name->d.iPAddress), size);
      if (!text.empty()) result.addresses.push_back(std::move(text));
      continue;
    }
    if (name->type != GEN_DNS && name->type != GEN_URI && name->type != GEN_EMAIL) continue;
    std::string text = ia5_text(name->d.ia5);
    if (!is_plain(text)) continue;
    if (name->type == GEN_DNS)
      result.dns.push_back(std::move(text));
    else if (name->type == GEN_URI)
      result.uris.push_back(std::move(text));
    else
      result.emails.push_back(std::move(text));
  }
  return result;
}

Result<GeneralNamesHandle> make_general_names(const AlternativeNames& names) {
  GeneralNamesHandle result(sk_GENERAL_NAME_new_null());
  if (!result) return fail_openssl(ErrorCode::Internal, "cannot build alternative names");
  for (const std::string& name : names.dns) {
    LARDER_TRY(check_dns_name(name, true));
    LARDER_TRY(push_text(result.get(), GEN_DNS, name));
  }
  for (const std::string& address : names.addresses) {
    LARDER_TRY(push_address(result.get(), address));
  }
  for (const std::string& uri : names.uris) {
    if (!is_plain(uri) || uri.size() > kUriLimit || uri.find(':') == std::string::npos) {
      return fail(ErrorCode::InvalidArgument, "an alternative name is not a URI");
    }
    LARDER_TRY(push_text(result.get(), GEN_URI, uri));
  }
  for (const std::string& email : names.emails) {
    if (!is_plain(email) || email.size() > kTextLimit * 2 || email.find('@') == std::string::npos) {
      return fail(ErrorCode::InvalidArgument, "an alternative name is not an e-mail address");
    }
    LARDER_TRY(push_text(result.get(), GEN_EMAIL, email));
  }
  for (const std::string& id : names.registered_ids) {
    LARDER_TRY(push_registered_id(result.get(), id));
  }
  for (const std::string& directory : names.directory_names) {
    LARDER_TRY(push_directory_name(result.get(), directory));
  }
  for (const std::string& other : names.other_names) {
    LARDER_TRY(push_other_name(result.get(), other));
  }
  return result;
}

Result<base::WallTime> to_wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return fail_openssl(ErrorCode::InvalidArgument, "a date cannot be read");
  }
  return base::from_unix_seconds(::timegm(&parts));
}

Result<Asn1TimeHandle> make_time(base::WallTime time) {
  // UTCTime to 2049, GeneralizedTime after: RFC 5280 section 4.1.2.5.
  Asn1TimeHandle result(ASN1_TIME_adj(nullptr, base::to_unix_seconds(time), 0, 0));
  if (!result) return fail_openssl(ErrorCode::InvalidArgument, "a date cannot be written");
  return result;
}

const EVP_MD* signature_digest(EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
      return nullptr;
    case EVP_PKEY_EC:
      return EVP_PKEY_get_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
    default:
      return EVP_sha256();
  }
}

}  // namespace larder::crypto
