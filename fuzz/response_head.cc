// Heads of origins' responses, and what the cache makes of them: what is stored can be read back,
// and never carries what must not be shared.
#include "http/response_head.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/encoding.h"
#include "cache/freshness.h"
#include "http/forwarding.h"
#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  const auto head =
      http::parse_response_head(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!head) return 0;
  require(head->status >= 101 && head->status <= 599);
  require(!head->chunked || !head->content_length);
  require(head->status != 206 || head->content_range->range);
  require(head->field("X-No-Such").empty() || head->count(http::FieldName::Other) > 0);
  for (const auto& field : head->fields) {
    require(head->field(field.name).size() <= size);
    for (const auto appearance : {http::Appearance::AsOrigin, http::Appearance::AsNode}) {
      if (http::is_hop_by_hop(field.id))
        require(!http::may_send_to_client(*head, field, appearance));
      else
        (void)http::may_send_to_client(*head, field, appearance);
    }
    require(!field.name.empty());
    require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }

  const base::WallTime now = base::from_unix_seconds(1795300000);
  const cache::ExchangeTimes times{.request = now, .response = now};
  const auto decision = cache::decide_to_store("http\na\n/", {}, *head, times, {});
  if (!decision.store) {
    require(!decision.reason.empty());
    return 0;
  }
  require(decision.response.field(http::FieldName::SetCookie).empty());
  require(decision.response.freshness.lifetime.count() >= 0);
  require(cache::current_age(decision.response, now).count() >= 0);
  if (const auto bytes = cache::serialize(decision.response)) {
    const auto again = cache::parse_stored_response(base::as_bytes(*bytes));
    require(again && *cache::serialize(*again) == *bytes);
  }
  return 0;
}
