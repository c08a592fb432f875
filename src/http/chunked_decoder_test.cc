#include "http/chunked_decoder.h"

#include <gtest/gtest.h>

#include <string>

namespace larder::http {
namespace {

using State = ChunkedDecoder::Step::State;

struct Outcome {
  State state = State::NeedMore;
  std::string body;
  std::size_t consumed = 0;

  bool operator==(const Outcome&) const = default;
};

// Feeds `text` in pieces of `size` bytes.
Outcome decode(std::string_view text, std::size_t size) {
  ChunkedDecoder decoder;
  Outcome outcome;
  for (std::size_t begin = 0; begin < text.size();) {
    std::string_view piece = text.substr(begin, size);
    begin += piece.size();
    while (true) {
      const auto step = decoder.next(piece);
      piece.remove_prefix(step.consumed);
      outcome.consumed += step.consumed;
      outcome.body += step.data;
      outcome.state = step.state;
      if (step.state == State::End || step.state == State::Bad) return outcome;
      if (step.state == State::NeedMore) break;
    }
  }
  return outcome;
}

Outcome decode_every_way(std::string_view text) {
  const Outcome whole = decode(text, text.size() + 1);
  for (std::size_t size : {1u, 2u, 3u, 7u}) {
    const Outcome pieces = decode(text, size);
    EXPECT_EQ(pieces.state, whole.state) << text;
    EXPECT_EQ(pieces.body, whole.body) << text;
    EXPECT_EQ(pieces.consumed, whole.consumed) << text;
  }
  return whole;
}

TEST(ChunkedDecoder, DecodesUpToTheNextRequest) {
  const std::string body = "5;a=b;c=\"d\"\r\nhello\r\n0A\r\n, 1234567\n\r\n000\r\nT: x\r\n\r\n";
  const Outcome outcome = decode_every_way(body + "GET /");
  EXPECT_EQ(outcome.state, State::End);
  EXPECT_EQ(outcome.body, "hello, 1234567\n");
  EXPECT_EQ(outcome.consumed, body.size());
  EXPECT_EQ(decode_every_way("0\r\n\r\n").state, State::End);
}

TEST(ChunkedDecoder, WaitsForTheRest) {
  for (const char* text : {"", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n",
                           "0\r\n", "0\r\n\r", "0\r\nA: b\r\n"}) {
    EXPECT_EQ(decode_every_way(text).state, State::NeedMore) << text;
  }
}

TEST(ChunkedDecoder, RefusesWhatOthersRepair) {
  const std::string rows[] = {
      "\r\n",
      "g\r\n",
      "-1\r\n",
      "+5\r\n",
      "0x5\r\n",
      " 5\r\n",
      "5 \r\nhello\r\n",
      "5\nhello\r\n",
      "5\r hello",
      "5;\n",
      "5;a\rb",
      "5\r\nhello\n",
      "5\r\nhello!\r\n",
      "5\r\nhello\rX",
      "1234567890abcdef0\r\n",
      "fffffffffffffffff\r\n",
      "0000000000000000\r\n",
      "0\r\nA b: c\r\n\r\n",
      "0\r\n A: b\r\n\r\n",
      "0\r\n: b\r\n\r\n",
      "0\r\nA: b\n\r\n",
      "0\r\nA: \x01\r\n\r\n",
      "0\r\n\rX",
      "0;" + std::string(5000, 'a') + "\r\n",
      "0\r\nA: " + std::string(9000, 'a') + "\r\n\r\n",
  };
  for (const std::string& text : rows) EXPECT_EQ(decode_every_way(text).state, State::Bad) << text;
  std::string many;
  for (int i = 0; i < 3000; ++i) many += "1;ab\r\nx\r\n";
  EXPECT_EQ(decode(many, many.size()).state, State::Bad);
}

TEST(ChunkedDecoder, StaysAtItsEnd) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next("0\r\n\r\n").state, State::End);
  EXPECT_EQ(decoder.next("5\r\n").state, State::End);
  EXPECT_EQ(decoder.next("5\r\n").consumed, 0u);
  ChunkedDecoder failed;
  EXPECT_EQ(failed.next("x").state, State::Bad);
  EXPECT_EQ(failed.next("5\r\n").state, State::Bad);
}

}  // namespace
}  // namespace larder::http
