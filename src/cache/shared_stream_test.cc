#include "cache/shared_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "net/loop.h"
#include "net/worker_pool.h"
#include "store/testing.h"

namespace larder::cache {
namespace {

using Next = OriginSink::Next;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kLimit = 64 * kMiB;

class FakeOrigin final : public Origin {
 public:
  FetchId fetch(OriginRequest, std::shared_ptr<OriginSink>) override { return 0; }
  void resume(FetchId id) override { resumed.push_back(id); }
  void cancel(FetchId id) override { cancelled.push_back(id); }

  std::vector<FetchId> resumed;
  std::vector<FetchId> cancelled;
};

class SharedStreamTest : public ::testing::Test {
 protected:
  struct Source {
    std::shared_ptr<SharedStream> stream;
    Origin::FetchId fetch = 0;
    std::uint64_t sent = 0;
  };
  Source open() {
    return {std::make_shared<SharedStream>(origin, memory, http::ResponseHead{}), ++last_fetch, 0};
  }
  // Each 16 KiB piece is of one letter.
  Next put_piece(Source& source) {
    const std::string piece = piece_at(source.sent);
    const Next next = source.stream->put(
        {reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()}, source.fetch, now);
    if (next == Next::Continue) source.sent += piece.size();
    return next;
  }
  // Until `to` bytes were taken, or what is not Continue.
  Next put(Source& source, std::uint64_t to) {
    while (source.sent < to) {
      if (const Next next = put_piece(source); next != Next::Continue) return next;
    }
    return Next::Continue;
  }
  static std::string piece_at(std::uint64_t offset) {
    return std::string(kPiece, static_cast<char>('a' + offset / kPiece % 26));
  }
  // One read, which must not have to wait.
  static base::Result<std::string> read(SharedStream::Reader& reader) {
    base::Result<std::string> got;
    net::Loop loop;
    const auto body = [](net::Loop& on, SharedStream::Reader& from,
                         base::Result<std::string>& to) -> net::Task<void> {
      to = co_await from.read(std::chrono::steady_clock::now());
      on.stop();
    };
    loop.spawn(body(loop, reader, got));
    loop.run();
    return got;
  }

  // The same, when it may have to wait for the disk.
  static base::Result<std::string> read_soon(SharedStream::Reader& reader) {
    base::Result<std::string> got;
    net::Loop loop;
    const auto body = [](net::Loop& on, SharedStream::Reader& from,
                         base::Result<std::string>& to) -> net::Task<void> {
      to = co_await from.read(std::chrono::steady_clock::now() + std::chrono::seconds(60));
      on.stop();
    };
    loop.spawn(body(loop, reader, got));
    loop.run();
    return got;
  }

  static constexpr std::uint64_t kPiece = 16 * 1024;
  FakeOrigin origin;
  std::shared_ptr<FillMemory> memory = std::make_shared<FillMemory>(origin, kLimit);
  Origin::FetchId last_fetch = 0;
  base::SteadyTime now = std::chrono::steady_clock::now();
};

TEST_F(SharedStreamTest, ReadersGetTheBytesInOrder) {
  Source source = open();
  const auto reader = source.stream->join();
  ASSERT_EQ(put(source, 3 * kMiB), Next::Continue);
  std::string all;
  while (all.size() < source.sent) all += read(*reader).value_or("");
  for (std::uint64_t at = 0; at < all.size(); at += kPiece) {
    ASSERT_EQ(all.substr(at, kPiece), piece_at(at)) << at;
  }
  source.stream->end({});
  EXPECT_EQ(source.stream->whole_length(), 3 * kMiB);
  EXPECT_EQ(source.stream->copy(kPiece, 2), "bb");
}

TEST_F(SharedStreamTest, WhoHasItAllAndCanWaitNoLongerForTheDriveGetsToTheEnd) {
  Source source = open();
  const auto reader = source.stream->join();
  const auto other = source.stream->join();
  ASSERT_EQ(put(source, kPiece), Next::Continue);
  EXPECT_EQ(read(*reader), piece_at(0));
  const auto early = read(*reader);
  ASSERT_FALSE(early) << "more may come";
  EXPECT_EQ(early.error().code, base::ErrorCode::DeadlineExceeded);
  source.stream->end({});
  EXPECT_EQ(read(*reader), "");
  EXPECT_EQ(read(*other), piece_at(0)) << "not before it has had it all";
  EXPECT_EQ(read(*other), "");
}

TEST_F(SharedStreamTest, WhatBreaksOffHasNoEnd) {
  Source source = open();
  const auto reader = source.stream->join();
  ASSERT_EQ(put(source, kPiece), Next::Continue);
  source.stream->end(base::fail(base::ErrorCode::Unavailable, "broken"));
  EXPECT_EQ(read(*reader), piece_at(0));
  const auto end = read(*reader);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, base::ErrorCode::Unavailable);
}

TEST_F(SharedStreamTest, EndlessOnesLeaveHalfOfTheMemoryToOthers) {
  std::vector<Source> sources;
  std::vector<std::shared_ptr<SharedStream::Reader>> readers;
  for (int i = 0; i < 8; ++i) {
    sources.push_back(open());
    readers.push_back(sources.back().stream->join());
    EXPECT_EQ(put(sources.back(), 100 * kMiB), Next::Pause) << "nobody reads";
  }
  EXPECT_LE(memory->used(), kLimit / 2);
  EXPECT_TRUE(memory->take(kLimit / 16 * 7, 99)) << "for slices";
  EXPECT_TRUE(memory->take(kLimit / 16, 99, FillMemory::Use::Spare)) << "for the slices after them";
  memory->give_back(kLimit / 2);
}

TEST_F(SharedStreamTest, WhatIsReadGoesOnWhileOthersKeepTheirShare) {
  std::vector<Source> idle;
  std::vector<std::shared_ptr<SharedStream::Reader>> readers;
  for (int i = 0; i < 3; ++i) {
    idle.push_back(open());
    readers.push_back(idle.back().stream->join());
    EXPECT_EQ(put(idle.back(), 100 * kMiB), Next::Pause);
  }
  Source busy = open();
  const auto reader = busy.stream->join();
  std::uint64_t got = 0;
  while (got < 100 * kMiB) {
    ASSERT_NE(put(busy, got + kMiB), Next::Abort);
    const auto piece = read(*reader);
    ASSERT_TRUE(piece && !piece->empty());
    got += piece->size();
  }
  EXPECT_TRUE(busy.stream->is_passed_on());
}

TEST_F(SharedStreamTest, WhatAllHaveReadIsGivenBack) {
  Source source = open();
  const auto reader = source.stream->join();
  std::uint64_t got = 0;
  while (got < SharedStream::kLongestKept * 2) {
    ASSERT_EQ(put(source, got + kPiece), Next::Continue);
    got += read(*reader).value_or("").size();
  }
  EXPECT_LE(memory->used(), kMiB);
  EXPECT_EQ(source.stream->join(), nullptr);
}

TEST_F(SharedStreamTest, ReaderThatFallsFarBehindIsCut) {
  Source source = open();
  const auto fast = source.stream->join();
  const auto slow = source.stream->join();
  std::uint64_t got = 0;
  while (got < SharedStream::kLongestKept * 2) {
    ASSERT_EQ(put(source, got + kPiece), Next::Continue);
    got += read(*fast).value_or("").size();
  }
  EXPECT_LE(memory->used(), SharedStream::kMostBehind + kMiB);
  EXPECT_EQ(read(*slow).error().code, base::ErrorCode::ResourceExhausted);
}

TEST_F(SharedStreamTest, ReadingResumesAndLeavingCancelsAPausedOne) {
  Source source = open();
  auto reader = source.stream->join();
  ASSERT_EQ(put(source, 100 * kMiB), Next::Pause);
  EXPECT_TRUE(read(*reader));
  EXPECT_EQ(origin.resumed, std::vector<Origin::FetchId>{source.fetch});
  EXPECT_EQ(put(source, 100 * kMiB), Next::Pause);
  reader.reset();
  EXPECT_EQ(origin.cancelled, std::vector<Origin::FetchId>{source.fetch});
  EXPECT_EQ(memory->used(), 0U);
}

TEST_F(SharedStreamTest, WithoutReadersItGoesOnForAWhileOnly) {
  Source source = open();
  source.stream->join();  // and gone
  EXPECT_EQ(put(source, kMiB), Next::Continue) << "it may still be stored";
  now += SharedStream::kAlone / 2;
  EXPECT_EQ(put(source, 2 * kMiB), Next::Continue);
  const auto reader = source.stream->join();
  now += SharedStream::kAlone;
  EXPECT_EQ(put(source, 3 * kMiB), Next::Continue);
  reader->abandon();
  EXPECT_EQ(put(source, 4 * kMiB), Next::Continue) << "alone from now on";
  now += SharedStream::kAlone;
  EXPECT_EQ(put_piece(source), Next::Abort);
}

// Wakes who waits for a fetch to be resumed, from whatever thread.
class PatientOrigin final : public Origin {
 public:
  FetchId fetch(OriginRequest, std::shared_ptr<OriginSink>) override { return 0; }
  void resume(FetchId /*id*/) override {
    const std::lock_guard lock(mutex_);
    ++resumed_;
    changed_.notify_all();
  }
  void cancel(FetchId /*id*/) override {}
  // False when it does not happen within a minute.
  bool wait_for(int resumed) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] { return resumed_ >= resumed; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int resumed_ = 0;
};

class SpooledStreamTest : public SharedStreamTest {
 protected:
  void open_on_drive(std::uint64_t size) {
    store = store::testing::open_store(folder.path(), size);
    spools = std::make_shared<SharedStream::Spools>(*store, disk);
  }
  Source open() {
    return {std::make_shared<SharedStream>(patient, memory, http::ResponseHead{}, spools),
            ++last_fetch, 0};
  }
  // As put, and waits where it has to. False when the stream wants no more.
  bool put_all(Source& source, std::uint64_t to) {
    while (source.sent < to) {
      const Next next = put(source, to);
      if (next == Next::Abort) return false;
      if (next == Next::Pause && !patient.wait_for(++paused)) return false;
      source.stream->burst();
    }
    return true;
  }
  static std::string expected(std::uint64_t offset, std::uint64_t length) {
    std::string bytes;
    for (std::uint64_t at = offset / kPiece * kPiece; at < offset + length; at += kPiece) {
      bytes += piece_at(at);
    }
    return bytes.substr(offset % kPiece, length);
  }

  store::testing::TemporaryFolder folder{store::testing::fast_folder()};
  std::unique_ptr<store::Store> store;
  PatientOrigin patient;
  net::WorkerPool disk{1, 16};
  std::shared_ptr<SharedStream::Spools> spools;
  int paused = 0;
};

TEST_F(SpooledStreamTest, ALongOneIsKeptWholeWithoutReadersWhenTheyComeBack) {
  open_on_drive(1ULL << 30);
  Source source = open();
  source.stream->join()->comes_back();
  constexpr std::uint64_t kLong = 80 * kMiB;
  ASSERT_TRUE(put_all(source, 40 * kMiB));
  now += SharedStream::kAlone * 2;
  ASSERT_TRUE(put_all(source, kLong));
  EXPECT_LE(memory->used(), SharedStream::kLongestKept);
  EXPECT_GE(store->statistics().used, kLong / 2);
  const auto late = source.stream->join();
  ASSERT_TRUE(late);
  source.stream->end({});
  EXPECT_EQ(source.stream->whole_length(), kLong);
  for (std::uint64_t at = 0; at < kLong; at += 3 * kMiB + 5000) {
    const std::uint64_t length = std::min<std::uint64_t>(kMiB, kLong - at);
    const auto part = source.stream->copy(at, length);
    ASSERT_TRUE(part) << at;
    ASSERT_EQ(*part, expected(at, length)) << at;
  }
  std::uint64_t got = 0;
  while (got < kLong) {
    const auto piece = read_soon(*late);
    ASSERT_TRUE(piece && !piece->empty()) << got;
    ASSERT_EQ(*piece, expected(got, piece->size())) << got;
    got += piece->size();
  }
}

TEST_F(SpooledStreamTest, WhatIsSpooledIsGivenBackAndNotThereAfterARestart) {
  open_on_drive(1ULL << 30);
  const std::uint64_t before = store->statistics().used;
  {
    Source source = open();
    source.stream->join()->comes_back();
    ASSERT_TRUE(put_all(source, 60 * kMiB));
    EXPECT_FALSE(std::filesystem::exists(folder.path() + "/spool"));
  }
  // The disk thread may have been the last to use it.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (spools->open > 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  store->maintain();
  EXPECT_EQ(store->statistics().used, before);
}

TEST_F(SpooledStreamTest, ReadersAtTheSpoolsEndGetTheBytesInOrder) {
  open_on_drive(1ULL << 30);
  constexpr std::uint64_t kLong = 120 * kMiB;
  Source source = open();
  std::vector<std::shared_ptr<SharedStream::Reader>> readers;
  for (int i = 0; i < 3; ++i) readers.push_back(source.stream->join());
  const std::jthread writer([&] {
    EXPECT_TRUE(put_all(source, kLong));
    source.stream->end({});
    source.stream->settle();
  });
  // Each as fast as it can, from where memory ends and the spool begins.
  const auto follow = [&](SharedStream::Reader& reader) {
    std::uint64_t got = 0;
    for (;;) {
      const auto piece = read_soon(reader);
      if (!piece || piece->empty()) break;
      if (*piece != expected(got, piece->size())) break;
      got += piece->size();
    }
    reader.abandon();  // the source waits for no one who has failed
    EXPECT_EQ(got, kLong);
  };
  std::vector<std::jthread> threads;
  for (const auto& reader : readers) threads.emplace_back([&] { follow(*reader); });
}

TEST_F(SpooledStreamTest, OneThatIsLongerThanItsShareIsPassedOn) {
  open_on_drive(64 * kMiB);
  Source source = open();
  const auto reader = source.stream->join();
  std::uint64_t got = 0;
  while (got < 100 * kMiB) {
    while (put(source, got + kMiB) == Next::Pause) ASSERT_TRUE(patient.wait_for(++paused));
    const auto piece = read_soon(*reader);
    ASSERT_TRUE(piece && !piece->empty()) << got;
    ASSERT_EQ(*piece, expected(got, piece->size())) << got;
    got += piece->size();
  }
  EXPECT_TRUE(source.stream->is_passed_on());
  EXPECT_EQ(source.stream->join(), nullptr);
}

}  // namespace
}  // namespace larder::cache
