#include "agent/url_part.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "agent/target.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "http/date.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kNoteLimit = 64 << 10;
constexpr std::chrono::seconds kStrongAge{60};

std::string_view field(const Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (base::equals_ignoring_case(key, name)) return value;
  }
  return {};
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Status refusal(int status) {
  const auto text = "the answer is " + std::to_string(status);
  if (status == 404 || status == 410) return fail(ErrorCode::NotFound, text);
  if (status == 401 || status == 403) return fail(ErrorCode::PermissionDenied, text);
  return fail(ErrorCode::Unavailable, text);
}

}  // namespace

std::string strong_validator(const Fields& fields) {
  const auto tag = field(fields, "ETag");
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') return std::string(tag);
  const auto now = base::SystemClock().wall();  // only for the century of obsolete date forms
  const auto modified = field(fields, "Last-Modified");
  const auto modified_at = http::parse_date(modified, now);
  const auto answered_at = http::parse_date(field(fields, "Date"), now);
  if (modified_at && answered_at && *modified_at + kStrongAge <= *answered_at) {
    return std::string(modified);
  }
  return {};
}

UrlPart::UrlPart(std::string path, std::string url, base::UniqueFd fd)
    : path_(std::move(path)), url_(std::move(url)), fd_(std::move(fd)) {}

Result<UrlPart> UrlPart::open(const std::string& target, const std::string& url) {
  auto path = target + std::string(kPartSuffix);
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return fail_errno("cannot open " + path, errno);
  struct stat opened{};
  struct stat named{};
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(fd.get(), &opened) != 0 ||
      ::lstat(path.c_str(), &named) != 0 || opened.st_ino != named.st_ino) {
    return fail(ErrorCode::FailedPrecondition, path + " is in use by another download");
  }
  if (!S_ISREG(opened.st_mode)) return fail(ErrorCode::InvalidArgument, path + " is not a file");
  UrlPart part(std::move(path), url, std::move(fd));
  part.size_ = static_cast<std::uint64_t>(opened.st_size);
  LARDER_TRY(part.load_note());
  return part;
}

Status UrlPart::load_note() {
  const auto text = base::read_file(path_ + ".json", kNoteLimit);
  if (!text) return drop();
  const auto json = base::parse_json(*text);
  if (!json) return drop();
  const auto url = base::json_string(*json, "url");
  const auto validator = base::json_string(*json, "validator");
  const auto total = base::json_integer(*json, "total");
  if (!url || !validator || !total || *url != url_ || *total < -1) return drop();
  validator_ = *validator;
  if (*total >= 0) total_ = static_cast<std::uint64_t>(*total);
  if (total_ && size_ > *total_) return drop();
  return {};
}

Status UrlPart::store_note() const {
  const base::Json json = {{"url", url_},
                           {"validator", validator_},
                           {"total", total_ ? static_cast<std::int64_t>(*total_) : -1}};
  return base::write_file_atomically(path_ + ".json", json.dump() + "\n", 0644);
}

Result<Fields> UrlPart::begin_request() {
  if (validator_.empty()) LARDER_TRY(drop());
  if (size_ == 0) return Fields{};
  return Fields{{"Range", "bytes=" + std::to_string(size_) + "-"}, {"If-Range", validator_}};
}

Status UrlPart::take_head(int status, const Fields& fields) {
  if (status == 200) return begin_object(fields);
  if (status == 206 && size_ > 0) return continue_object(fields);
  return refusal(status);
}

Status UrlPart::begin_object(const Fields& fields) {
  LARDER_TRY(drop());
  validator_ = strong_validator(fields);
  total_ = number(field(fields, "Content-Length"));
  return store_note();
}

Status UrlPart::continue_object(const Fields& fields) const {
  const auto range = field(fields, "Content-Range");
  const auto slash = range.find('/');
  const auto begin = "bytes " + std::to_string(size_) + "-";
  const auto total =
      slash == std::string_view::npos ? std::nullopt : number(range.substr(slash + 1));
  const bool continues = range.starts_with(begin) && total && (!total_ || *total == *total_) &&
                         number(range.substr(begin.size(), slash - begin.size())) == *total - 1;
  if (!continues) return fail(ErrorCode::Unavailable, "the answer does not continue the download");
  const auto validator = strong_validator(fields);
  const bool same_kind = validator.starts_with('"') == validator_.starts_with('"');
  if (!validator.empty() && same_kind && validator != validator_) {
    return fail(ErrorCode::Unavailable, "the answer continues another object");
  }
  return {};
}

Status UrlPart::append(std::span<const std::uint8_t> bytes) {
  if (total_ && size_ + bytes.size() > *total_) {
    return fail(ErrorCode::Unavailable, "the answer is longer than announced");
  }
  while (!bytes.empty()) {
    const auto put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write " + path_, errno);
    size_ += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

void UrlPart::end_of_answer() {
  if (!total_) total_ = size_;
}

Status UrlPart::drop() {
  if (::ftruncate(fd_.get(), 0) != 0) return fail_errno("cannot cut " + path_, errno);
  size_ = 0;
  validator_.clear();
  total_.reset();
  return {};
}

Status UrlPart::commit(const std::string& target) {
  LARDER_TRY(base::put_in_place(fd_.get(), path_, target));
  ::unlink((path_ + ".json").c_str());
  return {};
}

void UrlPart::tidy() {
  if (size_ > 0) return;
  ::unlink((path_ + ".json").c_str());
  ::unlink(path_.c_str());
}

}  // namespace larder::agent
