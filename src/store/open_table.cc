#include "store/open_table.h"

#include <utility>

#include "store/object_state.h"

namespace larder::store {

void OpenTable::note_use(const Object& object) {
  object.state_->was_used = true;
}

void OpenTable::add(std::shared_ptr<Object> object) {
  std::shared_ptr<Object> displaced;  // closed outside the lock
  const std::lock_guard lock(mutex_);
  if (place_of_.contains(object->id())) return;
  // At most one round of second chances: then whoever is under the hand goes.
  for (std::size_t left = places_.size(); left > 0; --left) {
    if (!places_[hand_] || !places_[hand_]->state_->was_used.exchange(false)) break;
    hand_ = (hand_ + 1) % places_.size();
  }
  displaced = std::exchange(places_[hand_], std::move(object));
  if (displaced) place_of_.erase(displaced->id());
  place_of_[places_[hand_]->id()] = hand_;
  hand_ = (hand_ + 1) % places_.size();
}

void OpenTable::drop(std::uint64_t generation) {
  std::shared_ptr<Object> dropped;
  const std::lock_guard lock(mutex_);
  const auto place = place_of_.find(generation);
  if (place == place_of_.end()) return;
  dropped = std::move(places_[place->second]);
  place_of_.erase(place);
}

void OpenTable::clear() {
  std::vector<std::shared_ptr<Object>> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(places_);
  places_.resize(dropped.size());
  place_of_.clear();
}

}  // namespace larder::store
