#include "net/ticket_keys.h"

#include <string.h>

#include <algorithm>

#include "base/random.h"

namespace larder::net {

TicketKeys::Key::~Key() {
  explicit_bzero(cipher.data(), cipher.size());
  explicit_bzero(mac.data(), mac.size());
}

std::shared_ptr<const TicketKeys::Key> TicketKeys::current(base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (keys_.empty() || now - keys_.front()->made >= kUsed) {
    drop_old(now);
    auto key = std::make_shared<Key>();
    base::random_bytes(key->name);
    base::random_bytes(key->cipher);
    base::random_bytes(key->mac);
    key->made = now;
    keys_.insert(keys_.begin(), std::move(key));
  }
  return keys_.front();
}

std::shared_ptr<const TicketKeys::Key> TicketKeys::find(std::span<const std::uint8_t> name,
                                                        base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  drop_old(now);
  const auto found = std::ranges::find_if(
      keys_, [&](const auto& key) { return std::ranges::equal(key->name, name); });
  return found == keys_.end() ? nullptr : *found;
}

std::size_t TicketKeys::size() const {
  const std::lock_guard lock(mutex_);
  return keys_.size();
}

// The last ticket of a key is made when the key is an hour old.
void TicketKeys::drop_old(base::SteadyTime now) {
  std::erase_if(keys_, [&](const auto& key) { return now - key->made >= kUsed + kTicketLife; });
}

}  // namespace larder::net
