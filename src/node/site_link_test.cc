// The steps of a node's link against a site in memory that speaks docs/protocol.md with real keys,
// certificates and signatures.
#include "node/site_link.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <charconv>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing.h"
#include "client/bootstrap.h"
#include "content/piece_digests.h"
#include "crypto/issue.h"
#include "crypto/jws.h"
#include "crypto/request.h"
#include "node/site_calls.h"
#include "node/site_steps.h"

namespace larder::node {
namespace {

using base::ErrorCode;
using base::Json;
using client::HttpRequest;
using client::HttpResponse;

constexpr std::chrono::hours kYear{24 * 365};
constexpr auto kStart = std::chrono::seconds(1'795'300'000);

crypto::PrivateKey make_key() {
  return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
}

Json jwk_of(const crypto::PrivateKey& key) {
  return base::parse_json(key.public_key().to_jwk().value()).value();
}

class MemorySite {
 public:
  explicit MemorySite(const base::Clock& clock) : clock_(clock) {
    crypto::CertificateTemplate about;
    about.subject.common_name = "Test root";
    about.not_before = clock.wall() - std::chrono::hours(1);
    about.not_after = clock.wall() + std::chrono::hours(24 * 3650);
    about.is_ca = true;
    root_ = crypto::issue_self_signed(about, root_key_).value();
  }

  client::HttpExchange exchange() {
    return [this](const HttpRequest& request) { return answer(request); };
  }
  std::string join_token() const {
    return client::format_bootstrap_token(
        {.url = "https://site.test:8443",
         .root_sha256 = root_->sha256_hex(),
         .secret = base::to_base64url(base::as_bytes(std::string(32, 's')))},
        client::kJoinPrefix);
  }
  std::string signed_snapshot() const {
    Json token_jwk = jwk_of(token_key_);
    token_jwk["use"] = "sig";
    token_jwk["kid"] = "ignored";
    Json manifest_jwk = jwk_of(manifest_key_);
    manifest_jwk["use"] = "manifest";
    const Json json = {{"sequence", sequence},
                       {"issued_at", base::to_rfc3339(clock_.wall())},
                       {"site_id", "site-1"},
                       {"mode", mode},
                       {"snapshot_key", jwk_of(snapshot_key)},
                       {"issuer", "https://site.test:8443"},
                       {"token_keys", Json::array({token_jwk, manifest_jwk})},
                       {"denied_clients", denied},
                       {"packages", packages},
                       {"node", {{"names", names}, {"addresses", {"10.0.0.5"}}}}};
    return crypto::sign_jws({.type = std::string(kSnapshotType)}, json.dump(), snapshot_key)
        .value();
  }
  void publish(const std::string& package, const std::string& bytes) {
    content::Manifest manifest;
    manifest.package = package;
    manifest.version = "1";
    manifest.created_at = clock_.wall();
    content::PieceDigests digests;
    digests.update(base::as_bytes(bytes));
    manifest.files = {digests.finish("file.bin")};
    files[manifest.files[0].sha256] = bytes;
    packages.push_back({{"name", package},
                        {"version", "1"},
                        {"manifest", content::sign_manifest(manifest, manifest_key_).value()}});
    ++sequence;
  }

  std::int64_t sequence = 1;
  std::string mode = "enhanced";
  std::vector<std::string> denied;
  std::vector<std::string> names = {"node1.example.org"};
  Json packages = Json::array();
  std::map<std::string, std::string> files;
  crypto::PrivateKey snapshot_key = make_key();
  bool reachable = true;
  std::chrono::hours role_life{24 * 90};
  std::vector<std::string> asked;    // paths
  std::vector<std::string> reports;  // bodies
  const crypto::PrivateKey& token_key() const { return token_key_; }

 private:
  base::Result<HttpResponse> answer(const HttpRequest& request) {
    if (!reachable) return base::fail(ErrorCode::Unavailable, "connection refused");
    const auto path = request.url.substr(std::string("https://site.test:8443").size());
    asked.push_back(path);
    if (path == "/.larder/pki/root.crt") {
      EXPECT_TRUE(request.body.empty());
      return text(200, root_->to_pem());
    }
    EXPECT_FALSE(request.pinned_fetch);
    EXPECT_EQ(request.trust, root_->to_pem());
    if (path == "/node/v1/join") return join(request);
    EXPECT_FALSE(request.certificate.empty()) << path;
    if (path.starts_with("/node/v1/changes?after=")) return changes(path.substr(23));
    if (path == "/node/v1/role-certificate") return role(request);
    if (path == "/node/v1/identity-certificate") {
      const auto json = base::parse_json(request.body).value();
      return text(200, Json({{"certificate", certify(json["csr"], {}, false, kYear)}}).dump());
    }
    if (path.starts_with("/node/v1/files/")) return file(request, path.substr(15));
    if (path == "/node/v1/report") {
      reports.push_back(request.body);
      return text(200, "{\"time\":\"2026-11-21T00:00:00Z\"}");
    }
    return text(404, "{}");
  }

  static HttpResponse text(int status, std::string body) {
    HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    return response;
  }

  std::string certify(const std::string& csr, const crypto::AlternativeNames& san, bool server,
                      std::chrono::hours life) const {
    const auto request = crypto::CertificateRequest::from_pem(csr).value();
    EXPECT_TRUE(request.verify());
    crypto::CertificateTemplate about;
    about.names = san;
    about.subject.common_name = "node1";
    about.not_before = clock_.wall();
    about.not_after = clock_.wall() + life;
    about.server_auth = server;
    about.client_auth = !server;
    return crypto::issue(about, request.public_key().value(), *root_, root_key_).value().to_pem();
  }

  HttpResponse join(const HttpRequest& request) const {
    const auto json = base::parse_json(request.body).value();
    if (json["token_secret"] != base::to_base64url(base::as_bytes(std::string(32, 's')))) {
      return text(403, "{\"detail\":\"the token is spent\"}");
    }
    const Json reply = {{"node_id", "id-1"},
                        {"name", "node1"},
                        {"names", names},
                        {"addresses", Json::array()},
                        {"certificate", certify(json["csr"], {}, false, kYear)}};
    return text(200, reply.dump());
  }

  HttpResponse changes(std::string_view query) const {
    std::int64_t after = 0;
    std::from_chars(query.data(), query.data() + query.find('&'), after);
    if (after == sequence) return text(204, "");
    const Json reply = {{"sequence", sequence}, {"snapshot", signed_snapshot()}};
    return text(200, reply.dump());
  }

  HttpResponse role(const HttpRequest& request) const {
    const auto json = base::parse_json(request.body).value();
    const Json reply = {
        {"certificate",
         certify(json["csr"], {.dns = names, .addresses = {"10.0.0.5"}}, true, role_life)}};
    return text(200, reply.dump());
  }

  base::Result<HttpResponse> file(const HttpRequest& request, const std::string& sha256) {
    if (!files.contains(sha256)) return text(404, "");
    const auto& bytes = files[sha256];
    const auto range = request.fields.back().second.substr(6);
    const std::size_t first = std::stoul(range);
    const std::size_t last = std::stoul(range.substr(range.find('-') + 1));
    LARDER_TRY(request.on_head(
        206, {{"Content-Range", "bytes " + range + "/" + std::to_string(bytes.size())}}));
    LARDER_TRY(request.on_body(base::as_bytes(bytes).subspan(first, last - first + 1)));
    return text(206, "");
  }

  const base::Clock& clock_;
  crypto::PrivateKey root_key_ = make_key();
  crypto::PrivateKey token_key_ = make_key();
  crypto::PrivateKey manifest_key_ = make_key();
  std::optional<crypto::Certificate> root_;
};

class SiteStepsTest : public base::FolderTest {
 protected:
  void SetUp() override {
    library_ = content::Library::open(folder_ + "/content").value();
    restart();
  }
  void restart() {
    SiteLinkCallbacks callbacks;
    callbacks.on_view = [this](auto view) { views_.push_back(view->sequence); };
    callbacks.on_role_certificate = [this](const auto& key, const auto& chain) {
      roles_.push_back(key + chain);
    };
    callbacks.on_role_withdrawn = [this] { ++withdrawn_; };
    callbacks.report = [] { return std::string(R"({"sequence":1})"); };
    steps_.reset();
    auto steps = SiteSteps::open(folder_, *library_, clock_, std::move(callbacks));
    ASSERT_TRUE(steps) << steps.error().message;
    steps_ = std::move(*steps);
  }
  base::Status join() { return steps_->join(site_.exchange(), site_.join_token()); }
  base::Result<bool> follow() {
    return steps_->follow_changes(site_.exchange(), std::chrono::seconds(0));
  }

  base::ManualClock clock_{base::WallTime(kStart)};
  MemorySite site_{clock_};
  std::unique_ptr<content::Library> library_;
  std::unique_ptr<SiteSteps> steps_;
  std::vector<std::uint64_t> views_;
  std::vector<std::string> roles_;
  int withdrawn_ = 0;
};

TEST_F(SiteStepsTest, DoesNothingBeforeItHasJoined) {
  EXPECT_FALSE(steps_->joined());
  EXPECT_EQ(follow().error().code, ErrorCode::FailedPrecondition);
  EXPECT_EQ(steps_->report(site_.exchange()).error().code, ErrorCode::FailedPrecondition);
  EXPECT_TRUE(steps_->keep_role(site_.exchange()));
  EXPECT_TRUE(site_.asked.empty());
}

TEST_F(SiteStepsTest, JoinsAndKeepsItsIdentityInPrivateFiles) {
  const auto joined = join();
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_EQ(steps_->status().name, "node1");
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/site")) {
    struct stat about{};
    ASSERT_EQ(::stat(entry.path().c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0600U) << entry.path();
  }
  restart();
  EXPECT_TRUE(steps_->joined());
  EXPECT_EQ(steps_->status().node_id, "id-1");
}

TEST_F(SiteStepsTest, DoesNotShowItsSecretToAForeignSite) {
  const MemorySite other(clock_);
  EXPECT_EQ(steps_->join(site_.exchange(), other.join_token()).error().code,
            ErrorCode::Unauthenticated);
  EXPECT_EQ(site_.asked, std::vector<std::string>{"/.larder/pki/root.crt"});
  EXPECT_FALSE(steps_->joined());
  EXPECT_FALSE(steps_->join(site_.exchange(), "larder-register.abc"));
}

TEST_F(SiteStepsTest, FollowsTheSite) {
  ASSERT_TRUE(join());
  EXPECT_TRUE(follow().value());
  EXPECT_EQ(steps_->view()->sequence, 1U);
  EXPECT_EQ(steps_->view()->names, std::vector<std::string>{"node1.example.org"});
  EXPECT_EQ(steps_->view()->token_keys.size(), 1U);
  EXPECT_FALSE(follow().value());
  site_.denied = {"client-7"};
  ++site_.sequence;
  EXPECT_TRUE(follow().value());
  EXPECT_TRUE(steps_->view()->denied_clients.contains("client-7"));
  EXPECT_EQ(views_, (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(SiteStepsTest, KnowsAfterARestartWhatItKnewBefore) {
  ASSERT_TRUE(join());
  site_.sequence = 5;
  ASSERT_TRUE(follow().value());
  restart();
  ASSERT_NE(steps_->view(), nullptr);
  EXPECT_EQ(steps_->view()->sequence, 5U);
  steps_->publish_stored();
  EXPECT_EQ(views_, (std::vector<std::uint64_t>{5, 5}));
  site_.sequence = 4;
  const auto older = follow();
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, ErrorCode::PermissionDenied);
  EXPECT_EQ(steps_->view()->sequence, 5U);
}

TEST_F(SiteStepsTest, RefusesASnapshotOfAnotherKey) {
  ASSERT_TRUE(join());
  ASSERT_TRUE(follow().value());
  site_.snapshot_key = make_key();
  ++site_.sequence;
  EXPECT_EQ(follow().error().code, ErrorCode::Unauthenticated);
  restart();
  EXPECT_EQ(follow().error().code, ErrorCode::Unauthenticated);
  EXPECT_EQ(steps_->view()->sequence, 1U);
}

TEST_F(SiteStepsTest, IgnoresAStoredSnapshotThatWasChanged) {
  ASSERT_TRUE(join());
  ASSERT_TRUE(follow().value());
  const auto path = folder_ + "/site/snapshot.jws";
  auto text = base::read_file(path, 1 << 20).value();
  text[text.size() / 2] = text[text.size() / 2] == 'A' ? 'B' : 'A';
  ASSERT_TRUE(base::write_file_atomically(path, text, 0600));
  restart();
  EXPECT_EQ(steps_->view(), nullptr);
  EXPECT_TRUE(follow().value());
}

TEST_F(SiteStepsTest, GetsARoleCertificateAndServesItAgainAfterARestart) {
  ASSERT_TRUE(join());
  ASSERT_TRUE(follow().value());
  const auto kept = steps_->keep_role(site_.exchange());
  ASSERT_TRUE(kept) << kept.error().message;
  ASSERT_EQ(roles_.size(), 1U);
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  EXPECT_EQ(roles_.size(), 1U);
  restart();
  site_.reachable = false;
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  ASSERT_EQ(roles_.size(), 2U);
  EXPECT_EQ(roles_[0], roles_[1]);
}

TEST_F(SiteStepsTest, RenewsTheRoleCertificateWithANewKeyAtTwoThirdsOfItsLife) {
  ASSERT_TRUE(join());
  ASSERT_TRUE(follow().value());
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  clock_.advance(std::chrono::hours(24 * 50));
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  EXPECT_EQ(roles_.size(), 1U);
  clock_.advance(std::chrono::hours(24 * 10));
  site_.reachable = false;
  EXPECT_FALSE(steps_->keep_role(site_.exchange()));
  EXPECT_EQ(withdrawn_, 0) << "the old one serves on";
  site_.reachable = true;
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  ASSERT_EQ(roles_.size(), 2U);
  EXPECT_NE(roles_[0].substr(0, 200), roles_[1].substr(0, 200));
}

TEST_F(SiteStepsTest, RenewsItsIdentityForTheSameKeyAtTwoThirdsOfItsLife) {
  ASSERT_TRUE(join());
  const auto content = [this](const char* name) {
    return base::read_file(folder_ + "/site/" + name, 1 << 20).value();
  };
  const std::string key = content("identity.key");
  const std::string first = content("identity.pem");
  clock_.advance(std::chrono::hours(24 * 220));
  ASSERT_TRUE(steps_->keep_identity(site_.exchange()));
  EXPECT_EQ(content("identity.pem"), first) << "not yet";
  clock_.advance(std::chrono::hours(24 * 24));
  site_.reachable = false;
  EXPECT_FALSE(steps_->keep_identity(site_.exchange()));
  EXPECT_EQ(content("identity.pem"), first) << "the old one stays";
  site_.reachable = true;
  ASSERT_TRUE(steps_->keep_identity(site_.exchange()));
  const std::string second = content("identity.pem");
  EXPECT_NE(second, first);
  EXPECT_EQ(content("identity.key"), key);
  site_.asked.clear();
  restart();
  ASSERT_TRUE(steps_->keep_identity(site_.exchange()));
  EXPECT_TRUE(site_.asked.empty()) << "and it is known after a restart";
}

TEST_F(SiteStepsTest, AsksAgainWhenItsNamesChange) {
  ASSERT_TRUE(join());
  ASSERT_TRUE(follow().value());
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  site_.names.emplace_back("cache.example.org");
  ++site_.sequence;
  ASSERT_TRUE(follow().value());
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  EXPECT_EQ(roles_.size(), 2U);
}

TEST_F(SiteStepsTest, WithdrawsTheRoleCertificateInHttpsOnlyMode) {
  ASSERT_TRUE(join());
  ASSERT_TRUE(follow().value());
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  site_.mode = "https-only";
  ++site_.sequence;
  ASSERT_TRUE(follow().value());
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  EXPECT_EQ(withdrawn_, 1);
  restart();
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  EXPECT_EQ(roles_.size(), 1U);
  site_.mode = "enhanced";
  ++site_.sequence;
  ASSERT_TRUE(follow().value());
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  EXPECT_EQ(roles_.size(), 2U) << "still good, so it serves again without a new one";
  EXPECT_EQ(roles_[0], roles_[1]);
}

TEST_F(SiteStepsTest, PullsTheFilesThatItLacks) {
  ASSERT_TRUE(join());
  site_.publish("tool", std::string(3'000'000, 't'));
  site_.publish("other", "small");
  ASSERT_TRUE(follow().value());
  ASSERT_EQ(steps_->view()->packages.size(), 2U);
  const auto pulled = steps_->pull_content(site_.exchange());
  ASSERT_TRUE(pulled) << pulled.error().message;
  EXPECT_EQ(steps_->status().files_missing, 0U);
  const auto* package = steps_->view()->find_package("tool", "1");
  ASSERT_NE(package, nullptr);
  EXPECT_TRUE(library_->contains(package->manifest.files[0]));
  EXPECT_EQ(steps_->view()->find_package("tool", "2"), nullptr);
}

TEST_F(SiteStepsTest, KeepsOutWrongFilesAndStillPullsTheOthers) {
  ASSERT_TRUE(join());
  site_.publish("bad", "right bytes");
  for (auto& [sha256, bytes] : site_.files) bytes = "wrong bytes";
  site_.publish("good", "good bytes");
  ASSERT_TRUE(follow().value());
  EXPECT_FALSE(steps_->pull_content(site_.exchange()));
  EXPECT_EQ(steps_->status().files_missing, 1U);
  EXPECT_FALSE(library_->contains(steps_->view()->find_package("bad", "1")->manifest.files[0]));
  EXPECT_TRUE(library_->contains(steps_->view()->find_package("good", "1")->manifest.files[0]));
}

TEST_F(SiteStepsTest, LeavesOutAPackageWhoseManifestIsNotTheSites) {
  ASSERT_TRUE(join());
  site_.publish("tool", "bytes");
  site_.packages[0]["version"] = "2";
  ASSERT_TRUE(follow().value());
  EXPECT_TRUE(steps_->view()->packages.empty());
}

TEST_F(SiteStepsTest, ReportsAndNotesWhetherTheSiteIsReached) {
  ASSERT_TRUE(join());
  ASSERT_TRUE(steps_->report(site_.exchange()));
  EXPECT_EQ(site_.reports, std::vector<std::string>{R"({"sequence":1})"});
  EXPECT_TRUE(steps_->status().connected);
  site_.reachable = false;
  EXPECT_FALSE(steps_->report(site_.exchange()));
  EXPECT_FALSE(steps_->status().connected);
  EXPECT_NE(steps_->status().last_error, "");
}

TEST_F(SiteStepsTest, LeavesNothingOfTheOldSiteWhenItJoinsAnother) {
  ASSERT_TRUE(join());
  site_.sequence = 9;
  ASSERT_TRUE(follow().value());
  ASSERT_TRUE(steps_->keep_role(site_.exchange()));
  MemorySite other(clock_);
  ASSERT_TRUE(steps_->join(other.exchange(), other.join_token()));
  EXPECT_EQ(withdrawn_, 1);
  EXPECT_EQ(steps_->view(), nullptr);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/site/role.key"));
  EXPECT_TRUE(steps_->follow_changes(other.exchange(), std::chrono::seconds(0)).value());
  EXPECT_EQ(steps_->view()->sequence, 1U);
}

TEST_F(SiteStepsTest, RefusesMalformedSnapshots) {
  const auto key = make_key();
  const auto verify = [&](const Json& json) {
    const auto text =
        crypto::sign_jws({.type = std::string(kSnapshotType)}, json.dump(), key).value();
    return verify_snapshot(text, "", clock_.wall());
  };
  const Json good = {{"sequence", 1},
                     {"issued_at", "2026-11-21T00:00:00Z"},
                     {"site_id", "s"},
                     {"mode", "enhanced"},
                     {"snapshot_key", jwk_of(key)},
                     {"issuer", "i"},
                     {"token_keys", Json::array()},
                     {"denied_clients", Json::array()},
                     {"packages", Json::array()},
                     {"node", {{"names", Json::array()}, {"addresses", Json::array()}}}};
  const auto view = verify(good);
  ASSERT_TRUE(view) << view.error().message;
  for (const auto& [name, value] : good.items()) {
    auto lacking = good;
    lacking.erase(name);
    EXPECT_FALSE(verify(lacking)) << name;
    auto wrong = good;
    wrong[name] = true;
    EXPECT_FALSE(verify(wrong)) << name;
  }
  auto foreign = good;
  foreign["snapshot_key"] = jwk_of(make_key());
  EXPECT_EQ(verify(foreign).error().code, ErrorCode::Unauthenticated);
  auto unknown = good;
  unknown["mode"] = "http";
  EXPECT_FALSE(verify(unknown));
}

TEST_F(SiteStepsTest, ALinkThatIsNotJoinedStopsAtOnce) {
  steps_.reset();
  auto link = SiteLink::open(folder_, *library_, clock_, {});
  ASSERT_TRUE(link);
  (*link)->start();
  EXPECT_FALSE((*link)->status().joined);
  EXPECT_FALSE((*link)->join("nonsense"));
  (*link)->stop();
  (*link)->stop();
}

}  // namespace
}  // namespace larder::node
