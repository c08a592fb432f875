#include "certs/audit_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/unique_fd.h"
#include "crypto/digest.h"

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::int64_t kFormat = 1;           // stored on disk
constexpr std::size_t kFileLimit = 64 << 20;  // a hundred thousand purges
constexpr int kFileMode = 0640;

std::string no_digest() {
  return std::string(64, '0');
}

Result<std::string> read_lines(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::string();
  auto text = base::read_file(path, kFileLimit);
  if (!text) return text;
  text->resize(text->rfind('\n') + 1);  // npos + 1 is 0: not even one whole line
  return text;
}

Result<AuditEntry> read_line(std::string_view line, std::uint64_t sequence,
                             const std::string& previous) {
  const auto json = base::parse_json(line);
  if (!json) return std::unexpected(json.error());
  const auto format = base::json_integer(*json, "format");
  const auto number = base::json_integer(*json, "sequence");
  const auto before = base::json_string(*json, "previous");
  auto event = base::json_string(*json, "event");
  const auto at_text = base::json_string(*json, "at");
  if (!format || *format != kFormat || !number || !before || !event || !at_text ||
      !json->contains("subject")) {
    return fail(ErrorCode::DataLoss, "a member is missing or wrong");
  }
  if (*number != static_cast<std::int64_t>(sequence)) {
    return fail(ErrorCode::DataLoss, "its number is " + std::to_string(*number));
  }
  if (*before != previous) {
    return fail(ErrorCode::DataLoss, "the line before it is not the one that it followed");
  }
  const auto at = base::parse_rfc3339(*at_text);
  if (!at) return std::unexpected(at.error());
  return AuditEntry{.sequence = sequence,
                    .at = *at,
                    .event = std::move(*event),
                    .subject = (*json)["subject"].dump(),
                    .digest = crypto::sha256_hex(line)};
}

AuditChain read_chain(std::string_view text) {
  AuditChain chain;
  std::string previous = no_digest();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    auto entry = read_line(line, chain.entries.size() + 1, previous);
    if (!entry) {
      chain.damage =
          "line " + std::to_string(chain.entries.size() + 1) + ": " + entry.error().message;
      return chain;
    }
    previous = entry->digest;
    chain.entries.push_back(std::move(*entry));
  }
  return chain;
}

}  // namespace

Result<AuditChain> read_audit_log(const std::string& path) {
  const auto text = read_lines(path);
  if (!text) return std::unexpected(text.error());
  return read_chain(*text);
}

Result<std::string> append_audit_entry(const std::string& path, std::string_view event,
                                       const Json& subject, base::WallTime now) {
  const auto text = read_lines(path);
  if (!text) return std::unexpected(text.error());
  const AuditChain chain = read_chain(*text);
  if (!chain.damage.empty()) {
    return fail(ErrorCode::DataLoss,
                path + ": " + chain.damage +
                    "; nothing is purged while the record of purges is damaged. Keep the file for "
                    "those who look into it, and move it away");
  }
  const Json json = {
      {"format", kFormat},
      {"sequence", chain.entries.size() + 1},
      {"at", base::to_rfc3339(now)},
      {"event", event},
      {"subject", subject},
      {"previous", chain.entries.empty() ? no_digest() : chain.entries.back().digest}};
  const std::string line = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  // Safe in its folder before it has an entry: what is deleted next must not outlive it in a crash.
  if (!std::filesystem::exists(path)) {
    LARDER_TRY(base::write_file_atomically(path, "", kFileMode));
  }
  const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return base::fail_errno("cannot open " + path, errno);
  // Over what a crash has left of a line.
  if (::ftruncate(fd.get(), static_cast<off_t>(text->size())) != 0 ||
      ::lseek(fd.get(), 0, SEEK_END) < 0) {
    return base::fail_errno("cannot write " + path, errno);
  }
  LARDER_TRY(base::write_all(fd.get(), line + "\n"));
  if (::fsync(fd.get()) != 0) return base::fail_errno("cannot sync " + path, errno);
  return crypto::sha256_hex(line);
}

}  // namespace larder::certs
