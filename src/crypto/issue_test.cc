#include "crypto/issue.h"

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include "base/encoding.h"
#include "crypto/request.h"
#include "crypto/verify.h"

namespace larder::crypto {
namespace {

using base::ErrorCode;

const base::WallTime kStart = base::from_unix_seconds(1'800'000'000);
constexpr auto kDay = std::chrono::hours(24);

struct Authority {
  PrivateKey key;
  Certificate certificate;
};

CertificateTemplate ca_template(NameConstraints constraints) {
  CertificateTemplate content;
  content.subject = {.common_name = "Test root", .country = "", .state = "", .organization = "T"};
  content.not_before = kStart;
  content.not_after = kStart + 3650 * kDay;
  content.is_ca = true;
  content.constraints = std::move(constraints);
  return content;
}

Authority make_root(NameConstraints constraints) {
  auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  auto certificate = issue_self_signed(ca_template(std::move(constraints)), key).value();
  return {std::move(key), std::move(certificate)};
}

CertificateTemplate server_template(AlternativeNames names, std::string common_name = {}) {
  CertificateTemplate content;
  content.subject.common_name = std::move(common_name);
  content.names = std::move(names);
  content.not_before = kStart;
  content.not_after = kStart + 90 * kDay;
  content.server_auth = true;
  return content;
}

Certificate issue_server(const Authority& authority, AlternativeNames names,
                         std::string common_name = {}) {
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  return issue(server_template(std::move(names), std::move(common_name)), key.public_key(),
               authority.certificate, authority.key)
      .value();
}

base::Status verify(const Authority& root, const Certificate& leaf,
                    std::vector<std::string> names = {}, base::WallTime now = kStart + kDay) {
  const auto trust = TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  return verify_chain(leaf, {}, trust, ChainPurpose::Server, names, now);
}

AlternativeNames dns(std::string name) {
  AlternativeNames names;
  names.dns.push_back(std::move(name));
  return names;
}

AlternativeNames address(std::string text) {
  AlternativeNames names;
  names.addresses.push_back(std::move(text));
  return names;
}

TEST(Issue, LeafVerifiesForItsNamesAndPurpose) {
  const auto root = make_root({.dns_suffixes = {"larder.example.org"}, .address_ranges = {}});
  const auto leaf = issue_server(root, dns("node1.larder.example.org"));
  EXPECT_TRUE(verify(root, leaf, {"node1.larder.example.org"}));
  EXPECT_FALSE(verify(root, leaf, {"node2.larder.example.org"}));
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_TRUE(leaf.has_server_auth());
  EXPECT_FALSE(leaf.has_client_auth());
  const auto trust = TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  EXPECT_FALSE(verify_chain(leaf, {}, trust, ChainPurpose::Client, {}, kStart + kDay));
}

TEST(Issue, LeafIsRefusedBeforeAndAfterItsValidity) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  const auto leaf = issue_server(root, dns("a.example.org"));
  const auto late = verify(root, leaf, {}, kStart + 91 * kDay);
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message.find("expired"), std::string::npos);
  EXPECT_FALSE(verify(root, leaf, {}, kStart - kDay));
}

TEST(NameConstraints, NamesOutsideTheSuffixesAreRefused) {
  const auto root = make_root({.dns_suffixes = {"larder.example.org"}, .address_ranges = {}});
  EXPECT_TRUE(verify(root, issue_server(root, dns("larder.example.org"))));
  EXPECT_FALSE(verify(root, issue_server(root, dns("example.org"))));
  EXPECT_FALSE(verify(root, issue_server(root, dns("notlarder.example.org"))));
  EXPECT_FALSE(verify(root, issue_server(root, dns("www.example.com"))));
}

TEST(NameConstraints, WithoutRangesNoAddressIsAllowed) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  EXPECT_FALSE(verify(root, issue_server(root, address("10.1.2.3"))));
  EXPECT_FALSE(verify(root, issue_server(root, address("fd00::1"))));
}

TEST(NameConstraints, OnlyAddressesInTheRangesAreAllowed) {
  const auto root =
      make_root({.dns_suffixes = {"example.org"}, .address_ranges = {"10.0.0.0/8", "fd00::/8"}});
  EXPECT_TRUE(verify(root, issue_server(root, address("10.1.2.3")), {"10.1.2.3"}));
  EXPECT_FALSE(verify(root, issue_server(root, address("11.1.2.3"))));
  EXPECT_TRUE(verify(root, issue_server(root, address("fd00::1")), {"fd00::1"}));
  EXPECT_FALSE(verify(root, issue_server(root, address("2001:db8::1"))));
}

TEST(NameConstraints, OneAddressFamilyShutsOutTheOther) {
  const auto root = make_root({.dns_suffixes = {}, .address_ranges = {"10.0.0.0/8"}});
  EXPECT_TRUE(verify(root, issue_server(root, address("10.1.2.3"))));
  EXPECT_FALSE(verify(root, issue_server(root, address("fd00::1"))));
}

TEST(NameConstraints, WithoutSuffixesNoDnsNameIsAllowed) {
  const auto root = make_root({.dns_suffixes = {}, .address_ranges = {"10.0.0.0/8"}});
  EXPECT_FALSE(verify(root, issue_server(root, dns("example.org"))));
}

TEST(NameConstraints, UrisAndEmailsAreNeverAllowed) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  AlternativeNames with_uri = dns("a.example.org");
  with_uri.uris.emplace_back("https://a.example.org/");
  EXPECT_FALSE(verify(root, issue_server(root, with_uri)));
  AlternativeNames with_email = dns("a.example.org");
  with_email.emails.emplace_back("someone@a.example.org");
  EXPECT_FALSE(verify(root, issue_server(root, with_email)));
}

TEST(Issue, ChainThroughAnIssuingAuthorityVerifies) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  const auto issuing_key = PrivateKey::generate(KeyAlgorithm::EcP384).value();
  CertificateTemplate content;
  content.subject.common_name = "Issuing";
  content.not_before = kStart;
  content.not_after = kStart + 365 * kDay;
  content.is_ca = true;
  content.path_length = 0;
  const auto issuing = issue(content, issuing_key.public_key(), root.certificate, root.key).value();
  const Authority authority{issuing_key, issuing};
  const auto leaf = issue_server(authority, dns("a.example.org"), "a.example.org");
  const auto trust = TrustStore::from_pem(root.certificate.to_pem()).value();
  const std::vector<std::string> names{"a.example.org"};
  EXPECT_TRUE(verify_chain(leaf, std::span(&issuing, 1), trust, ChainPurpose::Server, names,
                           kStart + kDay));
  const auto gap = verify_chain(leaf, {}, trust, ChainPurpose::Server, names, kStart + kDay);
  ASSERT_FALSE(gap);
  EXPECT_EQ(gap.error().code, ErrorCode::NotFound);
  EXPECT_NE(gap.error().message.find("CN=a.example.org"), std::string::npos);
  EXPECT_EQ(leaf.issuer(), issuing.subject());
}

TEST(Issue, RefusesAnIssuerThatCannotSign) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  const auto other = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  const auto leaf_key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  const auto leaf = issue(server_template(dns("a.example.org")), leaf_key.public_key(),
                          root.certificate, root.key)
                        .value();
  const auto wrong_key =
      issue(server_template(dns("a.example.org")), leaf_key.public_key(), root.certificate, other);
  ASSERT_FALSE(wrong_key);
  EXPECT_EQ(wrong_key.error().code, ErrorCode::FailedPrecondition);
  EXPECT_FALSE(issue(server_template(dns("a.example.org")), other.public_key(), leaf, leaf_key));
}

TEST(Issue, RefusesWrongNamesAndDates) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  for (const char* name : {"", ".example.org", "a..b", "a b", "-a", "a.", "*", "a,DNS:b"}) {
    EXPECT_FALSE(issue(server_template(dns(name)), key.public_key(), root.certificate, root.key))
        << name;
  }
  EXPECT_FALSE(
      issue(server_template(address("10.0.0.256")), key.public_key(), root.certificate, root.key));
  auto backwards = server_template(dns("a.example.org"));
  backwards.not_after = backwards.not_before;
  EXPECT_FALSE(issue(backwards, key.public_key(), root.certificate, root.key));
}

TEST(Issue, SerialsAreRandomOrAsGiven) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  const auto first = issue_server(root, dns("a.example.org"));
  const auto second = issue_server(root, dns("a.example.org"));
  EXPECT_NE(first.serial_hex(), second.serial_hex());
  EXPECT_EQ(first.serial_hex().size(), 32U);
  auto content = server_template(dns("a.example.org"));
  content.serial_hex = "0a0b0c";
  EXPECT_EQ(issue(content, root.key.public_key(), root.certificate, root.key).value().serial_hex(),
            "0a0b0c");
}

TEST(ClientCertificate, IsSelfSignedForClientsAndHoldsTheKey) {
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  const auto certificate =
      make_client_certificate(key, "device-1", kStart, kStart + 30 * kDay).value();
  EXPECT_TRUE(certificate.is_self_signed());
  EXPECT_TRUE(certificate.has_client_auth());
  EXPECT_TRUE(certificate.matches(key));
  EXPECT_FALSE(certificate.is_ca());
  EXPECT_EQ(certificate.common_name(), "device-1");
}

TEST(IssueCrl, ListsTheRevokedSerials) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  const std::vector<RevokedCertificate> revoked{
      {.serial_hex = "0102", .revoked_at = kStart, .reason = RevocationReason::KeyCompromise},
      {.serial_hex = "03", .revoked_at = kStart}};
  const auto der = issue_crl({.number = 7,
                              .this_update = kStart,
                              .next_update = kStart + 7 * kDay,
                              .revoked = revoked},
                             root.certificate, root.key)
                       .value();
  const auto bytes = base::as_bytes(der);
  const unsigned char* position = bytes.data();
  const CrlHandle crl(d2i_X509_CRL(nullptr, &position, static_cast<long>(bytes.size())));
  ASSERT_TRUE(crl);
  EXPECT_EQ(X509_CRL_verify(crl.get(), root.key.native()), 1);
  const BignumHandle number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>("\x01\x02"), 2, nullptr));
  const Asn1IntegerHandle serial(BN_to_ASN1_INTEGER(number.get(), nullptr));
  X509_REVOKED* entry = nullptr;
  EXPECT_EQ(X509_CRL_get0_by_serial(crl.get(), &entry, serial.get()), 1);
  EXPECT_EQ(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl.get())), 2);
}

TEST(IssueCrl, RefusesAnEntryWithoutSerial) {
  const auto root = make_root({.dns_suffixes = {"example.org"}, .address_ranges = {}});
  const std::vector<RevokedCertificate> revoked{{.serial_hex = "", .revoked_at = kStart}};
  EXPECT_FALSE(issue_crl(
      {.number = 1, .this_update = kStart, .next_update = kStart + kDay, .revoked = revoked},
      root.certificate, root.key));
}

TEST(CertificateRequest, CarriesNamesAndProvesItsKey) {
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  AlternativeNames names = dns("node1.example.org");
  names.addresses = {"10.0.0.5", "fd00::5"};
  const auto made = CertificateRequest::create(
      key, {.common_name = "node1", .country = "DE", .state = "Bayern", .organization = "Ex, Inc"},
      names);
  ASSERT_TRUE(made) << made.error().message;
  const auto request = CertificateRequest::from_pem(made->to_pem()).value();
  EXPECT_TRUE(request.verify());
  EXPECT_EQ(request.common_name(), "node1");
  EXPECT_EQ(request.subject(), "CN=node1,O=Ex\\, Inc,ST=Bayern,C=DE");
  EXPECT_EQ(request.alternative_names().dns, names.dns);
  EXPECT_EQ(request.alternative_names().addresses, names.addresses);
  EXPECT_EQ(request.public_key().value(), key.public_key());
}

TEST(CertificateRequest, ChangedRequestFailsItsProof) {
  const auto key = PrivateKey::generate(KeyAlgorithm::Rsa2048).value();
  const auto made =
      CertificateRequest::create(key, {.common_name = "node1"}, dns("node1.example.org")).value();
  std::string der = made.to_der();
  const std::size_t at = der.find("node1.example.org");
  ASSERT_NE(at, std::string::npos);
  der[at] = 'm';
  unsigned char* data = reinterpret_cast<unsigned char*>(der.data());
  const std::string body = [&] {
    std::string text(der.size() * 2, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data,
                                     static_cast<int>(der.size()));
    text.resize(static_cast<std::size_t>(size));
    std::string lines;
    for (std::size_t i = 0; i < text.size(); i += 64) lines += text.substr(i, 64) + "\n";
    return lines;
  }();
  const auto request = CertificateRequest::from_pem("-----BEGIN CERTIFICATE REQUEST-----\n" + body +
                                                    "-----END CERTIFICATE REQUEST-----\n");
  ASSERT_TRUE(request) << request.error().message;
  const auto verdict = request->verify();
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, ErrorCode::Unauthenticated);
}

TEST(CertificateRequest, RefusesGarbageAndNamelessRequests) {
  EXPECT_FALSE(CertificateRequest::from_pem("hello"));
  EXPECT_FALSE(CertificateRequest::from_pem(""));
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  EXPECT_FALSE(CertificateRequest::from_pem(key.to_pem().value()));
  EXPECT_FALSE(CertificateRequest::create(key, {.common_name = "node1"}, {}));
  EXPECT_FALSE(CertificateRequest::create(key, {.country = "Germany"}, dns("a.example.org")));
}

}  // namespace
}  // namespace larder::crypto
