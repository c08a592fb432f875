#include "node/settings.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

std::string mistakes(std::string_view text) {
  const auto out = parse_node_settings(text, "/etc/larder/larder.toml");
  return out ? "none" : out.error().message;
}

NodeSettings good(std::string_view text) {
  auto out = parse_node_settings(text, "/etc/larder/larder.toml");
  EXPECT_TRUE(out) << out.error().message;
  return out ? *std::move(out) : NodeSettings{};
}

TEST(NodeSettings, NameAloneIsEnough) {
  const NodeSettings settings = good("[node]\nname = \"n1\"\n");
  EXPECT_EQ(settings.name, "n1");
  EXPECT_EQ(settings.control_socket, "/var/lib/larder/node/control.sock");
  EXPECT_EQ(settings.access_log, "/var/lib/larder/node/log/access.log");
  ASSERT_EQ(settings.drives.size(), 1U);
  EXPECT_EQ(settings.drives[0].path, "/var/lib/larder/node/cache");
  EXPECT_EQ(settings.https_listen.size(), 2U);
  EXPECT_FALSE(settings.site_certificate_for_delivery);
}

TEST(NodeSettings, ReadsTheWholeContract) {
  const NodeSettings settings = good(R"(
[node]
name = "node1"
state_dir = "state"
control_socket = "/run/larder/node.sock"
http_listen = ["0.0.0.0:80"]
https_listen = []
admin_listen = ""
connection_names = ["Node1.Example.org", "10.1.2.3"]
profiles = ["windows-update", "intune", "teams"]
access_log = "off"
idle_timeout = "2min"

[[node.drive]]
path = "/srv/cache"
size = "100GB"

[[origin]]
name = "packages"
hosts = ["Packages.example.org", "*.cdn.example.org"]
url = "http://10.0.0.5:8080"
allow_addresses = ["10.0.0.0/8"]
methods = ["GET", "HEAD"]

[site]
name = "not for the node"
)");
  EXPECT_EQ(settings.state_dir, "/etc/larder/state") << "relative to the file";
  EXPECT_EQ(settings.control_socket, "/run/larder/node.sock");
  EXPECT_TRUE(settings.https_listen.empty());
  EXPECT_FALSE(settings.admin_listen);
  EXPECT_EQ(settings.connection_names, (std::vector<std::string>{"node1.example.org", "10.1.2.3"}));
  EXPECT_EQ(settings.drives[0].size, 100'000'000'000ULL);
  ASSERT_EQ(settings.origins.size(), 5U);
  EXPECT_EQ(settings.origins[0].hosts[0], "packages.example.org");
  ASSERT_TRUE(settings.origins[0].url);
  EXPECT_EQ(settings.origins[0].url->host, "10.0.0.5");
  EXPECT_EQ(settings.origins[0].url->port, 8080);
  EXPECT_FALSE(settings.origins[0].url->https);
  EXPECT_TRUE(settings.origins[1].is_profile);
}

TEST(NodeSettings, ShowsMistakesOfAllTablesAtOnce) {
  EXPECT_EQ(mistakes("[node]\nname = \"n\"\nhttp_listn = []\n[[origin]]\nhosts = [\"*.org\"]\n"),
            "/etc/larder/larder.toml:3: [node] http_listn: there is no such setting; did you mean "
            "\"http_listen\"?\n"
            "/etc/larder/larder.toml:4: [[origin]] name: missing; it has no default\n"
            "/etc/larder/larder.toml:5: [[origin]] hosts: \"*.org\": is too wide: a suffix has two "
            "labels or more");
}

TEST(NodeSettings, RefusesPrivateAddressesBehindAWildcard) {
  const std::string origin =
      "[node]\nname = \"n\"\n[[origin]]\nname = \"o\"\nhosts = [\"*.example.org\"]\n"
      "allow_addresses = [\"10.0.0.0/8\"]\n";
  EXPECT_NE(mistakes(origin).find("not with a wildcard host"), std::string::npos);
  EXPECT_EQ(mistakes(origin + "url = \"https://10.0.0.5\"\n"), "none");
}

TEST(NodeSettings, RefusesIgnoredQueriesOfOriginsThatAreNotPublic) {
  const std::string origin =
      "[node]\nname = \"n\"\n[[origin]]\nname = \"o\"\nhosts = [\"example.org\"]\n"
      "ignore_query = [\"sig\"]\n";
  EXPECT_NE(mistakes(origin).find("public = true"), std::string::npos);
  EXPECT_EQ(mistakes(origin + "public = true\n"), "none");
}

TEST(NodeSettings, RefusesDrivesThatAreNotApartAtTheirLines) {
  const auto with_drives = [](const std::string& one, const std::string& two) {
    return mistakes("[node]\nname = \"n\"\n[[node.drive]]\npath = \"" + one +
                    "\"\nsize = \"1GB\"\n[[node.drive]]\npath = \"" + two + "\"\nsize = \"1GB\"\n");
  };
  EXPECT_EQ(with_drives("/a", "/a/"),
            "/etc/larder/larder.toml:6: [[node.drive]] path: /a is given twice");
  EXPECT_EQ(with_drives("/a", "/a/objects"),
            "/etc/larder/larder.toml:6: [[node.drive]] path: /a/objects and the drive /a are "
            "inside one another; each drive needs a folder of its own");
  EXPECT_NE(with_drives("/a/b", "/a"), "none");
  EXPECT_NE(with_drives("/", "/a"), "none");
  EXPECT_EQ(with_drives("", "/a"),
            "/etc/larder/larder.toml:3: [[node.drive]] path: empty; name a folder");
  EXPECT_EQ(with_drives("/a", "/ab"), "none");
}

TEST(NodeSettings, RefusesWhatContradictsItself) {
  const std::string node = "[node]\nname = \"n\"\n";
  const std::string origin = "[[origin]]\nname = \"o\"\nhosts = [\"example.org\"]\n";
  EXPECT_NE(mistakes(node + origin + origin), "none") << "one name, one host, twice";
  EXPECT_NE(mistakes(node + origin + "url = \"http://a.example.org\"\nscheme = \"https\"\n"),
            "none");
  EXPECT_NE(mistakes(node + "http_listen = [\"0.0.0.0:80\"]\nhttps_listen = [\"0.0.0.0:80\"]\n"),
            "none");
  EXPECT_NE(mistakes(node + "[[node.drive]]\npath = \"/a\"\nsize = \"1GB\"\n"
                            "[[node.drive]]\npath = \"/a/\"\nsize = \"1GB\"\n"),
            "none");
  EXPECT_NE(mistakes("[[origin]]\nname = \"o\"\nhosts = [\"example.org\"]\n"), "none")
      << "no [node]";
}

TEST(NodeSettings, AliasesNameHostsOfTheirTable) {
  const std::string origin =
      "[node]\nname = \"n\"\n[[origin]]\nname = \"o\"\nhosts = [\"a.example.org\", "
      "\"*.b.example.org\", \"c.example.org\"]\n";
  EXPECT_EQ(mistakes(origin + "aliases = [\"*.b.example.org = a.example.org\"]\n"), "none");
  for (const char* wrong :
       {"\"a.example.org\"", "\"a.example.org = *.b.example.org\"",
        "\"d.example.org = a.example.org\"", "\"a.example.org = d.example.org\"",
        "\"a.example.org = a.example.org\"",
        "\"a.example.org = c.example.org\", \"c.example.org = a.example.org\"",
        "\"*.b.example.org = a.example.org\", \"*.b.example.org = c.example.org\""}) {
    EXPECT_NE(mistakes(origin + "aliases = [" + wrong + "]\n"), "none") << wrong;
  }
}

TEST(NodeSettings, ProxyHasExceptions) {
  const std::string node = "[node]\nname = \"n\"\n";
  const NodeSettings settings =
      good(node +
           "proxy = \"http://proxy.example.org:3128\"\nproxy_credentials = \"secret\"\n"
           "no_proxy = [\"10.0.0.0/8\", \"*.Example.org\", \"192.0.2.1\"]\n");
  ASSERT_TRUE(settings.proxy);
  EXPECT_EQ(settings.proxy->port, 3128);
  EXPECT_EQ(settings.proxy_credentials, "/etc/larder/secret");
  ASSERT_EQ(settings.no_proxy.size(), 3U);
  EXPECT_TRUE(settings.no_proxy[0].range);
  EXPECT_EQ(settings.no_proxy[1].host, "*.example.org");
  EXPECT_TRUE(settings.no_proxy[2].range);
  EXPECT_NE(mistakes(node + "no_proxy = [\"a.example.org\"]\n"), "none");
  EXPECT_NE(mistakes(node + "proxy_credentials = \"secret\"\n"), "none");
  EXPECT_NE(mistakes(node + "proxy = \"http://user:password@proxy.example.org\"\n"), "none");
  EXPECT_NE(mistakes(node + "proxy = \"socks5://proxy.example.org\"\n"), "none");
}

TEST(NodeSettings, RefusesWrongValues) {
  for (const char* line : {"connection_names = [\"a b\"]", "profiles = [\"windows\"]",
                           "threads = -1", "congestion_control = \"../x\"", "log_level = \"loud\"",
                           "http_listen = [\"localhost:80\"]"}) {
    EXPECT_NE(mistakes("[node]\nname = \"n\"\n" + std::string(line) + "\n"), "none") << line;
  }
  for (const char* line :
       {"url = \"ftp://example.org\"", "url = \"http://example.org/path\"",
        "url = \"http://u@example.org\"", "url = \"http://example.org:0\"", "url = \"http://[::1\"",
        "url = \"http://::1\"", "methods = [\"CONNECT\"]", "methods = [\"get\"]",
        "hosts = [\"http://example.org\"]", "hosts = [\"*.0.0.1\"]", "hosts = [\"a.example.123\"]",
        "hosts = [\"*.example.0x1\"]", "hosts = [\"example.org.\"]", "hosts = [\"example.org:80\"]",
        "hosts = [\"*.com\"]", "allow_addresses = [\"10.0.0.1/8\"]"}) {
    std::string text =
        "[node]\nname = \"n\"\n[[origin]]\nname = \"o\"\n" + std::string(line) + "\n";
    if (!std::string_view(line).starts_with("hosts")) text += "hosts = [\"example.org\"]\n";
    EXPECT_NE(mistakes(text), "none") << line;
  }
}

TEST(OriginSettings, StarAllowsAllMethodsButTunnels) {
  OriginSettings origin;
  EXPECT_TRUE(origin.allows_method("HEAD"));
  EXPECT_FALSE(origin.allows_method("POST"));
  origin.methods = {"*"};
  EXPECT_TRUE(origin.allows_method("POST"));
  EXPECT_FALSE(origin.allows_method("CONNECT"));
}

TEST(NodeSettings, DifferencesAreNamedWithWhenTheyTakeEffect) {
  const NodeSettings before = good(R"(
[node]
name = "n1"
[[origin]]
name = "kept"
hosts = ["a.example.org"]
[[origin]]
name = "changed"
hosts = ["b.example.org"]
[[origin]]
name = "gone"
hosts = ["c.example.org"]
)");
  const NodeSettings after = good(R"(
[node]
name = "n1"
threads = 7
idle_timeout = "10s"
[[node.drive]]
path = "/srv/cache"
size = "1GB"
[[origin]]
name = "new"
hosts = ["d.example.org"]
[[origin]]
name = "changed"
hosts = ["b.example.org", "bb.example.org"]
[[origin]]
name = "kept"
hosts = ["a.example.org"]
)");
  std::set<std::string> live;
  std::set<std::string> restart;
  for (const base::SettingChange& change : changes(before, after)) {
    (change.effect == base::Effect::Live ? live : restart).insert(change.name);
  }
  EXPECT_EQ(live, (std::set<std::string>{"[node] idle_timeout", "[[origin]] changed",
                                         "[[origin]] gone", "[[origin]] new"}));
  EXPECT_EQ(restart, (std::set<std::string>{"[node] threads", "[node] drive"}));
  EXPECT_TRUE(changes(before, before).empty());
}

TEST(NodeSettings, RefusesRateLimitsThatWouldSendClientsAway) {
  EXPECT_NE(mistakes("[node]\nname = \"n1\"\ntotal_rate_limit = \"10KB\"\n").find("64KB"),
            std::string::npos);
  EXPECT_EQ(mistakes("[node]\nname = \"n1\"\ntotal_rate_limit = \"1MB\"\n"), "none");
}

TEST(NodeSettings, SignersAreReadAndChecked) {
  const std::string node = "[node]\nname = \"n\"\n";
  const NodeSettings settings = good(node +
                                     "[[node.signer]]\ncertificate = \"delivery\"\n"
                                     "type = \"command\"\ncommand = [\"/bin/sign\", \"a\"]\n");
  ASSERT_EQ(settings.signers.size(), 1U);
  EXPECT_EQ(settings.signers[0].command, (std::vector<std::string>{"/bin/sign", "a"}));
  EXPECT_NE(mistakes(node + "[[node.signer]]\ncertificate = \"D\"\ntype = \"command\"\n")
                .find("certificate: the name of a key"),
            std::string::npos);
  EXPECT_NE(mistakes(node + "[[node.signer]]\ncertificate = \"d\"\ntype = \"command\"\n"
                            "command = [\"sign\"]\n")
                .find("no absolute path"),
            std::string::npos);
  const std::string socket =
      "[[node.signer]]\ncertificate = \"d\"\ntype = \"command\"\nsocket = \"/run/s\"\n";
  EXPECT_EQ(good(node + socket).signers.at(0).socket, "/run/s");
  EXPECT_NE(mistakes(node + socket + "command = [\"/s\"]\n").find("one of them, not both"),
            std::string::npos);
  EXPECT_NE(mistakes(node + "[[node.signer]]\ncertificate = \"d\"\ntype = \"command\"\n"
                            "socket = \"s\"\n")
                .find("no absolute path"),
            std::string::npos);
  EXPECT_NE(mistakes(node + "[[node.signer]]\ncertificate = \"d\"\ntype = \"command\"\n")
                .find("both empty"),
            std::string::npos);
  const std::string table =
      "[[node.signer]]\ncertificate = \"d\"\ntype = \"command\"\ncommand = [\"/s\"]\n";
  EXPECT_NE(mistakes(node + table + table).find("d has two signers"), std::string::npos);
}

TEST(NodeSettings, AcmeSignersNeedAnHttpsDirectory) {
  const std::string acme =
      "[node]\nname = \"n\"\n[[node.signer]]\ncertificate = \"d\"\ntype = \"acme\"\n";
  EXPECT_NE(mistakes(acme).find("directory: missing"), std::string::npos);
  EXPECT_NE(mistakes(acme + "directory = \"http://a.test/\"\n").find("is no URL"),
            std::string::npos);
  const std::string good_one = acme + "directory = \"https://a.test/dir\"\n";
  EXPECT_EQ(good(good_one + "ca_file = \"roots.pem\"\n").signers.at(0).ca_file,
            "/etc/larder/roots.pem");
  EXPECT_NE(mistakes(good_one + "external_key_id = \"k\"\n").find("both or none"),
            std::string::npos);
  EXPECT_NE(mistakes(good_one + "contact = [\"admin\"]\n").find("is no contact"),
            std::string::npos);
  EXPECT_NE(mistakes(good_one + "user = \"u\"\n").find("only for the type \"command\""),
            std::string::npos);
}

}  // namespace
}  // namespace larder::node
