#include "content/piece_fetch.h"

#include <gtest/gtest.h>

#include <charconv>

#include "content/test_files.h"

namespace larder::content {
namespace {

using base::ErrorCode;
using client::HttpRequest;
using client::HttpResponse;

class PieceFetchTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    part_.emplace(PieceFile::open(path("part"), describe(bytes_), 0600).value());
  }

  // Answers range requests from `served_`, as a good server does, cut after `cut_` bytes.
  base::Result<HttpResponse> answer(const HttpRequest& request) {
    ranges_.push_back(request.fields.back().second);
    const auto range = std::string_view(ranges_.back()).substr(6);
    std::size_t first = 0;
    std::size_t last = 0;
    const auto dash = range.find('-');
    std::from_chars(range.data(), range.data() + dash, first);
    std::from_chars(range.data() + dash + 1, range.data() + range.size(), last);
    HttpResponse response;
    response.status = status_;
    auto body = std::string_view(served_).substr(first, last - first + 1);
    response.fields = {{"Content-Range", "bytes " + std::to_string(first + shift_) + "-" +
                                             std::to_string(last) + "/" +
                                             std::to_string(served_.size())}};
    LARDER_TRY(request.on_head(response.status, response.fields));
    if (status_ == 200) body = served_;
    for (std::size_t at = 0; at < body.size(); at += 100'000) {
      if (cut_ && (*cut_ -= std::min<std::size_t>(*cut_, 100'000)) == 0) {
        return base::fail(ErrorCode::Unavailable, "connection lost");
      }
      LARDER_TRY(request.on_body(base::as_bytes(body.substr(at, 100'000))));
    }
    return response;
  }
  base::Status fetch() {
    return fetch_pieces([this](const HttpRequest& request) { return answer(request); },
                        HttpRequest{}, *part_,
                        [this](std::uint64_t count) -> base::Status {
                          received_ += count;
                          return {};
                        });
  }

  const std::string bytes_ = sample_bytes(kFetchRange + 2 * kPieceSize + 9);
  std::string served_ = bytes_;
  int status_ = 206;
  std::size_t shift_ = 0;
  std::optional<std::size_t> cut_;
  std::uint64_t received_ = 0;
  std::vector<std::string> ranges_;
  std::optional<PieceFile> part_;
};

TEST_F(PieceFetchTest, AsksRangeAfterRange) {
  ASSERT_TRUE(fetch());
  EXPECT_TRUE(part_->complete());
  EXPECT_EQ(received_, bytes_.size());
  EXPECT_EQ(ranges_, (std::vector<std::string>{
                         "bytes=0-8388607", "bytes=8388608-" + std::to_string(bytes_.size() - 1)}));
}

TEST_F(PieceFetchTest, GoesOnFromTheLastRightPieceAfterACut) {
  cut_ = 3 * kPieceSize;
  EXPECT_EQ(fetch().error().code, ErrorCode::Unavailable);
  EXPECT_EQ(part_->verified(), 2 * kPieceSize);
  cut_.reset();
  ASSERT_TRUE(fetch());
  EXPECT_TRUE(ranges_.at(1).starts_with("bytes=2097152-")) << ranges_.at(1);
  EXPECT_TRUE(part_->complete());
}

TEST_F(PieceFetchTest, KeepsRightPiecesOfASourceWithAWrongOne) {
  served_[kPieceSize + 3] ^= 1;
  EXPECT_EQ(fetch().error().code, ErrorCode::DataLoss);
  EXPECT_EQ(part_->verified(), kPieceSize);
  served_ = bytes_;
  EXPECT_TRUE(fetch());
}

TEST_F(PieceFetchTest, RefusesAnotherRangeThanAskedFor) {
  shift_ = 1;
  EXPECT_EQ(fetch().error().code, ErrorCode::Unavailable);
  shift_ = 0;
  status_ = 200;
  EXPECT_EQ(fetch().error().code, ErrorCode::Unavailable);
  EXPECT_EQ(part_->verified(), 0U);
}

TEST_F(PieceFetchTest, TellsRefusalsApart) {
  status_ = 401;
  EXPECT_EQ(fetch().error().code, ErrorCode::Unauthenticated);
  status_ = 403;
  EXPECT_EQ(fetch().error().code, ErrorCode::PermissionDenied);
  status_ = 404;
  EXPECT_EQ(fetch().error().code, ErrorCode::NotFound);
  status_ = 503;
  EXPECT_EQ(fetch().error().code, ErrorCode::Unavailable);
}

}  // namespace
}  // namespace larder::content
