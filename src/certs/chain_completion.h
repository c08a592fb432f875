// What a chain lacks, from chains that were imported before: CAs often send a leaf alone.
#pragma once

#include <functional>
#include <vector>

#include "base/clock.h"
#include "certs/certificate_folder.h"
#include "crypto/certificate.h"
#include "crypto/verify.h"

namespace larder::certs {

// The certificates of authorities in the chains of the folder. What cannot be read is left out.
std::vector<crypto::Certificate> held_issuers(const CertificateFolder& folder);

// The chain (leaf first), made longer by what is held of those that truly signed what is before
// them and are valid now, where it leads to no root of `trust` and, longer, does so; a leaf alone
// also where no root is known. `held` is asked only where it depends on it.
using HeldIssuers = std::function<std::vector<crypto::Certificate>()>;
std::vector<crypto::Certificate> complete_chain(std::vector<crypto::Certificate> chain,
                                                const HeldIssuers& held,
                                                const crypto::TrustStore& trust,
                                                base::WallTime now);

}  // namespace larder::certs
