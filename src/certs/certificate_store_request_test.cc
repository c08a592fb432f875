#include <sys/stat.h>

#include <filesystem>

#include "certs/testing.h"

namespace larder::certs {
namespace {

using base::ErrorCode;

TEST_F(Store, RequestHasTheConnectionNamesAndAPrivateKeyFile) {
  const std::string path = make_request();
  const auto request =
      crypto::CertificateRequest::from_pem(base::read_file(path, 65536).value()).value();
  EXPECT_EQ(request.alternative_names().dns, std::vector<std::string>{"node1.example.org"});
  EXPECT_EQ(request.alternative_names().addresses, std::vector<std::string>{"10.0.0.5"});
  struct stat facts{};
  ASSERT_EQ(::stat((settings_.folder + "/main/key.pem").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
}

TEST_F(Store, SecondRequestOfANameIsRefusedAndKeepsTheKey) {
  const std::string path = make_request();
  const std::string before = base::read_file(path, 65536).value();
  RequestOptions options;
  options.key_name = "main";
  const auto again = open().make_request(options, kNow);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  EXPECT_EQ(base::read_file(path, 65536).value(), before);
}

TEST_F(Store, RequestAfterACrashUsesTheKeyThatIsThere) {
  const std::string path = make_request();
  const std::string key = base::read_file(settings_.folder + "/main/key.pem", 65536).value();
  std::filesystem::remove(path);
  EXPECT_EQ(make_request(), path);
  EXPECT_EQ(base::read_file(settings_.folder + "/main/key.pem", 65536).value(), key);
}

TEST_F(Store, RequestThatCannotBeMadeLeavesNothing) {
  RequestOptions options;
  options.key_name = "main";
  options.algorithm = crypto::KeyAlgorithm::Rsa2048;
  options.subject.country = "Germany";
  EXPECT_EQ(open().make_request(options, kNow).error().code, ErrorCode::InvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(settings_.folder + "/main"));
  // So another kind of key may have the name.
  options.algorithm = crypto::KeyAlgorithm::EcP256;
  options.subject.country = "DE";
  EXPECT_TRUE(open().make_request(options, kNow));
}

TEST_F(Store, RequestWarnsWhenClientsCouldNotUseTheResult) {
  RequestOptions options;
  options.key_name = "main";
  options.algorithm = crypto::KeyAlgorithm::Ed25519;
  options.names.dns = {"node1.example.org"};
  const auto outcome = open().make_request(options, kNow).value();
  ASSERT_EQ(outcome.warnings.size(), 2U);
  EXPECT_SAYS(outcome.warnings[0], "Windows");
  EXPECT_SAYS(outcome.warnings[1], "10.0.0.5");
}

TEST_F(Store, KeyNamesStayInsideTheFolder) {
  for (const char* name : {"", "..", "../x", "a/b", ".hidden", "Upper", "a b"}) {
    RequestOptions options;
    options.key_name = name;
    EXPECT_FALSE(open().make_request(options, kNow)) << name;
  }
}

}  // namespace
}  // namespace larder::certs
