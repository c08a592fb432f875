// For tests of fills: an origin that the test answers for, and fills of it in a store of their own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cache/fill_table.h"
#include "cache/generation.h"
#include "http/range.h"
#include "net/loop.h"
#include "net/worker_pool.h"
#include "store/testing.h"

namespace larder::cache::testing {

using store::kSliceSize;
using store::testing::pattern;

inline constexpr store::Key kKey{1, 2};
inline constexpr std::uint64_t kSeed = 7;

// Keeps what was asked; the test answers.
class FakeOrigin final : public Origin {
 public:
  struct Asked {
    OriginRequest request;
    std::shared_ptr<OriginSink> sink;
    int resumed = 0;
    bool was_cancelled = false;

    std::string field(std::string_view name) const {
      for (const auto& [key, value] : request.fields) {
        if (key == name) return value;
      }
      return {};
    }
  };

  FetchId fetch(OriginRequest request, std::shared_ptr<OriginSink> sink) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back({std::move(request), std::move(sink)});
    return asked_.size();
  }
  void resume(FetchId id) override {
    const std::lock_guard lock(mutex_);
    ++asked_[id - 1].resumed;
  }
  void cancel(FetchId id) override {
    {
      const std::lock_guard lock(mutex_);
      asked_[id - 1].was_cancelled = true;
    }
    if (on_cancel) on_cancel();
  }
  Permit admit(const std::string& host, bool must) override {
    return admits || must ? Origin::admit(host, must) : nullptr;
  }

  Asked at(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return asked_.at(index);
  }
  std::vector<std::string> ranges() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    for (const Asked& asked : asked_) found.push_back(asked.field("Range"));
    return found;
  }

  // As every origin does in the end: a sink and its fill hold each other until then.
  void end_all() {
    for (std::size_t i = 0;; ++i) {
      std::shared_ptr<OriginSink> sink;
      {
        const std::lock_guard lock(mutex_);
        if (i == asked_.size()) return;
        sink = std::move(asked_[i].sink);
      }
      if (sink) sink->on_end(base::fail(base::ErrorCode::Unavailable, "the test is over"));
    }
  }

  bool admits = true;
  std::function<void()> on_cancel;

 private:
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
};

inline http::ResponseHead head_of(int status, std::optional<http::ByteRange> range,
                                  std::uint64_t length, std::string etag = "\"one\"") {
  http::ResponseHead head;
  head.status = status;
  head.fields = {{.name = "ETag", .value = std::move(etag), .id = http::FieldName::ETag}};
  if (range) head.content_range = {.range = range, .length = length};
  head.content_length = range ? range->length() : length;
  return head;
}

inline Opening judge(const http::ResponseHead& head) {
  Opening opening;
  opening.storable = head.status == 200 || head.status == 206;
  opening.metadata = "metadata";
  opening.response.fields = head.fields;
  opening.response.length = complete_length(head);
  opening.response.response_time = base::SystemClock().wall();
  opening.response.generation = identify(head, IdentityRule::Standard, {});
  return opening;
}

inline http::ResponseHead head_without_length() {
  http::ResponseHead head = head_of(200, std::nullopt, 0);
  head.content_length.reset();
  head.chunked = true;
  return head;
}

inline Opening judge_stream(const http::ResponseHead& head) {
  Opening opening = judge(head);
  opening.lacks_length = !head.content_length;
  opening.storable = !opening.lacks_length;
  return opening;
}

class FillTest : public ::testing::Test {
 protected:
  static OriginRequest request(std::string target = "/x", bool serves_ranges = false) {
    OriginRequest made;
    made.host = "a.example";
    made.target = std::move(target);
    made.serves_ranges = serves_ranges;
    return made;
  }
  Fill::Reader reader() { return table.open(kKey, IdentityRule::Standard); }
  // A reader of `slices`, of a fill that was opened by `asked` for the slices `first` (nothing: the
  // whole), and whose answer has begun with `head`.
  Fill::Reader filling(const http::ResponseHead& head, SliceRange slices,
                       const OriginRequest& asked = request(),
                       std::optional<SliceRange> first = std::nullopt) {
    Fill::Reader fill = reader();
    EXPECT_TRUE(fill->open(asked, first, judge));
    EXPECT_TRUE(origin.at(0).sink->on_head(head));
    await_object(fill);
    fill.ask(asked, slices);
    return fill;
  }
  // The generation is made on a disk thread.
  static void await_object(const Fill::Reader& fill) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!fill->object() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    ASSERT_TRUE(fill->object());
  }
  // Until the disk thread has done all that it was given.
  void await_disk() {
    std::atomic<bool> is_done = false;
    while (!disk->post([&] { is_done = true; })) std::this_thread::yield();
    while (!is_done) std::this_thread::yield();
  }
  void send(std::size_t fetch, std::uint64_t offset, std::uint64_t length) {
    const auto sink = origin.at(fetch).sink;
    for (std::uint64_t sent = 0; sent < length;) {
      const std::uint64_t count = std::min<std::uint64_t>(length - sent, 16 * 1024);
      const auto bytes = pattern(kSeed, offset + sent, count);
      const OriginSink::Next next = sink->on_body(bytes);
      ASSERT_NE(next, OriginSink::Next::Abort) << offset + sent;
      if (next == OriginSink::Next::Pause) {
        std::this_thread::yield();  // the disk is behind
        continue;
      }
      sent += count;
    }
  }
  // What a reader gets, or the error that it waited for too long.
  static base::Result<std::shared_ptr<SliceBuffer>> slice(const Fill::Reader& fill,
                                                          std::uint32_t index,
                                                          std::chrono::milliseconds patience) {
    base::Result<std::shared_ptr<SliceBuffer>> got;
    net::Loop loop;
    const auto body = [](net::Loop& on, const Fill::Reader& from, std::uint32_t number,
                         base::SteadyTime deadline, auto& to) -> net::Task<void> {
      to = co_await from.slice(number, 0, deadline);
      on.stop();
    };
    loop.spawn(body(loop, fill, index, std::chrono::steady_clock::now() + patience, got));
    loop.run();
    return got;
  }
  // The fetches with that target that begin at that byte.
  std::vector<std::shared_ptr<OriginSink>> asked_with(const std::string& target,
                                                      std::uint64_t first) const {
    std::vector<std::shared_ptr<OriginSink>> found;
    for (std::size_t i = 0; i < origin.ranges().size(); ++i) {
      const FakeOrigin::Asked asked = origin.at(i);
      const bool begins = asked.field("Range").starts_with("bytes=" + std::to_string(first) + "-");
      if (asked.request.target == target && begins) found.push_back(asked.sink);
    }
    return found;
  }
  static base::Status broken() { return base::fail(base::ErrorCode::Unavailable, "broken"); }

  store::testing::TemporaryFolder folder;
  std::unique_ptr<store::Store> store = store::testing::open_store(folder.path(), 512 << 20);
  FakeOrigin origin;
  base::SystemClock clock;
  std::optional<net::WorkerPool> disk{std::in_place, 1, 64};
  FillTable table{origin, *store, *disk, clock};

  void TearDown() override {
    origin.end_all();
    disk.reset();
  }
};

}  // namespace larder::cache::testing
