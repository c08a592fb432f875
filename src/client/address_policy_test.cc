#include "client/address_policy.h"

#include <gtest/gtest.h>

namespace larder::client {
namespace {

TEST(PublicAddress, RefusesEverythingThatIsNotPlainPublicUnicast) {
  for (const char* address : {"127.0.0.1",
                              "10.1.2.3",
                              "172.16.0.1",
                              "192.168.1.1",
                              "100.64.0.1",
                              "169.254.169.254",
                              "0.0.0.0",
                              "224.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "ff02::1",
                              "::ffff:10.0.0.1",
                              "::ffff:8.8.8.8",
                              "::8.8.8.8",
                              "0:0:0:0:0:ffff:8.8.8.8",
                              "64:ff9b::a00:1",
                              "64:ff9b:1::a00:1",
                              "100::1",
                              "2001::a00:1",
                              "2001:20::1",
                              "3fff::1",
                              "4000::1",
                              "fec0::1",
                              "192.88.99.1",
                              "168.63.129.16",
                              "198.18.0.1",
                              "203.0.113.7",
                              "2002:a00:1::1",
                              "2001:db8::1",
                              "localhost",
                              ""}) {
    EXPECT_FALSE(is_public_address(address)) << address;
  }
}

TEST(PublicAddress, AllowsPublicUnicast) {
  for (const char* address :
       {"8.8.8.8", "168.63.129.17", "172.32.0.1", "100.128.0.1", "192.88.98.1", "2606:4700::1111",
        "2001:200::1", "2a00:1450::1", "3ffe::1"}) {
    EXPECT_TRUE(is_public_address(address)) << address;
  }
}

TEST(PrivateAddress, IsWhatAnOrganisationGivesItsOwnMachines) {
  for (const char* address : {"10.1.2.3", "172.16.0.1", "192.168.1.1", "fc00::1", "fd12::1"}) {
    EXPECT_TRUE(is_private_address(address)) << address;
  }
  for (const char* address :
       {"8.8.8.8", "127.0.0.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
        "::", "::1", "fe80::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "2606:4700::1111", "localhost", "", "fd00:ec2::254", "fd20:ce::254"}) {
    EXPECT_FALSE(is_private_address(address)) << address;
  }
}

base::ErrorCode judged(const std::string& address, const AddressRules& rules,
                       std::vector<std::uint16_t> own_ports = {}) {
  const base::Status status = judge_address(address, 80, rules, own_ports);
  return status ? base::ErrorCode{} : status.error().code;
}

TEST(JudgeAddress, AllowsWhatTheRulesSayAndNothingElse) {
  const auto listed = base::parse_address_range("127.0.0.0/8");
  ASSERT_TRUE(listed);
  const AddressRules open{.private_too = false, .allowed = {}};
  const AddressRules inside{.private_too = true, .allowed = {}};
  const AddressRules loopback{.private_too = true, .allowed = {*listed}};
  for (const AddressRules& rules : {open, inside, loopback}) {
    EXPECT_TRUE(judge_address("8.8.8.8", 80, rules));
    for (const char* address : {"169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", ""}) {
      EXPECT_EQ(judged(address, rules), base::ErrorCode::PermissionDenied) << address;
    }
  }
  EXPECT_EQ(judged("10.213.214.215", open), base::ErrorCode::PermissionDenied);
  EXPECT_TRUE(judge_address("10.213.214.215", 80, inside));
  EXPECT_EQ(judged("127.0.0.1", inside), base::ErrorCode::PermissionDenied);
  EXPECT_TRUE(judge_address("127.0.0.1", 80, loopback));
  EXPECT_EQ(judged("127.0.0.1", loopback, {80}), base::ErrorCode::PermissionDenied);
  for (const char* mapped : {"::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:FFFF:127.0.0.1"}) {
    EXPECT_EQ(judged(mapped, inside), base::ErrorCode::PermissionDenied) << mapped;
    EXPECT_TRUE(judge_address(mapped, 80, loopback)) << mapped;
    EXPECT_EQ(judged(mapped, loopback, {80}), base::ErrorCode::PermissionDenied) << mapped;
  }
}

}  // namespace
}  // namespace larder::client
