// Administration commands talk to the running node or site over its unix control socket; that
// process decides by the caller's identity whether they may.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "client/http_client.h"

namespace larder::cli {

enum class Role { Node, Site };

class Control {
 public:
  Control(Role role, std::string socket) : role_(role), socket_(std::move(socket)) {}

  // The control socket of that role in the settings file (see config_path).
  static base::Result<Control> open(Role role, const std::string& config);

  // `path` starts with /api/v1. The answer's JSON, null when it has no body. A status that is not
  // 2xx becomes an error with the sentence of the problem document.
  base::Result<nlohmann::json> get(const std::string& path);
  base::Result<nlohmann::json> send(const std::string& method, const std::string& path,
                                    const nlohmann::json& body);
  // The bytes of a file as the body; takes as long as it takes.
  base::Result<nlohmann::json> send_file(const std::string& path, const std::string& file);

  const std::string& socket() const { return socket_; }

 private:
  base::Result<nlohmann::json> perform(client::HttpRequest request);

  Role role_;
  std::string socket_;
};

// `given`, else $LARDER_CONFIG, else /etc/larder/larder.toml.
std::string config_path(const std::string& given);

// One path segment: everything but unreserved characters (RFC 3986) percent-encoded.
std::string encode_segment(std::string_view text);

// What to try when the control socket cannot be reached.
std::string control_advice(Role role, const base::Error& error, const std::string& config);

}  // namespace larder::cli
