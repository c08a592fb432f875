// The device's side of registration and tokens against a site in memory that verifies its proofs.
#include "agent/registration.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <nlohmann/json.hpp>

#include "agent/testing.h"
#include "base/json.h"
#include "token/dpop.h"

namespace larder::agent {
namespace {

using base::ErrorCode;
using base::Json;
using client::HttpRequest;
using client::HttpResponse;

class RegistrationTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    device_.emplace(open_device(path("device"), clock_.wall()).value());
    session_.emplace([this](const HttpRequest& request) { return answer(request); },
                     SiteAddress{.url = "https://site.test:8443", .root_pem = "ROOT"}, device_->key,
                     clock_);
  }

  HttpResponse answer(const HttpRequest& request) {
    EXPECT_EQ(request.trust, "ROOT");
    EXPECT_FALSE(request.pinned_fetch);
    std::string proof;
    std::string access_token;
    for (const auto& [name, value] : request.fields) {
      if (name == "DPoP") proof = value;
      if (name == "Authorization") access_token = value.substr(5);
    }
    const auto verified = verifier_.verify(
        proof, {.method = request.method, .url = request.url, .access_token = access_token},
        clock_.wall(), clock_.steady());
    HttpResponse response;
    response.fields = {{"DPoP-Nonce", verifier_.nonce(clock_.steady())}};
    if (!verified) {
      ++refused_;
      response.status = 401;
      response.body = R"({"error":"use_dpop_nonce"})";
      return response;
    }
    thumbprint_ = verified->key_thumbprint;
    bodies_.push_back(request.body);
    response.status = status_;
    response.body = reply_;
    return response;
  }

  Registration sample_registration() const {
    Registration registration;
    registration.site_url = "https://site.test:8443";
    registration.root_pem = "ROOT";
    registration.client_id = "client-1";
    registration.name = "laptop";
    registration.registered_at = clock_.wall();
    registration.token_issued_at = clock_.wall();
    registration.token_expires_at = clock_.wall() + std::chrono::hours(24 * 90);
    return registration;
  }

  base::ManualClock clock_{base::from_unix_seconds(1'795'300'000)};
  token::DpopVerifier verifier_;
  int status_ = 200;
  int refused_ = 0;
  std::string reply_ = "{}";
  std::string thumbprint_;
  std::vector<std::string> bodies_;
  std::optional<Device> device_;
  std::optional<SiteSession> session_;
};

TEST_F(RegistrationTest, ADeviceKeepsItsKeyAndCertificate) {
  const auto again = open_device(path("device"), clock_.wall() + std::chrono::hours(24 * 365));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->key_pem, device_->key_pem);
  EXPECT_EQ(again->certificate_der, device_->certificate_der);
  struct stat about{};
  ASSERT_EQ(::stat(path("device").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0700U);
  ASSERT_EQ(::stat(path("device/device.key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  const auto later = open_device(path("device"), clock_.wall() + std::chrono::hours(24 * 3650));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->key_pem, device_->key_pem);
  EXPECT_NE(later->certificate_der, device_->certificate_der);
}

TEST_F(RegistrationTest, ProvesItsKeyAndTakesANewNonceWhenAsked) {
  reply_ = R"({"client_id":"client-1","client_token":"abc","expires_in":7776000})";
  const auto issued = request_registration(*session_, "secret", "laptop", "hw");
  ASSERT_TRUE(issued) << issued.error().message;
  EXPECT_EQ(issued->client_id, "client-1");
  EXPECT_EQ(issued->text, "abc");
  EXPECT_EQ(issued->lifetime, std::chrono::hours(24 * 90));
  EXPECT_EQ(refused_, 1);
  EXPECT_EQ(thumbprint_, device_->key.public_key().thumbprint().value());
  const auto sent = base::parse_json(bodies_.at(0)).value();
  EXPECT_EQ(sent["registration_secret"], "secret");
  ASSERT_TRUE(request_registration(*session_, "secret", "laptop", "hw"));
  EXPECT_EQ(refused_, 1) << "the nonce is kept";
  clock_.advance(std::chrono::minutes(10));
  ASSERT_TRUE(request_registration(*session_, "secret", "laptop", "hw"));
  EXPECT_EQ(refused_, 2) << "an old nonce costs one more exchange";
}

TEST_F(RegistrationTest, GivesTheSitesReasonForARefusal) {
  status_ = 403;
  reply_ = R"({"type":"urn:larder:problem:permission-denied","detail":"The token is spent."})";
  const auto issued = request_registration(*session_, "secret", "laptop", "hw");
  ASSERT_FALSE(issued);
  EXPECT_EQ(issued.error().code, ErrorCode::PermissionDenied);
  EXPECT_NE(issued.error().message.find("The token is spent."), std::string::npos);
  EXPECT_EQ(issued.error().message.find("secret"), std::string::npos);
}

TEST_F(RegistrationTest, RefusesAnswersThatCannotBeRight) {
  for (const auto* reply : {"", "[]", R"({"client_token":"a","expires_in":60})",
                            R"({"client_id":"c","client_token":"","expires_in":60})",
                            R"({"client_id":"c","client_token":"a","expires_in":-1})",
                            R"({"client_id":"c","client_token":"a","expires_in":99999999999})"}) {
    reply_ = reply;
    EXPECT_FALSE(request_registration(*session_, "s", "n", "h")) << reply;
  }
}

TEST_F(RegistrationTest, StoresWhatItLearned) {
  EXPECT_FALSE(load_registration(path("device")).value());
  ASSERT_TRUE(store_registration(path("device"), sample_registration(), "abc"));
  const auto loaded = load_registration(path("device"));
  ASSERT_TRUE(loaded && *loaded);
  EXPECT_EQ((*loaded)->client_id, "client-1");
  EXPECT_EQ((*loaded)->token_expires_at, sample_registration().token_expires_at);
  EXPECT_EQ(load_client_token(path("device")).value(), "abc");
  EXPECT_EQ(content_of("device/registration.json").find("abc"), std::string::npos);
  struct stat about{};
  ASSERT_EQ(::stat(path("device/client.token").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  ASSERT_TRUE(forget_registration(path("device")));
  EXPECT_FALSE(load_registration(path("device")).value());
}

TEST_F(RegistrationTest, RenewsTheClientTokenFromAThirdOfItsLife) {
  auto registration = sample_registration();
  ASSERT_TRUE(store_registration(path("device"), registration, "old"));
  reply_ = R"({"access_token":"new","token_type":"DPoP","expires_in":7776000})";
  const auto current = [&] {
    return current_client_token(*session_, path("device"), registration, clock_.wall());
  };
  EXPECT_EQ(current().value(), "old");
  EXPECT_TRUE(bodies_.empty());
  clock_.advance(std::chrono::hours(24 * 31));
  EXPECT_EQ(current().value(), "new");
  EXPECT_EQ(load_client_token(path("device")).value(), "new");
  EXPECT_FALSE(is_renewal_due(registration, clock_.wall()));
  status_ = 503;
  clock_.advance(std::chrono::hours(24 * 60));
  EXPECT_EQ(current().value(), "new") << "the old one lasts while the site cannot be asked";
  clock_.advance(std::chrono::hours(24 * 31));
  EXPECT_EQ(current().error().code, ErrorCode::Unauthenticated);
}

TEST_F(RegistrationTest, AsksForAContentTokenForItsCertificate) {
  reply_ = R"({"access_token":"t","token_type":"Bearer","expires_in":28800})";
  EXPECT_EQ(request_content_token(*session_, "DER").value().text, "t");
  EXPECT_EQ(bodies_.at(0), "grant_type=client_credentials&scope=content&client_certificate=REVS");
}

TEST_F(RegistrationTest, RefusesATokenThatIsNoneBeforeItConnects) {
  EXPECT_EQ(register_device(path("device"), "nonsense", "laptop", clock_).error().code,
            ErrorCode::InvalidArgument);
}

}  // namespace
}  // namespace larder::agent
