#include "certs/check.h"

#include <algorithm>

namespace larder::certs {

std::string_view name(Check::Kind kind) {
  switch (kind) {
    case Check::Kind::Form:
      return "form";
    case Check::Kind::PrivateKey:
      return "private-key";
    case Check::Kind::Password:
      return "password";
    case Check::Kind::HeldKey:
      return "held-key";
    case Check::Kind::Revoked:
      return "revoked";
    case Check::Kind::Expiry:
      return "expiry";
    case Check::Kind::Start:
      return "start";
    case Check::Kind::Usage:
      return "usage";
    case Check::Kind::Authority:
      return "authority";
    case Check::Kind::Issuer:
      return "issuer";
    case Check::Kind::Names:
      return "names";
    case Check::Kind::Strength:
      return "strength";
    case Check::Kind::Chain:
      return "chain";
    case Check::Kind::Handshake:
      return "handshake";
  }
  return "unknown";
}

bool CheckReport::passed() const {
  return first_failure() == nullptr;
}

const Check* CheckReport::first_failure() const {
  const auto found = std::ranges::find(checks, Check::Verdict::Failed, &Check::verdict);
  return found == checks.end() ? nullptr : &*found;
}

std::string CheckReport::failures() const {
  std::string text;
  for (const Check& check : checks) {
    if (check.verdict != Check::Verdict::Failed) continue;
    text += (text.empty() ? "" : "\n") + check.message;
  }
  return text;
}

}  // namespace larder::certs
