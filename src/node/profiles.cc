#include "node/profiles.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/log.h"
#include "node/origin_settings.h"
#include "node/setting_texts.h"
#include "node/shipped_profiles.h"

namespace larder::node {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::SettingsErrors;
using base::Status;

constexpr std::size_t kMostFiles = 100;

struct ProfileHead {
  std::string name;
  std::string text;
};

const base::SettingsSection<ProfileHead>& head_section() {
  static const base::SettingsSection<ProfileHead> section = [] {
    base::SettingsSection<ProfileHead> s("[profile]", "A set of origins.");
    s.value("name", &ProfileHead::name, parse_name, [](const std::string& name) { return name; },
            {.text = "By which it is enabled.", .required = true});
    s.text("text", &ProfileHead::text, {.text = "For the manual.", .required = true});
    return s;
  }();
  return section;
}

void check_origin(const OriginSettings& origin, int line, SettingsErrors& errors) {
  const auto refuse = [&](const char* setting) {
    errors.add(line, std::string("[[origin]] ").append(setting) +
                         ": not in a profile; write an [[origin]] table of your own instead");
  };
  if (origin.url) refuse("url");
  if (!origin.allow_addresses.empty()) refuse("allow_addresses");
  if (!origin.ca_file.empty()) refuse("ca_file");
  for (const std::string& method : origin.methods) {
    if (method != "GET" && method != "HEAD") refuse("methods");
  }
  for (const std::string& host : origin.hosts) {
    if (base::is_address(host)) refuse("hosts: an address");
  }
}

Status check_writable(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return fail(ErrorCode::NotFound, path + ": " + std::strerror(errno));
  if ((status.st_mode & S_IWOTH) != 0)
    return fail(ErrorCode::PermissionDenied, path + ": everybody may write it; chmod o-w " + path);
  return {};
}

bool is_below(std::string_view pattern, std::string_view wildcard) {
  const std::string_view suffix = wildcard.substr(1);
  if (pattern.starts_with("*.")) pattern.remove_prefix(1);
  return pattern.size() > suffix.size() && pattern.ends_with(suffix);
}

// Whether the closest wildcard around a host that is not enabled itself is a profile's.
bool falls_to_a_profile(const std::string& host, const std::vector<OriginSettings>& origins) {
  const std::string* closest = nullptr;
  bool of_profile = false;
  for (const OriginSettings& origin : origins) {
    for (const std::string& pattern : origin.hosts) {
      if (pattern == host) return false;
      if (!pattern.starts_with('*') || !is_below(host, pattern)) continue;
      if (closest != nullptr && closest->size() >= pattern.size()) continue;
      closest = &pattern;
      of_profile = origin.is_profile;
    }
  }
  return of_profile;
}

}  // namespace

Result<Profile> parse_profile(std::string_view text, const std::string& file_name) {
  const auto file = base::parse_settings(text, file_name);
  if (!file) return std::unexpected(file.error());
  SettingsErrors errors(file_name);
  base::check_top_level(*file, {"profile", "origin"}, errors);
  ProfileHead head;
  const auto heads = base::find_tables(*file, "profile", false, errors);
  if (heads.empty()) errors.add(1, "there is no table [profile] with a name and a text");
  for (const base::SettingsTableAt& found : heads)
    head_section().read(*found.table, found.line, head, errors);
  std::vector<OriginAt> origins = read_origins(*file, errors);
  if (origins.empty()) errors.add(1, "there is no [[origin]]");
  check_origins(origins, errors);
  for (const auto& [origin, line] : origins) check_origin(origin, line, errors);
  if (Status status = errors.status(); !status) return std::unexpected(status.error());

  Profile profile{std::move(head.name), std::move(head.text), {}};
  for (OriginAt& found : origins) {
    found.origin.is_profile = true;
    profile.origins.push_back(std::move(found.origin));
  }
  return profile;
}

Status check_profiles(const std::vector<Profile>& profiles) {
  std::map<std::string_view, std::string_view> owners;
  std::map<std::string_view, std::string_view> origins;
  for (std::size_t index = 0; index < profiles.size(); ++index) {
    const Profile& profile = profiles[index];
    for (std::size_t other = 0; other < index; ++other) {
      if (profiles[other].name == profile.name)
        return fail(ErrorCode::InvalidArgument,
                    "there are two profiles named \"" + profile.name + "\"");
    }
    for (const OriginSettings& origin : profile.origins) {
      if (const auto [found, added] = origins.emplace(origin.name, profile.name); !added)
        return fail(ErrorCode::InvalidArgument,
                    "the profiles \"" + std::string(found->second) + "\" and \"" + profile.name +
                        "\" both have an origin named \"" + origin.name + "\"");
      for (const std::string& host : origin.hosts) {
        if (const auto [found, added] = owners.emplace(host, profile.name); !added)
          return fail(ErrorCode::InvalidArgument, "the profiles \"" + std::string(found->second) +
                                                      "\" and \"" + profile.name +
                                                      "\" both list \"" + host + "\"");
      }
    }
  }
  return {};
}

const std::vector<Profile>& shipped_profiles() {
  static const std::vector<Profile> shipped = [] {
    std::vector<Profile> parsed;
    for (const ShippedProfile& file : shipped_profile_files()) {
      auto profile = parse_profile(file.text, std::string(file.file_name));
      // A test reads them all, so this is never seen by a user.
      if (profile) {
        parsed.push_back(std::move(*profile));
      } else {
        base::log_error("a shipped profile is wrong", {{"reason", profile.error().message}});
      }
    }
    return parsed;
  }();
  return shipped;
}

Result<std::vector<Profile>> load_profiles(const std::string& folder) {
  std::vector<Profile> all = shipped_profiles();
  LARDER_TRY(check_writable(folder));
  std::error_code error;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".toml") files.push_back(entry->path().string());
  }
  if (error) return fail(ErrorCode::NotFound, folder + ": " + error.message());
  if (files.size() > kMostFiles)
    return fail(ErrorCode::ResourceExhausted, folder + ": more than 100 profiles");
  std::sort(files.begin(), files.end());
  std::vector<Profile> own;
  for (const std::string& file : files) {
    LARDER_TRY(check_writable(file));
    const auto text = base::read_file(file, base::kSettingsFileLimit);
    if (!text) return std::unexpected(text.error());
    auto profile = parse_profile(*text, file);
    if (!profile) return std::unexpected(profile.error());
    own.push_back(std::move(*profile));
  }
  std::erase_if(all, [&](const Profile& shipped) {
    return std::any_of(own.begin(), own.end(),
                       [&](const Profile& profile) { return profile.name == shipped.name; });
  });
  for (Profile& profile : own) all.push_back(std::move(profile));
  if (Status good = check_profiles(all); !good) return base::with_context(folder, good.error());
  return all;
}

std::vector<std::string> reserved_hosts(const std::vector<Profile>& profiles,
                                        const std::vector<OriginSettings>& origins) {
  std::vector<std::string> reserved;
  for (const Profile& profile : profiles) {
    for (const OriginSettings& origin : profile.origins) {
      for (const std::string& host : origin.hosts) {
        if (falls_to_a_profile(host, origins)) reserved.push_back(host);
      }
    }
  }
  return reserved;
}

}  // namespace larder::node
