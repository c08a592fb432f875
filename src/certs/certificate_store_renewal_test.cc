#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <thread>

#include "certs/testing.h"

namespace larder::certs {
namespace {

using base::ErrorCode;

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

TEST_F(Store, SameCertificateWithAnIntermediateThatLastsLongerIsNewer) {
  const std::string request = make_request();
  const std::string leaf = authority_.sign(request);
  class Repeating final : public Signer {
   public:
    explicit Repeating(std::string answer) : answer_(std::move(answer)) {}
    std::string_view name() const override { return "test"; }
    base::Result<std::string> sign(std::string_view) override { return answer_; }

   private:
    std::string answer_;
  };
  const std::string brief = authority_.issuing_pem(ends(kNow + 10 * kDay));
  ASSERT_TRUE(open().import_certificate(leaf + brief, {}, kNow)->active);
  const base::ManualClock clock(kNow + kDay);
  Repeating same(leaf + brief);
  EXPECT_SAYS(open().renew("main", same, clock).error().message, "no newer");
  Repeating longer(leaf + authority_.issuing_pem());
  const auto outcome = open().renew("main", longer, clock);
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto chain = open().load_active()->certificates.at(0).chain;
  ASSERT_EQ(chain.size(), 2U);
  EXPECT_EQ(chain[1].to_pem(), authority_.issuing_pem());
}

TEST_F(Store, ChangeWaitsForAnotherOneToEnd) {
  make_request();
  const std::string lock = settings_.folder + "/lock";
  TestSigner signer(authority_, true);
  auto held = base::lock_file(lock, "test").value();
  const base::UniqueFd changes(::inotify_init1(IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(changes.get(), lock.c_str(), IN_CLOSE_WRITE), 0);
  // Lets go once the change has found the lock taken and closed it again.
  const auto while_another_changes = [&](const auto& change) {
    if (!held) held = base::lock_file(lock, "test").value();
    char told[4096];
    pollfd wait{changes.get(), POLLIN, 0};
    while (::poll(&wait, 1, 0) > 0 && ::read(changes.get(), told, sizeof(told)) > 0) continue;
    std::jthread other([&](const std::stop_token& over) {
      while (::poll(&wait, 1, 50) == 0 && !over.stop_requested()) continue;
      held.reset();
    });
    change();
    other.request_stop();
  };
  while_another_changes([&] {
    const auto outcome = open().renew("main", signer, base::ManualClock(kNow));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(outcome->active);
  });
  while_another_changes([&] { EXPECT_TRUE(open().disable("in a hurry", kNow)); });
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

TEST_F(Store, RenewalGoesOnWhileANameThatItNeverCoveredIsWithoutACertificate) {
  settings_.connection_names = {"node1.example.org", "extra.test"};
  const auto request = [&](const std::string& key, const std::string& name) {
    RequestOptions options;
    options.key_name = key;
    options.names.dns = {name};
    return open().make_request(options, kNow)->path;
  };
  const std::string own = request("w", "*.example.org");
  const std::string extra = request("extra", "extra.test");
  ASSERT_TRUE(open().import_certificate(chain(own), {.partial = true}, kNow)->active);
  const auto extra_id =
      open().import_certificate(chain(extra, ends(kNow + kDay)), {.partial = true}, kNow)->id;
  int days = 100;
  const auto renews = [&](base::WallTime now, const std::string& uncovered) {
    TestSigner signer(authority_, true, ends(kNow + ++days * kDay));
    const auto outcome = open().renew("w", signer, base::ManualClock(now));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(outcome->active);
    const auto names = std::ranges::find(outcome->report.checks, Check::Kind::Names, &Check::kind);
    if (uncovered.empty()) {
      EXPECT_EQ(names->verdict, Check::Verdict::Passed) << names->message;
    } else {
      EXPECT_EQ(names->verdict, Check::Verdict::Warning);
      EXPECT_SAYS(names->message, "covers " + uncovered + ":");
    }
  };
  renews(kNow, "");
  renews(kNow + 2 * kDay, "extra.test");
  ASSERT_TRUE(open().retire(extra_id, {}, kNow));
  renews(kNow, "extra.test");
  settings_.connection_names.emplace_back("new.test");
  renews(kNow, "extra.test, new.test");
  // By hand as well, also with a new key.
  EXPECT_TRUE(open().import_certificate(chain(own), {}, kNow)->active);
  EXPECT_TRUE(open().import_certificate(chain(request("w2", "*.example.org")), {}, kNow)->active);
}

TEST_F(Store, RenewalThatCoversLessThanItsPredecessorIsRefused) {
  const std::string request = make_request();
  const auto id = open().import_certificate(chain(request, ends(kNow + 30 * kDay)), {}, kNow)->id;
  TestSigner less(authority_, true, [](crypto::CertificateTemplate& content) {
    content.not_after = kNow + 60 * kDay;
    content.names.addresses.clear();
  });
  EXPECT_SAYS(open().renew("main", less, base::ManualClock(kNow)).error().message,
              "do not cover 10.0.0.5");
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, id);
}

TEST_F(Store, CertificateThatIsLostIsRenewedWhileANameIsWithoutOne) {
  make_request();
  settings_.connection_names.emplace_back("new.test");
  const std::string request = settings_.folder + "/main/request.csr";
  const auto id = open().import_certificate(chain(request), {.partial = true}, kNow)->id;
  ASSERT_EQ(::unlink((settings_.folder + "/main/" + id + ".crt").c_str()), 0);
  TestSigner signer(authority_, true);
  const auto outcome = open().renew("main", signer, base::ManualClock(kNow));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->active);
}

TEST_F(Store, RenewalReadsNoOtherKey) {
  make_request("a-damaged");
  make_request();
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/a-damaged/key.pem", "junk", 0600));
  TestSigner signer(authority_, true);
  const auto outcome = open().renew("main", signer, base::ManualClock(kNow));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->key_name, "main");
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
