// A download of unknown content under way: its bytes, and which object they belong to, so that
// bytes of two objects never mix. Private to this folder.
//
//   <target>.larder-part        the bytes so far, from the beginning without a gap
//   <target>.larder-part.json   URL, validator and length of the object
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace larder::agent {

using Fields = std::vector<std::pair<std::string, std::string>>;

// What identifies an object over several answers (RFC 9110 section 13.1.5): a strong entity tag,
// else a Last-Modified that is at least a minute older than the answer (section 8.8.2.2). Empty
// when there is neither.
std::string strong_validator(const Fields& fields);

// One thread at a time.
class UrlPart {
 public:
  // Opens or makes the part of `target`; keeps what an earlier download of the same URL left, when
  // it can be continued. FailedPrecondition when another download holds it.
  static base::Result<UrlPart> open(const std::string& target, const std::string& url);

  std::uint64_t size() const { return size_; }  // bytes that are here
  std::optional<std::uint64_t> total() const { return total_; }
  bool complete() const { return total_ && size_ == *total_; }

  // Fields for the next request: Range and If-Range when the object can be continued. When it
  // cannot, what is here is dropped first.
  base::Result<Fields> begin_request();
  // Judges the head of the answer: 206 continues exactly here, 200 begins anew, everything else is
  // an error: NotFound for 404 and 410, PermissionDenied for 401 and 403, otherwise Unavailable.
  base::Status take_head(int status, const Fields& fields);
  base::Status append(std::span<const std::uint8_t> bytes);
  // The answer ended well: what is here is all, when the length was not known.
  void end_of_answer();

  base::Status drop();  // forgets bytes and object
  // Syncs and renames the bytes over the target, and removes the note about the object.
  base::Status commit(const std::string& target);
  // Leaves nothing behind when nothing was received.
  void tidy();

  const std::string& path() const { return path_; }

 private:
  UrlPart(std::string path, std::string url, base::UniqueFd fd);
  base::Status load_note();
  base::Status store_note() const;
  base::Status begin_object(const Fields& fields);
  base::Status continue_object(const Fields& fields) const;

  std::string path_;
  std::string url_;
  base::UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::string validator_;
  std::optional<std::uint64_t> total_;
};

}  // namespace larder::agent
