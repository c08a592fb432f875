#include "cli/state_owner.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace larder::cli {

base::Status become_owner_of(const std::string& folder) {
  if (geteuid() != 0) return {};
  struct stat info{};
  if (stat(folder.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return base::fail_errno("cannot look at " + folder, errno);
  }
  if (info.st_uid == 0) return {};
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(info.st_uid, &entry, buffer.data(), buffer.size(), &found);
  const bool grouped =
      found != nullptr ? initgroups(found->pw_name, info.st_gid) == 0 : setgroups(0, nullptr) == 0;
  if (!grouped || setgid(info.st_gid) != 0 || setuid(info.st_uid) != 0)
    return base::fail_errno("cannot become the owner of " + folder, errno);
  umask(027);
  return {};
}

}  // namespace larder::cli
