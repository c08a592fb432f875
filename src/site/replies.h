// How the site answers: one place turns an error into a status and a public sentence, and one
// place reads JSON bodies. Private to this folder.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "server/router.h"

namespace larder::site {

// A value, or what to answer instead.
template <typename T>
using OrReply = std::expected<T, server::Reply>;

// For devices and nodes: the code decides, the message goes to the log only.
server::Reply public_problem(std::string_view route, const base::Error& error);
// For the administrator at the control socket: with the message, which says what to do.
server::Reply operator_problem(std::string_view route, const base::Error& error);

// RFC 6749 section 5.2: {"error","error_description"}, never cached.
server::Reply oauth_error(int status, std::string_view error, std::string_view description);

// A JSON object of at most 1 MiB.
base::Result<base::Json> parse_body(const server::RouteRequest& request);
// A member that is text of at most `limit` bytes without control characters; "" when absent.
base::Result<std::string> short_text(const base::Json& object, const char* name, std::size_t limit);

server::Reply json_of(const base::Json& value, int status = 200);

// An open file with its type, as a whole or the one range that was asked for (RFC 9110 section 14).
// `entity_tag` without quotes; it is strong.
server::Reply file_reply(const server::RouteRequest& request, base::UniqueFd file,
                         std::uint64_t size, std::string_view entity_tag);

}  // namespace larder::site
