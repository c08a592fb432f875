// Heads of origins' responses: no input crashes the reader, and one that is accepted is
// unambiguous.
#include "http/response_head.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto head = larder::http::parse_response_head(input);
  if (!head) return 0;
  if (head->chunked && head->content_length) std::abort();
  if (head->status == 206 && !head->content_range) std::abort();
  for (const auto& field : head->fields) {
    if (field.name.empty()) std::abort();
    if (field.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) std::abort();
  }
  return 0;
}
