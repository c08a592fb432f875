#include "certs/chain_completion.h"

#include <algorithm>
#include <span>
#include <string>

#include "base/file.h"

namespace larder::certs {

using crypto::Certificate;

namespace {

constexpr std::size_t kLongestChain = 16;

// Of several certificates of one authority the one that lasts longest; null when there is none.
const Certificate* issuer_of(const Certificate& last, std::span<const Certificate> held,
                             base::WallTime now) {
  const Certificate* best = nullptr;
  for (const Certificate& each : held) {
    if (best != nullptr && each.not_after() <= best->not_after()) continue;
    if (each.not_before() > now || each.not_after() <= now || !each.is_ca()) continue;
    if (each.is_issuer_of(last) && last.was_signed_by(each)) best = &each;
  }
  return best;
}

bool leads_to_root(std::span<const Certificate> chain, const crypto::TrustStore& trust,
                   base::WallTime now) {
  const auto verified = crypto::verify_chain(chain.front(), chain.subspan(1), trust,
                                             crypto::ChainPurpose::Server, {}, now);
  return verified || verified.error().code != base::ErrorCode::NotFound;
}

}  // namespace

std::vector<Certificate> held_issuers(const CertificateFolder& folder) {
  std::vector<Certificate> issuers;
  const auto names = folder.key_names();
  if (!names) return issuers;
  for (const std::string& key_name : *names) {
    for (const std::string& id : folder.certificate_ids(key_name)) {
      const auto text = base::read_file(folder.chain_path(key_name, id), kChainFileLimit);
      if (!text) continue;
      const auto chain = crypto::parse_certificates(*text);
      if (!chain) continue;
      for (const Certificate& each : std::span(*chain).subspan(1)) {
        if (std::ranges::find(issuers, each) == issuers.end()) issuers.push_back(each);
      }
    }
  }
  return issuers;
}

std::vector<Certificate> complete_chain(std::vector<Certificate> chain, const HeldIssuers& held,
                                        const crypto::TrustStore& trust, base::WallTime now) {
  if (leads_to_root(chain, trust, now)) return chain;
  const std::vector<Certificate> issuers = held();
  std::vector<Certificate> longer = chain;
  while (longer.size() < kLongestChain && !longer.back().is_self_signed()) {
    const Certificate* const issuer = issuer_of(longer.back(), issuers, now);
    if (issuer == nullptr || std::ranges::find(longer, *issuer) != longer.end()) break;
    longer.push_back(*issuer);
  }
  const bool helps = chain.size() == 1 || leads_to_root(longer, trust, now);
  return helps ? longer : chain;
}

}  // namespace larder::certs
