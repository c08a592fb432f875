// Conversions between OpenSSL's X.509 structures and our values. Used only inside crypto.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/handles.h"
#include "crypto/names.h"

namespace larder::crypto {

std::string name_text(const X509_NAME* name);
std::string common_name_of(const X509_NAME* name);
base::Result<NameHandle> make_name(const DistinguishedName& name);

AlternativeNames from_general_names(const GENERAL_NAMES* names);
// Checks every name on the way; absent names give an empty list.
base::Result<GeneralNamesHandle> make_general_names(const AlternativeNames& names);

base::Result<base::WallTime> to_wall_time(const ASN1_TIME* time);
// Seconds; the fraction is dropped.
base::Result<Asn1TimeHandle> make_time(base::WallTime time);

// The digest that fits a signing key; null for keys that sign the message itself (Ed25519, Ed448).
const EVP_MD* signature_digest(EVP_PKEY* key);

}  // namespace larder::crypto
