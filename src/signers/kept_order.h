// An order at an ACME server that is not finished, as a file of the host's state: a restart, or a
// failure that passes, goes on with it instead of asking for a new one, of which servers give few.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace larder::signers {

struct KeptOrder {
  std::string url;
  std::string account;  // URL, to which it belongs
  std::string request;  // hex SHA-256 of the DER of the request that it is for
  base::WallTime made_at;
  bool has_failed = false;  // an attempt with it: the next one that fails is the last
};

base::Result<KeptOrder> parse_kept_order(std::string_view text);
std::string print(const KeptOrder& order);

// Whether a request of that account may go on with it: not with one of another account or request,
// nor after a week.
bool is_usable(const KeptOrder& order, std::string_view account, std::string_view request,
               base::WallTime now);

// Nothing when there is none, or none that can be read: then there is a new one.
std::optional<KeptOrder> read_kept_order(const std::string& path);
base::Status keep_order(const std::string& path, const KeptOrder& order);  // 0600
void forget_order(const std::string& path);

}  // namespace larder::signers
