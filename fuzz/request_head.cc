// Request heads: whatever the bytes, the parser answers within its input, and the answer does not
// depend on how the input was cut.
#include "http/request_head.h"

#include <cstdint>
#include <cstdlib>

namespace {

using larder::http::HeadParse;
using larder::http::RequestHead;

void require(bool holds) {
  if (!holds) std::abort();
}

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static RequestHead head;
  const HeadParse whole = larder::http::parse_request_head(input, head);
  if (whole.state == HeadParse::State::Bad) {
    require(whole.status >= 400 && whole.status < 600 && !whole.reason.empty());
    return 0;
  }
  if (whole.state == HeadParse::State::NeedMore) return 0;

  require(whole.consumed <= input.size());
  require(head.field_count <= larder::http::kMostFields);
  require(!(head.chunked && head.content_length));
  // An absolute-form target without a path has the path "/", which stands nowhere in the input.
  require(inside(head.path, input) || head.path == "/");
  require(inside(head.target, input) && inside(head.query, input) &&
          inside(head.authority, input) && inside(head.scheme, input));
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const auto& field = head.fields[i];
    require(!field.name.empty() && inside(field.name, input) && inside(field.value, input));
    require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
  const std::size_t consumed = whole.consumed;
  // Cut anywhere before its end, the head is incomplete: never complete, never something else.
  static RequestHead part;
  for (const std::size_t cut : {consumed / 3, consumed / 2, consumed - 1}) {
    const HeadParse early = larder::http::parse_request_head(input.substr(0, cut), part);
    require(early.state == HeadParse::State::NeedMore);
  }
  const HeadParse exact = larder::http::parse_request_head(input.substr(0, consumed), part);
  require(exact.state == HeadParse::State::Complete && exact.consumed == consumed);
  return 0;
}
