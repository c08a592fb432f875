#include "certs/certificate_store.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/file.h"
#include "base/testing.h"
#include "crypto/issue.h"
#include "crypto/request.h"

namespace larder::certs {
namespace {

using base::ErrorCode;
using crypto::Certificate;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
constexpr auto kDay = std::chrono::hours(24);
using Adjust = std::function<void(crypto::CertificateTemplate&)>;

// A CA as a customer has it: a root that devices trust and an issuing CA below it.
class Authority {
 public:
  Authority() : root_key_(make_key()), issuing_key_(make_key()), root_(make_root()) {
    issuing_.push_back(
        crypto::issue(ca("Issuing CA"), issuing_key_.public_key(), root_, root_key_).value());
  }

  std::string root_pem() const { return root_.to_pem(); }
  std::string issuing_pem() const { return issuing_.front().to_pem(); }

  // The leaf for a request, as an administrator gets it.
  std::string sign(const std::string& request_path, const Adjust& adjust = {}) const {
    const auto text = base::read_file(request_path, 65536).value();
    const auto request = crypto::CertificateRequest::from_pem(text).value();
    EXPECT_TRUE(request.verify());
    return sign_key(request.public_key().value(), request.alternative_names(), adjust);
  }
  std::string sign_key(const crypto::PublicKey& key, const crypto::AlternativeNames& names,
                       const Adjust& adjust = {}) const {
    crypto::CertificateTemplate content;
    content.subject.common_name = "node1.example.org";
    content.names = names;
    content.not_before = kNow - kDay;
    content.not_after = kNow + 90 * kDay;
    content.server_auth = true;
    if (adjust) adjust(content);
    return crypto::issue(content, key, issuing_.front(), issuing_key_).value().to_pem();
  }

 private:
  static crypto::PrivateKey make_key() {
    return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  }
  static crypto::CertificateTemplate ca(const std::string& name) {
    crypto::CertificateTemplate content;
    content.subject.common_name = name;
    content.not_before = kNow - 100 * kDay;
    content.not_after = kNow + 1000 * kDay;
    content.is_ca = true;
    return content;
  }
  Certificate make_root() const { return crypto::issue_self_signed(ca("Root"), root_key_).value(); }

  crypto::PrivateKey root_key_;
  crypto::PrivateKey issuing_key_;
  Certificate root_;
  std::vector<Certificate> issuing_;
};

class Store : public base::FolderTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(base::write_file_atomically(folder_ + "/root.pem", authority_.root_pem(), 0644));
    settings_ = {.folder = folder_ + "/certificates",
                 .connection_names = {"node1.example.org", "10.0.0.5"},
                 .client_trust = {folder_ + "/root.pem"}};
  }

  CertificateStore open() const { return CertificateStore::open(settings_).value(); }

  std::string make_request(const std::string& name = "main",
                           crypto::KeyAlgorithm algorithm = crypto::KeyAlgorithm::EcP256) const {
    RequestOptions options;
    options.key_name = name;
    options.algorithm = algorithm;
    options.subject.common_name = "node1.example.org";
    return open().make_request(options, kNow).value().path;
  }
  std::string chain(const std::string& request_path, const Adjust& adjust = {}) const {
    return authority_.sign(request_path, adjust) + authority_.issuing_pem();
  }
  std::string refusal(const std::string& content) const {
    const auto outcome = open().import_certificate(content, {}, kNow).value();
    EXPECT_FALSE(outcome.report.passed());
    EXPECT_TRUE(open().load_active().value().certificates.empty());
    return outcome.report.failures();
  }
  std::vector<CertificateFacts> certificates(const std::string& key = "main") const {
    for (const KeyFacts& facts : open().list().value().keys) {
      if (facts.name == key) return facts.certificates;
    }
    return {};
  }

  Authority authority_;
  StoreSettings settings_;
};

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(Store, RequestHasTheConnectionNamesAndAPrivateKeyFile) {
  const std::string path = make_request();
  const auto request =
      crypto::CertificateRequest::from_pem(base::read_file(path, 65536).value()).value();
  EXPECT_EQ(request.alternative_names().dns, std::vector<std::string>{"node1.example.org"});
  EXPECT_EQ(request.alternative_names().addresses, std::vector<std::string>{"10.0.0.5"});
  struct stat facts{};
  ASSERT_EQ(::stat((settings_.folder + "/main/key.pem").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
}

TEST_F(Store, SecondRequestOfANameIsRefusedAndKeepsTheKey) {
  const std::string path = make_request();
  const std::string before = base::read_file(path, 65536).value();
  RequestOptions options;
  options.key_name = "main";
  const auto again = open().make_request(options, kNow);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  EXPECT_EQ(base::read_file(path, 65536).value(), before);
}

TEST_F(Store, RequestAfterACrashUsesTheKeyThatIsThere) {
  const std::string path = make_request();
  const std::string key = base::read_file(settings_.folder + "/main/key.pem", 65536).value();
  std::filesystem::remove(path);
  EXPECT_EQ(make_request(), path);
  EXPECT_EQ(base::read_file(settings_.folder + "/main/key.pem", 65536).value(), key);
}

TEST_F(Store, RequestWarnsWhenClientsCouldNotUseTheResult) {
  RequestOptions options;
  options.key_name = "main";
  options.algorithm = crypto::KeyAlgorithm::Ed25519;
  options.names.dns = {"node1.example.org"};
  const auto outcome = open().make_request(options, kNow).value();
  ASSERT_EQ(outcome.warnings.size(), 2U);
  EXPECT_SAYS(outcome.warnings[0], "Windows");
  EXPECT_SAYS(outcome.warnings[1], "10.0.0.5");
}

TEST_F(Store, KeyNamesStayInsideTheFolder) {
  for (const char* name : {"", "..", "../x", "a/b", ".hidden", "Upper", "a b"}) {
    RequestOptions options;
    options.key_name = name;
    EXPECT_FALSE(open().make_request(options, kNow)) << name;
  }
}

TEST_F(Store, ImportedChainIsProvenAndActive) {
  for (const auto algorithm : {crypto::KeyAlgorithm::EcP256, crypto::KeyAlgorithm::Rsa2048,
                               crypto::KeyAlgorithm::EcP384, crypto::KeyAlgorithm::Ed25519}) {
    const std::string name = "k" + std::to_string(static_cast<int>(algorithm));
    const std::string request = make_request(name, algorithm);
    const auto outcome = open().import_certificate(chain(request), {}, kNow);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(outcome->active);
    EXPECT_TRUE(outcome->report.proven);
    const auto active = open().load_active().value();
    ASSERT_FALSE(active.certificates.empty());
    EXPECT_EQ(active.certificates[0].choice.key_name, name);
    EXPECT_EQ(active.certificates[0].chain.size(), 2U);
    EXPECT_TRUE(active.certificates[0].chain.front().matches(active.certificates[0].key));
  }
}

TEST_F(Store, ChainMayComeInAnyOrderWithItsRoot) {
  const std::string request = make_request();
  const std::string text =
      authority_.root_pem() + authority_.issuing_pem() + "some text\n" + authority_.sign(request);
  ASSERT_TRUE(open().import_certificate(text, {}, kNow));
  const auto active = open().load_active().value();
  ASSERT_EQ(active.certificates[0].chain.size(), 2U);
  EXPECT_EQ(active.certificates[0].chain[1].common_name(), "Issuing CA");
}

TEST_F(Store, DerLeafIsAccepted) {
  settings_.client_trust = {folder_ + "/issuing.pem"};
  ASSERT_TRUE(base::write_file_atomically(folder_ + "/issuing.pem",
                                          authority_.issuing_pem() + authority_.root_pem(), 0644));
  const auto leaf = Certificate::from_pem(authority_.sign(make_request())).value();
  const auto outcome = open().import_certificate(leaf.to_der(), {}, kNow);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->report.proven);
}

TEST_F(Store, UnknownAuthorityBecomesActiveUnprovenWithAdvice) {
  const Authority other;
  const std::string request = make_request();
  const auto outcome = open().import_certificate(other.sign(request), {}, kNow);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->active);
  EXPECT_FALSE(outcome->report.proven);
  const auto& checks = outcome->report.checks;
  const auto advice = std::ranges::find(checks, Check::Kind::Chain, &Check::kind);
  ASSERT_NE(advice, checks.end());
  EXPECT_EQ(advice->verdict, Check::Verdict::Warning);
  EXPECT_SAYS(advice->message, "client_trust");
  EXPECT_FALSE(certificates().front().proven);
}

TEST_F(Store, EachFailedCheckHasItsOwnMessage) {
  const std::string request = make_request();
  using T = crypto::CertificateTemplate;
  EXPECT_SAYS(refusal(chain(request,
                            [](T& t) {
                              t.not_before = kNow - 9 * kDay;
                              t.not_after = kNow - kDay;
                            })),
              "expired on");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.not_before = kNow + kDay; })),
              "not valid before");
  EXPECT_SAYS(refusal(chain(request,
                            [](T& t) {
                              t.server_auth = false;
                              t.client_auth = true;
                            })),
              "serverAuth");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.is_ca = true; })), "CA's own");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.names.addresses.clear(); })),
              "do not cover 10.0.0.5");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.names.dns = {"*.org"}; })),
              "do not cover node1.example.org");
  const auto both = refusal(chain(request, [](T& t) {
    t.server_auth = false;
    t.not_after = kNow - std::chrono::hours(1);
  }));
  EXPECT_SAYS(both, "expired on");
  EXPECT_SAYS(both, "serverAuth");
}

TEST_F(Store, ForeignCertificateIsRefused) {
  EXPECT_SAYS(refusal(authority_.sign_key(
                  crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value().public_key(),
                  {.dns = {"node1.example.org"}})),
              "no key is held here");
  make_request();
  EXPECT_SAYS(refusal(authority_.sign_key(
                  crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value().public_key(),
                  {.dns = {"node1.example.org"}})),
              "matches no key held here (main)");
}

TEST_F(Store, PrivateKeyGivenByMistakeIsRefusedAndStoredNowhere) {
  const std::string request = make_request();
  const auto foreign = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const std::string pem = foreign.to_pem().value();
  const std::string secret = pem.substr(40, 40);
  ::testing::internal::CaptureStderr();
  for (const std::string& content :
       {pem, authority_.sign(request) + pem, pem + authority_.sign(request)}) {
    const std::string message = refusal(content);
    EXPECT_SAYS(message, "private key");
    EXPECT_EQ(message.find(secret), std::string::npos);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr().find(secret), std::string::npos);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(settings_.folder)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(base::read_file(entry.path().string(), 1 << 20).value().find(secret),
              std::string::npos)
        << entry.path();
  }
}

TEST_F(Store, DryRunReportsAndWritesNothing) {
  const std::string request = make_request();
  const auto good = open().import_certificate(chain(request), {.dry_run = true}, kNow);
  ASSERT_TRUE(good);
  EXPECT_TRUE(good->report.passed());
  EXPECT_FALSE(good->active);
  const auto bad = open().import_certificate(
      chain(request, [](crypto::CertificateTemplate& t) { t.server_auth = false; }),
      {.dry_run = true}, kNow);
  ASSERT_TRUE(bad);
  EXPECT_FALSE(bad->report.passed());
  EXPECT_TRUE(certificates().empty());
  EXPECT_FALSE(std::filesystem::exists(settings_.folder + "/active.json"));
}

TEST_F(Store, RenewalReplacesAndTheRecordsSayWhenAndWhy) {
  const std::string request = make_request();
  const std::string first = chain(request);
  const auto first_id = open().import_certificate(first, {}, kNow)->id;
  const auto second_id = open().import_certificate(chain(request), {}, kNow + 10 * kDay)->id;
  EXPECT_NE(first_id, second_id);
  const auto old = open().show(first_id.substr(0, 8)).value();
  EXPECT_EQ(old.state, CertificateState::Inactive);
  ASSERT_EQ(old.history.size(), 3U);
  EXPECT_EQ(old.history[1].event, Record::Event::Activated);
  EXPECT_EQ(old.history[2].event, Record::Event::Deactivated);
  EXPECT_EQ(old.history[2].at, kNow + 10 * kDay);
  EXPECT_SAYS(old.history[2].reason, second_id);
  EXPECT_EQ(open().show(second_id)->state, CertificateState::Active);
  // Going back is importing the earlier one again.
  ASSERT_TRUE(open().import_certificate(first, {}, kNow + 11 * kDay));
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, first_id);
  EXPECT_EQ(open().show(first_id)->history.back().event, Record::Event::Activated);
}

TEST_F(Store, RsaAndEcAreServedSideBySideAndANewKeyFollowsTheOld) {
  const auto import = [&](const std::string& name, crypto::KeyAlgorithm algorithm, int day) {
    const std::string request = make_request(name, algorithm);
    return open().import_certificate(chain(request), {}, kNow + day * kDay)->id;
  };
  const auto served = [&] {
    std::vector<std::string> names;
    for (const auto& one : open().load_active()->certificates) names.push_back(one.choice.key_name);
    return names;
  };
  using Names = std::vector<std::string>;
  const auto ec = import("ec", crypto::KeyAlgorithm::EcP256, 0);
  import("rsa", crypto::KeyAlgorithm::Rsa2048, 1);
  EXPECT_EQ(served(), (Names{"rsa", "ec"}));
  EXPECT_EQ(open().show(ec)->state, CertificateState::Active);
  import("ec2", crypto::KeyAlgorithm::EcP384, 2);
  EXPECT_EQ(served(), (Names{"ec2", "rsa"}));
  EXPECT_EQ(open().show(ec)->state, CertificateState::Inactive);
  ASSERT_TRUE(open().retire(open().load_active()->certificates[0].choice.certificate_id, {}, kNow));
  EXPECT_EQ(served(), Names{"rsa"});
  ASSERT_TRUE(open().rollback("", kNow + 3 * kDay)->report.passed());
  EXPECT_EQ(served(), (Names{"ec", "rsa"}));
}

TEST_F(Store, DamagedNeighbourDoesNotHoldUpASwap) {
  const auto ec = open().import_certificate(chain(make_request("ec")), {}, kNow)->id;
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/ec/" + ec + ".crt", "junk", 0640));
  const auto rsa = open().import_certificate(
      chain(make_request("rsa", crypto::KeyAlgorithm::Rsa2048)), {}, kNow);
  ASSERT_TRUE(rsa) << rsa.error().message;
  const auto state = open().load_active().value();
  ASSERT_EQ(state.certificates.size(), 1U);
  EXPECT_EQ(state.certificates[0].choice.key_name, "rsa");
  ASSERT_EQ(state.damaged.size(), 1U);
  EXPECT_EQ(state.damaged[0].choice.key_name, "ec");
}

TEST_F(Store, RollbackGoesBackAndForthAndChecksAnew) {
  EXPECT_EQ(open().rollback("", kNow).error().code, ErrorCode::FailedPrecondition);
  const std::string request = make_request();
  const auto first = open().import_certificate(chain(request), {}, kNow)->id;
  const auto second = open().import_certificate(chain(request), {}, kNow + kDay)->id;
  const auto active = [&] {
    return open().load_active()->certificates.at(0).choice.certificate_id;
  };
  EXPECT_EQ(open().rollback("", kNow + 2 * kDay)->id, first);
  EXPECT_EQ(active(), first);
  EXPECT_SAYS(open().show(second)->history.back().reason, "rollback to " + first);
  EXPECT_EQ(open().rollback("main", kNow + 3 * kDay)->id, second);
  EXPECT_EQ(active(), second);
  EXPECT_FALSE(open().rollback("other", kNow + 3 * kDay));
  // What the node is called has changed meanwhile: the certificate before does not fit any more.
  settings_.connection_names = {"renamed.example.org"};
  const auto refused = open().rollback("", kNow + 4 * kDay).value();
  EXPECT_EQ(refused.report.first_failure()->kind, Check::Kind::Names);
  EXPECT_EQ(active(), second);
  EXPECT_FALSE(open().rollback("", kNow + 91 * kDay));
}

TEST_F(Store, FailedImportKeepsTheActiveCertificate) {
  const std::string request = make_request();
  const auto id = open().import_certificate(chain(request), {}, kNow)->id;
  const auto refused = open().import_certificate(
      chain(request, [](crypto::CertificateTemplate& t) { t.server_auth = false; }), {}, kNow);
  EXPECT_FALSE(refused.value().report.passed());
  EXPECT_FALSE(refused->active);
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, id);
  EXPECT_EQ(certificates().size(), 1U);
}

TEST_F(Store, DisabledWinsUntilEnable) {
  const std::string request = make_request();
  const auto id = open().import_certificate(chain(request), {}, kNow)->id;
  ASSERT_TRUE(open().disable("maintenance", kNow + kDay));
  auto state = open().load_active().value();
  EXPECT_TRUE(state.disabled);
  EXPECT_TRUE(state.certificates.empty());
  EXPECT_EQ(open().show(id)->state, CertificateState::Disabled);
  EXPECT_EQ(open().show(id)->history.back().reason, "maintenance");
  const auto while_disabled = open().import_certificate(chain(request), {}, kNow + 2 * kDay);
  ASSERT_TRUE(while_disabled);
  EXPECT_FALSE(while_disabled->active);
  EXPECT_TRUE(while_disabled->disabled);
  EXPECT_TRUE(open().load_active()->certificates.empty());
  ASSERT_TRUE(open().enable(kNow + 3 * kDay));
  state = open().load_active().value();
  EXPECT_EQ(state.certificates.at(0).choice.certificate_id, while_disabled->id);
  EXPECT_EQ(open().show(id)->state, CertificateState::Inactive);
}

TEST_F(Store, EnableNeedsSomethingToEnable) {
  const auto nothing = open().enable(kNow);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::FailedPrecondition);
  // Disabled without a certificate: that keeps the site's own from being served.
  ASSERT_TRUE(open().disable("", kNow));
  EXPECT_TRUE(open().load_active()->disabled);
  ASSERT_TRUE(open().enable(kNow));
  EXPECT_FALSE(open().load_active()->disabled);
  ASSERT_TRUE(open().import_certificate(chain(make_request()), {}, kNow));
  ASSERT_TRUE(open().disable("", kNow));
  const auto expired = open().enable(kNow + 91 * kDay);
  ASSERT_FALSE(expired);
  EXPECT_SAYS(expired.error().message, "expired");
}

TEST_F(Store, RetiredCertificateIsKeptAndNotServed) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  ASSERT_TRUE(open().retire(id, {}, kNow + kDay));
  EXPECT_TRUE(open().load_active()->certificates.empty());
  const auto facts = open().show(id).value();
  EXPECT_EQ(facts.state, CertificateState::Retired);
  EXPECT_TRUE(std::filesystem::exists(facts.path));
  EXPECT_FALSE(open().retire("deadbeef", {}, kNow));
}

TEST_F(Store, RetireThatWasCutShortIsRepeated) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  const std::string active_path = settings_.folder + "/active.json";
  const std::string active = base::read_file(active_path, 65536).value();
  ASSERT_TRUE(open().retire(id, {.reason = "key lost"}, kNow + kDay));
  // As if the second write had been lost.
  ASSERT_TRUE(base::write_file_atomically(active_path, active, 0640));
  EXPECT_EQ(open().show(id)->state, CertificateState::Active);
  ASSERT_TRUE(open().retire(id, {.reason = "key lost"}, kNow + 2 * kDay));
  EXPECT_TRUE(open().load_active()->certificates.empty());
  EXPECT_EQ(open().show(id)->state, CertificateState::Retired);
  EXPECT_FALSE(open().rollback("", kNow + 3 * kDay));
}

TEST_F(Store, CertificateThatCannotBePutAwayIsStillServed) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  const std::string record = settings_.folder + "/main/" + id + ".json";
  std::filesystem::remove(record);
  std::filesystem::create_directory(record);
  EXPECT_FALSE(open().retire(id, {.reason = "key lost"}, kNow + kDay));
  EXPECT_EQ(open().load_active()->certificates.size(), 1U) << "or else rollback would find it";
}

TEST_F(Store, PurgeTakesCertificateAndKeyAndWritesItDown) {
  const std::string request = make_request();
  const auto first = open().import_certificate(chain(request), {}, kNow)->id;
  const auto second = open().import_certificate(chain(request), {}, kNow + kDay)->id;
  ASSERT_TRUE(open().retire(second, {.reason = "moved"}, kNow + 2 * kDay));
  const auto end = open().show(first)->not_after;
  const auto late = end + 18 * 31 * kDay;
  EXPECT_TRUE(open().purge(false, end + 500 * kDay)->empty());
  EXPECT_EQ(open().purge(true, late)->size(), 2U);
  EXPECT_EQ(certificates().size(), 2U);
  const auto gone = open().purge(false, late).value();
  ASSERT_EQ(gone.size(), 2U);
  EXPECT_FALSE(std::filesystem::exists(settings_.folder + "/main"));
  const auto audit = open().audit().value();
  EXPECT_EQ(audit.damage, "");
  ASSERT_EQ(audit.entries.size(), 3U);
  EXPECT_EQ(audit.entries[2].event, "key-purged");
  EXPECT_SAYS(audit.entries[0].subject + audit.entries[1].subject, first);
  EXPECT_SAYS(audit.entries[0].subject + audit.entries[1].subject, "moved");
  EXPECT_TRUE(open().purge(false, late)->empty());
}

TEST_F(Store, PurgeThatWasCutShortIsMadeGood) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  ASSERT_TRUE(open().retire(id, {}, kNow + kDay));
  const auto late = kNow + 800 * kDay;
  const std::string key = settings_.folder + "/main/key.pem";
  // After the key went, and after the certificate went.
  std::filesystem::remove(key);
  EXPECT_EQ(open().purge(true, late)->size(), 1U);
  std::filesystem::remove(settings_.folder + "/main/" + id + ".crt");
  EXPECT_TRUE(open().purge(false, late)->empty());
  EXPECT_FALSE(std::filesystem::exists(settings_.folder + "/main"));
}

TEST_F(Store, NothingIsPurgedWhileTheAuditLogIsDamaged) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  ASSERT_TRUE(open().retire(id, {}, kNow + kDay));
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/audit.jsonl", "{}\n", 0640));
  const auto refused = open().purge(false, kNow + 800 * kDay);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::DataLoss);
  EXPECT_TRUE(open().show(id));
}

TEST_F(Store, CrashBeforeTheSwitchLeavesTheOldState) {
  const std::string request = make_request();
  const auto old_id = open().import_certificate(chain(request), {}, kNow)->id;
  const std::string active = base::read_file(settings_.folder + "/active.json", 65536).value();
  const std::string old_record =
      base::read_file(settings_.folder + "/main/" + old_id + ".json", 65536).value();
  const std::string next = chain(request);
  const auto new_id = open().import_certificate(next, {}, kNow + kDay)->id;
  // Undo everything from the switch on: chain and record of the new one are on disk.
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/active.json", active, 0640));
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/main/" + old_id + ".json",
                                          old_record, 0640));
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, old_id);
  EXPECT_EQ(open().show(old_id)->state, CertificateState::Active);
  EXPECT_EQ(open().show(new_id)->state, CertificateState::Inactive);
  // Nor does a chain without its record do harm.
  std::filesystem::remove(settings_.folder + "/main/" + new_id + ".json");
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, old_id);
  ASSERT_TRUE(open().import_certificate(next, {}, kNow + 2 * kDay));
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, new_id);
}

TEST_F(Store, CrashAfterTheSwitchLeavesTheNewStateAndTheRecordsCatchUp) {
  const std::string request = make_request();
  const auto old_id = open().import_certificate(chain(request), {}, kNow)->id;
  const std::string record_path = settings_.folder + "/main/" + old_id + ".json";
  const std::string old_record = base::read_file(record_path, 65536).value();
  const auto new_id = open().import_certificate(chain(request), {}, kNow + kDay)->id;
  ASSERT_TRUE(base::write_file_atomically(record_path, old_record, 0640));
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, new_id);
  EXPECT_EQ(open().show(old_id)->state, CertificateState::Inactive);
  ASSERT_TRUE(open().disable("", kNow + 2 * kDay));
  const auto facts = open().show(old_id).value();
  EXPECT_EQ(facts.history.back().event, Record::Event::Deactivated);
  EXPECT_EQ(facts.history.back().at, kNow + kDay);
}

TEST_F(Store, DamagedFilesAreNamedAndNothingElseIsLost) {
  const std::string request = make_request();
  const auto id = open().import_certificate(chain(request), {}, kNow)->id;
  make_request("second");
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/main/" + id + ".crt", "junk", 0640));
  const auto loaded = open().load_active().value();
  EXPECT_TRUE(loaded.certificates.empty());
  ASSERT_EQ(loaded.damaged.size(), 1U);
  EXPECT_EQ(loaded.damaged[0].error.code, ErrorCode::DataLoss);
  const auto inventory = open().list().value();
  EXPECT_EQ(inventory.keys.size(), 2U);
  ASSERT_EQ(inventory.damaged.size(), 1U);
  EXPECT_SAYS(inventory.damaged.front(), id);
}

TEST_F(Store, NewerOrDamagedActiveFileIsAnErrorNotAnEmptyState) {
  make_request();
  ASSERT_TRUE(base::write_file_atomically(
      settings_.folder + "/active.json",
      R"({"format":3,"disabled":true,"changed_at":"2026-01-01T00:00:00Z"})", 0640));
  const auto newer = open().load_active();
  ASSERT_FALSE(newer);
  EXPECT_SAYS(newer.error().message, "format 3");
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/active.json", "{", 0640));
  EXPECT_FALSE(open().load_active());
  EXPECT_FALSE(open().disable("", kNow));
}

TEST_F(Store, LooseKeyPermissionsStopLoadingWithTheMend) {
  ASSERT_TRUE(open().import_certificate(chain(make_request()), {}, kNow));
  ASSERT_EQ(::chmod((settings_.folder + "/main/key.pem").c_str(), 0644), 0);
  const auto loaded = open().load_active().value();
  EXPECT_TRUE(loaded.certificates.empty());
  EXPECT_SAYS(loaded.damaged.at(0).error.message, "chmod 600");
}

TEST_F(Store, OnlyOneProcessChangesAtATime) {
  const std::string request = make_request();
  const auto held = base::lock_file(settings_.folder + "/lock", "test").value();
  EXPECT_EQ(open().import_certificate(chain(request), {}, kNow).error().code,
            ErrorCode::FailedPrecondition);
  EXPECT_TRUE(open().list());
  EXPECT_TRUE(open().load_active());
}

class TestSigner final : public Signer {
 public:
  TestSigner(const Authority& authority, bool works, Adjust adjust = {})
      : authority_(authority), works_(works), adjust_(std::move(adjust)) {}
  std::string_view name() const override { return "test"; }
  base::Result<std::string> sign(std::string_view request_pem) override {
    if (!works_) return base::fail(ErrorCode::Unavailable, "the CA cannot be reached");
    const auto request = crypto::CertificateRequest::from_pem(request_pem).value();
    return authority_.sign_key(request.public_key().value(), request.alternative_names(), adjust_) +
           authority_.issuing_pem();
  }

 private:
  const Authority& authority_;
  bool works_;
  Adjust adjust_;
};

Adjust ends(base::WallTime end) {
  return [end](crypto::CertificateTemplate& content) { content.not_after = end; };
}

TEST_F(Store, SignerRenewsTheSameRequest) {
  make_request();
  const base::ManualClock clock(kNow);
  TestSigner signer(authority_, true);
  const auto outcome = open().renew("main", signer, clock);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->active);
  TestSigner broken(authority_, false);
  const auto failed = open().renew("main", broken, clock);
  ASSERT_FALSE(failed);
  EXPECT_SAYS(failed.error().message, "test: the CA cannot be reached");
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, outcome->id);
}

TEST_F(Store, RenewalThatEndsNoLaterIsRefused) {
  const std::string request = make_request();
  const base::ManualClock clock(kNow);
  const auto id = open().import_certificate(chain(request, ends(kNow + 30 * kDay)), {}, kNow)->id;
  for (const int days : {29, 30}) {
    TestSigner stale(authority_, true, ends(kNow + days * kDay));
    const auto refused = open().renew("main", stale, clock);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
    EXPECT_SAYS(refused.error().message, "the signer returned a certificate that is no newer");
    EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, id);
  }
  TestSigner fresh(authority_, true, ends(kNow + 31 * kDay));
  EXPECT_TRUE(open().renew("main", fresh, clock));
  // Who wants shorter lives from now on puts the long one away.
  ASSERT_TRUE(
      open().retire(open().load_active()->certificates.at(0).choice.certificate_id, {}, kNow));
  TestSigner shorter(authority_, true, ends(kNow + 9 * kDay));
  EXPECT_TRUE(open().renew("main", shorter, clock));
}

TEST_F(Store, WhatWasSignedWaitsForAnotherChangeToEnd) {
  make_request();
  const std::string lock = settings_.folder + "/lock";
  TestSigner signer(authority_, true);
  auto held = base::lock_file(lock, "test").value();
  const base::UniqueFd changes(::inotify_init1(IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(changes.get(), lock.c_str(), IN_CLOSE_WRITE), 0);
  // Lets go once the renewal has found the lock taken and closed it again.
  std::jthread other([&](const std::stop_token& over) {
    pollfd wait{changes.get(), POLLIN, 0};
    while (::poll(&wait, 1, 50) == 0 && !over.stop_requested()) continue;
    held.reset();
  });
  const auto outcome = open().renew("main", signer, base::ManualClock(kNow));
  other.request_stop();
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->active);
}

TEST_F(Store, WaitingForAnotherChangeEndsWhenNobodyWantsItAnyMore) {
  make_request();
  TestSigner signer(authority_, true);
  const auto held = base::lock_file(settings_.folder + "/lock", "test").value();
  int pauses = 0;
  const Pause thrice = [&](std::chrono::milliseconds) { return ++pauses < 3; };
  EXPECT_EQ(open().renew("main", signer, base::ManualClock(kNow), thrice).error().code,
            ErrorCode::Unavailable);
  EXPECT_EQ(pauses, 3);
  RequestOptions options;
  options.key_name = "second";
  pauses = 0;
  EXPECT_EQ(open().make_request(options, kNow, thrice).error().code, ErrorCode::Unavailable);
  EXPECT_EQ(pauses, 3);
  EXPECT_EQ(open().make_request(options, kNow).error().code, ErrorCode::FailedPrecondition)
      << "a command does not wait";
}

TEST_F(Store, NamesOfAnEndedCertificateAreNotCovered) {
  const std::string both = make_request("both");
  RequestOptions options;
  options.key_name = "half";
  options.algorithm = crypto::KeyAlgorithm::Rsa2048;
  options.names.dns = {"node1.example.org"};
  const std::string half = open().make_request(options, kNow)->path;
  ASSERT_TRUE(open().import_certificate(chain(both, ends(kNow + kDay)), {}, kNow)->active);
  const auto beside = open().import_certificate(chain(half), {.dry_run = true}, kNow).value();
  EXPECT_TRUE(beside.report.passed()) << beside.report.failures();
  const auto alone = open().import_certificate(chain(half), {.dry_run = true}, kNow + kDay).value();
  EXPECT_SAYS(alone.report.failures(), "do not cover 10.0.0.5");
  // Nor is a signer asked for what would be refused.
  TestSigner signer(authority_, false);
  EXPECT_SAYS(open().renew("half", signer, base::ManualClock(kNow)).error().message,
              "cannot be reached");
  EXPECT_SAYS(open().renew("half", signer, base::ManualClock(kNow + kDay)).error().message,
              "10.0.0.5, which the request leaves out");
}

TEST_F(Store, SignerThatAnswersForAnotherKeyIsRefused) {
  make_request();
  class Stranger final : public Signer {
   public:
    explicit Stranger(std::string answer) : answer_(std::move(answer)) {}
    std::string_view name() const override { return "test"; }
    base::Result<std::string> sign(std::string_view) override { return answer_; }

   private:
    std::string answer_;
  };
  const auto other = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  Stranger signer(authority_.sign_key(other.public_key(), {.dns = {"node1.example.org"}}));
  const auto outcome = open().renew("main", signer, base::ManualClock(kNow));
  ASSERT_FALSE(outcome);
  EXPECT_SAYS(outcome.error().message, "no certificate for the key main");
}

TEST_F(Store, SignerIsNotAskedForARequestThatLeavesOutAName) {
  make_request();
  settings_.connection_names.push_back("other.example.org");
  TestSigner signer(authority_, false);
  const auto outcome = open().renew("main", signer, base::ManualClock(kNow));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::FailedPrecondition);
  EXPECT_SAYS(outcome.error().message, "other.example.org");
  EXPECT_SAYS(open().renew("absent", signer, base::ManualClock(kNow)).error().message,
              "no request named absent");
}

}  // namespace
}  // namespace larder::certs
