#include "cache/fill_plan.h"

#include <gtest/gtest.h>

#include <set>

namespace larder::cache {
namespace {

struct Case {
  std::vector<Want> wants;
  std::set<std::uint32_t> soon{};   // here or next
  std::set<std::uint32_t> later{};  // on their way
  std::uint64_t room = 0;
  std::uint32_t chunk = 4;
  std::size_t fetches = 8;
  std::uint32_t slices = 100;
};

std::vector<FetchRun> plan(const Case& of) {
  PlanInput input;
  input.wants = of.wants;
  input.slice_count = of.slices;
  input.comes_soon = [&](std::uint32_t index) { return of.soon.contains(index); };
  input.comes = [&](std::uint32_t index) {
    return of.soon.contains(index) || of.later.contains(index);
  };
  input.room = of.room;
  input.chunk = of.chunk;
  input.fetches = of.fetches;
  return plan_fetches(input);
}

using Runs = std::vector<FetchRun>;

TEST(FillPlan, NothingIsFetchedWithoutReaders) {
  EXPECT_EQ(plan({.wants = {}, .room = 64}), Runs{});
}

TEST(FillPlan, SliceThatAReaderNeedsNowIsFetchedWithoutRoom) {
  EXPECT_EQ(plan({.wants = {{7, 50}}, .room = 0}), (Runs{{7, 7}}));
}

TEST(FillPlan, WindowIsFilledInChunks) {
  EXPECT_EQ(plan({.wants = {{0, 50}}, .room = 12}), (Runs{{0, 3}, {4, 7}, {8, 11}}));
}

TEST(FillPlan, NothingBehindWhatWasAskedForIsFetched) {
  EXPECT_EQ(plan({.wants = {{0, 4}}, .room = 64}), (Runs{{0, 3}, {4, 4}}));
  EXPECT_EQ(plan({.wants = {{8, 900}}, .room = 64, .slices = 10}), (Runs{{8, 9}}));
}

TEST(FillPlan, WhatIsThereOrComingIsLeftOut) {
  EXPECT_EQ(plan({.wants = {{0, 20}}, .soon = {0, 1, 2}, .later = {5, 6}, .room = 6}),
            (Runs{{3, 4}, {7, 10}}));
}

TEST(FillPlan, ReaderFarFromALongAnswerDoesNotWaitForIt) {
  std::set<std::uint32_t> later;
  for (std::uint32_t i = 0; i < 100; ++i) later.insert(i);
  EXPECT_EQ(plan({.wants = {{0, 80}, {90, 91}}, .soon = {0}, .later = later, .room = 8}),
            (Runs{{90, 91}}));
}

TEST(FillPlan, NearestSlicesOfEachReaderComeFirst) {
  EXPECT_EQ(plan({.wants = {{0, 40}, {50, 90}}, .soon = {0, 1, 50}, .room = 8}),
            (Runs{{51, 54}, {2, 5}}));
}

TEST(FillPlan, ReadersOfOnePlaceAreOneFetch) {
  EXPECT_EQ(plan({.wants = {{3, 3}, {3, 5}, {3, 4}}, .room = 64}), (Runs{{3, 5}}));
}

TEST(FillPlan, NumberOfFetchesIsKept) {
  EXPECT_EQ(plan({.wants = {{0, 99}}, .room = 64, .fetches = 2}), (Runs{{0, 3}, {4, 7}}));
  EXPECT_EQ(plan({.wants = {{0, 99}}, .room = 64, .fetches = 0}), Runs{});
}

}  // namespace
}  // namespace larder::cache
