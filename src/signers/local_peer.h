// The two ends of a connection over a unix socket: who the other one is, and texts of bounded size
// and time.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/unique_fd.h"

namespace larder::signers {

// How long a call may wait, and what ends it before: asked a few times a second.
struct WaitLimit {
  base::SteadyTime deadline;
  std::function<bool()> ending;
};

base::Result<base::UniqueFd> connect_to_socket(const std::string& path);
// Whom the kernel knows at the other end: who connected, or who listens. FailedPrecondition when
// it is no unix socket.
base::Result<uid_t> user_of_peer(int connection);
// NotFound when nobody has the name.
base::Result<uid_t> user_named(const std::string& name);

// Sends all of it, and ends this direction.
base::Status send_text(int connection, std::string_view text, const WaitLimit& wait);
// All that comes until the other end has ended its direction; ResourceExhausted when it is longer
// than the limit.
base::Result<std::string> receive_text(int connection, std::size_t limit, const WaitLimit& wait);
// The other end has gone in both directions.
bool has_hung_up(int connection);

}  // namespace larder::signers
