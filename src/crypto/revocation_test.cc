#include "crypto/revocation.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace larder::crypto {
namespace {

using base::ErrorCode;
using testing::content;
using testing::kDay;
using testing::kNow;
using testing::make_leaf;
using testing::make_root;

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
  const auto status = read_revocation_list(list, leaf, root.certificate, kNow).value();
  EXPECT_TRUE(status.is_revoked);
  EXPECT_EQ(status.reason, "keyCompromise");
  EXPECT_EQ(status.revoked_at, kNow - kDay);
  EXPECT_FALSE(read_revocation_list(list, other, root.certificate, kNow)->is_revoked);
}

TEST(Revocation, ListOfSomebodyElseSaysNothing) {
  const auto root = make_root();
  const auto stranger = make_root();  // of the same name
  const auto [key, leaf] = make_leaf(root);
  const auto status = read_revocation_list(list_of(stranger, {}), leaf, root.certificate, kNow);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::Unauthenticated);
}

TEST(Revocation, OldListsAndNoiseSayNothing) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const std::string list = list_of(root, {});
  EXPECT_TRUE(read_revocation_list(list, leaf, root.certificate, kNow));
  for (const auto when : {kNow + 2 * kDay, kNow - 2 * kDay}) {
    const auto status = read_revocation_list(list, leaf, root.certificate, when);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::FailedPrecondition);
  }
  for (const std::string_view noise : {std::string_view(), std::string_view("noise"),
                                       std::string_view(list).substr(0, list.size() / 2)}) {
    EXPECT_FALSE(read_revocation_list(noise, leaf, root.certificate, kNow));
    EXPECT_FALSE(read_ocsp_response(noise, leaf, root.certificate, kNow));
  }
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

TEST(Revocation, RequestNamesTheCertificate) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto request = make_ocsp_request(leaf, root.certificate).value();
  EXPECT_GT(request.size(), 60U);
  EXPECT_EQ(request[0], '\x30');
}

}  // namespace
}  // namespace larder::crypto
