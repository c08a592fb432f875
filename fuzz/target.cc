// Authorities and queries, and the origin that a request's target, Host and cacheHostOrigin name
// together. Input: two lines, a target and a Host.
#include "http/target.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/request_head.h"
#include "require.h"

namespace {

using namespace larder::http;

class Hosts final : public HostDirectory {
 public:
  bool is_own(const Authority& authority) const override { return authority.host() == "node"; }
  bool is_origin(const Authority& authority) const override {
    return !authority.is_address() && authority.host() != "evil";
  }
};

void check_authority(std::string_view text) {
  const auto authority = parse_authority(text);
  if (!authority) return;
  const auto again = parse_authority(authority->text());
  require(again && again->text() == authority->text() && again->kind() == authority->kind());
  require(authority->is_address() == (authority->kind() != Authority::Kind::Name));
  for (const char c : authority->host()) require(c < 'A' || c > 'Z');
}

// A second removal finds nothing, and what is kept was there.
void check_query(const RequestHead& head) {
  std::string scratch;
  const CacheHostOrigin taken = take_cache_host_origin(head, scratch);
  require(taken.query.size() <= head.query.size());
  RequestHead rest;
  rest.query = taken.query;
  rest.has_query = taken.has_query;
  std::string other;
  const CacheHostOrigin again = take_cache_host_origin(rest, other);
  require(!again.value && again.query == taken.query && again.has_query == taken.has_query);
}

void check_choice(const RequestHead& head) {
  std::string scratch;
  const OriginChoice choice = choose_origin(head, Hosts{}, scratch);
  switch (choice.kind) {
    case OriginChoice::Kind::Refuse:
      require(choice.status >= 400 && choice.status < 500 && !choice.reason.empty());
      break;
    case OriginChoice::Kind::Local:
      require(is_local_path(choice.path));
      break;
    case OriginChoice::Kind::Origin:
      require(choice.path.starts_with('/') && !name(choice.form).empty());
      require(choice.authority.host() != "node" && choice.authority.host() != "evil");
      check_authority(choice.authority.text());
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_authority(text);
  if (const auto decoded = percent_decode(text, 100)) require(decoded->size() <= 100);

  const std::size_t line = text.find('\n');
  const std::string_view host = line == std::string_view::npos ? "node" : text.substr(line + 1);
  const std::string target(text.substr(0, line));
  for (const std::string_view method : {"GET ", "OPTIONS ", "CONNECT "}) {
    for (const bool old : {false, true}) {
      std::string request(method);
      request += target;
      request += old ? " HTTP/1.0\r\n\r\n" : " HTTP/1.1\r\nHost: ";
      if (!old) request.append(host).append("\r\n\r\n");
      static RequestHead head;
      if (parse_request_head(request, head).state != HeadParse::State::Complete) continue;
      check_query(head);
      check_choice(head);
    }
  }
  return 0;
}
