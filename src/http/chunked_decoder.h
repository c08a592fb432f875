// Decoder of the chunked transfer coding (RFC 9112 section 7.1), for request bodies: strict,
// without allocation, for input cut anywhere. Chunk extensions and trailers are read past within
// bounds and dropped. The length of the whole body is the caller's to bound.
//
//   ChunkedDecoder decoder;
//   for (;;) {
//     const ChunkedDecoder::Step step = decoder.next(received);
//     received.remove_prefix(step.consumed);
//     ... by step.state: Data (use step.data), NeedMore (receive), End, Bad (400 and close)
//   }
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::http {

class ChunkedDecoder {
 public:
  static constexpr std::size_t kMostExtensionBytes = 4096;  // of all chunks together
  static constexpr std::size_t kMostTrailerBytes = 8192;

  struct Step {
    enum class State : std::uint8_t { NeedMore, Data, End, Bad };
    State state = State::NeedMore;
    std::size_t consumed = 0;   // of the input; bytes after End belong to the next request
    std::string_view data{};    // Data: a part of the input that is body, not empty
    std::string_view reason{};  // Bad: a fixed sentence
  };

  // After End or Bad every call gives the same state and consumes nothing.
  Step next(std::string_view input);

 private:
  enum class Place : std::uint8_t {
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    EndLineFeed,
    Ended,
    Failed,
  };
  // Judges one byte outside of chunk data; the reason of a refusal, else empty.
  std::string_view take(char c);
  std::string_view take_size(char c);
  std::string_view take_trailer(char c);

  Place place_ = Place::Size;
  std::uint64_t left_ = 0;  // of the chunk
  unsigned digits_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::string_view failure_;
};

}  // namespace larder::http
