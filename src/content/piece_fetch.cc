#include "content/piece_fetch.h"

#include <algorithm>
#include <string>

#include "base/encoding.h"

namespace larder::content {

using base::ErrorCode;
using base::fail;
using base::Status;

namespace {

constexpr std::uint64_t kLowSpeed = 4000;  // bytes/s, as Delivery Optimization clients judge

Status judge_status(int status) {
  const auto text = "the source answers " + std::to_string(status);
  switch (status) {
    case 401:
      return fail(ErrorCode::Unauthenticated, text);
    case 403:
      return fail(ErrorCode::PermissionDenied, text);
    case 404:
      return fail(ErrorCode::NotFound, text);
    default:
      return fail(ErrorCode::Unavailable, text);
  }
}

// The head must announce exactly the bytes that were asked for; whoever ignores the range would
// have us append the beginning in the middle.
Status judge_head(int status, const std::vector<std::pair<std::string, std::string>>& fields,
                  std::uint64_t first, std::uint64_t last, std::uint64_t size) {
  if (status == 200 && first == 0 && last + 1 == size) return {};
  if (status != 206) {
    return status == 200 ? fail(ErrorCode::Unavailable, "the source ignores ranges")
                         : judge_status(status);
  }
  const auto wanted =
      "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" + std::to_string(size);
  for (const auto& [name, value] : fields) {
    if (base::equals_ignoring_case(name, "Content-Range")) {
      if (value == wanted) return {};
      break;
    }
  }
  return fail(ErrorCode::Unavailable, "the source sends another range than asked for");
}

Status fetch_range(const client::HttpExchange& exchange, const client::HttpRequest& source,
                   PieceFile& file, const std::function<Status(std::uint64_t)>& on_bytes) {
  const auto first = file.verified();
  const auto size = file.expected().size;
  const auto last = std::min(first + kFetchRange, size) - 1;
  auto request = source;
  request.timeout = std::chrono::milliseconds(0);
  request.low_speed = kLowSpeed;
  request.fields.emplace_back("Range",
                              "bytes=" + std::to_string(first) + "-" + std::to_string(last));
  request.on_head = [&](int status, const auto& fields) {
    return judge_head(status, fields, first, last, size);
  };
  request.on_body = [&](std::span<const std::uint8_t> bytes) -> Status {
    LARDER_TRY(file.append(bytes));
    return on_bytes ? on_bytes(bytes.size()) : Status();
  };
  const auto response = exchange(request);
  file.drop_unverified();
  if (!response) return std::unexpected(response.error());
  if (file.verified() <= last) {
    return fail(ErrorCode::Unavailable, "the source sends fewer bytes than announced");
  }
  return {};
}

}  // namespace

Status fetch_pieces(const client::HttpExchange& exchange, const client::HttpRequest& source,
                    PieceFile& file, const std::function<Status(std::uint64_t)>& on_bytes) {
  file.drop_unverified();
  while (!file.complete()) LARDER_TRY(fetch_range(exchange, source, file, on_bytes));
  return {};
}

}  // namespace larder::content
