#include "certs/request_content.h"

#include <gtest/gtest.h>

namespace larder::certs {
namespace {

using Names = std::vector<std::string>;

TEST(RequestContent, NamesAreThoseThatClientsConnectByUnlessOthersWereAskedFor) {
  const Names connection{"node1.example.org", "10.0.0.5", "fd00::5"};
  auto content = request_content({}, connection);
  EXPECT_EQ(content.names.dns, Names{"node1.example.org"});
  EXPECT_EQ(content.names.addresses, (Names{"10.0.0.5", "fd00::5"}));
  content = request_content({.subject = {}, .names = {.addresses = {"10.0.0.9"}}}, connection);
  EXPECT_TRUE(content.names.dns.empty());
  EXPECT_EQ(content.names.addresses, Names{"10.0.0.9"});
  content = request_content({.subject = {.common_name = "node2.example.org"}, .names = {}}, {});
  EXPECT_EQ(content.names.dns, Names{"node2.example.org"});
  content = request_content({.subject = {.common_name = "Node 2"}, .names = {}}, {});
  EXPECT_TRUE(content.names.empty());
}

TEST(RequestContent, SubjectIsTheFirstDnsNameUnlessOneWasAskedFor) {
  const Names connection{"10.0.0.5", "node1.example.org", "node2.example.org"};
  EXPECT_EQ(request_content({}, connection).subject.common_name, "node1.example.org");
  EXPECT_EQ(
      request_content({.subject = {.country = "DE"}, .names = {}}, connection).subject.common_name,
      "");
  EXPECT_EQ(request_content({}, {"10.0.0.5"}).subject.common_name, "");
  const std::string label(40, 'a');
  EXPECT_EQ(request_content({}, {label + "." + label}).subject.common_name, "")
      << "a common name has 64 characters at most";
}

}  // namespace
}  // namespace larder::certs
