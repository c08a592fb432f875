// Locations: wherever one leads is a request that our own parser accepts, and a path in its normal
// form stays as it is.
#include "http/reference.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/request_head.h"
#include "require.h"

namespace {

using namespace larder::http;

void check_request(const HttpAddress& address) {
  static RequestHead head;
  const std::string request =
      "GET " + address.target + " HTTP/1.1\r\nHost: " + address.authority.text() + "\r\n\r\n";
  if (address.target.size() > 8192) return;
  require(parse_request_head(request, head).state == HeadParse::State::Complete);
  require(head.form == TargetForm::Origin && head.target == address.target);
  require(parse_authority(*head.host).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view reference(reinterpret_cast<const char*>(data), size);
  for (const char* target : {"/a/b/c?d=e", "/", "/a?/../b"}) {
    for (const bool https : {false, true}) {
      const HttpAddress base{https, *parse_authority("a.test:8080"), target};
      const auto resolved = resolve_reference(base, reference);
      if (resolved) check_request(*resolved);
      if (const auto same = resolve_same_origin(base, reference)) {
        if (reference.empty()) continue;  // the base itself
        require(resolved && resolved->https == https && resolved->target == *same);
        require(resolved->authority.host() == "a.test");
      }
    }
  }
  const std::string named = with_cache_host_origin(reference, "origin.test");
  require(named.size() >= reference.size() || named.starts_with('/'));

  std::string scratch;
  const std::string normal(normal_path(reference, scratch));
  std::string other;
  require(normal_path(normal, other) == normal && normal.size() <= size);
  return 0;
}
