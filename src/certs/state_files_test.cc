#include "certs/state_files.h"

#include <gtest/gtest.h>

namespace larder::certs {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
const std::string kId(64, 'a');

TEST(ActiveFile, SurvivesTheRoundTrip) {
  ActiveFile file;
  file.disabled = true;
  file.changed_at = kNow;
  file.reason = "why \"not\"";
  const auto empty = parse_active_file(print(file)).value();
  EXPECT_TRUE(empty.disabled);
  EXPECT_TRUE(empty.choices.empty());
  EXPECT_EQ(empty.reason, file.reason);
  const ActiveFile::Choice choice{.key_name = "main", .certificate_id = kId, .proven = true};
  const ActiveFile::Choice other{.key_name = "rsa", .certificate_id = std::string(64, 'b')};
  file.choices = {choice, other};
  const auto full = parse_active_file(print(file)).value();
  EXPECT_EQ(full.choices, file.choices);
  EXPECT_FALSE(full.serves(kId));
  file.disabled = false;
  EXPECT_TRUE(file.serves(kId));
  EXPECT_FALSE(file.serves(std::string(64, 'c')));
}

TEST(ActiveFile, OfOneCertificateAndOfNoneAreRead) {
  const auto one = parse_active_file(
      R"({"format":1,"disabled":false,"changed_at":"2026-01-01T00:00:00Z","active":{"key":"main",)"
      R"("certificate":")" +
      kId + R"(","proven":true}})");
  EXPECT_EQ(one->choices.size(), 1U);
  const auto none = parse_active_file(
      R"({"format":1,"disabled":true,"changed_at":"2026-01-01T00:00:00Z","active":null})");
  EXPECT_TRUE(none->choices.empty());
}

TEST(ActiveFile, SidesAreBounded) {
  ActiveFile file;
  file.changed_at = kNow;
  for (int i = 0; i <= 16; ++i) file.choices.push_back({.key_name = "k", .certificate_id = kId});
  EXPECT_FALSE(parse_active_file(print(file)));
  file.choices.pop_back();
  EXPECT_TRUE(parse_active_file(print(file)));
}

TEST(ActiveFile, RefusesWhatCouldLeadOutOfTheFolder) {
  const auto with = [](const std::string& key, const std::string& id) {
    return parse_active_file(
        R"({"format":1,"disabled":false,"changed_at":"2026-01-01T00:00:00Z","active":{"key":")" +
        key + R"(","certificate":")" + id + R"(","proven":true}})");
  };
  EXPECT_TRUE(with("main", kId));
  EXPECT_FALSE(with("../main", kId));
  EXPECT_FALSE(with("main", "../../etc/passwd"));
  EXPECT_FALSE(with("main", std::string(64, 'A')));
}

TEST(ActiveFile, RefusesMissingMembersAndOtherFormats) {
  EXPECT_FALSE(parse_active_file("{}"));
  EXPECT_FALSE(parse_active_file(R"({"format":1})"));
  EXPECT_FALSE(
      parse_active_file(R"({"format":4,"disabled":false,"changed_at":"2026-01-01T00:00:00Z"})"));
  EXPECT_FALSE(
      parse_active_file(R"({"format":1,"disabled":0,"changed_at":"2026-01-01T00:00:00Z"})"));
  EXPECT_FALSE(parse_active_file(R"({"format":1,"disabled":false,"changed_at":"today"})"));
}

TEST(Record, ThatACertificateIsRevokedOutlivesEverythingElse) {
  Record record{.certificate_id = kId, .history = {}};
  record.add(Record::Event::Imported, kNow, "first");
  record.add(Record::Event::Revoked, kNow, "stolen");
  for (int i = 0; i < 1000; ++i) record.add(Record::Event::Imported, kNow, "imported again");
  EXPECT_EQ(record.history.size(), 200U);
  EXPECT_EQ(record.history[0].reason, "first");
  EXPECT_EQ(record.history[1].event, Record::Event::Revoked);
  EXPECT_TRUE(parse_record(print(record)));
}

TEST(Record, SurvivesTheRoundTripAndKnowsWhetherItIsActive) {
  Record record{.certificate_id = kId, .history = {}};
  record.add(Record::Event::Imported, kNow, "");
  EXPECT_FALSE(record.is_active());
  record.add(Record::Event::Activated, kNow, "import");
  EXPECT_TRUE(record.is_active());
  record.add(Record::Event::Imported, kNow, "imported again");
  EXPECT_TRUE(record.is_active());
  record.add(Record::Event::Deactivated, kNow, "disabled");
  const auto again = parse_record(print(record)).value();
  EXPECT_FALSE(again.is_active());
  ASSERT_EQ(again.history.size(), 4U);
  EXPECT_EQ(again.history[3].reason, "disabled");
  EXPECT_EQ(again.history[3].at, kNow);
}

TEST(Record, EventsOfOneSecondKeepTheirOrder) {
  const base::WallTime later = kNow + std::chrono::microseconds(1);
  Record record{.certificate_id = kId, .history = {}};
  record.add(Record::Event::Imported, later, "");
  EXPECT_EQ(parse_record(print(record)).value().history.front().at, later);
  ActiveFile file;
  file.changed_at = later;
  EXPECT_EQ(parse_active_file(print(file)).value().changed_at, later);
}

TEST(Record, OfWholeSecondsIsRead) {
  const auto record = parse_record(
      R"({"format":1,"certificate":")" + kId +
      R"(","history":[{"event":"imported","at":"2027-01-15T08:00:00Z","reason":""}]})");
  EXPECT_EQ(record->history.front().at, kNow);
}

TEST(Record, HistoryIsBoundedAndKeepsItsBeginning) {
  Record record{.certificate_id = kId, .history = {}};
  record.add(Record::Event::Imported, kNow, "first");
  for (int i = 0; i < 1000; ++i) record.add(Record::Event::Activated, kNow, "");
  EXPECT_LE(record.history.size(), 200U);
  EXPECT_EQ(record.history.front().reason, "first");
  EXPECT_TRUE(parse_record(print(record)));
}

TEST(Record, RefusesMalformedText) {
  EXPECT_FALSE(parse_record("[]"));
  EXPECT_FALSE(parse_record(R"({"format":1,"certificate":")" + kId + R"(","history":[]})"));
  EXPECT_FALSE(parse_record(R"({"format":1,"certificate":")" + kId +
                            R"(","history":[{"event":"eaten","at":"2026-01-01T00:00:00Z"}]})"));
}

}  // namespace
}  // namespace larder::certs
