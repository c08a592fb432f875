#include "cli/secret_input.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/file.h"
#include "base/unique_fd.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

constexpr std::size_t kSecretLimit = 64 << 10;

Result<std::string> read_standard_input() {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("cannot read standard input", errno);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kSecretLimit)
      return fail(ErrorCode::ResourceExhausted, "standard input is larger than 64 KiB");
  }
}

}  // namespace

Result<std::string> read_secret(const std::string& file, const char* environment_name) {
  Result<std::string> text = std::string();
  const char* const environment = std::getenv(environment_name);
  if (!file.empty() && file != "-") {
    text = base::read_file(file, kSecretLimit);
  } else if (file.empty() && environment != nullptr) {
    text = std::string(environment);
  } else if (file == "-" || isatty(STDIN_FILENO) == 0) {
    text = read_standard_input();
  } else {
    return fail(ErrorCode::InvalidArgument,
                std::string("no token given: use --token-file FILE, standard input or $") +
                    environment_name);
  }
  if (!text) return text;
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' '))
    text->pop_back();
  if (text->empty()) return fail(ErrorCode::InvalidArgument, "the secret is empty");
  return text;
}

Status write_secret(const std::string& file, std::string_view secret) {
  if (file.empty()) {
    print_line(secret);
    return {};
  }
  // A new file only: whoever made an existing one may hold it open.
  base::UniqueFd fd(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return base::fail_errno("cannot create " + file, errno);
  return base::write_all(fd.get(), std::string(secret) + "\n");
}

}  // namespace larder::cli
