#include "certs/chain_order.h"

#include <algorithm>
#include <tuple>

namespace larder::certs {

using crypto::Certificate;

namespace {

constexpr std::size_t kLongestChain = 16;
constexpr std::size_t kWaysLimit = 64;
// Signatures that are looked at; more come only from a file that is made to be slow.
constexpr std::size_t kSignaturesLimit = 1000;

using Chain = std::vector<Certificate>;

bool is_valid(const Certificate& certificate, base::WallTime now) {
  return certificate.not_before() <= now && now < certificate.not_after();
}

// All ways from a leaf on, each until nobody is there who signed its last certificate.
class Ways {
 public:
  Ways(const Certificate& leaf, std::span<const Certificate> others) {
    for (const Certificate& each : others) {
      const bool is_known = each == leaf || std::ranges::find(others_, each) != others_.end();
      if (!is_known) others_.push_back(each);
    }
    Chain chain{leaf};
    follow(chain);
  }

  const std::vector<Chain>& all() const { return ways_; }

 private:
  void follow(Chain& chain) {
    bool goes_on = false;
    if (chain.size() < kLongestChain && !chain.back().is_self_signed()) {
      for (const Certificate& issuer : issuers_of(chain.back())) {
        if (std::ranges::find(chain, issuer) != chain.end()) continue;
        goes_on = true;
        chain.push_back(issuer);
        follow(chain);
        chain.pop_back();
        if (ways_.size() >= kWaysLimit) return;
      }
    }
    if (!goes_on) ways_.push_back(chain);
  }

  Chain issuers_of(const Certificate& certificate) {
    Chain signers;
    const Certificate* forged = nullptr;
    for (const Certificate& each : others_) {
      if (each == certificate || !each.is_issuer_of(certificate)) continue;
      const bool may_look = signatures_ < kSignaturesLimit;
      ++signatures_;
      if (may_look && certificate.was_signed_by(each)) {
        signers.push_back(each);
      } else if (forged == nullptr) {
        forged = &each;
      }
    }
    if (signers.empty() && forged != nullptr) signers.push_back(*forged);
    return signers;
  }

  std::vector<Certificate> others_;
  std::vector<Chain> ways_;
  std::size_t signatures_ = 0;
};

auto worth(const Chain& chain, const crypto::TrustStore& trust, base::WallTime now) {
  const auto issuers = std::span(chain).subspan(1);
  const bool leads_to_root =
      crypto::verify_chain(chain.front(), issuers, trust, crypto::ChainPurpose::Server, {}, now)
          .has_value();
  const bool may_sign = std::ranges::all_of(issuers, &Certificate::is_ca);
  const bool all_valid =
      std::ranges::all_of(issuers, [&](const Certificate& each) { return is_valid(each, now); });
  base::WallTime end = chain.front().not_after();
  for (const Certificate& each : issuers) end = std::min(end, each.not_after());
  return std::tuple(leads_to_root, may_sign, all_valid, end);
}

}  // namespace

const Certificate* choose_leaf(std::span<const Certificate> certificates,
                               const crypto::PrivateKey& key, base::WallTime now) {
  const auto rank = [&](const Certificate& each) {
    // Beside what a CA signed there may be the self-signed one that was used until then.
    return std::tuple(!each.is_self_signed() && !each.is_ca(), is_valid(each, now),
                      each.not_after());
  };
  const Certificate* best = nullptr;
  for (const Certificate& each : certificates) {
    if (!each.matches(key)) continue;
    if (best == nullptr || rank(each) > rank(*best)) best = &each;
  }
  return best;
}

std::vector<Certificate> order_chain(const Certificate& leaf, std::span<const Certificate> others,
                                     const crypto::TrustStore& trust, base::WallTime now) {
  const Ways ways(leaf, others);
  const Chain* best = &ways.all().front();
  if (ways.all().size() > 1) {
    auto most = worth(*best, trust, now);
    for (const Chain& way : std::span(ways.all()).subspan(1)) {
      const auto value = worth(way, trust, now);
      if (value <= most) continue;
      best = &way;
      most = value;
    }
  }
  Chain chain = *best;
  if (chain.size() > 1 && chain.back().is_self_signed()) chain.pop_back();
  return chain;
}

}  // namespace larder::certs
