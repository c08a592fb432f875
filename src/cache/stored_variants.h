// What is stored of one URL: the first variant leads to the others (variant.h). Without it they are
// not found again, so who removes it removes them, too: a pin would keep them for ever.
#pragma once

#include <vector>

#include "store/store.h"

namespace larder::cache {

// The keys of the places of further variants that `first` leads to; none when it leads to none.
std::vector<store::Key> further_variants(const store::Store& store, const store::Object& first);

// The URL's own key, then those of its further variants. Blocking.
std::vector<store::Key> keys_of_url(store::Store& store, const store::Key& own);

// Forgets an object with all that it leads to. Blocking.
void remove_with_variants(store::Store& store, const store::Object& object);

}  // namespace larder::cache
