#include "authority/authority.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "authority/ledger.h"
#include "authority/signing.h"
#include "base/file.h"
#include "base/testing.h"
#include "crypto/request.h"
#include "crypto/verify.h"

namespace larder::authority {
namespace {

using base::ErrorCode;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

AuthoritySettings settings_in(const std::string& folder) {
  return {folder + "/pki", "Example", {{"larder.example.org"}, {"10.0.0.0/8", "fd00::/8"}}};
}

std::unique_ptr<Authority> open_authority(const AuthoritySettings& settings,
                                          base::WallTime now = kNow) {
  auto authority = Authority::open(settings, now);
  EXPECT_TRUE(authority) << (authority ? "" : authority.error().message);
  return authority ? std::move(*authority) : nullptr;
}

// A right that can be used once, with names of the test's choice.
class OnceOnly final : public Authorisation {
 public:
  explicit OnceOnly(Grant grant) : grant_(std::move(grant)) {}
  base::Result<Grant> verify(const crypto::PublicKey&, base::WallTime) override {
    if (refuse) return base::fail(ErrorCode::Unauthenticated, "not known");
    return grant_;
  }
  base::Status spend(const crypto::PublicKey&, base::WallTime) override {
    ++spent;
    if (used_.exchange(true)) return base::fail(ErrorCode::PermissionDenied, "used");
    return {};
  }
  bool refuse = false;
  std::atomic<int> spent = 0;

 private:
  Grant grant_;
  std::atomic<bool> used_ = false;
};

class MemoryRecords final : public IssueRecords {
 public:
  base::Status record(const IssuedCertificate& issued) override {
    if (broken) return base::fail(ErrorCode::Unavailable, "disk");
    owners.push_back(issued.grant.owner);
    return {};
  }
  bool broken = false;
  std::vector<std::string> owners;
};

struct Fixture {
  base::TemporaryFolder folder;
  AuthoritySettings settings = settings_in(folder.path());
  std::unique_ptr<Authority> authority = open_authority(settings);
  Policy policy{settings.constraints};
  MemoryRecords records;
  crypto::PrivateKey key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();

  std::string request(const std::string& name = "wish.evil.example") const {
    crypto::AlternativeNames names;
    names.dns = {name};
    return crypto::CertificateRequest::create(key, {.common_name = name}, names).value().to_pem();
  }
  base::Result<SigningAnswer> sign_with(Authorisation& authorisation) {
    return sign(request(), authorisation, records, policy, *authority, kNow);
  }
};

Grant role_grant() {
  Grant grant;
  grant.owner = "node-1";
  grant.names.dns = {"node1.larder.example.org"};
  grant.names.addresses = {"10.1.2.3"};
  grant.crl_host = "node1.larder.example.org";
  return grant;
}

TEST(Signing, GivesTheGrantedNamesAndNoneOfTheRequest) {
  Fixture f;
  OnceOnly authorisation(role_grant());
  const auto answer = f.sign_with(authorisation);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->certificate.dns_names(), std::vector<std::string>{"node1.larder.example.org"});
  EXPECT_EQ(answer->certificate.addresses(), std::vector<std::string>{"10.1.2.3"});
  EXPECT_EQ(answer->certificate.common_name(), "node1.larder.example.org");
  EXPECT_TRUE(answer->certificate.has_server_auth());
  EXPECT_FALSE(answer->certificate.has_client_auth());
  EXPECT_FALSE(answer->certificate.is_ca());
  EXPECT_EQ(answer->certificate.not_after(), kNow + std::chrono::days(90));
  EXPECT_EQ(crypto::parse_certificates(answer->chain).value().size(), 2U);
  EXPECT_EQ(f.records.owners, std::vector<std::string>{"node-1"});
}

TEST(Signing, AnIdentityIsForClientsOnlyAndWithoutADnsNameItHasNoCommonName) {
  Fixture f;
  Grant grant = role_grant();
  grant.kind = CertificateKind::Identity;
  grant.names.dns.clear();
  OnceOnly authorisation(grant);
  const auto answer = f.sign_with(authorisation);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->certificate.has_client_auth());
  EXPECT_FALSE(answer->certificate.has_server_auth());
  EXPECT_EQ(answer->certificate.common_name(), "");
}

TEST(Signing, RefusesNamesOutsideTheConstraints) {
  const struct {
    const char* dns;
    const char* address;
  } rows[] = {{"node1.evil.example", nullptr},   {"xlarder.example.org", nullptr},
              {"*.larder.example.org", nullptr}, {nullptr, "192.0.2.1"},
              {nullptr, "2001:db8::1"},          {nullptr, nullptr}};
  for (const auto& row : rows) {
    Fixture f;
    Grant grant = role_grant();
    grant.names = {};
    if (row.dns != nullptr) grant.names.dns = {row.dns};
    if (row.address != nullptr) grant.names.addresses = {row.address};
    OnceOnly authorisation(grant);
    EXPECT_FALSE(f.sign_with(authorisation)) << (row.dns != nullptr ? row.dns : "address");
    EXPECT_TRUE(f.records.owners.empty());
  }
}

TEST(Signing, ARefusedAuthorisationIsNotSpent) {
  Fixture f;
  OnceOnly authorisation(role_grant());
  authorisation.refuse = true;
  const auto answer = f.sign_with(authorisation);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::Unauthenticated);
  EXPECT_EQ(authorisation.spent, 0);
}

TEST(Signing, ARequestWithoutProofOfPossessionSpendsNothing) {
  Fixture f;
  OnceOnly authorisation(role_grant());
  std::string broken = f.request();
  // The last characters of the body belong to the signature.
  const std::size_t end = broken.find("\n-----END");
  char& victim = broken[end - 6];
  victim = victim == 'A' ? 'B' : 'A';
  EXPECT_FALSE(sign(broken, authorisation, f.records, f.policy, *f.authority, kNow));
  EXPECT_FALSE(sign("no request", authorisation, f.records, f.policy, *f.authority, kNow));
  EXPECT_EQ(authorisation.spent, 0);
}

TEST(Signing, OfManyAtOnceOnlyOneGetsACertificate) {
  Fixture f;
  OnceOnly authorisation(role_grant());
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        MemoryRecords records;
        if (sign(f.request(), authorisation, records, f.policy, *f.authority, kNow)) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TEST(Signing, WhatCannotBeRecordedIsNotHandedOut) {
  Fixture f;
  f.records.broken = true;
  OnceOnly authorisation(role_grant());
  EXPECT_FALSE(f.sign_with(authorisation));
}

TEST(Authority, KeepsItsKeysAndRootOverAReopening) {
  Fixture f;
  const std::string root = f.authority->root().sha256_hex();
  const std::string issuing = f.authority->issuing().id;
  const auto again = open_authority(f.settings, kNow + std::chrono::days(1));
  EXPECT_EQ(again->root().sha256_hex(), root);
  EXPECT_EQ(again->issuing().id, issuing);
  for (const char* file : {"/root.key", "/issuing-1.key"}) {
    struct stat facts{};
    ASSERT_EQ(::stat((f.settings.folder + file).c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U) << file;
  }
}

TEST(Authority, RefusesSettingsThatItsRootDoesNotVouchFor) {
  Fixture f;
  AuthoritySettings other = f.settings;
  other.constraints.dns_suffixes.emplace_back("more.example.org");
  const auto opened = Authority::open(other, kNow);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::FailedPrecondition);
}

TEST(Authority, RefusesToReplaceALostRootKey) {
  Fixture f;
  ASSERT_EQ(::unlink((f.settings.folder + "/root.key").c_str()), 0);
  const auto opened = Authority::open(f.settings, kNow);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::FailedPrecondition);
}

TEST(Authority, RotatesTheIssuingCertificateAndKeepsTheOldOneForItsList) {
  Fixture f;
  const std::string first = f.authority->issuing().id;
  EXPECT_FALSE(f.authority->rotate_if_due(kNow + std::chrono::days(300)).value());
  EXPECT_TRUE(f.authority->rotate_if_due(kNow + std::chrono::days(366)).value());
  EXPECT_FALSE(f.authority->rotate_if_due(kNow + std::chrono::days(366)).value());
  EXPECT_NE(f.authority->issuing().id, first);
  const auto again = open_authority(f.settings, kNow + std::chrono::days(367));
  EXPECT_EQ(again->issuers().size(), 2U);
  EXPECT_EQ(again->issuing().id, f.authority->issuing().id);
}

TEST(Authority, ItsRootBoundsWhateverAnIssuerSigns) {
  Fixture f;
  crypto::CertificateTemplate content;
  content.names.dns = {"www.bank.example"};
  content.not_before = kNow - std::chrono::hours(1);
  content.not_after = kNow + std::chrono::days(1);
  content.server_auth = true;
  const Issuer issuer = f.authority->issuing();
  const auto forged = crypto::issue(content, f.key.public_key(), issuer.certificate, issuer.key);
  ASSERT_TRUE(forged);
  const std::vector roots{f.authority->root()};
  const std::vector intermediates{issuer.certificate};
  const std::vector<std::string> names{"www.bank.example"};
  EXPECT_FALSE(crypto::verify_chain(*forged, intermediates,
                                    crypto::TrustStore::from_certificates(roots).value(),
                                    crypto::ChainPurpose::Server, names, kNow));
}

TEST(Authority, MakesRevocationLists) {
  Fixture f;
  const std::vector<crypto::RevokedCertificate> revoked{
      {"0102030405", kNow, crypto::RevocationReason::Superseded}};
  const auto list = Authority::crl(f.authority->issuing(), revoked, kNow);
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_GT(list->size(), 100U);
}

TEST(Ledger, AcceptsItsOwnChainAndFindsEveryTampering) {
  std::vector<LedgerEntry> entries;
  std::optional<LedgerEntry> last;
  for (int i = 0; i < 5; ++i) {
    last = next_entry(last, kNow, "issued", "cert" + std::to_string(i), "{}");
    entries.push_back(*last);
  }
  const auto verify = [](const std::vector<LedgerEntry>& all) -> base::Status {
    LedgerVerifier verifier;
    for (const LedgerEntry& entry : all) LARDER_TRY(verifier.add(entry));
    return {};
  };
  EXPECT_TRUE(verify(entries));
  auto changed = entries;
  changed[2].detail = "{\"x\":1}";
  EXPECT_FALSE(verify(changed));
  auto removed = entries;
  removed.erase(removed.begin() + 1);
  EXPECT_FALSE(verify(removed));
  auto swapped = entries;
  std::swap(swapped[1], swapped[2]);
  EXPECT_FALSE(verify(swapped));
  auto moved = entries;
  moved[1].event = "issuedc";
  moved[1].certificate = "ert1";
  EXPECT_FALSE(verify(moved)) << "fields do not flow into each other";
}

TEST(Ledger, AHeadIsBoundToItsKey) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const auto other = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const auto head = sign_head({7, "abc", 9}, key);
  ASSERT_TRUE(head) << head.error().message;
  const auto read = verify_head(*head, key.public_key());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->sequence, 7);
  EXPECT_EQ(read->hash, "abc");
  EXPECT_FALSE(verify_head(*head, other.public_key()));
}

}  // namespace
}  // namespace larder::authority
