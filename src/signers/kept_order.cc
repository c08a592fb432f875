#include "signers/kept_order.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "signers/acme_messages.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::int64_t kFormat = 1;  // stored on disk
constexpr std::uint64_t kFileLimit = 16 << 10;
// Public servers let orders go after a week.
constexpr std::chrono::hours kLifetime{24 * 7};

Result<std::string> url_member(const Json& json, const char* name) {
  auto url = base::json_string(json, name);
  if (url && !is_acme_url(*url)) {
    return fail(ErrorCode::InvalidArgument, "\"" + std::string(name) + "\" is no https URL");
  }
  return url;
}

}  // namespace

Result<KeptOrder> parse_kept_order(std::string_view text) {
  const auto json = base::parse_json_of_format(text, kFormat);
  if (!json) return std::unexpected(json.error());
  KeptOrder order;
  auto url = url_member(*json, "order");
  if (!url) return std::unexpected(url.error());
  order.url = std::move(*url);
  auto account = url_member(*json, "account");
  if (!account) return std::unexpected(account.error());
  order.account = std::move(*account);
  auto request = base::json_string(*json, "request");
  if (!request) return std::unexpected(request.error());
  order.request = std::move(*request);
  const auto made_at = base::json_time(*json, "made_at");
  if (!made_at) return std::unexpected(made_at.error());
  order.made_at = *made_at;
  const auto has_failed = base::json_flag(*json, "has_failed");
  if (!has_failed) return std::unexpected(has_failed.error());
  order.has_failed = *has_failed;
  return order;
}

std::string print(const KeptOrder& order) {
  return Json{{"format", kFormat},
              {"order", order.url},
              {"account", order.account},
              {"request", order.request},
              {"made_at", base::to_rfc3339(order.made_at)},
              {"has_failed", order.has_failed}}
             .dump(2) +
         "\n";
}

bool is_usable(const KeptOrder& order, std::string_view account, std::string_view request,
               base::WallTime now) {
  // One from the future was made before somebody set the clock back: its age is not known.
  return order.account == account && order.request == request && order.made_at <= now &&
         now < order.made_at + kLifetime;
}

std::optional<KeptOrder> read_kept_order(const std::string& path) {
  const auto text = base::read_file(path, kFileLimit);
  if (!text) return std::nullopt;
  auto order = parse_kept_order(*text);
  if (!order) return std::nullopt;
  return std::move(*order);
}

base::Status keep_order(const std::string& path, const KeptOrder& order) {
  return base::write_file_atomically(path, print(order), 0600);
}

void forget_order(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return;
  base::log_warning("an order that is over cannot be forgotten",
                    {{"reason", base::fail_errno(path, errno).error().message}});
}

}  // namespace larder::signers
