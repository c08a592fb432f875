// Takes away what retention.h says is to go: written down first, then deleted.
#pragma once

#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "certs/certificate_folder.h"
#include "certs/retention.h"

namespace larder::certs {

// Under the lock of the folder. A crash in between is made good by the next purge; it may leave an
// entry of the audit log twice, never a deletion without one. Gives what went.
base::Result<std::vector<Purge>> purge(const CertificateFolder& folder, base::WallTime now);

}  // namespace larder::certs
