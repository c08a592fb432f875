// How alerts reach a receiver of the administrator's. Pure, but for reading the files that the
// settings name.
#pragma once

#include <string>

#include "alerts/queue.h"
#include "base/clock.h"
#include "base/error.h"
#include "client/http_client.h"

namespace larder::alerts {

struct WebhookSettings {
  std::string url;     // https; empty: nobody is told
  std::string trust;   // PEM file of the receiver's CA; empty: the system's store
  std::string secret;  // file; what signs the messages; empty: they are not signed

  bool operator==(const WebhookSettings&) const = default;
};

// https://host[:port][/path], without user information.
base::Result<std::string> parse_webhook_url(std::string_view text);

// What the file of that name holds, in one line. One that others may read or change is refused.
base::Result<std::string> read_webhook_secret(const std::string& file);

// POST of the alert as JSON, with what it is about as further members. With a secret,
// X-Larder-Signature is "sha256=" and the HMAC of
// "<X-Larder-Timestamp>.<body>": the receiver knows who speaks and when.
base::Result<client::HttpRequest> make_webhook_request(const WebhookSettings& settings,
                                                       const std::string& node, const Alert& alert,
                                                       base::WallTime now);

}  // namespace larder::alerts
