// What an administrator hands over, told apart by its content, and every check that it must pass
// before it may be served. Pure: no files, no clock.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/verify.h"

namespace larder::certs {

// The certificates of a PEM text (leaf or chain, any order) or of one DER certificate. What is
// something else is named in the error: a private key, a request, PKCS#7, PKCS#12. Nothing of a
// private key ever enters the error.
base::Result<std::vector<crypto::Certificate>> read_certificates(std::string_view content);

// The leaf and those of the others that lead on from it, in order, without the root at the end:
// clients have the root, or the chain does not help them.
std::vector<crypto::Certificate> order_chain(const crypto::Certificate& leaf,
                                             std::span<const crypto::Certificate> others);

struct Check {
  enum class Verdict { Passed, Warning, Failed };
  std::string name;  // "validity", "usage", "names", ...
  Verdict verdict = Verdict::Passed;
  std::string message;  // what was found, and what to do when it is not right
};

struct CheckReport {
  std::vector<Check> checks;
  bool proven = false;  // the chain leads to a trusted root and real handshakes succeeded

  bool passed() const;  // no check failed
  // The messages of all failed checks, one per line.
  std::string failures() const;
};

// Checks a chain (leaf first) that belongs to `key` for serving clients that connect by `names` and
// trust `trust`. A chain that leads to no known root passes with a warning and is not proven.
CheckReport check_chain(std::span<const crypto::Certificate> chain, const crypto::PrivateKey& key,
                        const crypto::TrustStore& trust, std::span<const std::string> names,
                        base::WallTime now);

}  // namespace larder::certs
