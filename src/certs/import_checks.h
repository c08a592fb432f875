// Every check that a certificate must pass before it may be served. Pure: no files, no clock.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "certs/check.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/verify.h"

namespace larder::certs {

// What clients connect to, and who answers.
struct ExpectedNames {
  std::span<const std::string> names = {};
  // Served at the same time: they may cover what this one does not.
  std::span<const crypto::Certificate> beside = {};
  // In whose place it comes. A name that none of them covered either is told, not refused: nothing
  // is taken away.
  std::span<const crypto::Certificate> followed = {};
  // It is enough that one of the names is covered.
  bool partial = false;
};

// Checks a chain (leaf first) that belongs to `key` for serving clients that connect by the names
// and trust `trust`. A chain that leads to no known root passes with a warning and is not proven,
// unless it ends with what one of `others`, which came along, had no right to sign.
CheckReport check_chain(std::span<const crypto::Certificate> chain, const crypto::PrivateKey& key,
                        const crypto::TrustStore& trust, const ExpectedNames& expected,
                        base::WallTime now, std::span<const crypto::Certificate> others = {});

}  // namespace larder::certs
