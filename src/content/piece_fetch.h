// Fetches the missing pieces of a file from one source by range requests.
#pragma once

#include <cstdint>
#include <functional>

#include "base/error.h"
#include "client/exchange.h"
#include "content/piece_file.h"

namespace larder::content {

// Size of one range request, bytes: large enough that requests cost little, small enough that a
// source is left soon after it went bad.
inline constexpr std::uint64_t kFetchRange = 8 * kPieceSize;

// Goes on from file.verified() until the file is complete. `source` is the request without a range:
// URL, trust, certificate, fields; its timeout and callbacks are replaced. `on_bytes` is told of
// received bytes, verified or not; it may stop the fetch by an error, and may be empty.
//
// DataLoss when the source has wrong bytes, Unauthenticated, PermissionDenied and NotFound for 401,
// 403 and 404, otherwise Unavailable or an error of the disk. What was verified stays in the file.
base::Status fetch_pieces(const client::HttpExchange& exchange, const client::HttpRequest& source,
                          PieceFile& file,
                          const std::function<base::Status(std::uint64_t)>& on_bytes);

}  // namespace larder::content
