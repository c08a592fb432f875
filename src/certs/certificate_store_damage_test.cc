#include <sys/stat.h>

#include <filesystem>

#include "certs/testing.h"

namespace larder::certs {
namespace {

using base::ErrorCode;

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

TEST_F(Store, WhatMayBeRevokedIsNotImportedWhileItsRecordCannotBeRead) {
  const std::string signed_chain = chain(make_request());
  const std::string id = open().import_certificate(signed_chain, {}, kNow)->id;
  ASSERT_TRUE(open().retire(id, {.reason = "stolen", .revoked = true}, kNow));
  const std::string path = settings_.folder + "/main/" + id + ".json";
  const std::string record = base::read_file(path, 65536).value();
  for (const std::string& damaged :
       {record.substr(0, record.size() / 2), std::string(), std::string(R"({"format": 99})")}) {
    ASSERT_TRUE(base::write_file_atomically(path, damaged, 0640));
    for (const bool dry_run : {true, false}) {
      const auto refused = open().import_certificate(signed_chain, {.dry_run = dry_run}, kNow);
      ASSERT_FALSE(refused) << damaged;
      EXPECT_SAYS(refused.error().message, path);
      EXPECT_SAYS(refused.error().message, "move it away and import again");
    }
    EXPECT_EQ(base::read_file(path, 65536).value(), damaged) << "it is not written over";
  }
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_FALSE(open().import_certificate(signed_chain, {}, kNow)) << "an error of the file system";
  EXPECT_TRUE(open().load_active()->certificates.empty());
  // The ways out that the message names.
  std::filesystem::remove(path);
  EXPECT_TRUE(open().import_certificate(signed_chain, {.dry_run = true}, kNow)->report.passed());
  ASSERT_TRUE(base::write_file_atomically(path, record, 0640));
  EXPECT_EQ(open().import_certificate(signed_chain, {}, kNow)->report.first_failure()->kind,
            Check::Kind::Revoked);
}

TEST_F(Store, ACertificateWithoutARecordIsPutAwayToo) {
  const std::string signed_chain = chain(make_request());
  const std::string id = open().import_certificate(signed_chain, {}, kNow)->id;
  std::filesystem::remove(settings_.folder + "/main/" + id + ".json");
  const auto retired =
      open().retire(id, {.reason = "stolen", .revoked = true}, kNow + std::chrono::seconds(1));
  ASSERT_TRUE(retired) << retired.error().message;
  EXPECT_TRUE(open().load_active()->certificates.empty());
  EXPECT_EQ(open().show(id)->state, CertificateState::Retired);
  EXPECT_FALSE(open().import_certificate(signed_chain, {}, kNow + kDay)->report.passed());
  EXPECT_FALSE(open().rollback("", kNow + kDay));
}

TEST_F(Store, NewerOrDamagedActiveFileIsAnErrorNotAnEmptyState) {
  make_request();
  ASSERT_TRUE(base::write_file_atomically(
      settings_.folder + "/active.json",
      R"({"format":4,"disabled":true,"changed_at":"2026-01-01T00:00:00Z"})", 0640));
  const auto newer = open().load_active();
  ASSERT_FALSE(newer);
  EXPECT_SAYS(newer.error().message, "format 4");
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/active.json", "{", 0640));
  EXPECT_FALSE(open().load_active());
  EXPECT_FALSE(open().disable("", kNow));
  // The way out that the message names.
  const auto refused = open().import_certificate(chain(make_request("next")), {}, kNow);
  ASSERT_FALSE(refused);
  EXPECT_SAYS(refused.error().message, "move it away and import");
  std::filesystem::remove(settings_.folder + "/active.json");
  make_request("other");
  const std::string request = settings_.folder + "/other/request.csr";
  EXPECT_TRUE(open().import_certificate(chain(request), {}, kNow)->active);
}

TEST_F(Store, InventoryWithoutTheActiveFileShowsAllAndSaysNothingOfWhatIsServed) {
  const std::string request = make_request();
  const auto first = open().import_certificate(chain(request), {}, kNow)->id;
  const auto second = open().import_certificate(chain(request), {}, kNow + kDay)->id;
  ASSERT_TRUE(open().retire(first, {}, kNow + kDay));
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/active.json", "{", 0640));
  EXPECT_FALSE(open().list());
  const CertificateFolder folder(settings_.folder, {});
  const auto inventory = read_inventory_without_choice(folder).value();
  ASSERT_EQ(inventory.keys.size(), 1U);
  ASSERT_EQ(inventory.keys[0].certificates.size(), 2U);
  for (const CertificateFacts& facts : inventory.keys[0].certificates) {
    EXPECT_EQ(facts.state,
              facts.id == second ? CertificateState::Unknown : CertificateState::Retired);
    EXPECT_EQ(kept_until(facts).has_value(), facts.id == first);
  }
  EXPECT_FALSE(open().purge(true, kNow + 10'000 * kDay)) << "nothing is decided by it";
}

TEST_F(Store, LooseKeyPermissionsStopLoadingWithTheMend) {
  ASSERT_TRUE(open().import_certificate(chain(make_request()), {}, kNow));
  ASSERT_EQ(::chmod((settings_.folder + "/main/key.pem").c_str(), 0644), 0);
  const auto loaded = open().load_active().value();
  EXPECT_TRUE(loaded.certificates.empty());
  EXPECT_SAYS(loaded.damaged.at(0).error.message, "chmod 600");
}

TEST_F(Store, KeyThatCannotBeReadMattersOnlyWhereNoOtherFits) {
  make_request("a-loose");
  make_request("b-damaged");
  const std::string request = make_request("main");
  ASSERT_EQ(::chmod((settings_.folder + "/a-loose/key.pem").c_str(), 0644), 0);
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/b-damaged/key.pem", "junk", 0600));
  const auto outcome = open().import_certificate(chain(request), {}, kNow);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->active);
  EXPECT_EQ(outcome->key_name, "main");
  // Of a key that may be one of the others.
  const auto refused =
      open().import_certificate(chain(settings_.folder + "/a-loose/request.csr"), {}, kNow);
  ASSERT_FALSE(refused);
  EXPECT_SAYS(refused.error().message, "none of the keys that can be read here (main)");
  EXPECT_SAYS(refused.error().message, "chmod 600 " + settings_.folder + "/a-loose/key.pem");
  EXPECT_SAYS(refused.error().message, "/b-damaged/key.pem");
}

TEST_F(Store, LostCertificateDoesNotKeepTheOthersFromBeingServedAgain) {
  const auto first = open().import_certificate(chain(make_request()), {}, kNow)->id;
  const auto second =
      open()
          .import_certificate(chain(make_request("rsa", crypto::KeyAlgorithm::Rsa2048)), {}, kNow)
          ->id;
  std::filesystem::remove(settings_.folder + "/main/" + first + ".crt");
  ASSERT_TRUE(open().disable("", kNow));
  const auto enabled = open().enable(kNow);
  ASSERT_TRUE(enabled) << enabled.error().message;
  const auto served = open().load_active().value();
  ASSERT_EQ(served.certificates.size(), 1U);
  EXPECT_EQ(served.certificates[0].choice.certificate_id, second);
  ASSERT_EQ(served.damaged.size(), 1U);
  // Nothing is left to serve.
  ASSERT_TRUE(open().disable("", kNow));
  std::filesystem::remove(settings_.folder + "/rsa/" + second + ".crt");
  const auto refused = open().enable(kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::FailedPrecondition);
  EXPECT_SAYS(refused.error().message, first + ".crt");
  EXPECT_SAYS(refused.error().message, second + ".crt");
}

TEST_F(Store, LostCertificateIsDroppedByRetiringIt) {
  const auto first = open().import_certificate(chain(make_request()), {}, kNow)->id;
  const auto second =
      open()
          .import_certificate(chain(make_request("rsa", crypto::KeyAlgorithm::Rsa2048)), {}, kNow)
          ->id;
  ASSERT_TRUE(
      base::write_file_atomically(settings_.folder + "/main/" + first + ".crt", "junk", 0640));
  ASSERT_TRUE(open().retire(first.substr(0, 16), {.reason = "lost"}, kNow));
  EXPECT_TRUE(open().load_active()->damaged.empty());
  const auto record =
      parse_record(base::read_file(settings_.folder + "/main/" + first + ".json", 65536).value());
  EXPECT_TRUE(record->is_put_away());
  std::filesystem::remove_all(settings_.folder + "/rsa");
  EXPECT_EQ(open().retire("0000000000000000", {}, kNow).error().code, ErrorCode::NotFound);
  ASSERT_TRUE(open().retire(second.substr(0, 8), {}, kNow));
  const auto active = open().load_active().value();
  EXPECT_TRUE(active.damaged.empty());
  EXPECT_FALSE(std::filesystem::exists(settings_.folder + "/rsa"));
}

TEST_F(Store, OnlyOneProcessChangesAtATime) {
  settings_.patience = {};
  const std::string request = make_request();
  const auto held = base::lock_file(settings_.folder + "/lock", "test").value();
  EXPECT_EQ(open().import_certificate(chain(request), {}, kNow).error().code,
            ErrorCode::FailedPrecondition);
  EXPECT_TRUE(open().list());
  EXPECT_TRUE(open().load_active());
}

}  // namespace
}  // namespace larder::certs
