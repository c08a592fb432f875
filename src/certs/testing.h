// For tests of the certificate store: a customer's authority, and a store that trusts it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing.h"
#include "certs/certificate_store.h"
#include "crypto/issue.h"
#include "crypto/request.h"

namespace larder::certs {

inline const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
inline constexpr auto kDay = std::chrono::hours(24);
using Adjust = std::function<void(crypto::CertificateTemplate&)>;

// A CA as a customer has it: a root that devices trust and an issuing CA below it.
class Authority {
 public:
  Authority() : root_key_(make_key()), issuing_key_(make_key()), root_(make_root()) {
    issuing_.push_back(
        crypto::issue(ca("Issuing CA"), issuing_key_.public_key(), root_, root_key_).value());
  }

  std::string root_pem() const { return root_.to_pem(); }
  std::string issuing_pem() const { return issuing_.front().to_pem(); }
  // The same CA, whose certificate ends another time, or is otherwise not the same.
  std::string issuing_pem(const Adjust& adjust) const {
    crypto::CertificateTemplate content = ca("Issuing CA");
    adjust(content);
    return crypto::issue(content, issuing_key_.public_key(), root_, root_key_).value().to_pem();
  }

  // The leaf for a request, as an administrator gets it.
  std::string sign(const std::string& request_path, const Adjust& adjust = {}) const {
    const auto text = base::read_file(request_path, 65536).value();
    const auto request = crypto::CertificateRequest::from_pem(text).value();
    EXPECT_TRUE(request.verify());
    return sign_key(request.public_key().value(), request.alternative_names(), adjust);
  }
  std::string sign_key(const crypto::PublicKey& key, const crypto::AlternativeNames& names,
                       const Adjust& adjust = {}) const {
    crypto::CertificateTemplate content;
    content.subject.common_name = "node1.example.org";
    content.names = names;
    content.not_before = kNow - kDay;
    content.not_after = kNow + 90 * kDay;
    content.server_auth = true;
    if (adjust) adjust(content);
    return crypto::issue(content, key, issuing_.front(), issuing_key_).value().to_pem();
  }

 private:
  static crypto::PrivateKey make_key() {
    return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  }
  static crypto::CertificateTemplate ca(const std::string& name) {
    crypto::CertificateTemplate content;
    content.subject.common_name = name;
    content.not_before = kNow - 100 * kDay;
    content.not_after = kNow + 1000 * kDay;
    content.is_ca = true;
    return content;
  }
  crypto::Certificate make_root() const {
    return crypto::issue_self_signed(ca("Root"), root_key_).value();
  }

  crypto::PrivateKey root_key_;
  crypto::PrivateKey issuing_key_;
  crypto::Certificate root_;
  std::vector<crypto::Certificate> issuing_;
};

class Store : public base::FolderTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(base::write_file_atomically(folder_ + "/root.pem", authority_.root_pem(), 0644));
    settings_ = {.folder = folder_ + "/certificates",
                 .connection_names = {"node1.example.org", "10.0.0.5"},
                 .client_trust = {folder_ + "/root.pem"}};
  }

  CertificateStore open() const { return CertificateStore::open(settings_).value(); }

  std::string make_request(const std::string& name = "main",
                           crypto::KeyAlgorithm algorithm = crypto::KeyAlgorithm::EcP256) const {
    RequestOptions options;
    options.key_name = name;
    options.algorithm = algorithm;
    options.subject.common_name = "node1.example.org";
    return open().make_request(options, kNow).value().path;
  }
  std::string chain(const std::string& request_path, const Adjust& adjust = {}) const {
    return authority_.sign(request_path, adjust) + authority_.issuing_pem();
  }
  std::string refusal(const std::string& content) const {
    const auto outcome = open().import_certificate(content, {}, kNow).value();
    EXPECT_FALSE(outcome.report.passed());
    EXPECT_TRUE(open().load_active().value().certificates.empty());
    return outcome.report.failures();
  }
  std::vector<CertificateFacts> certificates(const std::string& key = "main") const {
    for (const KeyFacts& facts : open().list().value().keys) {
      if (facts.name == key) return facts.certificates;
    }
    return {};
  }

  Authority authority_;
  StoreSettings settings_;
};

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

}  // namespace larder::certs
