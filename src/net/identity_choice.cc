#include "net/identity_choice.h"

#include <algorithm>

#include "base/encoding.h"

namespace larder::net {

namespace {

bool has_name(const IdentityFacts& facts, std::string_view name) {
  return std::ranges::any_of(facts.dns_names, [&](const std::string& own) {
    return base::equals_ignoring_case(own, name);
  });
}

// A wildcard stands for one whole label, the first (RFC 6125 section 6.4.3).
bool has_wildcard(const IdentityFacts& facts, std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos) return false;
  return has_name(facts, "*" + std::string(name.substr(dot)));
}

bool has_address(const IdentityFacts& facts, std::string_view address) {
  return std::ranges::find(facts.addresses, address) != facts.addresses.end();
}

bool covers_all(const IdentityFacts& facts, const IdentityFacts& other) {
  return std::ranges::all_of(other.dns_names,
                             [&](const std::string& name) { return has_name(facts, name); }) &&
         std::ranges::all_of(other.addresses,
                             [&](const std::string& own) { return has_address(facts, own); });
}

// Adds the first that fits of each kind that is missing.
template <typename Fits>
void pick_more(std::span<const IdentityFacts> identities, std::vector<std::size_t>& picked,
               Fits fits) {
  for (std::size_t i = 0; i < identities.size(); ++i) {
    const bool has_kind = std::ranges::any_of(
        picked, [&](std::size_t other) { return identities[other].kind == identities[i].kind; });
    if (!has_kind && fits(identities[i])) picked.push_back(i);
  }
}

template <typename Fits>
std::vector<std::size_t> pick(std::span<const IdentityFacts> identities, Fits fits) {
  std::vector<std::size_t> picked;
  pick_more(identities, picked, fits);
  return picked;
}

}  // namespace

std::vector<std::size_t> choose_identities(std::span<const IdentityFacts> identities,
                                           std::string_view server_name,
                                           std::string_view local_address, base::WallTime now) {
  if (server_name.ends_with('.')) server_name.remove_suffix(1);
  const auto valid = [&](auto fits) {
    return pick(identities,
                [&](const IdentityFacts& facts) { return now <= facts.not_after && fits(facts); });
  };
  std::vector<std::size_t> chosen;
  if (!server_name.empty()) {
    const auto whole = [&](const IdentityFacts& facts) { return has_name(facts, server_name); };
    const auto wild = [&](const IdentityFacts& facts) { return has_wildcard(facts, server_name); };
    // Each kind of key by itself: who has only the one may have a certificate of the other kind
    // that covers more names.
    for (const bool also_expired : {false, true}) {
      const auto usable = [&](const IdentityFacts& facts) {
        return also_expired || now <= facts.not_after;
      };
      pick_more(identities, chosen,
                [&](const IdentityFacts& facts) { return usable(facts) && whole(facts); });
      pick_more(identities, chosen,
                [&](const IdentityFacts& facts) { return usable(facts) && wild(facts); });
      if (chosen.empty()) continue;
      std::ranges::sort(chosen);
      return chosen;
    }
  }
  if (!local_address.empty()) {
    const auto local = [&](const IdentityFacts& facts) {
      return has_address(facts, local_address);
    };
    if (chosen = valid(local); !chosen.empty()) return chosen;
    if (chosen = pick(identities, local); !chosen.empty()) return chosen;
  }
  const auto preferred = std::ranges::find(identities, true, &IdentityFacts::is_default);
  const auto usual = [&](const IdentityFacts& facts) {
    return preferred == identities.end() || facts.is_default || covers_all(facts, *preferred);
  };
  if (chosen = valid(usual); !chosen.empty()) return chosen;
  return pick(identities, usual);
}

}  // namespace larder::net
