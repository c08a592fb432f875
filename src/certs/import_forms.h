// What an administrator hands over, told apart by its content and never by its name: PEM (leaf or
// chain in any order, also in UTF-16 as PowerShell writes it), DER, bare base64, PKCS#7, PKCS#12.
// Pure: no files, no clock.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "certs/check.h"
#include "crypto/certificate.h"

namespace larder::certs {

struct HandedOver {
  std::vector<crypto::Certificate> certificates;  // in the order of the file, at least one
  // A PKCS#12 file has a private key beside them; nothing of it was read.
  bool holds_key = false;
};

// The certificates of the content, or the failed check that says what it is instead: Form for
// what is none of the forms, PrivateKey, Password. Nothing of a key or password ever enters the
// message.
std::expected<HandedOver, Check> read_certificates(std::string_view content,
                                                   std::string_view password = {});

}  // namespace larder::certs
