// Stored heads as a damaged drive might give them: refused, or exactly what was written.
#include "cache/stored_response.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/encoding.h"
#include "cache/freshness.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  const auto stored = cache::parse_stored_response({data, size});
  if (!stored) return 0;
  const auto bytes = cache::serialize(*stored);
  if (!bytes || *bytes != base::as_text({data, size})) std::abort();
  (void)cache::current_age(*stored, base::from_unix_seconds(1795300000));
  (void)cache::may_serve_on_error(*stored, std::chrono::seconds{5},
                                  base::from_unix_seconds(1795300000));
  return 0;
}
