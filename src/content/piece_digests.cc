#include "content/piece_digests.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/unique_fd.h"

namespace larder::content {

void PieceDigests::update(std::span<const std::uint8_t> bytes) {
  whole_.update(bytes);
  while (!bytes.empty()) {
    const auto room = static_cast<std::size_t>(kPieceSize - size_ % kPieceSize);
    const auto part = bytes.first(std::min(room, bytes.size()));
    piece_.update(part);
    size_ += part.size();
    if (size_ % kPieceSize == 0) pieces_ += base::as_text(piece_.finish());
    bytes = bytes.subspan(part.size());
  }
}

ManifestFile PieceDigests::finish(std::string name) {
  if (size_ % kPieceSize != 0) pieces_ += base::as_text(piece_.finish());
  return {.name = std::move(name),
          .size = size_,
          .sha256 = base::to_hex(whole_.finish()),
          .pieces = std::move(pieces_)};
}

base::Result<ManifestFile> describe_file(const std::string& path, std::string name) {
  if (!is_safe_name(name)) {
    return base::fail(base::ErrorCode::InvalidArgument, "the file's name is not acceptable");
  }
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return base::fail_errno("cannot open " + path, errno);
  PieceDigests digests;
  std::vector<std::uint8_t> buffer(256 << 10);
  for (;;) {
    const auto got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno("cannot read " + path, errno);
    if (got == 0) return digests.finish(std::move(name));
    digests.update(std::span(buffer).first(static_cast<std::size_t>(got)));
    if (digests.size() > kFileSizeLimit) {
      return base::fail(base::ErrorCode::ResourceExhausted, path + " is too large");
    }
  }
}

}  // namespace larder::content
