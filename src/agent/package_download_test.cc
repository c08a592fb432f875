#include "agent/package_download.h"

#include <gtest/gtest.h>

#include "agent/testing.h"
#include "base/encoding.h"
#include "content/piece_digests.h"

namespace larder::agent {
namespace {

using base::ErrorCode;
using client::HttpRequest;
using client::HttpResponse;

constexpr std::size_t kMebibyte = 1 << 20;

class PackageDownloadTest : public FolderTest {
 protected:
  struct Host {
    std::string bytes;
    bool reachable = true;
    std::size_t cut_after = SIZE_MAX;  // bytes until the connection breaks, once
    int status = 206;
    int requests = 0;
  };

  PackageDownloadTest() {
    content::PieceDigests digests;
    digests.update(base::as_bytes(bytes_));
    file_ = digests.finish("tool.deb");
    location_.manifest.package = "tool";
    location_.manifest.version = "2";
    location_.manifest.files = {file_};
    for (const auto* name : {"node1", "node2", "site"}) {
      location_.sources.push_back({.name = name,
                                   .url = std::string("https://") + name,
                                   .trust = name,
                                   .is_site = std::string(name) == "site"});
      hosts_[name].bytes = bytes_;
    }
  }

  base::Result<HttpResponse> answer(const HttpRequest& request) {
    const auto name = request.trust;
    auto& host = hosts_[name];
    ++host.requests;
    EXPECT_EQ(request.url, "https://" + name + "/content/tool/2/tool.deb");
    EXPECT_EQ(request.certificate, "CERT");
    tokens_.push_back(request.fields.at(0).second);
    if (!host.reachable) return base::fail(ErrorCode::Unavailable, "refused");
    const auto range = request.fields.back().second.substr(6);
    const std::size_t first = std::stoul(range);
    const std::size_t last = std::stoul(range.substr(range.find('-') + 1));
    const int status = tokens_.back() == "Bearer stale" ? 401 : host.status;
    LARDER_TRY(request.on_head(
        status, {{"Content-Range", "bytes " + range + "/" + std::to_string(bytes_.size())}}));
    const auto body = std::string_view(host.bytes).substr(first, last - first + 1);
    for (std::size_t at = 0; at < body.size(); at += 65536) {
      if (host.cut_after < 65536) {
        host.cut_after = SIZE_MAX;
        return base::fail(ErrorCode::Unavailable, "connection lost");
      }
      host.cut_after -= 65536;
      LARDER_TRY(request.on_body(base::as_bytes(body.substr(at, 65536))));
    }
    HttpResponse response;
    response.status = status;
    return response;
  }

  PackageDownload download(const std::string& token = "good") {
    return {[this](const HttpRequest& request) { return answer(request); },
            location_,
            {.certificate_pem = "CERT", .key_pem = "KEY", .content_token = token},
            [this]() -> base::Result<std::string> {
              ++renewals_;
              return "good";
            },
            listener_,
            clock_};
  }

  const std::string bytes_ = sample_bytes(12 * kMebibyte + 321);
  content::ManifestFile file_;
  Location location_;
  std::map<std::string, Host> hosts_;
  std::vector<std::string> tokens_;
  int renewals_ = 0;
  RememberingListener listener_;
  base::ManualClock clock_{base::from_unix_seconds(1'795'300'000)};
};

TEST_F(PackageDownloadTest, TakesEverythingFromTheFirstNode) {
  auto package = download();
  const auto fetched = package.fetch(file_, path("tool.deb"));
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(names(), std::vector<std::string>{"tool.deb"});
  EXPECT_EQ(package.bytes_by_source(),
            (std::map<std::string, std::uint64_t>{{"node1", bytes_.size()}}));
  EXPECT_EQ(hosts_["node1"].requests, 2) << "ranges of 8 MiB";
  ASSERT_FALSE(listener_.seen.empty());
  EXPECT_EQ(listener_.seen.back().done, bytes_.size());
  EXPECT_EQ(listener_.seen.back().total, bytes_.size());
  EXPECT_EQ(listener_.seen.back().source, "node1");
}

TEST_F(PackageDownloadTest, FallsBackNodeByNodeToTheSite) {
  hosts_["node1"].reachable = false;
  hosts_["node2"].status = 503;
  auto package = download();
  ASSERT_TRUE(package.fetch(file_, path("tool.deb")));
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(listener_.failed, (std::vector<std::string>{"node1", "node2"}));
  EXPECT_EQ(package.bytes_by_source().at("site"), bytes_.size());
}

TEST_F(PackageDownloadTest, KeepsVerifiedPiecesWhenItChangesTheSource) {
  hosts_["node1"].cut_after = 3 * kMebibyte + 500'000;
  auto package = download();
  ASSERT_TRUE(package.fetch(file_, path("tool.deb")));
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(package.bytes_by_source().at("node2"), bytes_.size() - 3 * kMebibyte);
}

TEST_F(PackageDownloadTest, RefetchesABadPieceFromTheNextSource) {
  hosts_["node1"].bytes[5 * kMebibyte + 7] ^= 1;
  auto package = download();
  ASSERT_TRUE(package.fetch(file_, path("tool.deb")));
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(listener_.errors.at(0).code, ErrorCode::DataLoss);
  EXPECT_EQ(package.bytes_by_source().at("node2"), bytes_.size() - 5 * kMebibyte);
}

TEST_F(PackageDownloadTest, ShowsNoFileWhenAllSourcesAreWrong) {
  for (auto& [name, host] : hosts_) host.bytes[7 * kMebibyte] ^= 1;
  auto package = download();
  EXPECT_EQ(package.fetch(file_, path("tool.deb")).error().code, ErrorCode::DataLoss);
  EXPECT_EQ(names(), std::vector<std::string>{"tool.deb.larder-part"});
}

TEST_F(PackageDownloadTest, GoesOnWhereAnEarlierCallStopped) {
  location_.sources.resize(1);
  hosts_["node1"].bytes[6 * kMebibyte] ^= 1;
  {
    auto package = download();
    EXPECT_FALSE(package.fetch(file_, path("tool.deb")));
  }
  hosts_["node1"].bytes = bytes_;
  auto package = download();
  ASSERT_TRUE(package.fetch(file_, path("tool.deb")));
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(package.bytes_by_source().at("resumed"), 6 * kMebibyte);
  EXPECT_EQ(package.bytes_by_source().at("node1"), bytes_.size() - 6 * kMebibyte);
}

TEST_F(PackageDownloadTest, TriesAllSourcesOnceMoreWhenAllFailedAtOnce) {
  for (auto& [name, host] : hosts_) host.cut_after = 1;
  auto package = download();
  ASSERT_TRUE(package.fetch(file_, path("tool.deb")));
  EXPECT_EQ(listener_.failed.size(), 3U);
}

TEST_F(PackageDownloadTest, AsksOnceForANewTokenWhenOneIsRefused) {
  auto package = download("stale");
  ASSERT_TRUE(package.fetch(file_, path("tool.deb")));
  EXPECT_EQ(renewals_, 1);
  EXPECT_TRUE(listener_.failed.empty());
  EXPECT_EQ(tokens_.back(), "Bearer good");
}

TEST_F(PackageDownloadTest, EndsWhenEverySourceRefusesTheDevice) {
  for (auto& [name, host] : hosts_) host.status = 401;
  auto package = download();
  const auto refused = package.fetch(file_, path("tool.deb"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unauthenticated);
  EXPECT_EQ(renewals_, 1);
  EXPECT_FALSE(std::filesystem::exists(path("tool.deb")));
}

TEST_F(PackageDownloadTest, AvoidsASourceThatFailedForTheNextFile) {
  hosts_["node1"].reachable = false;
  auto package = download();
  ASSERT_TRUE(package.fetch(file_, path("one")));
  EXPECT_EQ(hosts_["node1"].requests, 1);
  ASSERT_TRUE(package.fetch(file_, path("two")));
  EXPECT_EQ(hosts_["node1"].requests, 1);
}

TEST_F(PackageDownloadTest, MakesAnEmptyFileWithoutAsking) {
  content::PieceDigests digests;
  const auto empty = digests.finish("empty");
  auto package = download();
  ASSERT_TRUE(package.fetch(empty, path("empty")));
  EXPECT_EQ(content_of("empty"), "");
  EXPECT_TRUE(tokens_.empty());
}

}  // namespace
}  // namespace larder::agent
