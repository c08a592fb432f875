#include "node/request_counters.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

using std::chrono::microseconds;

std::string page_of(const RequestCounterSet& set, const RequestCounters& loop) {
  std::string page;
  set.print({&loop, &loop}, page);
  return page;
}

TEST(RequestCounters, BucketsAreCumulativeAndTheSumIsInSeconds) {
  RequestCounterSet set;
  const auto loop = std::make_unique<RequestCounters>();
  loop->total[static_cast<std::size_t>(Kind::Miss)].add(microseconds(50));
  loop->total[static_cast<std::size_t>(Kind::Miss)].add(microseconds(51));
  loop->total[static_cast<std::size_t>(Kind::Miss)].add(std::chrono::hours(1));
  const std::string page = page_of(set, *loop);  // two loops of the same
  for (const char* line : {"larder_request_seconds_bucket{cache=\"miss\",le=\"5e-05\"} 2\n",
                           "larder_request_seconds_bucket{cache=\"miss\",le=\"0.0001\"} 4\n",
                           "larder_request_seconds_bucket{cache=\"miss\",le=\"600\"} 4\n",
                           "larder_request_seconds_bucket{cache=\"miss\",le=\"+Inf\"} 6\n",
                           "larder_request_seconds_sum{cache=\"miss\"} 7200.000202\n",
                           "larder_request_seconds_count{cache=\"miss\"} 6\n"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line << page;
  }
}

TEST(RequestCounters, AHitAtOnceIsInBothHistograms) {
  RequestCounterSet set;
  const auto loop = std::make_unique<RequestCounters>();
  loop->at_once.add(microseconds(20));
  const std::string page = page_of(set, *loop);
  EXPECT_NE(page.find("larder_request_seconds_count{cache=\"hit\"} 2\n"), std::string::npos);
  EXPECT_NE(page.find("larder_first_byte_seconds_count{cache=\"hit\"} 2\n"), std::string::npos);
}

TEST(RequestCounters, OriginsKeepTheirPlacesAndTheirNumberIsBounded) {
  RequestCounterSet set;
  EXPECT_EQ(set.place_of_origin("a"), 0U);
  EXPECT_EQ(set.place_of_origin("b"), 1U);
  EXPECT_EQ(set.place_of_origin("a"), 0U);
  for (int i = 0; i < 1000; ++i) set.place_of_origin("o" + std::to_string(i));
  EXPECT_EQ(set.place_of_origin("one more"), RequestCounters::kOrigins - 1);
  EXPECT_EQ(set.place_of_origin("b"), 1U);
  const auto loop = std::make_unique<RequestCounters>();
  loop->origins[RequestCounters::kOrigins - 1].requests.add();
  EXPECT_NE(page_of(set, *loop).find("larder_origin_requests_total{origin=\"other\"} 2\n"),
            std::string::npos);
}

TEST(RequestCounters, ReasonsAreTheWordsOfTheAccessLog) {
  RequestCounterSet set;
  set.count_error("resource exhausted");
  const auto loop = std::make_unique<RequestCounters>();
  EXPECT_NE(page_of(set, *loop).find("{reason=\"resource-exhausted\"} 1\n"), std::string::npos);
}

TEST(RequestCounters, ReasonsAreBounded) {
  RequestCounterSet set;
  for (int i = 0; i < 1000; ++i) set.count_error("reason" + std::to_string(i));
  set.count_refusal(403);
  const auto loop = std::make_unique<RequestCounters>();
  const std::string page = page_of(set, *loop);
  EXPECT_NE(page.find("larder_errors_by_reason_total{reason=\"other\"} 936\n"), std::string::npos);
  EXPECT_NE(page.find("larder_refusals_by_status_total{status=\"403\"} 1\n"), std::string::npos);
}

}  // namespace
}  // namespace larder::node
