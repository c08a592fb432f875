#include "cli/up_config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/testing.h"
#include "node/settings.h"
#include "site/settings.h"

namespace larder::cli {
namespace {

TEST(UpConfig, IsGoodForNodeAndSite) {
  for (const char* machine : {"", "server7", "server7.example.org", "Not A Name", "10.0.0.1"}) {
    const std::string text = make_up_config(kDefaultPortBase, machine);
    const auto node = node::parse_node_settings(text, "/srv/larder/larder.toml");
    ASSERT_TRUE(node) << node.error().message;
    EXPECT_EQ(node->state_dir, "/srv/larder/node");
    EXPECT_EQ(node->drives.at(0).path, "/srv/larder/cache");
    const auto site = site::parse_site_settings(text, "/srv/larder/larder.toml");
    ASSERT_TRUE(site) << site.error().message;
    EXPECT_EQ(site->public_url, "https://localhost:8453");
    EXPECT_EQ(node->connection_names.size(), std::string(machine).starts_with("server7") ? 3U : 2U);
  }
}

TEST(UpConfig, PortsFollowTheirBase) {
  const UpPorts ports = up_ports(8080);
  EXPECT_EQ(ports.https, 8443);
  EXPECT_EQ(ports.content, 8445);
  EXPECT_EQ(ports.admin, 8090);
  EXPECT_EQ(ports.site, 8453);
  EXPECT_EQ(ports.site_admin, 8454);
  EXPECT_EQ(ports.pki, 8455);
  EXPECT_EQ(up_ports(18080).pki, 18455);
}

TEST(UpConfig, LeavesAnExistingFileAlone) {
  const base::TemporaryFolder temporary;
  const std::string folder = temporary.path("data");
  const auto path = ensure_up_config(folder, kDefaultPortBase);
  ASSERT_TRUE(path);
  ASSERT_TRUE(base::write_file_atomically(*path, "# mine\n", 0640));
  EXPECT_EQ(ensure_up_config(folder, 9000).value(), *path);
  EXPECT_EQ(base::read_file(*path, 100).value(), "# mine\n");
}

}  // namespace
}  // namespace larder::cli
