#include "certs/audit_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/testing.h"

namespace larder::certs {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

class AuditLog : public base::FolderTest {
 protected:
  std::string append(const std::string& what) {
    const auto digest =
        append_audit_entry(path(), "certificate-purged", {{"certificate", what}}, kNow);
    EXPECT_TRUE(digest) << digest.error().message;
    return digest.value_or("");
  }
  std::string path() const { return folder_ + "/audit.jsonl"; }
  std::string text() const { return base::read_file(path(), 1 << 20).value(); }
  void replace(const std::string& text) {
    ASSERT_TRUE(base::write_file_atomically(path(), text, 0640));
  }
  std::string damage() const { return read_audit_log(path())->damage; }
};

TEST_F(AuditLog, EntriesAreChained) {
  EXPECT_TRUE(read_audit_log(path())->entries.empty());
  append("one");
  const std::string last = append("two");
  const auto chain = read_audit_log(path()).value();
  EXPECT_EQ(chain.damage, "");
  ASSERT_EQ(chain.entries.size(), 2U);
  EXPECT_EQ(chain.entries[1].sequence, 2U);
  EXPECT_EQ(chain.entries[1].digest, last);
  EXPECT_EQ(chain.entries[1].at, kNow);
  EXPECT_NE(chain.entries[0].subject.find("one"), std::string::npos);
}

TEST_F(AuditLog, EveryChangeIsSeen) {
  for (const char* what : {"one", "two", "six"}) append(what);
  const std::string good = text();
  const std::size_t second = good.find('\n') + 1;
  const std::size_t third = good.find('\n', second) + 1;
  replace(good.substr(0, second) + good.substr(third));  // one taken out
  EXPECT_NE(damage().find("line 2"), std::string::npos);
  replace(good.substr(second));  // the first taken out
  EXPECT_NE(damage(), "");
  std::string changed = good;
  changed.replace(good.find("one"), 3, "1ne");
  replace(changed);
  EXPECT_NE(damage().find("line 2"), std::string::npos);
  replace(good.substr(0, second) + good.substr(third) + good.substr(second, third - second));
  EXPECT_NE(damage(), "");
  replace("junk\n");
  EXPECT_NE(damage(), "");
  EXPECT_FALSE(append_audit_entry(path(), "x", nlohmann::json::object(), kNow));
}

TEST_F(AuditLog, LineThatACrashCutIsWrittenOver) {
  append("one");
  const std::string one = text();
  for (const std::size_t kept : {std::size_t{1}, one.size() / 2, one.size() - 1}) {
    replace(one + one.substr(0, kept));
    EXPECT_EQ(damage(), "");
    append("two");
    EXPECT_EQ(read_audit_log(path())->entries.size(), 2U);
    EXPECT_EQ(damage(), "");
  }
  replace(one.substr(0, 10));
  append("first");
  EXPECT_EQ(read_audit_log(path())->entries.size(), 1U);
}

}  // namespace
}  // namespace larder::certs
