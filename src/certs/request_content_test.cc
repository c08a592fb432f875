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

TEST(RequestContent, NamesAreComparedAsClientsDo) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const crypto::AlternativeNames names{.dns = {"*.Example.org"}, .addresses = {"::1", "10.0.0.5"}};
  const auto request = crypto::CertificateRequest::create(key, {}, names).value();
  const auto misses = [&](const std::string& name) {
    const bool warns = !request_warnings(crypto::KeyAlgorithm::EcP256, names, {name}).empty();
    EXPECT_EQ(warns, !check_request_names(request, {name})) << name;
    return warns;
  };
  EXPECT_FALSE(misses("0:0:0:0:0:0:0:1"));
  EXPECT_FALSE(misses("10.0.0.5"));
  EXPECT_FALSE(misses("node1.example.ORG"));
  EXPECT_TRUE(misses("::2"));
  EXPECT_TRUE(misses("example.org"));
  EXPECT_TRUE(misses("a.b.example.org"));
  // The own request of a node.
  const Names connection{"0:0:0:0:0:0:0:1"};
  const auto own = request_content({}, connection);
  EXPECT_TRUE(check_request_names(
      crypto::CertificateRequest::create(key, own.subject, own.names).value(), connection));
}

TEST(RequestContent, WhatIsNoDnsNameOrCountryIsRefused) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  EXPECT_FALSE(crypto::CertificateRequest::create(key, {}, {.dns = {"127.0.0.1"}}));
  EXPECT_FALSE(crypto::CertificateRequest::create(key, {.country = "D1"}, {}));
  EXPECT_TRUE(
      crypto::CertificateRequest::create(key, {.country = "DE"}, {.dns = {"1.0.0.example"}}));
}

}  // namespace
}  // namespace larder::certs
