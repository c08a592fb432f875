#include "node/store_refusals.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

store::Key key(std::uint64_t number) {
  return {.high = number, .low = number};
}

TEST(StoreRefusals, TheLastReasonOfAKeyIsTold) {
  StoreRefusals refusals;
  EXPECT_FALSE(refusals.find(key(1)));
  refusals.note(key(1), {"no-store", base::from_unix_seconds(100)});
  refusals.note(key(1), {"private", base::from_unix_seconds(200)});
  ASSERT_TRUE(refusals.find(key(1)));
  EXPECT_EQ(refusals.find(key(1))->reason, "private");
  EXPECT_EQ(refusals.find(key(1))->at, base::from_unix_seconds(200));
  EXPECT_FALSE(refusals.find(key(2)));
}

TEST(StoreRefusals, TheOldestKeyIsForgottenWhenThereAreTooMany) {
  StoreRefusals refusals;
  for (std::uint64_t i = 0; i <= StoreRefusals::kMost; ++i) {
    refusals.note(key(i), {"no-store", base::from_unix_seconds(100)});
  }
  EXPECT_FALSE(refusals.find(key(0)));
  EXPECT_TRUE(refusals.find(key(1)));
  EXPECT_TRUE(refusals.find(key(StoreRefusals::kMost)));
}

TEST(StoreRefusals, AKeyThatIsRefusedAgainIsNotTheOldest) {
  StoreRefusals refusals;
  for (std::uint64_t i = 0; i < StoreRefusals::kMost; ++i) {
    refusals.note(key(i), {"no-store", base::from_unix_seconds(100)});
  }
  refusals.note(key(0), {"private", base::from_unix_seconds(200)});
  refusals.note(key(StoreRefusals::kMost), {"no-store", base::from_unix_seconds(200)});
  EXPECT_TRUE(refusals.find(key(0)));
  EXPECT_FALSE(refusals.find(key(1)));
}

}  // namespace
}  // namespace larder::node
