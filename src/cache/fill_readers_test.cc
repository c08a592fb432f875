#include "cache/fill_readers.h"

#include <gtest/gtest.h>

#include <string>

namespace larder::cache {
namespace {

std::uint64_t add(FillReaders& readers, Want want, std::string target) {
  const std::uint64_t id = readers.add();
  OriginRequest request;
  request.target = std::move(target);
  readers.of(id).want = want;
  readers.of(id).request = std::make_shared<const OriginRequest>(std::move(request));
  return id;
}

std::string target_for(const FillReaders& readers, std::uint32_t index) {
  const auto asker = readers.asker_for(index);
  return asker ? asker->request->target : "nobody";
}

TEST(FillReaders, WhoHasNotAskedYetWantsEverythingAndAsksNothing) {
  FillReaders readers;
  EXPECT_FALSE(readers.want(0, UINT32_MAX));
  readers.add();
  EXPECT_TRUE(readers.want(70'000));
  EXPECT_TRUE(readers.wants().empty());
  EXPECT_FALSE(readers.can_ask());
  EXPECT_EQ(target_for(readers, 0), "nobody");
}

TEST(FillReaders, RunIsWantedWhenItTouchesWhatSomebodyHasYetToSend) {
  FillReaders readers;
  const std::uint64_t id = add(readers, {.at = 10, .last = 20}, "/a");
  EXPECT_FALSE(readers.want(0, 9));
  EXPECT_TRUE(readers.want(0, 10));
  EXPECT_TRUE(readers.want(20, 30));
  EXPECT_FALSE(readers.want(21));
  EXPECT_TRUE(readers.want_behind(0));
  EXPECT_TRUE(readers.want_behind(20));
  EXPECT_FALSE(readers.want_behind(21));
  readers.remove(id);
  EXPECT_FALSE(readers.want(15));
  EXPECT_TRUE(readers.is_empty());
}

TEST(FillReaders, SliceIsAskedForByWhoWantsItAndElseByTheFirst) {
  FillReaders readers;
  add(readers, {.at = 0, .last = 5}, "/a");
  add(readers, {.at = 6, .last = 9}, "/b");
  EXPECT_EQ(target_for(readers, 3), "/a");
  EXPECT_EQ(target_for(readers, 7), "/b");
  EXPECT_EQ(target_for(readers, 12), "/a");
}

TEST(FillReaders, RefusedRequestIsNotRepeatedInOtherReadersNames) {
  FillReaders readers;
  const std::uint64_t first = add(readers, {.at = 0, .last = 5}, "/x?signature=1");
  const std::uint64_t same = add(readers, {.at = 0, .last = 5}, "/x?signature=1");
  const std::uint64_t other = add(readers, {.at = 8, .last = 9}, "/x?signature=2");
  EXPECT_TRUE(readers.refuse(first));
  EXPECT_FALSE(readers.refuse(first)) << "a second fetch is told the same";
  EXPECT_FALSE(readers.refuse(same));
  EXPECT_EQ(target_for(readers, 0), "/x?signature=2");
  EXPECT_TRUE(readers.refuse(other));
  EXPECT_FALSE(readers.can_ask());
  EXPECT_FALSE(readers.refuse(99)) << "who has left";
}

TEST(FillReaders, ManyRefusalsWithoutASliceEndTheAskingOfAllWhoAreThere) {
  const auto readers_left = [](bool slice_between) {
    FillReaders readers;
    std::vector<std::uint64_t> ids;
    for (int i = 0; i <= FillReaders::kMostRefusals; ++i) {
      ids.push_back(add(readers, {.at = 0, .last = 5}, "/x?signature=" + std::to_string(i)));
    }
    for (int i = 0; i < FillReaders::kMostRefusals; ++i) {
      if (i == 1 && slice_between) readers.forget_refusals();
      EXPECT_TRUE(readers.refuse(ids[static_cast<std::size_t>(i)]));
    }
    const bool can_ask = readers.can_ask();
    add(readers, {.at = 0, .last = 5}, "/x?signature=new");
    EXPECT_TRUE(readers.can_ask());
    return can_ask;
  };
  EXPECT_FALSE(readers_left(false));
  EXPECT_TRUE(readers_left(true));
}

}  // namespace
}  // namespace larder::cache
