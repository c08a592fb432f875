#include "certs/chain_end.h"

#include <algorithm>

namespace larder::certs {

const crypto::Certificate& first_to_end(std::span<const crypto::Certificate> chain,
                                        const crypto::TrustStore* trust, base::WallTime now) {
  const crypto::Certificate* first = &chain.front();
  for (const crypto::Certificate& each : chain.subspan(1)) {
    if (each.not_after() >= first->not_after()) continue;
    // What ended before now is judged now: the leaf may be younger.
    const base::WallTime after = std::max(each.not_after() + std::chrono::seconds(1), now);
    const bool is_needed = !trust || !crypto::verify_chain(chain.front(), chain.subspan(1), *trust,
                                                           crypto::ChainPurpose::Server, {}, after);
    if (is_needed) first = &each;
  }
  return *first;
}

const crypto::Certificate& first_to_end(std::span<const crypto::Certificate> chain,
                                        std::span<const std::string> client_trust,
                                        base::WallTime now) {
  const crypto::Certificate& first = first_to_end(chain, nullptr, now);
  if (first == chain.front()) return first;
  const auto trust = crypto::TrustStore::from_files(client_trust);
  return trust ? first_to_end(chain, &*trust, now) : first;
}

}  // namespace larder::certs
