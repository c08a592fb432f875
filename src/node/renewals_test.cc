#include "node/renewals.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/testing.h"

namespace larder::node {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

// Long for a busy machine; what does not come in this time does not come.
::testing::AssertionResult comes(const std::string& what, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return ::testing::AssertionFailure() << "not within a minute: " << what;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return ::testing::AssertionSuccess();
}

// A signer that signs nothing, and keeps what the disk says of the attempt while it is asked.
class Refusal final : public certs::Signer {
 public:
  Refusal(std::string folder, std::atomic<int>& asked, std::optional<certs::RenewalRecord>& seen)
      : folder_(std::move(folder)), asked_(asked), seen_(seen) {}
  std::string_view name() const override { return "test"; }
  base::Result<std::string> sign(std::string_view) override {
    if (auto record = certs::read_renewal_record(folder_, "main")) seen_ = std::move(*record);
    ++asked_;
    return base::fail(base::ErrorCode::Unavailable, "not today");
  }

 private:
  const std::string folder_;
  std::atomic<int>& asked_;
  std::optional<certs::RenewalRecord>& seen_;
};

// A signer that answers only when the node stops.
class Hanging final : public certs::Signer {
 public:
  Hanging(std::function<bool(std::chrono::milliseconds)> pause, std::atomic<int>& hanging)
      : pause_(std::move(pause)), hanging_(hanging) {}
  std::string_view name() const override { return "test"; }
  base::Result<std::string> sign(std::string_view) override {
    ++hanging_;
    while (pause_(std::chrono::hours(1))) continue;
    --hanging_;
    return base::fail(base::ErrorCode::Unavailable, "ended");
  }

 private:
  const std::function<bool(std::chrono::milliseconds)> pause_;
  std::atomic<int>& hanging_;
};

class RenewalsTest : public base::FolderTest {
 protected:
  void SetUp() override { use_signers({"main"}); }

  std::unique_ptr<Renewals> start() {
    RenewalSurroundings surroundings;
    surroundings.folder = folder_;
    surroundings.settings = [this] { return settings_.load(); };
    surroundings.make_signer = [this](
                                   const SignerSettings& signer, const SigningThread& thread,
                                   const crypto::Certificate*) -> std::unique_ptr<certs::Signer> {
      if (signer.certificate.starts_with("hangs")) {
        return std::make_unique<Hanging>(thread.pause, hanging_);
      }
      return std::make_unique<Refusal>(folder_, asked_, seen_);
    };
    surroundings.take_over = [] { return base::Status(); };
    surroundings.failed = [this] { ++told_of_failures_; };
    auto renewals = std::make_unique<Renewals>(std::move(surroundings), clock_);
    renewals->start();
    return renewals;
  }
  // The facts once an attempt by hand is over.
  static RenewalFacts attempt(Renewals& renewals, const std::string& certificate = "main") {
    const std::uint64_t number = renewals.ask(certificate).value();
    RenewalFacts found;
    EXPECT_TRUE(comes("the end of the attempt for " + certificate, [&] {
      for (const RenewalFacts& facts : renewals.facts()) {
        if (facts.certificate == certificate) found = facts;
      }
      return found.finished >= number;
    }));
    return found;
  }
  void use_signers(const std::vector<std::string>& certificates) {
    const auto settings = std::make_shared<NodeSettings>();
    settings->connection_names = {"node1.example.org"};
    for (const std::string& certificate : certificates) {
      SignerSettings signer;
      signer.certificate = certificate;
      signer.type = SignerType::Command;
      settings->signers.push_back(signer);
    }
    settings_.store(settings);
  }

  const base::ManualClock clock_{kNow};
  std::atomic<std::shared_ptr<const NodeSettings>> settings_;
  std::atomic<int> hanging_{0};
  std::atomic<int> asked_{0};
  std::atomic<int> told_of_failures_{0};
  std::optional<certs::RenewalRecord> seen_;  // of the worker's thread, until an attempt is over
};

TEST_F(RenewalsTest, AttemptIsOnDiskBeforeTheSignerIsAsked) {
  const auto renewals = start();
  attempt(*renewals);
  renewals->stop();
  ASSERT_TRUE(seen_);
  EXPECT_TRUE(seen_->is_running);
  EXPECT_EQ(seen_->attempts.last, kNow);
  const auto after = certs::read_renewal_record(folder_, "main").value();
  EXPECT_FALSE(after.is_running);
  EXPECT_EQ(after.reason, "test: not today");
  EXPECT_GE(after.attempts.failures, 1U);
}

TEST_F(RenewalsTest, WithoutARecordOnDiskNobodyIsAskedAndFailuresAreCountedAllTheSame) {
  // Stands in the way of the file, as a full or read-only disk would.
  std::filesystem::create_directories(path("main/renewal.json"));
  const auto renewals = start();
  const auto first = attempt(*renewals);
  EXPECT_NE(first.error.find("nobody was asked to sign"), std::string::npos) << first.error;
  const auto second = attempt(*renewals);
  EXPECT_GT(second.failures, first.failures);
  EXPECT_EQ(asked_, 0);
}

TEST_F(RenewalsTest, FolderThatCannotBeReadEndsAnAttemptByHandWithItsReason) {
  ASSERT_TRUE(base::write_file_atomically(path("active.json"), "{", 0600));
  const auto renewals = start();
  const auto failed = attempt(*renewals);
  EXPECT_NE(failed.error.find("active.json"), std::string::npos) << failed.error;
  EXPECT_FALSE(failed.running);
  EXPECT_EQ(asked_, 0);
  std::filesystem::remove(path("active.json"));
  EXPECT_EQ(attempt(*renewals).error, "test: not today");
}

TEST_F(RenewalsTest, AttemptThatTheNodeDidNotLiveToEndIsAFailure) {
  std::filesystem::create_directories(path("main"));
  certs::RenewalRecord record{.signer = "command", .attempts = {}, .reason = {}, .next = kNow};
  record.attempts = {.failures = 4, .last = kNow, .asked_to_wait = {}};
  record.is_running = true;
  ASSERT_TRUE(certs::write_renewal_record(folder_, "main", record));
  const auto renewals = start();
  EXPECT_EQ(renewals->facts().at(0).failures, 5U) << "known before anything is tried";
  EXPECT_EQ(renewals->facts().at(0).error, "the node ended during the attempt");
  EXPECT_EQ(attempt(*renewals).failures, 6U);
  EXPECT_TRUE(comes("word of it", [&] { return told_of_failures_ == 1; }));
}

TEST_F(RenewalsTest, SignersThatHangHoldUpNobodyElse) {
  use_signers({"hangs-1", "hangs-2", "main"});
  const auto renewals = start();
  ASSERT_TRUE(comes("both signers that hang", [&] { return hanging_ == 2; }));
  EXPECT_EQ(attempt(*renewals).error, "test: not today");
  renewals->stop();
  EXPECT_EQ(hanging_, 0);
  EXPECT_EQ(certs::read_renewal_record(folder_, "hangs-1")->attempts.failures, 0U)
      << "that the node stops is nobody's failure";
}

TEST_F(RenewalsTest, SignersComeAndGoWithTheSettings) {
  use_signers({"hangs-1"});
  const auto renewals = start();
  ASSERT_TRUE(comes("the signer that hangs", [&] { return hanging_ == 1; }));
  EXPECT_EQ(renewals->ask("main").error().code, base::ErrorCode::NotFound);
  use_signers({"main"});
  renewals->follow_settings();
  EXPECT_EQ(hanging_, 0) << "its attempt ended with its table";
  EXPECT_EQ(renewals->ask("hangs-1").error().code, base::ErrorCode::NotFound);
  EXPECT_EQ(attempt(*renewals).error, "test: not today");
  EXPECT_EQ(renewals->facts().size(), 1U);
}

TEST_F(RenewalsTest, WaitingForTheFolderEndsWithTheNode) {
  std::filesystem::create_directories(path("main"));
  const auto held = base::lock_file(path("lock"), "test").value();
  const auto renewals = start();
  renewals->ask("main").value();
  ASSERT_TRUE(comes("the attempt that waits", [&] {
    const auto facts = renewals->facts();
    return !facts.empty() && facts[0].running;
  }));
  renewals->stop();
  EXPECT_EQ(certs::read_renewal_record(folder_, "main")->attempts.failures, 0U);
  EXPECT_EQ(asked_, 0);
}

}  // namespace
}  // namespace larder::node
