#include "certs/renewal.h"

#include <gtest/gtest.h>

#include "certs/renewal_record.h"

namespace larder::certs {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kDay = hours(24);
const base::WallTime kStart = base::from_unix_seconds(1'800'000'000);

Lifetime ninety_days(std::uint8_t draw = 0) {
  return {kStart, kStart + 90 * kDay, draw};
}
RenewalAttempts failed(unsigned times, base::WallTime last, seconds asked = seconds(0)) {
  return {.failures = times, .last = last, .asked_to_wait = asked};
}

TEST(Renewal, IsDueAtTwoThirdsOfLife) {
  EXPECT_FALSE(decide_renewal(ninety_days(), {}, kStart + 60 * kDay - seconds(1)).due);
  const auto decision = decide_renewal(ninety_days(), {}, kStart + 60 * kDay);
  EXPECT_TRUE(decision.due);
  EXPECT_FALSE(decision.emergency);
  EXPECT_EQ(decision.reason, "two thirds of the certificate's life are over");
}

TEST(Renewal, IsEarlierByADrawThatBelongsToTheCertificate) {
  EXPECT_EQ(ninety_days(0).renewal_time(), kStart + 60 * kDay);
  EXPECT_LT(ninety_days(255).renewal_time(), kStart + 60 * kDay - 4 * kDay);
  EXPECT_GT(ninety_days(255).renewal_time(), kStart + 60 * kDay - 5 * kDay);
  const std::string id = "80" + std::string(62, '0');
  EXPECT_EQ(lifetime_of(kStart, kStart + 90 * kDay, id).draw, 0x80);
}

TEST(Renewal, IsDueAtOnceWithoutACertificate) {
  const auto decision = decide_renewal(std::nullopt, {}, kStart);
  EXPECT_TRUE(decision.due);
  EXPECT_TRUE(decision.emergency);
  EXPECT_EQ(decision.reason, "there is no certificate yet");
}

TEST(Renewal, AnEndedCertificateIsStillRenewed) {
  const auto decision = decide_renewal(ninety_days(), {}, kStart + 100 * kDay);
  EXPECT_TRUE(decision.due);
  EXPECT_EQ(decision.reason, "the certificate has ended");
}

TEST(Renewal, FailuresAreRepeatedLaterAndLaterUpToABound) {
  const auto now = kStart + 61 * kDay;
  const auto wait = [&](unsigned failures) {
    return decide_renewal(ninety_days(), failed(failures, now), now).at - now;
  };
  EXPECT_EQ(wait(1), minutes(1));
  EXPECT_EQ(wait(2), minutes(4));
  EXPECT_EQ(wait(3), minutes(16));
  EXPECT_EQ(wait(6), hours(12));
  EXPECT_EQ(wait(100'000), hours(12));
}

TEST(Renewal, TheEmergencyWindowShortensTheWait) {
  const auto emergency = ninety_days().emergency_time();
  const auto inside = decide_renewal(ninety_days(), failed(50, emergency), emergency);
  EXPECT_TRUE(inside.emergency);
  EXPECT_EQ(inside.at, emergency + hours(1));
  // A pause of 12 hours that began one hour before it ends with its beginning.
  const auto before = emergency - hours(1);
  EXPECT_EQ(decide_renewal(ninety_days(), failed(50, before), before).at, emergency);
}

TEST(Renewal, TheSignersWishToWaitIsKeptEvenInTheEmergencyWindow) {
  const auto now = ninety_days().emergency_time() + hours(1);
  EXPECT_EQ(decide_renewal(ninety_days(), failed(1, now, seconds(7200)), now).at, now + hours(2));
}

TEST(Renewal, ShortLivedCertificatesWaitLess) {
  const Lifetime day{kStart, kStart + kDay, 0};
  const auto now = kStart + hours(17);
  EXPECT_EQ(decide_renewal(day, failed(20, now), now).at - now, minutes(72));
  const Lifetime minute{kStart, kStart + minutes(1), 0};
  const auto late = kStart + seconds(45);
  EXPECT_EQ(decide_renewal(minute, failed(20, late), late).at - late, seconds(3));
}

TEST(Renewal, ASuccessWithACertificateThatIsDueAtOnceIsNotRepeatedAtOnce) {
  const auto now = kStart + 80 * kDay;
  const RenewalAttempts attempts{.failures = 0, .last = now, .asked_to_wait = seconds(0)};
  EXPECT_EQ(decide_renewal(ninety_days(), attempts, now).at, now + hours(12));
}

TEST(Renewal, AnAttemptInTheFutureSaysNothing) {
  const auto now = kStart + 61 * kDay;
  EXPECT_TRUE(decide_renewal(ninety_days(), failed(50, now + 300 * kDay), now).due);
}

TEST(RenewalRecord, SaysTheSameWhenItIsReadAgain) {
  RenewalRecord record{.signer = "acme",
                       .attempts = failed(3, kStart, seconds(60)),
                       .reason = "the server cannot be reached",
                       .next = kStart + minutes(16)};
  const auto read = parse_renewal_record(print(record));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(print(*read), print(record));
  EXPECT_EQ(read->attempts.last, kStart);
  EXPECT_FALSE(read->is_running);
  record.is_running = true;
  EXPECT_TRUE(parse_renewal_record(print(record))->is_running);
}

TEST(RenewalRecord, IsRefusedWhenItIsNoneOfOurs) {
  for (const char* text :
       {"", "{}", "[]", R"({"format": 2})", R"({"format": 1, "signer": "acme", "failures": -1})"}) {
    EXPECT_FALSE(parse_renewal_record(text)) << text;
  }
}

}  // namespace
}  // namespace larder::certs
