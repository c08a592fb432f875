#include "node/profiles.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/testing.h"
#include "node/host_table.h"
#include "node/shipped_profiles.h"

namespace larder::node {
namespace {

// Every host that Microsoft's pages and KB33247081 name, and the profile that serves it.
const std::map<std::string, std::vector<std::string>>& known_hosts() {
  static const std::map<std::string, std::vector<std::string>> hosts = {
      {"windows-update",
       {"x.b1.download.windowsupdate.com", "x.dl.delivery.mp.microsoft.com",
        "dl.delivery.mp.microsoft.com", "x.tlu.dl.delivery.mp.microsoft.com",
        "tlu.dl.delivery.mp.microsoft.com", "x.download.windowsupdate.com",
        "x.au.download.windowsupdate.com", "x.au.b1.download.windowsupdate.com",
        "ctldl.windowsupdate.com", "emdl.ws.microsoft.com",
        "msedge.b.tlu.delivery.mp.microsoft.com", "au.b1.download.windowsupdate.com",
        "au.download.windowsupdate.com", "b1.download.windowsupdate.com",
        "download.windowsupdate.com", "sb.dl.delivery.mp.microsoft.com",
        "sf.dl.delivery.mp.microsoft.com", "sb.tlu.dl.delivery.mp.microsoft.com",
        "sf.tlu.dl.delivery.mp.microsoft.com"}},
      {"office",
       {"officecdn.microsoft.com", "officecdn.microsoft.com.edgesuite.net", "x.cdn.office.net",
        "fg.tscdn.m365.static.microsoft", "bg.tscdn.m365.static.microsoft",
        "b.c2r.ts.cdn.office.net", "f.c2r.ts.cdn.office.net"}},
      {"xbox",
       {"assets.xbox.com", "assets1.xboxlive.com", "assets2.xboxlive.com", "dlassets.xboxlive.com",
        "dlassets2.xboxlive.com", "d1.xboxlive.com", "d2.xboxlive.com", "xvcb1.xboxlive.com",
        "xvcb2.xboxlive.com", "xvcf1.xboxlive.com", "xvcf2.xboxlive.com", "d1-origin.xboxlive.com",
        "xvcf1-origin.xboxlive.com"}},
      {"device-update",
       {"tlu.dl.adu.microsoft.com", "nlu.dl.adu.microsoft.com", "dcsfe.prod.adu.microsoft.com"}},
      {"intune", {"swda01.manage.microsoft.com",        "swda02.manage.microsoft.com",
                  "swdb01.manage.microsoft.com",        "swdb02.manage.microsoft.com",
                  "swdc01.manage.microsoft.com",        "swdc02.manage.microsoft.com",
                  "swdd01.manage.microsoft.com",        "swdd02.manage.microsoft.com",
                  "swdin01.manage.microsoft.com",       "swdin02.manage.microsoft.com",
                  "swdsw01.manage.microsoft.com",       "swdsw02.manage.microsoft.com",
                  "swda01-mscdn.manage.microsoft.com",  "swda02-mscdn.manage.microsoft.com",
                  "swdb01-mscdn.manage.microsoft.com",  "swdb02-mscdn.manage.microsoft.com",
                  "swdc01-mscdn.manage.microsoft.com",  "swdc02-mscdn.manage.microsoft.com",
                  "swdd01-mscdn.manage.microsoft.com",  "swdd02-mscdn.manage.microsoft.com",
                  "swdin01-mscdn.manage.microsoft.com", "swdin02-mscdn.manage.microsoft.com",
                  "swdsw01-mscdn.manage.microsoft.com", "swdsw02-mscdn.manage.microsoft.com"}},
      {"teams",
       {"x.statics.teams.cdn.office.net", "statics.teams.cdn.office.net",
        "sf.teams.static.microsoft", "sb.teams.static.microsoft",
        "installer.teams.static.microsoft"}},
      {"outlook", {"x.res.cdn.office.net"}},
      {"delivery-optimization",
       {"geo.do.dsp.mp.microsoft.com", "kv801.prod.do.dsp.mp.microsoft.com"}},
      {"linux", {"packages.microsoft.com", "archive.ubuntu.com", "mcr.microsoft.com"}},
  };
  return hosts;
}

NodeSettings with_profiles(const std::vector<std::string>& names) {
  std::string text = "[node]\nname = \"n\"\nprofiles = [";
  for (const std::string& name : names) text += "\"" + name + "\", ";
  const auto settings = parse_node_settings(text + "]\n", "larder.toml");
  EXPECT_TRUE(settings) << settings.error().message;
  return settings ? *settings : NodeSettings{};
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Profile& profile : shipped_profiles()) names.push_back(profile.name);
  return names;
}

bool is_served(const HostTable& table, std::string_view text) {
  const auto authority = http::parse_authority(text);
  return authority && table.is_origin(*authority);
}

TEST(ShippedProfiles, AreAllRight) {
  ASSERT_FALSE(shipped_profile_files().empty());
  for (const ShippedProfile& file : shipped_profile_files()) {
    const auto profile = parse_profile(file.text, std::string(file.file_name));
    ASSERT_TRUE(profile) << profile.error().message;
    EXPECT_EQ(profile->name + ".toml", file.file_name);
    for (const OriginSettings& origin : profile->origins) EXPECT_TRUE(origin.is_profile);
  }
  EXPECT_TRUE(check_profiles(shipped_profiles()));
}

// Who enables one is told what HTTPS protects.
TEST(ShippedProfiles, TellByWhichSchemeTheyFetchWhereTheClientHasNoSay) {
  for (const Profile& profile : shipped_profiles()) {
    const auto fetches_over = [&](OriginScheme scheme) {
      return std::ranges::any_of(profile.origins, [scheme](const OriginSettings& origin) {
        return origin.scheme == scheme;
      });
    };
    EXPECT_EQ(fetches_over(OriginScheme::Http),
              profile.text.contains("; fetched over HTTP, also for HTTPS clients"))
        << profile.name;
    EXPECT_EQ(fetches_over(OriginScheme::Https), profile.text.contains("; fetched over HTTPS"))
        << profile.name;
  }
}

TEST(ShippedProfiles, EveryKnownHostIsServedByOneProfileOnly) {
  for (const auto& [profile, hosts] : known_hosts()) {
    for (const std::string& host : hosts) {
      int served = 0;
      for (const std::string& name : all_names()) {
        const NodeSettings settings = with_profiles({name});
        if (!is_served(HostTable(settings), host)) continue;
        ++served;
        EXPECT_EQ(name, profile) << host;
      }
      EXPECT_EQ(served, 1) << host;
    }
  }
}

TEST(ShippedProfiles, RefuseNearMisses) {
  const NodeSettings settings = with_profiles(all_names());
  const HostTable table(settings);
  for (const char* host : {
           // suffix
           "windowsupdate.com",
           "x.windowsupdate.com",
           "download.windowsupdate.com.evil.test",
           "evil-download.windowsupdate.com",
           "evildownload.windowsupdate.com",
           "delivery.mp.microsoft.com",
           "evildl.delivery.mp.microsoft.co",
           "mp.microsoft.com",
           "cdn.office.net",
           "evilcdn.office.net",
           "x.cdn.office.net.evil.test",
           "officecdn.microsoft.com.edgesuite.net.evil.test",
           "x.officecdn.microsoft.com",
           "swda03.manage.microsoft.com",
           "x.swda01.manage.microsoft.com",
           "manage.microsoft.com",
           "swda01_mscdn.manage.microsoft.com",
           "d3.xboxlive.com",
           "assets1.xbox.com",
           // dot
           ".download.windowsupdate.com",
           "x..download.windowsupdate.com",
           "download.windowsupdate.com..",
           "downloadwindowsupdate.com",
           // IDN and other spellings
           "d\xc3\xb6wnload.windowsupdate.com",
           "\xd0\xb0u.download.windowsupdate.com",
           "xn--ownload-d4a.windowsupdate.com",
           "downl%6fad.windowsupdate.com",
           "download.windowsupdate.com\\.evil.test",
           "download.windowsupdate.com\t",
           "download\xe3\x80\x82windowsupdate.com",
           // user information, path, port
           "download.windowsupdate.com@evil.test",
           "download.windowsupdate.com/x",
           "download.windowsupdate.com:0",
           "download.windowsupdate.com:65536",
           "download.windowsupdate.com:80x",
           "download.windowsupdate.com:+80",
           "[download.windowsupdate.com]",
       }) {
    EXPECT_FALSE(is_served(table, host)) << host;
  }
  // The same name in other words.
  for (const char* host : {"DOWNLOAD.WindowsUpdate.COM", "download.windowsupdate.com.",
                           "download.windowsupdate.com:80"}) {
    EXPECT_TRUE(is_served(table, host)) << host;
  }
}

constexpr const char* kGood =
    "[profile]\nname = \"mine\"\ntext = \"Mine\"\n[[origin]]\nname = \"mine\"\n"
    "hosts = [\"a.example.org\"]\n";

TEST(Profile, SaysNothingThatOnlyAnAdministratorMaySay) {
  EXPECT_TRUE(parse_profile(kGood, "mine.toml"));
  for (const char* line :
       {"url = \"http://10.0.0.1\"", "allow_addresses = [\"10.0.0.0/8\"]", "ca_file = \"/ca.pem\"",
        "methods = [\"GET\", \"POST\"]", "methods = [\"*\"]", "surprise = 1",
        "ignore_query = [\"sig\"]", "[[origin]]", "[other]"}) {
    EXPECT_FALSE(parse_profile(std::string(kGood) + line + "\n", "mine.toml")) << line;
  }
  EXPECT_FALSE(parse_profile("[profile]\nname = \"mine\"\ntext = \"Mine\"\n", "mine.toml"));
  EXPECT_FALSE(
      parse_profile("[[origin]]\nname = \"o\"\nhosts = [\"a.example.org\"]\n", "mine.toml"));
  EXPECT_FALSE(parse_profile("[profile\n", "mine.toml"));
}

class ProfileFolder : public base::FolderTest {
 protected:
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  std::string mistake() const {
    const auto loaded = load_profiles(folder_);
    return loaded ? "none" : loaded.error().message;
  }
};

TEST_F(ProfileFolder, AddsToAndReplacesWhatShips) {
  write("mine.toml", kGood);
  write("xbox.toml",
        "[profile]\nname = \"xbox\"\ntext = \"Newer\"\n[[origin]]\nname = \"xbox\"\n"
        "hosts = [\"d3.xboxlive.com\"]\n");
  write("notes.txt", "not a profile");
  const auto settings = parse_node_settings("[node]\nname = \"n\"\nprofile_dir = \"" + folder_ +
                                                "\"\nprofiles = [\"mine\", \"xbox\", \"teams\"]\n",
                                            "larder.toml");
  ASSERT_TRUE(settings) << settings.error().message;
  const HostTable table(*settings);
  EXPECT_TRUE(is_served(table, "a.example.org"));
  EXPECT_TRUE(is_served(table, "d3.xboxlive.com"));
  EXPECT_FALSE(is_served(table, "d1.xboxlive.com"));
  EXPECT_TRUE(is_served(table, "installer.teams.static.microsoft"));
}

TEST_F(ProfileFolder, IsRefusedAsAWhole) {
  write("a.toml", kGood);
  EXPECT_EQ(mistake(), "none");
  write("b.toml", "[profile]\nname = \"b\"\n");
  EXPECT_NE(mistake().find("b.toml:1: [profile] text: missing"), std::string::npos) << mistake();
  write("b.toml",
        "[profile]\nname = \"b\"\ntext = \"B\"\n[[origin]]\nname = \"b\"\n"
        "hosts = [\"download.windowsupdate.com\"]\n");
  EXPECT_NE(mistake().find("both list \"download.windowsupdate.com\""), std::string::npos);
  write("b.toml", kGood);
  EXPECT_NE(mistake().find("two profiles named \"mine\""), std::string::npos);
  const auto settings = parse_node_settings(
      "[node]\nname = \"n\"\nprofile_dir = \"" + folder_ + "\"\n", "larder.toml");
  ASSERT_FALSE(settings);
  EXPECT_NE(settings.error().message.find("larder.toml:1: [node] profile_dir"), std::string::npos);
}

TEST_F(ProfileFolder, ThatEverybodyMayWriteIsRefused) {
  write("a.toml", kGood);
  ::chmod((folder_ + "/a.toml").c_str(), 0666);
  EXPECT_NE(mistake().find("everybody may write"), std::string::npos);
  ::chmod((folder_ + "/a.toml").c_str(), 0644);
  ::chmod(folder_.c_str(), 0777);
  EXPECT_NE(mistake().find("everybody may write"), std::string::npos);
  std::filesystem::remove_all(folder_);
  EXPECT_NE(mistake(), "none") << "a folder that is not there";
}

TEST(NodeProfiles, UnknownNameIsAMistakeWithAdvice) {
  const auto settings =
      parse_node_settings("[node]\nname = \"n\"\nprofiles = [\"ofice\"]\n", "larder.toml");
  ASSERT_FALSE(settings);
  EXPECT_NE(settings.error().message.find("did you mean \"office\""), std::string::npos);
}

}  // namespace
}  // namespace larder::node
