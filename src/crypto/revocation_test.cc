#include "crypto/revocation.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "crypto/handles.h"
#include "crypto/ocsp_testing.h"
#include "crypto/testing.h"

namespace larder::crypto {
namespace {

using base::ErrorCode;
using testing::content;
using testing::kDay;
using testing::kNow;
using testing::make_leaf;
using testing::make_root;

constexpr std::string_view kUrl = "http://ca.test/list.crl";

std::string list_of(const testing::Pair& issuer, std::span<const RevokedCertificate> revoked) {
  return issue_crl({.number = 1,
                    .this_update = kNow - kDay,
                    .next_update = kNow + kDay,
                    .revoked = revoked},
                   issuer.certificate, issuer.key)
      .value();
}

TEST(Revocation, ListSaysWhoIsRevokedWhenAndWhy) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto [other_key, other] = make_leaf(root);
  const std::vector<RevokedCertificate> revoked{
      {leaf.serial_hex(), kNow - kDay, RevocationReason::KeyCompromise}};
  const std::string list = list_of(root, revoked);
  const auto status = read_revocation_list(list, kUrl, leaf, root.certificate, kNow).value();
  EXPECT_TRUE(status.is_revoked);
  EXPECT_EQ(status.reason, "keyCompromise");
  EXPECT_EQ(status.revoked_at, kNow - kDay);
  EXPECT_FALSE(read_revocation_list(list, kUrl, other, root.certificate, kNow)->is_revoked);
}

TEST(Revocation, ListOfSomebodyElseSaysNothing) {
  const auto root = make_root();
  const auto stranger = make_root();  // of the same name
  const auto [key, leaf] = make_leaf(root);
  const auto status =
      read_revocation_list(list_of(stranger, {}), kUrl, leaf, root.certificate, kNow);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::Unauthenticated);
}

TEST(Revocation, OldListsAndNoiseSayNothing) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const std::string list = list_of(root, {});
  EXPECT_TRUE(read_revocation_list(list, kUrl, leaf, root.certificate, kNow));
  for (const auto when : {kNow + 2 * kDay, kNow - 2 * kDay}) {
    const auto status = read_revocation_list(list, kUrl, leaf, root.certificate, when);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::FailedPrecondition);
  }
  for (const std::string_view noise : {std::string_view(), std::string_view("noise"),
                                       std::string_view(list).substr(0, list.size() / 2)}) {
    EXPECT_FALSE(read_revocation_list(noise, kUrl, leaf, root.certificate, kNow));
    EXPECT_FALSE(read_ocsp_response(noise, leaf, root.certificate, kNow));
  }
}

// An empty list of a day ago with an extension in openssl's notation; without nextUpdate where
// `ends` is false.
std::string list_with(const testing::Pair& issuer, int kind, const std::string& value,
                      bool ends = true) {
  const CrlHandle list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer.certificate.native()));
  const Asn1TimeHandle from(ASN1_TIME_set(nullptr, base::to_unix_seconds(kNow - kDay)));
  const Asn1TimeHandle until(ASN1_TIME_set(nullptr, base::to_unix_seconds(kNow + kDay)));
  X509_CRL_set1_lastUpdate(list.get(), from.get());
  if (ends) X509_CRL_set1_nextUpdate(list.get(), until.get());
  if (kind != NID_undef) {
    const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
    EXPECT_TRUE(extension) << value;
    X509_CRL_add_ext(list.get(), extension.get(), -1);
  }
  EXPECT_GT(X509_CRL_sign(list.get(), issuer.key.native(), EVP_sha256()), 0);
  unsigned char* der = nullptr;
  const int length = i2d_X509_CRL(list.get(), &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

TEST(Revocation, ListThatDoesNotSayUntilWhenHoldsAWeek) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const std::string list = list_with(root, NID_undef, "", false);
  EXPECT_TRUE(read_revocation_list(list, kUrl, leaf, root.certificate, kNow + 5 * kDay));
  const auto old = read_revocation_list(list, kUrl, leaf, root.certificate, kNow + 7 * kDay);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, ErrorCode::FailedPrecondition);
}

// A good one of the issuer's own of a day ago; without nextUpdate where `ends` is false.
std::string answer_of(const testing::Pair& issuer, const Certificate& leaf, bool ends) {
  testing::OcspAnswer answer;
  if (!ends) answer.next_update.reset();
  return testing::ocsp_answer(issuer, issuer.certificate, leaf, answer);
}

// A certificate that `issuer`, which need be no CA, signed; with a usage in openssl's notation.
testing::Pair make_responder(const testing::Pair& issuer, const char* usage, base::WallTime from,
                             base::WallTime until) {
  auto wanted = content(false);
  wanted.server_auth = false;
  wanted.not_before = from;
  wanted.not_after = until;
  auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  const auto root = make_root();
  const auto plain = issue(wanted, key.public_key(), root.certificate, root.key).value();
  CertificateHandle certificate(X509_dup(plain.native()));
  // It names the key of the root above.
  const int named = X509_get_ext_by_NID(certificate.get(), NID_authority_key_identifier, -1);
  if (named >= 0) X509_EXTENSION_free(X509_delete_ext(certificate.get(), named));
  const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_ext_key_usage, usage));
  EXPECT_EQ(X509_add_ext(certificate.get(), extension.get(), -1), 1);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.certificate.native()));
  EXPECT_GT(X509_sign(certificate.get(), issuer.key.native(), EVP_sha256()), 0);
  return {std::move(key), Certificate::adopt(std::move(certificate)).value()};
}

TEST(Revocation, AnswerThatDoesNotSayUntilWhenHoldsAWeek) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const std::string answer = answer_of(root, leaf, false);
  const auto fresh = read_ocsp_response(answer, leaf, root.certificate, kNow + 5 * kDay);
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_FALSE(fresh->is_revoked);
  const auto old = read_ocsp_response(answer, leaf, root.certificate, kNow + 7 * kDay);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, ErrorCode::FailedPrecondition);
}

// Both kinds of statement are of a day before kNow, and end a day after it where they say so.
TEST(Revocation, ClocksMayDifferByFiveMinutesAtEachEdge) {
  constexpr std::chrono::minutes kSkew{5};
  constexpr std::chrono::seconds kTick{1};
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto check = [&](const auto& holds_at, bool ends) {
    const auto from = kNow - kDay;
    const auto until = ends ? kNow + kDay : from + 7 * kDay;
    EXPECT_FALSE(holds_at(from - kSkew - kTick)) << ends;
    EXPECT_TRUE(holds_at(from - kSkew)) << ends;
    EXPECT_TRUE(holds_at(from)) << ends;
    EXPECT_TRUE(holds_at(until)) << ends;
    EXPECT_TRUE(holds_at(until + kSkew)) << ends;
    EXPECT_FALSE(holds_at(until + kSkew + kTick)) << ends;
  };
  for (const bool ends : {true, false}) {
    const std::string list = list_with(root, NID_undef, "", ends);
    const std::string answer = answer_of(root, leaf, ends);
    check(
        [&](base::WallTime now) {
          return read_revocation_list(list, kUrl, leaf, root.certificate, now).has_value();
        },
        ends);
    check(
        [&](base::WallTime now) {
          return read_ocsp_response(answer, leaf, root.certificate, now).has_value();
        },
        ends);
  }
}

// RFC 6960 section 4.2.2.2.
TEST(Revocation, ResponderOfTheIssuersSpeaksForIt) {
  const auto root = make_root();
  const auto stranger = make_root();  // of the same name
  const auto [key, leaf] = make_leaf(root);
  const auto reads = [&](const testing::Pair& signer) {
    return read_ocsp_response(testing::ocsp_answer(signer, root.certificate, leaf), leaf,
                              root.certificate, kNow);
  };
  const auto made = [&](const testing::Pair& issuer, const char* usage) {
    return make_responder(issuer, usage, kNow - kDay, kNow + kDay);
  };
  const auto good = reads(made(root, "OCSPSigning"));
  EXPECT_TRUE(good) << good.error().message;
  for (const auto& other : {made(root, "serverAuth"), made(stranger, "OCSPSigning"),
                            made(made(root, "OCSPSigning"), "OCSPSigning"), stranger}) {
    const auto refused = reads(other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::Unauthenticated);
  }
}

TEST(Revocation, ClocksMayDifferByFiveMinutesForWhoeverSignsToo) {
  constexpr std::chrono::minutes kSkew{5};
  constexpr std::chrono::seconds kTick{1};
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto begin = kNow - kDay / 2;
  const auto end = kNow + kDay / 2;
  const auto responder = make_responder(root, "OCSPSigning", begin, end);
  const auto of_responder = testing::ocsp_answer(responder, root.certificate, leaf);
  const auto check = [&](const std::string& answer, const Certificate& issuer, base::WallTime now,
                         const char* refusal) {
    const auto status = read_ocsp_response(answer, leaf, issuer, now);
    if (refusal == nullptr) {
      EXPECT_TRUE(status) << status.error().message;
      return;
    }
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::Unauthenticated);
    EXPECT_NE(status.error().message.find(refusal), std::string::npos) << status.error().message;
  };
  EXPECT_EQ(read_ocsp_response(of_responder, leaf, root.certificate, kNow)->next_update, end)
      << "clients believe it no longer";
  check(of_responder, root.certificate, begin - kSkew - kTick, "is valid only from");
  check(of_responder, root.certificate, begin - kSkew, nullptr);
  check(of_responder, root.certificate, end + kSkew, nullptr);
  check(of_responder, root.certificate, end + kSkew + kTick, "expired on");

  // The issuer itself, whose answer reaches as far as it does.
  auto brief = content(true);
  brief.not_before = begin;
  brief.not_after = end;
  const testing::Pair issuer{root.key, issue_self_signed(brief, root.key).value()};
  for (const std::string& answer : {answer_of(issuer, leaf, true), of_responder}) {
    check(answer, issuer.certificate, end + kSkew, nullptr);
    check(answer, issuer.certificate, end + kSkew + kTick, "expired on");
    check(answer, issuer.certificate, begin - kSkew - kTick, "is valid only from");
  }
}

TEST(Revocation, ListThatLeavesSomethingOutSaysNothing) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto says = [&](const Certificate& about, int kind, const std::string& value) {
    const auto status =
        read_revocation_list(list_with(root, kind, value), kUrl, about, root.certificate, kNow);
    if (!status) EXPECT_EQ(status.error().code, ErrorCode::FailedPrecondition) << value;
    return status.has_value();
  };
  constexpr int kPoint = NID_issuing_distribution_point;
  for (const char* good :
       {"critical,onlyuser:TRUE", "critical,fullname:URI:http://ca.test/list.crl"}) {
    EXPECT_TRUE(says(leaf, kPoint, good)) << good;
  }
  for (const char* bad :
       {"critical,onlyCA:TRUE", "critical,onlyAA:TRUE", "critical,indirectCRL:TRUE", "onlyCA:TRUE",
        "critical,onlysomereasons:keyCompromise", "critical,fullname:URI:http://ca.test/other.crl",
        "critical,fullname:URI:http://ca.test/list.crl,onlyCA:TRUE"}) {
    EXPECT_FALSE(says(leaf, kPoint, bad)) << bad;
  }
  EXPECT_FALSE(says(root.certificate, kPoint, "critical,onlyuser:TRUE")) << "of a CA";
  EXPECT_TRUE(says(root.certificate, kPoint, "critical,onlyCA:TRUE")) << "of a CA";
  EXPECT_FALSE(says(leaf, NID_delta_crl, "critical,DER:020101"));
  EXPECT_FALSE(says(leaf, NID_netscape_comment, "critical,unknown"));
  EXPECT_TRUE(says(leaf, NID_netscape_comment, "unknown")) << "not critical";
}

TEST(Revocation, PlacesAreThoseOfTheCertificate) {
  const auto root = make_root();
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  auto wanted = content(false);
  EXPECT_TRUE(revocation_places(issue(wanted, key.public_key(), root.certificate, root.key).value())
                  .lists.empty());
  wanted.crl_url = "http://ca.test/list.crl";
  const auto places =
      revocation_places(issue(wanted, key.public_key(), root.certificate, root.key).value());
  EXPECT_EQ(places.lists, (std::vector<std::string>{"http://ca.test/list.crl"}));
  EXPECT_TRUE(places.responders.empty());
}

TEST(Revocation, StapleIsDemandedByTheFeatureOfThatNumberOnly) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  EXPECT_FALSE(demands_staple(leaf));
  for (const auto& [features, expected] :
       {std::pair{"status_request", true}, std::pair{"status_request_v2", false},
        std::pair{"17,5", true}, std::pair{"DER:0500", false}}) {
    const CertificateHandle certificate(X509_dup(leaf.native()));
    const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_tlsfeature, features));
    ASSERT_EQ(X509_add_ext(certificate.get(), extension.get(), -1), 1) << features;
    X509_up_ref(certificate.get());
    EXPECT_EQ(demands_staple(Certificate::adopt(CertificateHandle(certificate.get())).value()),
              expected)
        << features;
  }
}

TEST(Revocation, RequestNamesTheCertificate) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto request = make_ocsp_request(leaf, root.certificate).value();
  EXPECT_GT(request.size(), 60U);
  EXPECT_EQ(request[0], '\x30');
}

}  // namespace
}  // namespace larder::crypto
