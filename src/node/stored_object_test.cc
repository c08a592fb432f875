#include "node/stored_object.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "base/encoding.h"
#include "store/testing.h"

namespace larder::node {
namespace {

class HotObjectsTest : public ::testing::Test {
 protected:
  std::shared_ptr<const StoredObject> get(std::uint64_t number, std::uint64_t length) {
    cache::StoredResponse response;
    response.key = "http\na.example\n/" + std::to_string(number);
    response.length = length;
    const auto metadata = cache::serialize(response);
    EXPECT_TRUE(metadata);
    const auto object =
        store->create(store::testing::key_of(number), base::as_bytes(*metadata), length);
    EXPECT_TRUE(object);
    return hot.get(*object);
  }

  store::testing::TemporaryFolder folder;
  std::unique_ptr<store::Store> store = store::testing::open_store(folder.path());
  HotObjects hot{1 << 20, 2, *store};
};

TEST_F(HotObjectsTest, KeepsFewerObjectsThatHaveAMappingOfTheirOwn) {
  const std::weak_ptr<const StoredObject> small = get(1, 1000);
  const std::weak_ptr<const StoredObject> large = get(2, 2 * store::kSliceSize);
  const std::weak_ptr<const StoredObject> second = get(3, 2 * store::kSliceSize);
  EXPECT_FALSE(small.expired());
  EXPECT_FALSE(large.expired());
  const std::weak_ptr<const StoredObject> third = get(4, 2 * store::kSliceSize);
  EXPECT_TRUE(large.expired());
  EXPECT_FALSE(second.expired());
  EXPECT_FALSE(third.expired());
}

TEST_F(HotObjectsTest, WhatWasRemovedMakesRoom) {
  const std::weak_ptr<const StoredObject> first = get(1, 2 * store::kSliceSize);
  const std::weak_ptr<const StoredObject> second = get(2, 2 * store::kSliceSize);
  store->remove(*second.lock()->object);
  hot.drop_removed();
  EXPECT_TRUE(second.expired());
  const std::weak_ptr<const StoredObject> third = get(3, 2 * store::kSliceSize);
  EXPECT_FALSE(first.expired());
  EXPECT_FALSE(third.expired());
}

TEST_F(HotObjectsTest, APageThatAnotherThreadLostFailsTheReadHereToo) {
  const auto stored = get(1, 2 * store::kSliceSize);
  const auto other = get(2, 2 * store::kSliceSize);
  EXPECT_FALSE(mapped_read_failed(stored.get()));
  // A page behind the end of the file cannot be read, as one of a failing drive.
  ASSERT_EQ(::ftruncate(stored->object->fd(), 8192), 0);
  std::thread([&] {
    volatile const std::uint8_t byte = stored->object->window(store::kSliceSize, 1)[0];
    EXPECT_EQ(byte, 0);
  }).join();
  EXPECT_TRUE(mapped_read_failed(stored.get()));
  EXPECT_TRUE(stored->object->is_removed());
  EXPECT_FALSE(mapped_read_failed(other.get()));
  EXPECT_EQ(store->statistics().read_errors, 1U);
}

}  // namespace
}  // namespace larder::node
