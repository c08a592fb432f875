#include "certs/import_forms.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "crypto/request.h"
#include "crypto/testing.h"

namespace larder::certs {
namespace {

using crypto::testing::make_leaf;
using crypto::testing::make_root;

Check refusal(std::string_view content, std::string_view password = {}) {
  const auto read = read_certificates(content, password);
  EXPECT_FALSE(read);
  return read ? Check{} : read.error();
}

std::string utf16(std::string_view text) {
  std::string wide = "\xFF\xFE";
  for (const char c : text) wide += {c, '\0'};
  return wide;
}

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

class Forms : public ::testing::Test {
 protected:
  std::size_t count(std::string_view content) const {
    const auto read = read_certificates(content);
    EXPECT_TRUE(read) << read.error().message;
    if (!read) return 0;
    EXPECT_EQ(read->certificates.front(), leaf_.certificate);
    return read->certificates.size();
  }

  const crypto::testing::Pair root_ = make_root();
  const crypto::testing::Pair leaf_ = make_leaf(root_);
};

TEST_F(Forms, EveryTextFormIsRead) {
  const std::string pem = leaf_.certificate.to_pem();
  EXPECT_EQ(count(pem), 1U);
  EXPECT_EQ(count(pem + "subject=x\n" + root_.certificate.to_pem()), 2U);
  EXPECT_EQ(count(leaf_.certificate.to_der()), 1U);
  EXPECT_EQ(count("\xEF\xBB\xBF" + pem), 1U);
  EXPECT_EQ(count(utf16(pem)), 1U);
  std::string windows;
  for (const char c : pem) windows += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(count(windows), 1U);
  const std::size_t begin = pem.find('\n') + 1;
  EXPECT_EQ(count(pem.substr(begin, pem.find("-----END") - begin)), 1U);
}

TEST_F(Forms, WhatIsNoCertificateIsNamed) {
  EXPECT_SAYS(refusal("").message, "empty");
  EXPECT_SAYS(refusal("hello").message, "neither");
  EXPECT_EQ(refusal("hello").kind, Check::Kind::Form);
  EXPECT_SAYS(refusal("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").message,
              "neither");
  EXPECT_SAYS(refusal(std::string(2 << 20, 'a')).message, "1 MiB");
  const auto request =
      crypto::CertificateRequest::create(leaf_.key, {}, {.dns = {"a.example.org"}}).value();
  EXPECT_SAYS(refusal(request.to_pem()).message, "this is the request");
  EXPECT_SAYS(refusal(request.to_der()).message, "this is the request");
  std::string many;
  for (int i = 0; i < 17; ++i) many += leaf_.certificate.to_pem();
  EXPECT_SAYS(refusal(many).message, "16");
}

TEST_F(Forms, PrivateKeyIsRefusedInEveryForm) {
  const std::string pem = leaf_.key.to_pem().value();
  const std::size_t begin = pem.find('\n') + 1;
  const std::string base64 = pem.substr(begin, pem.find("-----END") - begin);
  const std::string disguised =
      "-----BEGIN CERTIFICATE-----\n" + base64 + "-----END CERTIFICATE-----\n";
  for (const std::string& content :
       {pem, leaf_.certificate.to_pem() + pem, utf16(pem), base64, disguised}) {
    const Check refused = refusal(content);
    EXPECT_EQ(refused.kind, Check::Kind::PrivateKey);
    EXPECT_EQ(refused.message.find(base64.substr(0, 20)), std::string::npos);
  }
}

TEST_F(Forms, PrivateKeyOfOtherProgramsIsRefused) {
  for (const std::string& content : {
           std::string(R"( {"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"c2VjcmV0"})"),
           std::string(
               "{\n  \"keys\": [{ \"d\" : \"c2VjcmV0\", \"kty\": \"RSA\", \"n\": \"AA\"}]}"),
           std::string(R"({"kty":"oct","k":"c2VjcmV0"})"),
           utf16(R"({"kty":"OKP","crv":"Ed25519","d":"c2VjcmV0"})"),
           std::string("PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\nc2VjcmV0\r\n"),
           std::string("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nc2VjcmV0\n"),
           std::string("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nc2VjcmV0\n"),
           std::string("\x1E\xF1\xB5\xB0\0\0\0\0c2VjcmV0", 16),
       }) {
    const Check refused = refusal(content);
    EXPECT_EQ(refused.kind, Check::Kind::PrivateKey) << content;
    EXPECT_EQ(refused.message.find("c2VjcmV0"), std::string::npos);
  }
  EXPECT_EQ(refusal(R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})").kind, Check::Kind::Form);
  EXPECT_EQ(refusal(R"({"d":"x"})").kind, Check::Kind::Form);
}

}  // namespace
}  // namespace larder::certs
