// The blocks of a PEM text (RFC 7468), told apart by nothing but their bounds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace larder::crypto {

struct PemBlock {
  std::string kind;  // "CERTIFICATE"
  std::string der;
};
// The PEM blocks of a text in order; text between them is ignored. A damaged block is an error.
base::Result<std::vector<PemBlock>> parse_pem(std::string_view text, std::size_t limit);

}  // namespace larder::crypto
