#include "node/body_memory.h"

#include <gtest/gtest.h>

#include <optional>

namespace larder::node {
namespace {

TEST(BodyMemory, BodiesTogetherStayWithinTheLimit) {
  BodyMemory memory(100);
  BodyMemory::Share first(memory);
  BodyMemory::Share second(memory);
  EXPECT_TRUE(first.take(60));
  EXPECT_FALSE(second.take(41));
  EXPECT_TRUE(second.take(40));
  EXPECT_FALSE(first.take(1));
}

TEST(BodyMemory, WhatABodyTookIsThereAgainAfterIt) {
  BodyMemory memory(100);
  std::optional<BodyMemory::Share> first(std::in_place, memory);
  EXPECT_TRUE(first->take(30));
  EXPECT_TRUE(first->take(70));
  EXPECT_FALSE(first->take(1));
  first.reset();
  BodyMemory::Share second(memory);
  EXPECT_TRUE(second.take(100));
}

}  // namespace
}  // namespace larder::node
