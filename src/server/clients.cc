#include "server/clients.h"

#include <netinet/in.h>

#include <array>
#include <cstring>
#include <utility>

#include "base/random.h"

namespace larder::server {

std::optional<ClientKey> ClientKey::of(const sockaddr_storage& address) {
  ClientKey key;
  if (address.ss_family == AF_INET) {
    key.network = reinterpret_cast<const sockaddr_in*>(&address)->sin_addr.s_addr;
    return key;
  }
  if (address.ss_family != AF_INET6) return std::nullopt;
  key.ipv6 = true;
  std::memcpy(&key.network, &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr,
              sizeof key.network);
  return key;
}

// Mixed with a secret: whoever holds many networks must not be able to fill one bucket.
std::size_t Clients::Hash::operator()(const ClientKey& key) const {
  std::uint64_t x = key.network ^ seed ^ (key.ipv6 ? 0x9e3779b97f4a7c15ULL : 0);
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33) ^ seed) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

Clients::Clients()
    : entries_(16, Hash{[] {
                 std::array<std::uint8_t, sizeof(std::uint64_t)> bytes{};
                 base::random_bytes(bytes);
                 std::uint64_t seed = 0;
                 std::memcpy(&seed, bytes.data(), sizeof seed);
                 return seed;
               }()}),
      left_(16, entries_.hash_function()) {}

std::optional<Clients::Place> Clients::enter(const ClientKey& key, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  ClientEntry& entry = entries_[key];  // stays where it is while it is there
  if (limit > 0 && entry.connections >= limit) return std::nullopt;
  if (++entry.connections == 1) {
    if (const auto left = left_.find(key); left != left_.end()) {
      static_cast<EgressHistory&>(entry.egress) = left->second.history;
      left_.erase(left);
    }
  }
  return Place(*this, key, entry);
}

void Clients::leave(const ClientKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (--found->second.connections > 0) return;
  // Nobody waits in it any more, so nobody else looks at it.
  const EgressHistory history = found->second.egress;
  entries_.erase(found);
  remember(key, history, std::chrono::steady_clock::now());
}

// Requires: the lock.
void Clients::remember(const ClientKey& key, const EgressHistory& history, base::SteadyTime now) {
  while (!leaving_.empty() &&
         (leaving_.size() >= kMostRemembered || leaving_.front().first + kRemembered <= now)) {
    const auto left = left_.find(leaving_.front().second);
    // Otherwise it was back and has left again later.
    if (left != left_.end() && left->second.at == leaving_.front().first) left_.erase(left);
    leaving_.pop_front();
  }
  if (!history.was_used()) return;
  left_.insert_or_assign(key, Left{history, now});
  leaving_.emplace_back(now, key);
}

std::size_t Clients::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::size_t Clients::remembered() const {
  const std::lock_guard lock(mutex_);
  return left_.size();
}

Clients::Place::Place(Place&& other) noexcept
    : table_(std::exchange(other.table_, nullptr)), key_(other.key_), entry_(other.entry_) {}

Clients::Place::~Place() {
  if (table_ != nullptr) table_->leave(key_);
}

EgressClient* Clients::Place::egress() const {
  return entry_ == nullptr ? nullptr : &entry_->egress;
}

}  // namespace larder::server
