// Request heads: cut anywhere, the verdict is the same; what is accepted lies inside the buffer,
// and an origin chosen from it is in canonical form.
#include "http/request_head.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/conditional.h"
#include "http/forwarding.h"
#include "http/target.h"

namespace {

using namespace larder;

void require(bool holds) {
  if (!holds) std::abort();
}

class Hosts final : public http::HostDirectory {
 public:
  bool is_own(const http::Authority& authority) const override {
    return authority.host() == "node";
  }
  bool is_origin(const http::Authority& authority) const override {
    return !authority.is_address();
  }
};

void check_choice(const http::RequestHead& head) {
  std::string scratch;
  const http::OriginChoice choice = http::choose_origin(head, Hosts{}, scratch);
  if (choice.kind == http::OriginChoice::Kind::Refuse) {
    require(choice.status >= 400 && choice.status < 500 && !choice.reason.empty());
    return;
  }
  require(choice.path.starts_with('/'));
  http::RequestHead rest;
  rest.query = choice.query;
  rest.has_query = choice.has_query;
  std::string other_scratch;
  require(!http::take_cache_host_origin(rest, other_scratch).value);
  if (choice.kind == http::OriginChoice::Kind::Origin) {
    const std::string text = choice.authority.text();
    const auto again = http::parse_authority(text);
    require(again && again->text() == text);
  }
}

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
    (void)http::may_send_to_origin(head, field, http::Exchange::Pass);
  }
  const http::Validators validators{.etag = "\"a\"",
                                    .last_modified = "Sun, 01 Nov 2026 10:00:00 GMT"};
  (void)http::evaluate_preconditions(head, validators, true, base::from_unix_seconds(1795300000));
  check_choice(head);
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
