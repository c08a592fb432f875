#include "cli/secret_input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"
#include "cli/input_file.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

constexpr std::size_t kSecretLimit = 64 << 10;

void append_utf8(std::uint32_t point, std::string& text) {
  const auto tail = [&](unsigned shift) {
    text += static_cast<char>(0x80U | ((point >> shift) & 0x3FU));
  };
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xC0U | (point >> 6U));
    tail(0);
  } else if (point < 0x10000) {
    text += static_cast<char>(0xE0U | (point >> 12U));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0U | (point >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Nothing when it is damaged.
std::optional<std::string> from_utf16(std::string_view bytes, bool big_endian) {
  if (bytes.size() % 2 != 0) return std::nullopt;
  const auto unit = [&](std::size_t i) {
    const auto first = static_cast<std::uint8_t>(bytes[i]);
    const auto second = static_cast<std::uint8_t>(bytes[i + 1]);
    return static_cast<std::uint32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint32_t point = unit(i);
    if (point >= 0xDC00 && point < 0xE000) return std::nullopt;
    if (point >= 0xD800 && point < 0xDC00) {
      i += 2;
      const std::uint32_t low = i < bytes.size() ? unit(i) : 0;
      if (low < 0xDC00 || low >= 0xE000) return std::nullopt;
      point = 0x10000 + ((point - 0xD800) << 10U) + (low - 0xDC00);
    }
    append_utf8(point, text);
  }
  return text;
}

// Windows begins text with a mark of how it is written.
std::optional<std::string> plain_text(std::string_view content) {
  if (content.starts_with("\xFF\xFE")) return from_utf16(content.substr(2), false);
  if (content.starts_with("\xFE\xFF")) return from_utf16(content.substr(2), true);
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  return std::string(content);
}

}  // namespace

Result<std::string> read_secret(const std::string& file, const char* environment_name) {
  Result<std::string> text = std::string();
  const char* const environment = std::getenv(environment_name);
  if (!file.empty() && file != "-") {
    text = read_input(file, kSecretLimit);
  } else if (file.empty() && environment != nullptr) {
    text = std::string(environment);
  } else if (file == "-" || isatty(STDIN_FILENO) == 0) {
    text = read_input("-", kSecretLimit);
  } else {
    return fail(ErrorCode::InvalidArgument,
                std::string("no token given: use --token-file FILE, standard input or $") +
                    environment_name);
  }
  if (!text) return text;
  auto plain = plain_text(*text);
  if (!plain) return fail(ErrorCode::InvalidArgument, "the secret is damaged UTF-16; use UTF-8");
  text = std::move(*plain);
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
