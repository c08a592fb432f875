// What the doctor makes of revocation: of the answer that a server staples, and of what the places
// say that its chain names. Private to this folder.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "agent/doctor.h"
#include "base/clock.h"
#include "client/exchange.h"
#include "client/revocation_look.h"
#include "crypto/certificate.h"

namespace larder::agent {

// Of the DER that came with the leaf; empty: none did. `issuer` is null when it is not known.
Finding judge_staple(std::string_view staple, const crypto::Certificate& leaf,
                     const crypto::Certificate* issuer, base::WallTime now);

Finding judge_place(const client::PlaceAnswer& answer, const crypto::Certificate& certificate);

// The leaf's staple, then each place of the leaf and of at most three more of the path that was
// verified, from the leaf to a trusted root; empty: there is none, and nobody is asked, because
// anybody can have written the addresses. `chain` is as the server sent it.
std::vector<Finding> examine_revocation(std::span<const crypto::Certificate> chain,
                                        std::string_view staple,
                                        std::span<const crypto::Certificate> path,
                                        const client::HttpExchange& exchange, base::WallTime now);

}  // namespace larder::agent
