#include "http/request_head.h"

#include <gtest/gtest.h>

#include <string>

namespace larder::http {
namespace {

using State = HeadParse::State;

HeadParse parse(std::string_view text, RequestHead& head) {
  return parse_request_head(text, head);
}

int refusal(std::string_view text) {
  RequestHead head;
  const HeadParse result = parse_request_head(text, head);
  return result.state == State::Bad ? result.status : 0;
}

std::string with_fields(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

TEST(RequestHead, ReadsWhatTheDeliveryOptimizationClientSends) {
  const std::string text =
      "GET /t/file20.bin?x=1&P1=abc%20d&cacheHostOrigin=origin.do.test HTTP/1.1\r\n"
      "Host: 127.0.0.3:8080\r\n"
      "User-Agent: Microsoft-Delivery-Optimization-Lite/10.0.0.1\r\n"
      "Accept: */*\r\n"
      "Range: bytes=5000000-20971519\r\n"
      "Range: bytes=8000000-20971519\r\n"
      "\r\nNEXT";
  RequestHead head;
  const HeadParse result = parse(text, head);
  ASSERT_EQ(result.state, State::Complete);
  EXPECT_EQ(text.substr(result.consumed), "NEXT");
  EXPECT_EQ(head.method, Method::Get);
  EXPECT_EQ(head.form, TargetForm::Origin);
  EXPECT_EQ(head.path, "/t/file20.bin");
  EXPECT_EQ(head.query, "x=1&P1=abc%20d&cacheHostOrigin=origin.do.test");
  EXPECT_EQ(head.host, "127.0.0.3:8080");
  EXPECT_EQ(head.field_count, 4u);
  EXPECT_EQ(head.count(FieldName::Range), 1u);
  EXPECT_EQ(head.last_field(FieldName::Range), "bytes=8000000-20971519");
  EXPECT_EQ(head.field("ACCEPT"), "*/*");
  EXPECT_EQ(head.field("absent"), "");
  EXPECT_FALSE(head.has(FieldName::IfRange));
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.has_body());
}

TEST(RequestHead, SplitsAbsoluteForm) {
  RequestHead head;
  ASSERT_EQ(
      parse("GET HTTP://deb.example.org:80/pool/a.deb?x HTTP/1.1\r\nHost: b\r\n\r\n", head).state,
      State::Complete);
  EXPECT_EQ(head.form, TargetForm::Absolute);
  EXPECT_EQ(head.scheme, "HTTP");
  EXPECT_EQ(head.authority, "deb.example.org:80");
  EXPECT_EQ(head.path, "/pool/a.deb");
  EXPECT_EQ(head.query, "x");
  ASSERT_EQ(parse("GET http://a?q HTTP/1.1\r\nHost: b\r\n\r\n", head).state, State::Complete);
  EXPECT_EQ(head.path, "/");
  EXPECT_EQ(head.query, "q");
}

TEST(RequestHead, KnowsTheOtherForms) {
  RequestHead head;
  ASSERT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", head).state, State::Complete);
  EXPECT_EQ(head.form, TargetForm::Asterisk);
  ASSERT_EQ(parse("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", head).state, State::Complete);
  EXPECT_EQ(head.form, TargetForm::Authority);
  EXPECT_EQ(head.authority, "a:443");
}

TEST(RequestHead, ReadsFramingAndConnection) {
  RequestHead head;
  ASSERT_EQ(parse(with_fields("Content-Length: 5\r\nConnection: x, Close\r\n"), head).state,
            State::Complete);
  EXPECT_EQ(head.content_length, 5u);
  EXPECT_TRUE(head.has_body());
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(
      parse(with_fields("Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n"), head).state,
      State::Complete);
  EXPECT_TRUE(head.chunked);
  EXPECT_TRUE(head.expect_continue);
  EXPECT_FALSE(head.content_length.has_value());
  ASSERT_EQ(parse("GET / HTTP/1.0\r\n\r\n", head).state, State::Complete);
  EXPECT_FALSE(head.keep_alive);
  EXPECT_FALSE(head.host.has_value());
  ASSERT_EQ(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head).state, State::Complete);
  EXPECT_TRUE(head.keep_alive);
}

TEST(RequestHead, SkipsAFewEmptyLinesBeforeTheRequestLine) {
  RequestHead head;
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  std::string empty;
  for (int lines = 1; lines <= 4; ++lines) {
    empty += "\r\n";
    EXPECT_EQ(parse(empty, head).state, State::NeedMore);
    EXPECT_EQ(parse(empty + request, head).state, State::Complete) << lines;
    EXPECT_EQ(parse(empty + request, head).consumed, empty.size() + request.size());
  }
  EXPECT_EQ(refusal(empty + "\r\n" + request), 400);
  EXPECT_EQ(refusal("\r\n\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(RequestHead, TrimsValuesAndKeepsOpaqueBytes) {
  const std::string text = with_fields("A: \t b\tc\xff d  \t\r\nB:\r\n");
  RequestHead head;
  ASSERT_EQ(parse(text, head).state, State::Complete);
  EXPECT_EQ(head.field("a"), "b\tc\xff d");
  EXPECT_EQ(head.count("b"), 1u);
  EXPECT_EQ(head.field("b"), "");
}

struct Refusal {
  const char* what;
  std::string text;
  int status;
};

const Refusal kRefusals[] = {
    {"bare LF ends a line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"bare LF ends a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"bare CR in a value", with_fields("A: b\rc\r\n"), 400},
    {"bare CR before LF", with_fields("A: b\r\r\n"), 400},
    {"folded line", with_fields("A: b\r\n c\r\n"), 400},
    {"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"space before the colon", with_fields("A : b\r\n"), 400},
    {"name is no token", with_fields("A(: b\r\n"), 400},
    {"name is empty", with_fields(": b\r\n"), 400},
    {"no colon", with_fields("Abc\r\n"), 400},
    {"NUL in a value", with_fields(std::string("A: b\0c\r\n", 8)), 400},
    {"DEL in a long value", with_fields("A: 0123456789abcdef0123\x7f\r\n"), 400},
    {"control character in a value", with_fields("A: 01234567\x01\r\n"), 400},
    {"NUL in the target", std::string("GET /\0 HTTP/1.1\r\n", 17), 400},
    {"tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"eight-bit target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
    {"no version", "GET /\r\nHost: a\r\n\r\n", 400},
    {"lower-case protocol", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"two digits of version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 400},
    {"other major version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"relative target", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"foreign scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"user information", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"no authority", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"path in CONNECT", "CONNECT a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", with_fields("Host: a\r\n"), 400},
    {"different lengths", with_fields("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
    {"equal lengths", with_fields("Content-Length: 5\r\ncontent-length: 5\r\n"), 400},
    {"list of lengths", with_fields("Content-Length: 5, 5\r\n"), 400},
    {"signed length", with_fields("Content-Length: +5\r\n"), 400},
    {"empty length", with_fields("Content-Length:\r\n"), 400},
    {"hexadecimal length", with_fields("Content-Length: 0x5\r\n"), 400},
    {"overflowing length", with_fields("Content-Length: 18446744073709551617\r\n"), 400},
    {"length of 2^63", with_fields("Content-Length: 9223372036854775808\r\n"), 400},
    {"length and chunked", with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
    {"chunked and length", with_fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
    {"chunked twice", with_fields("Transfer-Encoding: chunked, chunked\r\n"), 400},
    {"chunked in two fields",
     with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
    {"empty coding", with_fields("Transfer-Encoding:\r\n"), 400},
    {"unknown coding", with_fields("Transfer-Encoding: gzip, chunked\r\n"), 501},
    {"hidden coding", with_fields("Transfer-Encoding: xchunked\r\n"), 501},
    {"quoted coding", with_fields("Transfer-Encoding: \"chunked\"\r\n"), 501},
    {"vertical tab in coding",
     with_fields("Transfer-Encoding: \x0b"
                 "chunked\r\n"),
     400},
    {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"unknown expectation", with_fields("Expect: 200-maybe\r\n"), 417},
    {"method is too long", std::string(33, 'A') + " / HTTP/1.1\r\n", 501},
    {"method is no token", "G(T / HTTP/1.1\r\n", 400},
    {"empty method", " / HTTP/1.1\r\n", 400},
    {"TLS on the plain port", "\x16\x03\x01\x02", 400},
    {"long target", "GET /" + std::string(8192, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
    {"large head", with_fields("A: " + std::string(32768, 'a') + "\r\n"), 431},
};

TEST(RequestHead, RefusesWhatCanBeReadInTwoWays) {
  for (const Refusal& row : kRefusals) EXPECT_EQ(refusal(row.text), row.status) << row.what;
}

TEST(RequestHead, RefusesMoreThanAHundredFields) {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "A: b\r\n";
  EXPECT_EQ(refusal(with_fields(fields)), 0);
  EXPECT_EQ(refusal(with_fields(fields + "A: b\r\n")), 431);
}

TEST(RequestHead, CountsAllRangesThatPileUpAsOne) {
  std::string fields;
  for (int i = 0; i < 500; ++i)
    fields += "Range: bytes=" + std::to_string(i) + "-\r\nrange: a=b\r\n";
  const std::string text = with_fields("A: b\r\n" + fields + "Range: bytes=7-\r\nC: d\r\n");
  RequestHead head;
  ASSERT_EQ(parse(text, head).state, State::Complete);
  EXPECT_EQ(head.last_field(FieldName::Range), "bytes=7-");
  EXPECT_EQ(head.count(FieldName::Range), 1u);
  EXPECT_EQ(head.field("C"), "d");
}

TEST(RequestHead, AcceptsExactlyTheLimits) {
  EXPECT_EQ(refusal("GET /" + std::string(8191, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
  const std::string frame = with_fields("A: \r\n");
  EXPECT_EQ(refusal(with_fields("A: " + std::string(32768 - frame.size(), 'a') + "\r\n")), 0);
  EXPECT_EQ(refusal(with_fields("A: " + std::string(32769 - frame.size(), 'a') + "\r\n")), 431);
}

// The first verdict over growing prefixes is the verdict over the whole.
void expect_same_in_pieces(const std::string& text) {
  RequestHead whole;
  const HeadParse expected = parse_request_head(text, whole);
  for (std::size_t length = 0; length <= text.size(); ++length) {
    RequestHead head;
    const HeadParse result = parse_request_head(std::string_view(text).substr(0, length), head);
    if (result.state == State::NeedMore) {
      ASSERT_TRUE(length < text.size() || expected.state == State::NeedMore) << text;
      continue;
    }
    ASSERT_EQ(result.state, expected.state) << text.substr(0, 200);
    EXPECT_EQ(result.consumed, expected.consumed);
    EXPECT_EQ(result.status, expected.status) << text.substr(0, 200);
    EXPECT_EQ(result.reason, expected.reason) << text.substr(0, 200);
    EXPECT_EQ(head.field_count, whole.field_count);
    return;
  }
}

TEST(RequestHead, ByteByByteGivesTheSameAsAtOnce) {
  for (const Refusal& row : kRefusals) {
    if (row.text.size() < 10000) expect_same_in_pieces(row.text);
  }
  expect_same_in_pieces(with_fields("A: b\r\nTransfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");
  expect_same_in_pieces("\r\nGET http://a:80/b?c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
}

}  // namespace
}  // namespace larder::http
