#include "signers/kept_order.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/testing.h"

namespace larder::signers {
namespace {

using std::chrono::hours;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
const KeptOrder kOrder{.url = "https://acme.test/order/1",
                       .account = "https://acme.test/account/1",
                       .request = "00ff",
                       .made_at = kNow};

class KeptOrderTest : public base::FolderTest {};

TEST_F(KeptOrderTest, IsReadAsItWasKept) {
  ASSERT_TRUE(keep_order(path("order.json"), kOrder));
  struct stat facts{};
  ASSERT_EQ(::stat(path("order.json").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600);
  const auto read = read_kept_order(path("order.json"));
  ASSERT_TRUE(read);
  EXPECT_EQ(print(*read), print(kOrder));
  KeptOrder failed = kOrder;
  failed.has_failed = true;
  ASSERT_TRUE(keep_order(path("order.json"), failed));
  EXPECT_TRUE(read_kept_order(path("order.json"))->has_failed);
  forget_order(path("order.json"));
  EXPECT_FALSE(read_kept_order(path("order.json")));
  forget_order(path("order.json"));
}

TEST_F(KeptOrderTest, OneOfAnEarlierVersionHasNotFailed) {
  ASSERT_TRUE(base::write_file_atomically(
      path("order.json"),
      R"({"format": 1, "order": "https://a.test/", "account": "https://a.test/",
          "request": "", "made_at": "2027-01-15T08:00:00Z"})",
      0600));
  const auto read = read_kept_order(path("order.json"));
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->has_failed);
}

TEST_F(KeptOrderTest, DamagedOnesAreNone) {
  const std::string whole = print(kOrder);
  for (const std::string& text :
       {std::string(), whole.substr(0, whole.size() / 2), std::string(20'000, '{'),
        std::string(R"({"format": 2, "order": "https://a.test/", "account": "https://a.test/"})"),
        std::string(R"({"format": 1, "order": "http://a.test/", "account": "https://a.test/",
                        "request": "", "made_at": "2027-01-15T08:00:00Z"})"),
        std::string(R"({"format": 1, "order": "https://a.test/", "account": "https://a.test/",
                        "request": "", "made_at": "2027-01-15T08:00:00Z", "has_failed": 1})")}) {
    ASSERT_TRUE(base::write_file_atomically(path("order.json"), text, 0600));
    EXPECT_FALSE(read_kept_order(path("order.json"))) << text;
  }
}

TEST(KeptOrderUse, IsForOneAccountAndOneRequestAndAWeek) {
  EXPECT_TRUE(is_usable(kOrder, kOrder.account, "00ff", kNow));
  EXPECT_TRUE(is_usable(kOrder, kOrder.account, "00ff", kNow + hours(24 * 7 - 1)));
  EXPECT_FALSE(is_usable(kOrder, kOrder.account, "00ff", kNow + hours(24 * 7)));
  EXPECT_FALSE(is_usable(kOrder, kOrder.account, "00ff", kNow - hours(1)));
  EXPECT_FALSE(is_usable(kOrder, kOrder.account, "ff00", kNow));
  EXPECT_FALSE(is_usable(kOrder, "https://acme.test/account/2", "00ff", kNow));
}

}  // namespace
}  // namespace larder::signers
