#include "node/invalidations.h"

#include <algorithm>

namespace larder::node {

// False when there is no room: everything counts as changed then. Requires: the lock.
template <typename Table>
bool Invalidations::make_room(Table& table, std::size_t more, base::WallTime now) {
  if (table.size() + more <= kMost) return true;
  const base::WallTime oldest = now - kKept;
  if (std::erase_if(table, [oldest](const auto& entry) { return entry.second < oldest; }) > 0) {
    all_ = std::max(all_, oldest);
  }
  if (table.size() + more <= kMost) return true;
  table.clear();
  all_ = std::max(all_, now);
  return false;
}

void Invalidations::note(std::span<const store::Key> urls, base::WallTime now) {
  const std::lock_guard lock(mutex_);
  if (!make_room(urls_, urls.size(), now)) return;
  for (const store::Key& url : urls) {
    base::WallTime& noted = urls_.try_emplace(url, now).first->second;
    noted = std::max(noted, now);  // who notes later may have looked at the clock earlier
  }
}

void Invalidations::note_name(Names& names, std::string_view name, base::WallTime now) {
  const std::lock_guard lock(mutex_);
  if (const auto found = names.find(name); found != names.end()) {
    found->second = std::max(found->second, now);
  } else if (make_room(names, 1, now)) {
    names.emplace(name, now);
  }
}

void Invalidations::note_prefix(std::string_view prefix, base::WallTime now) {
  note_name(prefixes_, prefix, now);
}

void Invalidations::note_origin(std::string_view origin, base::WallTime now) {
  note_name(origins_, origin, now);
}

bool Invalidations::since(const StoredPlace& place, base::WallTime sent) const {
  const std::lock_guard lock(mutex_);
  if (all_ >= sent) return true;
  const auto url = urls_.find(place.url);
  if (url != urls_.end() && url->second >= sent) return true;
  const auto origin = origins_.find(place.origin);
  if (origin != origins_.end() && origin->second >= sent) return true;
  return std::ranges::any_of(prefixes_, [&](const auto& prefix) {
    return prefix.second >= sent && place.name.starts_with(prefix.first);
  });
}

}  // namespace larder::node
