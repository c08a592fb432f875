#include "http/reference.h"

#include <gtest/gtest.h>

namespace larder::http {
namespace {

std::string resolved(std::string_view reference) {
  const HttpAddress base{true, *parse_authority("a.example"), "/b/c/d?q=1"};
  const auto found = resolve_reference(base, reference);
  if (!found) return "none";
  return (found->https ? "https://" : "http://") + found->authority.text() + found->target;
}

TEST(Reference, LeadsWhereRfc3986Says) {
  const std::pair<const char*, const char*> cases[] = {
      {"http://other.example/x?y#z", "http://other.example/x?y"},
      {"HTTPS://Other.Example", "https://other.example/"},
      {"https://other.example?x", "https://other.example/?x"},
      {"https://other.example:8443/", "https://other.example:8443/"},
      {"//other.example/x", "https://other.example/x"},
      {"/x/../y/./z/", "https://a.example/y/z/"},
      {"e", "https://a.example/b/c/e"},
      {"e:f/", "none"},
      {"./e:f", "https://a.example/b/c/e:f"},
      {"../e?f=/..", "https://a.example/b/e?f=/.."},
      {"../../../../e", "https://a.example/e"},
      {"..", "https://a.example/b/"},
      {".", "https://a.example/b/c/"},
      {"?x", "https://a.example/b/c/d?x"},
      {"#f", "https://a.example/b/c/d?q=1"},
  };
  for (const auto& [reference, expected] : cases) EXPECT_EQ(resolved(reference), expected);
}

TEST(Reference, RefusesWhatIsNoPlainHttpAddress) {
  for (const char* reference :
       {"", "ftp://a.example/", "file:///etc/passwd", "javascript:x", "https:x", "http:///x",
        "http://user@a.example/", "http://a.example:99999/", "http://127.1/", "http://[::1/",
        "/a b", "/a\tb", "/a\r\nb", "/\xc3\xa4", "/a\\b", "http://a.example/<x>"}) {
    EXPECT_EQ(resolved(reference), "none") << reference;
  }
  EXPECT_EQ(resolved("/" + std::string(9000, 'x')), "none");
}

TEST(Reference, RelativeLocationKeepsTheOriginsName) {
  EXPECT_EQ(with_cache_host_origin("/x", "a.example"), "/x?cacheHostOrigin=a.example");
  EXPECT_EQ(with_cache_host_origin("x?y#z", "a.example"), "x?y&cacheHostOrigin=a.example#z");
  for (const char* other : {"", "//b.example/x", "https://b.example/x"}) {
    EXPECT_EQ(with_cache_host_origin(other, "a.example"), other);
  }
}

TEST(NormalPath, UndoesNeedlessEncodingOnly) {
  std::string scratch;
  const std::pair<const char*, const char*> cases[] = {
      {"/plain", "/plain"},
      {"/%41%62%2d%5F%7e", "/Ab-_~"},
      {"/a%2fb%2Fc", "/a%2Fb%2Fc"},
      {"/%2e%2e/x", "/%2E%2E/x"},
      {"/%c3%a4", "/%C3%A4"},
      {"/%", "/%"},
      {"/%4", "/%4"},
      {"/%zz%41", "/%zz%41"},
      {"/%%341", "/%%341"},  // must not become "%41"
      {"/%25%34%31", "/%2541"},
  };
  for (const auto& [path, expected] : cases) EXPECT_EQ(normal_path(path, scratch), expected);
}

TEST(SameOrigin, IsTheTargetOfWhatStaysThere) {
  const HttpAddress base{
      .https = false, .authority = *parse_authority("a.example"), .target = "/d/e?q=1"};
  struct Row {
    const char* reference;
    const char* target;  // null: leads elsewhere
  };
  const Row rows[] = {
      {"", "/d/e?q=1"},
      {"g", "/d/g"},
      {"/x", "/x"},
      {"//A.example/x", "/x"},
      {"http://a.example:80/x#y", "/x"},
      {"http://a.example:8080/x", nullptr},
      {"https://a.example/x", nullptr},
      {"http://b.example/x", nullptr},
      {"mailto:x", nullptr},
  };
  for (const Row& row : rows) {
    const auto target = resolve_same_origin(base, row.reference);
    EXPECT_EQ(target.has_value(), row.target != nullptr) << row.reference;
    if (target && row.target != nullptr) EXPECT_EQ(*target, row.target) << row.reference;
  }
}

}  // namespace
}  // namespace larder::http
