#include "node/host_table.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

NodeSettings parsed(const std::string& rest) {
  const auto settings = parse_node_settings("[node]\nname = \"n\"\n" + rest, "larder.toml");
  EXPECT_TRUE(settings) << settings.error().message;
  return settings ? *settings : NodeSettings{};
}

std::string owner(const HostTable& table, std::string_view host) {
  const auto authority = http::parse_authority(host);
  const OriginSettings* origin = authority ? table.find(authority->host()) : nullptr;
  return origin == nullptr ? "none" : origin->name;
}

TEST(HostTable, ExactHostWinsThenTheLongestSuffix) {
  const NodeSettings settings = parsed(
      "[[origin]]\nname = \"wide\"\nhosts = [\"*.example.org\", \"10.0.0.5\", \"fd00::1\"]\n"
      "[[origin]]\nname = \"narrow\"\nhosts = [\"*.cdn.example.org\"]\n"
      "[[origin]]\nname = \"exact\"\nhosts = [\"a.cdn.example.org\"]\n");
  const HostTable table(settings);
  EXPECT_EQ(owner(table, "x.example.org"), "wide");
  EXPECT_EQ(owner(table, "X.Y.Example.org."), "wide");
  EXPECT_EQ(owner(table, "b.cdn.example.org"), "narrow");
  EXPECT_EQ(owner(table, "a.cdn.example.org:8080"), "exact");
  EXPECT_EQ(owner(table, "cdn.example.org"), "wide");
  EXPECT_EQ(owner(table, "example.org"), "none") << "a suffix does not match itself";
  EXPECT_EQ(owner(table, "evilexample.org"), "none");
  EXPECT_EQ(owner(table, "10.0.0.5"), "wide");
  EXPECT_EQ(owner(table, "[fd00:0::1]"), "wide") << "whatever the spelling";
  EXPECT_EQ(owner(table, "[fd00::2]"), "none");
}

TEST(HostTable, AliasesLeadToTheirCanonicalHost) {
  const NodeSettings settings = parsed(
      "[[origin]]\nname = \"o\"\nhosts = [\"a.example.org\", \"*.b.example.org\"]\n"
      "aliases = [\"*.b.example.org = a.example.org\"]\n");
  const HostTable table(settings);
  EXPECT_EQ(table.look_up("x.b.example.org").canonical, "a.example.org");
  EXPECT_EQ(table.look_up("a.example.org").canonical, "");
}

TEST(HostTable, ProfilesKeepTheirHostsWhicheverAreEnabled) {
  NodeSettings enabled =
      *parse_node_settings("[node]\nname = \"n\"\nprofiles = [\"office\"]\n", "larder.toml");
  EXPECT_EQ(owner(HostTable(enabled), "x.cdn.office.net"), "office");
  EXPECT_EQ(owner(HostTable(enabled), "statics.teams.cdn.office.net"), "none");
  EXPECT_EQ(owner(HostTable(enabled), "a.res.cdn.office.net"), "none");
  enabled = *parse_node_settings("[node]\nname = \"n\"\nprofiles = [\"office\", \"teams\"]\n",
                                 "larder.toml");
  EXPECT_EQ(owner(HostTable(enabled), "statics.teams.cdn.office.net"), "teams");
  // A table of one's own is not limited by what ships.
  enabled = *parse_node_settings(
      "[node]\nname = \"n\"\nprofiles = [\"xbox\"]\n[[origin]]\nname = \"own\"\n"
      "hosts = [\"*.office.net\"]\n",
      "larder.toml");
  EXPECT_EQ(owner(HostTable(enabled), "statics.teams.cdn.office.net"), "own");
}

}  // namespace
}  // namespace larder::node
