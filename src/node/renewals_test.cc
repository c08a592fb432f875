#include "node/renewals.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/testing.h"

namespace larder::node {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

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

class RenewalsTest : public base::FolderTest {
 protected:
  void SetUp() override {
    const auto settings = std::make_shared<NodeSettings>();
    settings->connection_names = {"node1.example.org"};
    SignerSettings signer;
    signer.certificate = "main";
    signer.type = SignerType::Command;
    settings->signers.push_back(signer);
    settings_ = settings;
  }

  std::unique_ptr<Renewals> start() {
    RenewalSurroundings surroundings;
    surroundings.folder = folder_;
    surroundings.settings = [this] { return settings_; };
    surroundings.make_signer = [this](const SignerSettings&, const SigningThread&) {
      return std::make_unique<Refusal>(folder_, asked_, seen_);
    };
    surroundings.take_over = [] { return base::Status(); };
    auto renewals = std::make_unique<Renewals>(std::move(surroundings), clock_);
    renewals->start();
    return renewals;
  }
  // The facts once an attempt by hand is over.
  static Renewals::Facts attempt(Renewals& renewals) {
    const std::uint64_t number = renewals.ask("main").value();
    for (;;) {
      for (const Renewals::Facts& facts : renewals.facts()) {
        if (facts.finished >= number) return facts;
      }
      std::this_thread::yield();
    }
  }

  const base::ManualClock clock_{kNow};
  std::shared_ptr<const NodeSettings> settings_;
  std::atomic<int> asked_{0};
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

TEST_F(RenewalsTest, AttemptThatTheNodeDidNotLiveToEndIsAFailure) {
  std::filesystem::create_directories(path("main"));
  certs::RenewalRecord record{.signer = "command", .attempts = {}, .reason = {}, .next = kNow};
  record.attempts = {.failures = 4, .last = kNow, .asked_to_wait = {}};
  record.is_running = true;
  ASSERT_TRUE(certs::write_renewal_record(folder_, "main", record));
  const auto renewals = start();
  EXPECT_EQ(attempt(*renewals).failures, 6U);
}

}  // namespace
}  // namespace larder::node
