#include "node/challenges.h"

#include <gtest/gtest.h>

#include "crypto/issue.h"

namespace larder::node {
namespace {

using signers::AcmeIdentifier;
using signers::AcmeProofKind;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
constexpr const char* kPath = "/.well-known/acme-challenge/token";

TEST(Challenges, HttpIsAnsweredForItsHostAndTokenWhileItIsOpen) {
  const base::ManualClock clock(kNow);
  Challenges challenges(clock);
  EXPECT_FALSE(challenges.any_open_for_http());
  EXPECT_FALSE(challenges.find_http("a.example.org", kPath));
  {
    const auto open =
        challenges.open(AcmeProofKind::Http01, {.is_address = false, .value = "A.Example.org"},
                        "token", "token.thumbprint");
    ASSERT_TRUE(open);
    EXPECT_TRUE(challenges.any_open_for_http());
    EXPECT_EQ(challenges.find_http("a.example.org", kPath), "token.thumbprint");
    EXPECT_FALSE(challenges.find_http("b.example.org", kPath));
    EXPECT_FALSE(challenges.find_http("a.example.org", "/.well-known/acme-challenge/other"));
    EXPECT_FALSE(challenges.find_http("a.example.org", "/.well-known/acme-challenge/"));
    EXPECT_FALSE(challenges.find_http("a.example.org", "/token"));
  }
  EXPECT_FALSE(challenges.any_open_for_http());
  EXPECT_FALSE(challenges.find_http("a.example.org", kPath));
}

TEST(Challenges, AddressesAreHostsAsRequestsHaveThem) {
  const base::ManualClock clock(kNow);
  Challenges challenges(clock);
  const auto first = challenges.open(AcmeProofKind::Http01,
                                     {.is_address = true, .value = "192.0.2.7"}, "token", "four");
  const auto second = challenges.open(AcmeProofKind::Http01,
                                      {.is_address = true, .value = "2001:DB8::7"}, "other", "six");
  EXPECT_EQ(challenges.find_http("192.0.2.7", kPath), "four");
  EXPECT_EQ(challenges.find_http("[2001:db8::7]", "/.well-known/acme-challenge/other"), "six");
  EXPECT_FALSE(challenges.find_http("192.0.2.7", "/.well-known/acme-challenge/other"));
}

TEST(Challenges, ServerNamesOfAddressesAreThoseOfTheReverseLookup) {
  const auto name = [](bool is_address, const std::string& value) {
    return challenge_server_name({.is_address = is_address, .value = value});
  };
  EXPECT_EQ(name(false, "A.Example.org"), "a.example.org");
  EXPECT_EQ(name(true, "192.0.2.7"), "7.2.0.192.in-addr.arpa");
  EXPECT_EQ(name(true, "2001:db8::567:89ab"),  // the example of RFC 3596 section 2.5, shortened
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

TEST(Challenges, OneProofStandsUntilItIsClosedByItsOwner) {
  const base::ManualClock clock(kNow);
  Challenges challenges(clock);
  const AcmeIdentifier name{.is_address = false, .value = "a.example.org"};
  for (const AcmeProofKind kind : {AcmeProofKind::TlsAlpn01, AcmeProofKind::Http01}) {
    auto first = challenges.open(kind, name, "token", "token.first");
    ASSERT_TRUE(first) << first.error().message;
    const auto wrapped = challenges.context_for(nullptr);
    const auto second = challenges.open(kind, name, "token", "token.second");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, base::ErrorCode::AlreadyExists);
    EXPECT_EQ(challenges.context_for(nullptr), wrapped) << "the first is still answered";
    if (kind == AcmeProofKind::Http01) {
      EXPECT_EQ(challenges.find_http("a.example.org", kPath), "token.first");
    }
    EXPECT_TRUE(challenges.open(kind, {.is_address = false, .value = "b.example.org"}, "other",
                                "other.first"));
    first->reset();
    EXPECT_TRUE(challenges.open(kind, name, "token", "token.second"));
  }
}

TEST(Challenges, ListenersAreWrappedOnlyWhileOneIsOpenForTls) {
  const base::ManualClock clock(kNow);
  Challenges challenges(clock);
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  crypto::CertificateTemplate about;
  about.names.dns = {"a.example.org"};
  about.not_before = kNow;
  about.not_after = kNow + std::chrono::hours(24);
  net::TlsContext::Settings settings;
  settings.identities.push_back({.chain_pem = crypto::issue_self_signed(about, key)->to_pem(),
                                 .key_pem = key.to_pem().value()});
  const auto active = net::TlsContext::create(settings).value();
  EXPECT_EQ(challenges.context_for(active), active);
  EXPECT_EQ(challenges.context_for(nullptr), nullptr);
  {
    const auto open =
        challenges.open(AcmeProofKind::TlsAlpn01, {.is_address = false, .value = "a.example.org"},
                        "token", "token.thumbprint");
    ASSERT_TRUE(open) << open.error().message;
    EXPECT_FALSE(challenges.any_open_for_http());
    const auto wrapped = challenges.context_for(active);
    EXPECT_NE(wrapped, active);
    EXPECT_EQ(challenges.context_for(active), wrapped) << "made once";
    const auto alone = challenges.context_for(nullptr);
    EXPECT_NE(alone, nullptr) << "answered also without a certificate";
    EXPECT_NE(alone, wrapped);
  }
  EXPECT_EQ(challenges.context_for(active), active);
}

}  // namespace
}  // namespace larder::node
