// What stands in a certificate request, and what it lacks. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "crypto/key.h"
#include "crypto/names.h"
#include "crypto/request.h"

namespace larder::certs {

struct RequestContent {
  crypto::DistinguishedName subject;
  crypto::AlternativeNames names;
};

// What was asked for; where no names were, those that clients connect by, else the common name
// when it is a DNS name; where no subject was, the first DNS name as common name.
RequestContent request_content(RequestContent asked_for,
                               const std::vector<std::string>& connection_names);

// Sentences about what clients could not do with a certificate for it.
std::vector<std::string> request_warnings(crypto::KeyAlgorithm algorithm,
                                          const crypto::AlternativeNames& names,
                                          const std::vector<std::string>& connection_names);

// FailedPrecondition when a certificate for the request would not cover all these names.
base::Status check_request_names(const crypto::CertificateRequest& request,
                                 const std::vector<std::string>& connection_names);

}  // namespace larder::certs
