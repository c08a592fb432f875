// Chunked bodies: the decoded bytes do not depend on how the input was cut.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/chunked_decoder.h"

namespace {

using larder::http::ChunkedDecoder;

struct Decoded {
  std::string body;
  bool ended = false;
  bool bad = false;
  std::size_t consumed = 0;
};

// Feeds at most `step` bytes at a time.
Decoded decode(std::string_view input, std::size_t step) {
  ChunkedDecoder decoder;
  Decoded result;
  while (result.consumed < input.size()) {
    const std::string_view piece = input.substr(result.consumed, step);
    std::size_t used = 0;
    while (used < piece.size()) {
      const ChunkedDecoder::Step next = decoder.next(piece.substr(used));
      if (next.consumed > piece.size() - used) std::abort();
      used += next.consumed;
      result.consumed += next.consumed;
      result.body += next.data;
      if (next.state == ChunkedDecoder::Step::State::End) result.ended = true;
      if (next.state == ChunkedDecoder::Step::State::Bad) result.bad = true;
      if (result.ended || result.bad) return result;
      if (next.state == ChunkedDecoder::Step::State::NeedMore) break;
    }
    if (used != piece.size()) std::abort();  // NeedMore means: all of it was taken
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Decoded whole = decode(input, input.size() + 1);
  const Decoded bytewise = decode(input, 1);
  if (whole.ended != bytewise.ended || whole.bad != bytewise.bad || whole.body != bytewise.body)
    std::abort();
  return 0;
}
