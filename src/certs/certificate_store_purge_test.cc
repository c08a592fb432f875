#include <algorithm>
#include <filesystem>

#include "certs/testing.h"

namespace larder::certs {
namespace {

using base::ErrorCode;

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
  const std::string main = settings_.folder + "/main";
  const std::string before = settings_.folder + "-before";
  std::filesystem::copy(main, before);
  EXPECT_EQ(open().purge(false, late)->size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(main));
  // After the key went, and after the certificate went.
  std::filesystem::remove(before + "/key.pem");
  std::filesystem::remove(before + "/request.csr");
  std::filesystem::copy(before, main);
  EXPECT_EQ(open().purge(false, late)->size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(main));
  std::filesystem::remove(before + "/" + id + ".crt");
  std::filesystem::copy(before, main);
  EXPECT_TRUE(open().purge(false, late)->empty());
  EXPECT_FALSE(std::filesystem::exists(main));
  std::filesystem::remove_all(before);
}

TEST_F(Store, PurgeKeepsTheRecordOfACertificateThatWasLost) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  ASSERT_TRUE(open().retire(id, {}, kNow + kDay));
  const std::string main = settings_.folder + "/main";
  std::filesystem::rename(main + "/" + id + ".crt", settings_.folder + "-lost.crt");
  std::filesystem::rename(main + "/key.pem", settings_.folder + "-lost.pem");
  ASSERT_TRUE(open().purge(false, kNow + 2 * kDay));
  EXPECT_TRUE(std::filesystem::exists(main + "/" + id + ".json"));
  std::filesystem::rename(settings_.folder + "-lost.crt", main + "/" + id + ".crt");
  std::filesystem::rename(settings_.folder + "-lost.pem", main + "/key.pem");
  const auto found = open().show(id);
  ASSERT_TRUE(found);
  EXPECT_TRUE(std::ranges::any_of(found->history, [](const Record::Entry& entry) {
    return entry.event == Record::Event::Retired;
  }));
}

TEST_F(Store, PurgeRemovesWhatWritesHaveLeftThatWereCutShort) {
  open().import_certificate(chain(make_request()), {}, kNow).value();
  const std::string folder = settings_.folder;
  const auto write = [](const std::string& path, std::chrono::hours age) {
    EXPECT_TRUE(base::write_file_atomically(path, "left", 0600));
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - age);
  };
  write(folder + "/main/key.pem.new-0011223344556677", std::chrono::hours(25));
  write(folder + "/active.json.new-0011223344556677", std::chrono::hours(25));
  write(folder + "/main/request.csr.new-0011223344556677", std::chrono::hours(1));
  ASSERT_TRUE(open().purge(false, kNow));
  EXPECT_FALSE(std::filesystem::exists(folder + "/main/key.pem.new-0011223344556677"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/active.json.new-0011223344556677"));
  EXPECT_TRUE(std::filesystem::exists(folder + "/main/request.csr.new-0011223344556677"));
  EXPECT_TRUE(open().load_active().value().damaged.empty());
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

}  // namespace
}  // namespace larder::certs
