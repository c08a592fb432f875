#include "site/revocation.h"

namespace larder::site {

base::Status RevocationLists::refresh(base::WallTime now) {
  const std::int64_t sequence = state_.published()->sequence;
  const auto revoked = state_.records->revoked(now);
  if (!revoked) return std::unexpected(revoked.error());
  std::map<std::string, std::string> lists;
  for (const authority::Issuer& issuer : state_.authority->issuers()) {
    const auto entries = revoked->find(issuer.id);
    const std::vector<crypto::RevokedCertificate> none;
    auto list =
        authority::Authority::crl(issuer, entries == revoked->end() ? none : entries->second, now);
    if (!list) return std::unexpected(list.error());
    lists[issuer.id] = std::move(*list);
  }
  const std::lock_guard lock(mutex_);
  lists_ = std::move(lists);
  made_at_ = now;
  made_for_ = sequence;
  return {};
}

base::Result<bool> RevocationLists::refresh_if_due(base::WallTime now) {
  {
    const std::lock_guard lock(mutex_);
    // Every revocation is part of a change that has a sequence.
    if (now - made_at_ < std::chrono::days(1) && made_for_ == state_.published()->sequence) {
      return false;
    }
  }
  LARDER_TRY(refresh(now));
  return true;
}

std::optional<std::string> RevocationLists::find(const std::string& issuer) const {
  const std::lock_guard lock(mutex_);
  const auto found = lists_.find(issuer);
  if (found == lists_.end()) return std::nullopt;
  return found->second;
}

}  // namespace larder::site
