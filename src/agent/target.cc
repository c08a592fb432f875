#include "agent/target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/encoding.h"
#include "base/unique_fd.h"
#include "crypto/digest.h"

namespace larder::agent {

bool is_folder(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

std::string target_path(const std::string& output, const std::string& name) {
  if (output.empty()) return name;
  if (!is_folder(output)) return output;
  return output.ends_with('/') ? output + name : output + "/" + name;
}

bool is_there(const std::string& path, std::uint64_t size, std::string_view sha256) {
  struct stat about{};
  if (::lstat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode) ||
      static_cast<std::uint64_t>(about.st_size) != size) {
    return false;
  }
  const auto digest = sha256_of(path);
  return digest && *digest == sha256;
}

base::Result<std::string> sha256_of(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return base::fail_errno("cannot open " + path, errno);
  crypto::Sha256 digest;
  std::vector<std::uint8_t> buffer(256 << 10);
  for (;;) {
    const auto got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno("cannot read " + path, errno);
    if (got == 0) return base::to_hex(digest.finish());
    digest.update(std::span(buffer).first(static_cast<std::size_t>(got)));
  }
}

}  // namespace larder::agent
