#include "store/operations.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>

namespace larder::store {
namespace {

using std::chrono::microseconds;

class OperationsTest : public testing::Test {
 protected:
  OperationsTest() { clock_.advance(std::chrono::hours(1)); }
  base::ManualClock clock_{base::WallTime{}};
  Operations operations_{"/drive", clock_};
};

TEST_F(OperationsTest, AreBegunUntilOneHasLastedTooLong) {
  std::optional<Operation> slow(std::in_place, operations_);
  clock_.advance(Operations::kHangsAfter - microseconds(1));
  EXPECT_FALSE(operations_.is_hanging());
  EXPECT_FALSE(Operation(operations_).is_refused());
  clock_.advance(microseconds(1));
  EXPECT_TRUE(operations_.is_hanging());
  EXPECT_TRUE(Operation(operations_).is_refused());
  EXPECT_FALSE(slow->is_refused());
  slow.reset();
  EXPECT_FALSE(operations_.is_hanging());
  EXPECT_FALSE(Operation(operations_).is_refused());
}

TEST_F(OperationsTest, DoNotAddUp) {
  for (int i = 0; i < 100; ++i) {
    const Operation one(operations_);
    clock_.advance(std::chrono::seconds(1));
  }
  EXPECT_FALSE(operations_.is_hanging());
}

TEST_F(OperationsTest, OfWhichMoreAreUnderWayThanAreWatchedAreLetThrough) {
  std::deque<Operation> many;
  for (int i = 0; i < 100; ++i) many.emplace_back(operations_);
  EXPECT_FALSE(many.back().is_refused());
  many.pop_back();
  clock_.advance(Operations::kHangsAfter);
  EXPECT_TRUE(operations_.is_hanging());
  while (!many.empty()) many.pop_back();
  EXPECT_FALSE(operations_.is_hanging());
}

TEST_F(OperationsTest, WaitForAnotherDriveWithoutHanging) {
  Operations other("/other", clock_);
  const Operation outermost(operations_);
  const Operation outer(operations_);
  {
    const Operation elsewhere(other);
    clock_.advance(Operations::kHangsAfter);
    EXPECT_TRUE(other.is_hanging());
    EXPECT_FALSE(operations_.is_hanging());
    EXPECT_TRUE(Operation(other).is_refused());
    EXPECT_FALSE(Operation(operations_).is_refused());
  }
  EXPECT_FALSE(other.is_hanging());
  clock_.advance(Operations::kHangsAfter - microseconds(1));
  EXPECT_FALSE(operations_.is_hanging());
  clock_.advance(microseconds(1));
  EXPECT_TRUE(operations_.is_hanging()) << "its own time counts from then on";
}

}  // namespace
}  // namespace larder::store
