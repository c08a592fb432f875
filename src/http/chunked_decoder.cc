#include "http/chunked_decoder.h"

#include <algorithm>

#include "http/characters.h"

namespace larder::http {

namespace {
constexpr unsigned kMostSizeDigits = 15;  // below 2^60

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = lower(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}
}  // namespace

std::string_view ChunkedDecoder::take_size(char c) {
  if (const int value = hex_value(c); value >= 0) {
    if (++digits_ > kMostSizeDigits) return "chunk size too large";
    left_ = left_ * 16 + static_cast<std::uint64_t>(value);
    return {};
  }
  if (digits_ == 0) return "no chunk size";
  if (c == '\r') {
    place_ = Place::SizeLineFeed;
  } else if (c == ';') {
    place_ = Place::Extension;
  } else {
    return "malformed chunk size";
  }
  return {};
}

std::string_view ChunkedDecoder::take_trailer(char c) {
  if (++trailer_bytes_ > kMostTrailerBytes) return "trailers too large";
  if (place_ == Place::TrailerStart && c == '\r') {
    place_ = Place::EndLineFeed;
  } else if (place_ == Place::TrailerValue) {
    if (c == '\r') {
      place_ = Place::TrailerLineFeed;
    } else if (!is_class(c, kFieldValue)) {
      return "control character in a trailer";
    }
  } else if (is_class(c, kToken)) {
    place_ = Place::TrailerName;
  } else if (c == ':' && place_ == Place::TrailerName) {
    place_ = Place::TrailerValue;
  } else {
    return "malformed trailer";
  }
  return {};
}

std::string_view ChunkedDecoder::take(char c) {
  const auto line_feed = [&](Place next) -> std::string_view {
    place_ = next;
    return c == '\n' ? std::string_view{} : "CR without LF in a chunked body";
  };
  switch (place_) {
    case Place::Size:
      return take_size(c);
    case Place::Extension:
      if (c == '\r') {
        place_ = Place::SizeLineFeed;
        return {};
      }
      if (!is_class(c, kFieldValue)) return "control character in a chunk extension";
      return ++extension_bytes_ > kMostExtensionBytes ? "chunk extensions too large"
                                                      : std::string_view{};
    case Place::SizeLineFeed:
      digits_ = 0;
      return line_feed(left_ == 0 ? Place::TrailerStart : Place::Data);
    case Place::DataReturn:
      place_ = Place::DataLineFeed;
      return c == '\r' ? std::string_view{} : "chunk longer than its size";
    case Place::DataLineFeed:
      return line_feed(Place::Size);
    case Place::TrailerStart:
    case Place::TrailerName:
    case Place::TrailerValue:
      return take_trailer(c);
    case Place::TrailerLineFeed:
      return line_feed(Place::TrailerStart);
    case Place::EndLineFeed:
      return line_feed(Place::Ended);
    case Place::Data:
    case Place::Ended:
    case Place::Failed:
      break;
  }
  return {};
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) {
  std::size_t i = 0;
  while (true) {
    if (place_ == Place::Ended) return {.state = Step::State::End, .consumed = i};
    if (place_ == Place::Failed) {
      return {.state = Step::State::Bad, .consumed = i, .reason = failure_};
    }
    if (i == input.size()) return {.state = Step::State::NeedMore, .consumed = i};
    if (place_ == Place::Data) {
      const std::size_t length =
          static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - i));
      left_ -= length;
      if (left_ == 0) place_ = Place::DataReturn;
      return {.state = Step::State::Data, .consumed = i + length, .data = input.substr(i, length)};
    }
    failure_ = take(input[i]);
    if (!failure_.empty()) {
      place_ = Place::Failed;
      continue;
    }
    ++i;
  }
}

}  // namespace larder::http
