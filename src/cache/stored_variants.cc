#include "cache/stored_variants.h"

#include "base/encoding.h"
#include "cache/stored_response.h"
#include "cache/variant.h"
#include "store/siphash.h"

namespace larder::cache {

std::vector<store::Key> further_variants(const store::Store& store, const store::Object& first) {
  std::vector<store::Key> keys;
  const auto response = parse_stored_response(base::as_bytes(*first.metadata()));
  if (!response || response->variant_epoch == 0) return keys;
  for (unsigned slot = 0; slot < kVariantSlots; ++slot) {
    const std::string text = variant_key(response->key, response->variant_epoch, slot);
    keys.push_back(store::siphash_128(store.secret(), base::as_bytes(text)));
  }
  return keys;
}

std::vector<store::Key> keys_of_url(store::Store& store, const store::Key& own) {
  std::vector<store::Key> keys = {own};
  if (!store.contains(own)) return keys;
  if (const auto first = store.find(own)) {
    const std::vector<store::Key> further = further_variants(store, *first);
    keys.insert(keys.end(), further.begin(), further.end());
  }
  return keys;
}

void remove_with_variants(store::Store& store, const store::Object& object) {
  const std::vector<store::Key> further = further_variants(store, object);
  store.remove(object);
  for (const store::Key& key : further) store.remove(key);
}

}  // namespace larder::cache
