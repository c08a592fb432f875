#include "http/response_head.h"

#include <gtest/gtest.h>

#include <string>

#include "http/forwarding.h"

namespace larder::http {
namespace {

base::Result<ResponseHead> parse(std::string_view text) {
  return parse_response_head(text);
}

TEST(ResponseHead, ReadsAPartialResponse) {
  const auto head = parse(
      "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\ncontent-range: bytes 0-4/10\r\n"
      "ETag:  \"a\" \r\nX: \r\n\r\n");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->status, 206);
  EXPECT_EQ(head->content_length, 5u);
  EXPECT_EQ(head->content_range->length, 10u);
  EXPECT_EQ(head->field(FieldName::ETag), "\"a\"");
  EXPECT_EQ(head->field("x"), "");
  EXPECT_EQ(head->fields.size(), 4u);
}

TEST(ResponseHead, ReadsOtherVersionsAndMissingReasons) {
  for (const char* line : {"HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 200 OK",
                           "HTTP/2 200 ", "HTTP/3 200"}) {
    const auto head = parse(std::string(line) + "\r\n\r\n");
    ASSERT_TRUE(head) << line;
    EXPECT_EQ(head->status, 200);
  }
}

TEST(ResponseHead, SkipsInterimResponses) {
  const auto head = parse(
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->content_length, 5u);
  EXPECT_EQ(head->fields.size(), 1u);
  std::string many;
  for (int i = 0; i < 9; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_FALSE(parse(many + "HTTP/1.1 200 OK\r\n\r\n"));
}

TEST(ResponseHead, ReadsNoRangeWhereItMeansNothing) {
  const auto head = parse("HTTP/1.1 200 OK\r\nContent-Range: bytes 0-4/10\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_FALSE(head->content_range);
  EXPECT_TRUE(may_send_to_client(*head, head->fields.at(0), Appearance::AsOrigin));
  const auto part = parse("HTTP/1.1 206 OK\r\nContent-Range: bytes 0-4/10\r\n\r\n");
  EXPECT_FALSE(may_send_to_client(*part, part->fields.at(0), Appearance::AsOrigin));
}

TEST(ResponseHead, RefusesWhatCanBeReadInTwoWays) {
  const auto with = [](const std::string& fields) {
    return "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
  };
  const std::pair<const char*, std::string> rows[] = {
      {"length and chunked", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"two lengths", with("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"list of lengths", with("Content-Length: 5, 5\r\n")},
      {"bad length", with("Content-Length: -5\r\n")},
      {"other coding", with("Transfer-Encoding: gzip, chunked\r\n")},
      {"two codings", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"chunked in 2", "HTTP/2 200 \r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"fold", with("A: b\r\n c\r\n")},
      {"bare LF", "HTTP/1.1 200 OK\nA: b\r\n\r\n"},
      {"bare LF in a field", with("A: b\n")},
      {"bare CR", with("A: b\rc\r\n")},
      {"NUL", with(std::string("A: \0\r\n", 6))},
      {"space before the colon", with("Content-Length : 5\r\n")},
      {"no colon", with("Abc\r\n")},
      {"status 99", "HTTP/1.1 099 X\r\n\r\n"},
      {"status 600", "HTTP/1.1 600 X\r\n\r\n"},
      {"status 2000", "HTTP/1.1 2000 X\r\n\r\n"},
      {"no status", "HTTP/1.1 \r\n\r\n"},
      {"other protocol", "ICY 200 OK\r\n\r\n"},
      {"HTTP/0.9", "<html>\r\n\r\n"},
      {"control in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"},
      {"206 without range", "HTTP/1.1 206 X\r\n\r\n"},
      {"206 with two ranges",
       "HTTP/1.1 206 X\r\nContent-Range: bytes 0-4/9\r\nContent-Range: bytes 0-4/9\r\n\r\n"},
      {"206 with a bad range", "HTTP/1.1 206 X\r\nContent-Range: bytes 4-0/9\r\n\r\n"},
      {"206 with no range at all", "HTTP/1.1 206 X\r\nContent-Range: bytes */9\r\n\r\n"},
      {"206 of another length",
       "HTTP/1.1 206 X\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 4\r\n\r\n"},
      {"416 with a range", "HTTP/1.1 416 X\r\nContent-Range: bytes 0-4/9\r\n\r\n"},
      {"incomplete", "HTTP/1.1 200 OK\r\nA: b\r\n"},
      {"bytes after the head", with("") + "x"},
      {"empty", ""},
      {"large", with("A: " + std::string(33000, 'a') + "\r\n")},
  };
  for (const auto& [what, text] : rows) EXPECT_FALSE(parse(text)) << what;
  std::string many;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  EXPECT_FALSE(parse(with(many)));
}

TEST(ResponseHeadReader, TakesPartsOnlyWhereTheyWereAskedFor) {
  const auto is_taken = [](bool takes_parts, const std::string& field) {
    ResponseHeadReader reader({}, takes_parts);
    EXPECT_TRUE(reader.add_line("HTTP/1.1 206 X\r\n"));
    EXPECT_TRUE(reader.add_line("Content-Length: 300\r\n"));
    EXPECT_TRUE(reader.add_line(field + "\r\n"));
    return reader.add_line("\r\n").has_value() && !reader.take().content_range;
  };
  EXPECT_TRUE(is_taken(true, "Content-Type: Multipart/ByteRanges; boundary=a"));
  EXPECT_FALSE(is_taken(false, "Content-Type: multipart/byteranges; boundary=a"));
  EXPECT_FALSE(is_taken(true, "Content-Type: multipart/byteranges2"));
  EXPECT_FALSE(is_taken(true, "Content-Type: text/plain"));
  EXPECT_FALSE(is_taken(true, "A: b"));
}

TEST(ResponseHeadReader, TakesOneLineAtATime) {
  ResponseHeadReader reader;
  EXPECT_TRUE(reader.add_line("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(reader.add_line("A: b\r\n"));
  EXPECT_FALSE(reader.is_complete());
  EXPECT_TRUE(reader.add_line("\r\n"));
  ASSERT_TRUE(reader.is_complete());
  EXPECT_EQ(reader.take().field("a"), "b");
  EXPECT_FALSE(reader.add_line("Trailer: x\r\n"));
  ResponseHeadReader two;
  EXPECT_TRUE(two.add_line("HTTP/1.1 200 OK\r\n"));
  EXPECT_FALSE(two.add_line("A: b\r\nC: d\r\n"));
}

std::string sent_to_origin(const std::string& fields, Exchange exchange) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  RequestHead head;
  EXPECT_EQ(parse_request_head(text, head).state, HeadParse::State::Complete);
  std::string names;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (may_send_to_origin(head, head.fields[i], exchange)) {
      names += std::string(head.fields[i].name) + " ";
    }
  }
  return names;
}

TEST(Forwarding, ASharedFillTellsNothingOfTheClient) {
  EXPECT_EQ(sent_to_origin("User-Agent: u\r\nAccept: a\r\nAccept-Language: de\r\nCookie: c\r\n"
                           "Authorization: Basic x\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n"
                           "Accept-Encoding: gzip\r\nMS-CV: x\r\nX-Anything: y\r\n",
                           Exchange::SharedFill),
            "User-Agent Accept Accept-Language ");
  EXPECT_EQ(sent_to_origin("Accept: a\r\nConnection: accept\r\n", Exchange::SharedFill), "");
}

TEST(Forwarding, AFillFromADeclaredOriginTellsAllButWhoAsks) {
  EXPECT_EQ(sent_to_origin("User-Agent: u\r\nAccept-Language: de\r\nCookie: c\r\n"
                           "Authorization: Basic x\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n"
                           "Accept-Encoding: gzip\r\nX-Anything: y\r\nX-Forwarded-Host: x\r\n"
                           "Connection: X-Mine\r\nX-Mine: 1\r\nDPoP: x\r\n",
                           Exchange::DeclaredFill),
            "User-Agent Accept-Language X-Anything ");
}

TEST(Forwarding, APassKeepsWhatIsEndToEnd) {
  EXPECT_EQ(
      sent_to_origin("Connection: close, X-Mine\r\nX-Mine: a\r\nTE: trailers\r\nTrailer: a\r\n"
                     "Upgrade: h2c\r\nHTTP2-Settings: x\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
                     "Proxy-Authorization: x\r\nExpect: 100-continue\r\nDPoP: x\r\nForwarded: x\r\n"
                     "X-Forwarded-For: x\r\nX-Original-URL: x\r\nX-HTTP-Method-Override: PUT\r\n"
                     "Via: x\r\nContent-Length: 0\r\n"
                     "Authorization: Basic x\r\nCookie: c\r\nX-Other: y\r\nRange: bytes=0-1\r\n",
                     Exchange::Pass),
      "Authorization Cookie X-Other Range ");
}

TEST(Forwarding, TheNodesNameGetsNoStateFromAnOrigin) {
  const auto head = parse(
      "HTTP/1.1 200 OK\r\nConnection: X-Mine\r\nX-Mine: a\r\nSet-Cookie: a\r\nAlt-Svc: a\r\n"
      "Strict-Transport-Security: a\r\nClear-Site-Data: a\r\nService-Worker-Allowed: a\r\n"
      "Content-Type: t\r\nETag: \"a\"\r\nKeep-Alive: 5\r\nAge: 5\r\nAccept-Ranges: none\r\n"
      "Via: 1.1 x\r\n\r\n");
  ASSERT_TRUE(head);
  std::string as_node;
  std::string as_origin;
  for (const ResponseField& field : head->fields) {
    if (may_send_to_client(*head, field, Appearance::AsNode)) as_node += field.name + " ";
    if (may_send_to_client(*head, field, Appearance::AsOrigin)) as_origin += field.name + " ";
  }
  EXPECT_EQ(as_node, "Content-Type ETag Via ");
  EXPECT_EQ(as_origin,
            "Set-Cookie Alt-Svc Strict-Transport-Security Clear-Site-Data Service-Worker-Allowed "
            "Content-Type ETag Via ");
}

TEST(Forwarding, SpellsNamesAsOpenClientsExpect) {
  EXPECT_EQ(canonical_name("content-length"), "Content-Length");
  EXPECT_EQ(canonical_name("ETAG"), "ETag");
  EXPECT_EQ(canonical_name("x-ms-blob-type"), "X-Ms-Blob-Type");
  EXPECT_EQ(canonical_name("X-MS-blob"), "X-MS-blob");
}

TEST(FieldName, EveryNameIsFoundInAnyCase) {
  for (std::size_t i = 1; i < kFieldNameCount; ++i) {
    std::string text(canonical_text(static_cast<FieldName>(i)));
    EXPECT_EQ(find_field_name(text), static_cast<FieldName>(i)) << text;
    for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    EXPECT_EQ(find_field_name(text), static_cast<FieldName>(i)) << text;
    EXPECT_EQ(find_field_name(text + "x"), FieldName::Other);
  }
  EXPECT_EQ(find_field_name(""), FieldName::Other);
}

}  // namespace
}  // namespace larder::http
