// Request heads: cut anywhere, the verdict is the same; what is accepted lies inside the buffer and
// is found again by its name.
#include "http/request_head.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/forwarding.h"
#include "require.h"

namespace {

using namespace larder;

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// The path of a target without one is a constant.
void check_head(const http::RequestHead& head, std::string_view text) {
  require(!(head.chunked && head.content_length));
  require(inside(head.target, text) && inside(head.query, text) && inside(head.authority, text));
  require(inside(head.path, text) || head.path == "/");
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const http::HeadField& field = head.fields[i];
    require(!field.name.empty() && inside(field.name, text) && inside(field.value, text));
    require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    for (const auto exchange : {http::Exchange::Pass, http::Exchange::SharedFill}) {
      if (http::is_hop_by_hop(field.id))
        require(!http::may_send_to_origin(head, field, exchange));
      else
        (void)http::may_send_to_origin(head, field, exchange);
    }
    require(http::canonical_name(field.name).size() == field.name.size());
  }
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const http::HeadField& field = head.fields[i];
    require(head.count(field.name) > 0);
    require(inside(head.field(field.name), text) && inside(head.last_field(field.name), text));
    if (field.id == http::FieldName::Other) continue;
    require(head.has(field.id) && head.count(field.id) == head.count(field.name));
    require(head.field(field.id) == head.field(field.name));
    require(head.last_field(field.id) == head.last_field(field.name));
  }
  for (const auto name : {http::FieldName::Host, http::FieldName::Upgrade}) {
    require(head.field(name).empty() || head.has(name));
    require(head.last_field(name).empty() || head.has(name));
  }
  require(head.count("x-absent") > 0 ||
          (head.field("x-absent").empty() && head.last_field("x-absent").empty()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static http::RequestHead head;
  static http::RequestHead again;
  const http::HeadParse parse = http::parse_request_head(text, head);
  if (parse.state == http::HeadParse::State::Bad) {
    require(parse.status >= 400 && parse.status < 600 && !parse.reason.empty());
  }
  if (parse.state == http::HeadParse::State::Complete) {
    require(parse.consumed <= size);
    check_head(head, text.substr(0, parse.consumed));
  }
  // The first verdict over growing prefixes is the verdict over the whole. Every prefix of a short
  // input, some of a long one.
  const std::size_t step = size / 512 + 1;
  for (std::size_t length = 0; length < size; length += step) {
    const http::HeadParse part = http::parse_request_head(text.substr(0, length), again);
    if (part.state == http::HeadParse::State::NeedMore) continue;
    require(part.state == parse.state && part.status == parse.status &&
            part.consumed == parse.consumed && part.reason == parse.reason);
    return 0;
  }
  return 0;
}
