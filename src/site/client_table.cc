#include "site/client_table.h"

#include <algorithm>

namespace larder::site {

std::optional<Client> ClientTable::find_by_key(const std::string& thumbprint) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(thumbprint);
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

std::optional<Client> ClientTable::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto thumbprint = by_id_.find(id);
  if (thumbprint == by_id_.end()) return std::nullopt;
  return by_key_.at(thumbprint->second);
}

void ClientTable::put(Client client) {
  const std::lock_guard lock(mutex_);
  by_id_[client.id] = client.thumbprint;
  Client& kept = by_key_[client.thumbprint];
  client.last_seen = std::max(client.last_seen, kept.last_seen);
  kept = std::move(client);
}

void ClientTable::seen(const std::string& thumbprint, base::WallTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(thumbprint);
  if (found != by_key_.end()) found->second.last_seen = base::to_unix_seconds(now);
}

ClientTable::Summary ClientTable::summary(std::size_t limit) const {
  Summary summary;
  std::vector<Client> all;
  {
    const std::lock_guard lock(mutex_);
    all.reserve(by_key_.size());
    for (const auto& [thumbprint, client] : by_key_) all.push_back(client);
  }
  summary.total = all.size();
  summary.blocked = static_cast<std::size_t>(std::ranges::count_if(all, &Client::blocked));
  const std::size_t shown = std::min(limit, all.size());
  // Ids are UUIDv7: the newest sort last.
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(shown),
                            std::ranges::greater{}, &Client::id);
  all.resize(shown);
  summary.newest = std::move(all);
  return summary;
}

}  // namespace larder::site
