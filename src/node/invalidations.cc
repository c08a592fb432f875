#include "node/invalidations.h"

#include <algorithm>
#include <vector>

namespace larder::node {

// Forgets the older half when there is no room. Requires: the lock.
template <typename Table>
void Invalidations::make_room(Table& table, std::size_t more) {
  if (table.empty() || table.size() + more <= kMost) return;
  std::vector<Moment> moments;
  moments.reserve(table.size());
  for (const auto& entry : table) moments.push_back(entry.second);
  const auto middle = moments.begin() + static_cast<std::ptrdiff_t>(moments.size() / 2);
  std::ranges::nth_element(moments, middle);
  forgotten_ = std::max(forgotten_, *middle);
  std::erase_if(table, [last = *middle](const auto& entry) { return entry.second <= last; });
}

Invalidations::Moment Invalidations::note(std::span<const store::Key> urls) {
  const std::lock_guard lock(mutex_);
  make_room(urls_, urls.size());
  const Moment moment = now_ + 1;
  for (const store::Key& url : urls) urls_.insert_or_assign(url, moment);
  now_.store(moment, std::memory_order_release);
  return moment;
}

Invalidations::Moment Invalidations::note_name(Names& names, std::string_view name) {
  const std::lock_guard lock(mutex_);
  const Moment moment = now_ + 1;
  if (const auto found = names.find(name); found != names.end()) {
    found->second = moment;
  } else {
    make_room(names, 1);
    names.emplace(name, moment);
  }
  now_.store(moment, std::memory_order_release);
  return moment;
}

Invalidations::Moment Invalidations::note_prefix(std::string_view prefix) {
  return note_name(prefixes_, prefix);
}

Invalidations::Moment Invalidations::note_origin(std::string_view origin) {
  return note_name(origins_, origin);
}

bool Invalidations::since(const StoredPlace& place, Moment moment) const {
  if (now() == moment) return false;  // as a rule
  const std::lock_guard lock(mutex_);
  if (forgotten_ > moment) return true;
  const auto url = urls_.find(place.url);
  if (url != urls_.end() && url->second > moment) return true;
  const auto origin = origins_.find(place.origin);
  if (origin != origins_.end() && origin->second > moment) return true;
  return std::ranges::any_of(prefixes_, [&](const auto& prefix) {
    return prefix.second > moment && place.name.starts_with(prefix.first);
  });
}

}  // namespace larder::node
