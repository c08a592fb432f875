#include "certs/renewal.h"

#include <gtest/gtest.h>

#include "certs/renewal_record.h"
#include "certs/testing.h"
#include "crypto/testing.h"

namespace larder::certs {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

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

TEST(Renewal, IsOverdueSoonAfterItsLatestTime) {
  EXPECT_EQ(ninety_days(0).overdue_time(), ninety_days(0).renewal_time() + std::chrono::hours(1));
  EXPECT_EQ(ninety_days(255).overdue_time(), ninety_days(0).overdue_time());
  const Lifetime day{kStart, kStart + kDay, 0};
  EXPECT_GT(day.overdue_time(), day.renewal_time());
  EXPECT_LT(day.overdue_time(), day.emergency_time());
}

TEST(Renewal, TheDrawIsTheCertificatesHoweverItIsRead) {
  const auto root = crypto::testing::make_root();
  const auto [key, leaf] = crypto::testing::make_leaf(root);
  const Lifetime one = lifetime_of(leaf);
  const Lifetime other = lifetime_of(leaf.not_before(), leaf.not_after(), leaf.sha256_hex());
  EXPECT_EQ(one.renewal_time(), other.renewal_time());
  const auto again = crypto::parse_certificates(leaf.to_pem()).value();
  EXPECT_EQ(lifetime_of(again.front()).renewal_time(), one.renewal_time());
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

Lifetime with_chain(base::WallTime from, base::WallTime chain_end) {
  return {from, from + 90 * kDay, 0, chain_end};
}

TEST(Renewal, IsInTimeForAnIntermediateThatEndsFirst) {
  const Lifetime current = with_chain(kStart, kStart + 30 * kDay);
  EXPECT_FALSE(decide_renewal(current, {}, kStart + 20 * kDay - seconds(1)).due);
  const auto decision = decide_renewal(current, {}, kStart + 20 * kDay);
  EXPECT_TRUE(decision.due);
  EXPECT_FALSE(decision.emergency);
  EXPECT_SAYS(decision.reason, "an intermediate certificate of the chain ends on ");
  EXPECT_TRUE(decide_renewal(current, {}, kStart + 27 * kDay).emergency);
  // Its own time is sooner here.
  const auto own = decide_renewal(with_chain(kStart, kStart + 89 * kDay), {}, kStart + 60 * kDay);
  EXPECT_EQ(own.at, kStart + 89 * kDay / 3 * 2);
  EXPECT_EQ(decide_renewal(with_chain(kStart, kStart + 30 * kDay), {}, kStart + 20 * kDay,
                           RenewalWindow{kStart + 10 * kDay, kStart + 11 * kDay})
                .at,
            kStart + 10 * kDay);
}

TEST(Renewal, TheSameIntermediateAgainIsNoLoop) {
  const auto chain_end = kStart + 30 * kDay;
  Lifetime current = with_chain(kStart, chain_end);
  RenewalAttempts attempts;
  std::vector<base::WallTime> renewed;
  for (auto now = kStart; now < kStart + 40 * kDay; now += minutes(10)) {
    if (!decide_renewal(current, attempts, now).due) continue;
    renewed.push_back(now);
    current = with_chain(now, chain_end);
    attempts.last = now;
  }
  ASSERT_GE(renewed.size(), 2U);
  for (std::size_t i = 1; i < renewed.size(); ++i) EXPECT_GE(renewed[i] - renewed[i - 1], kDay);
  const auto in_time = std::ranges::count_if(renewed, [&](auto at) { return at < chain_end; });
  EXPECT_LE(in_time, 5) << "two thirds of what is left, each time";
  EXPECT_GE(std::ssize(renewed) - in_time, 9) << "afterwards daily: clients refuse it";
}

TEST(Renewal, TheSameIntermediateAgainIsNoLoopWhereATimeIsSuggestedEither) {
  const auto chain_end = kStart - kDay;
  Lifetime current = with_chain(kStart, chain_end);
  RenewalAttempts attempts;
  std::vector<base::WallTime> renewed;
  for (auto now = kStart; now < kStart + 5 * kDay; now += minutes(10)) {
    const RenewalWindow suggested{current.not_before + 50 * kDay, current.not_before + 51 * kDay};
    if (!decide_renewal(current, attempts, now, suggested).due) continue;
    renewed.push_back(now);
    current = with_chain(now, chain_end);
    attempts.last = now;
  }
  ASSERT_GE(renewed.size(), 3U);
  for (std::size_t i = 1; i < renewed.size(); ++i) EXPECT_GE(renewed[i] - renewed[i - 1], kDay);
}

TEST(Renewal, ForTheChainsSakeWaitsADayAfterTheLastOne) {
  // The certificate was made long before it was got.
  const auto now = kStart + 25 * kDay;
  const RenewalAttempts just{.failures = 0, .last = now, .asked_to_wait = {}};
  EXPECT_EQ(decide_renewal(with_chain(kStart, kStart + 26 * kDay), just, now).at, now + kDay);
  const Lifetime brief{now, now + hours(12), 0, now + minutes(5)};
  EXPECT_EQ(decide_renewal(brief, {}, now).at, now + hours(3)) << "a quarter of its life";
}

TEST(Renewal, AfterTheEndOfAnIntermediateFailuresAreRepeatedAsInTheEmergencyWindow) {
  const Lifetime current = with_chain(kStart, kStart - kDay);
  const auto now = kStart + 2 * kDay;
  const auto due = decide_renewal(current, {}, now);
  EXPECT_TRUE(due.due);
  EXPECT_TRUE(due.emergency);
  EXPECT_SAYS(due.reason, "ended on");
  EXPECT_EQ(decide_renewal(current, failed(50, now), now).at, now + hours(1));
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

TEST(Renewal, FollowsASuggestedWindowWithTheSameDraw) {
  const RenewalWindow early{.start = kStart + 10 * kDay, .end = kStart + 12 * kDay};
  const auto decision = decide_renewal(ninety_days(128), {}, kStart, early);
  EXPECT_EQ(decision.at, kStart + 11 * kDay);
  EXPECT_FALSE(decision.due);
  EXPECT_TRUE(decide_renewal(ninety_days(128), {}, kStart + 11 * kDay, early).due);
  EXPECT_EQ(decide_renewal(ninety_days(0), {}, kStart, early).at, early.start);
  const RenewalWindow late{.start = kStart + 70 * kDay, .end = kStart + 72 * kDay};
  EXPECT_EQ(decide_renewal(ninety_days(128), {}, kStart, late).at, kStart + 71 * kDay);
}

TEST(Renewal, SuggestedWindowDoesNotReachIntoTheEmergency) {
  const RenewalWindow late{.start = kStart + 85 * kDay, .end = kStart + 400 * kDay};
  EXPECT_EQ(decide_renewal(ninety_days(255), {}, kStart, late).at,
            ninety_days(255).emergency_time());
}

TEST(Renewal, SuggestedWindowInThePastIsDueAtOnceButNotWithoutEnd) {
  const RenewalWindow past{.start = kStart - 3 * kDay, .end = kStart - kDay};
  EXPECT_TRUE(decide_renewal(ninety_days(7), {}, kStart + kDay, past).due);
  // Of a server that says so of each new certificate as well.
  const RenewalAttempts just{.failures = 0, .last = kStart, .asked_to_wait = {}};
  EXPECT_EQ(decide_renewal(ninety_days(7), just, kStart, past).at, kStart + hours(12));
}

TEST(RenewalRecordAdvice, IsReadAsItWasPrinted) {
  RenewalRecord record{.signer = "acme", .attempts = {}, .reason = {}, .next = kStart};
  record.advice = {.certificate = "00ff", .window = {}, .look_again = kStart + hours(6)};
  const auto without = parse_renewal_record(print(record)).value();
  ASSERT_TRUE(without.advice);
  EXPECT_FALSE(without.advice->window);
  record.advice->window = {.start = kStart + kDay, .end = kStart + 2 * kDay};
  const auto with = parse_renewal_record(print(record)).value();
  EXPECT_EQ(with.advice->window, record.advice->window);
  EXPECT_EQ(with.advice->certificate, "00ff");
  EXPECT_EQ(with.advice->look_again, kStart + hours(6));
}

TEST(RenewalRecordAdvice, ThatCannotBeReadIsNone) {
  const RenewalRecord record{.signer = "acme", .attempts = {}, .reason = {}, .next = kStart};
  std::string text = print(record);
  text.insert(1, R"("advice": {"certificate": "00ff", "look_again": "soon"},)");
  const auto read = parse_renewal_record(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FALSE(read->advice);
}

}  // namespace
}  // namespace larder::certs
