#include "cli/control.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "node/settings.h"
#include "site/settings.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint64_t kAnswerLimit = 16 << 20;

ErrorCode code_of(int status) {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return ErrorCode::InvalidArgument;
    case 401:
      return ErrorCode::Unauthenticated;
    case 403:
      return ErrorCode::PermissionDenied;
    case 404:
      return ErrorCode::NotFound;
    case 409:
      return ErrorCode::FailedPrecondition;
    case 507:
      return ErrorCode::ResourceExhausted;
    case 503:
      return ErrorCode::Unavailable;
    default:
      return ErrorCode::Internal;
  }
}

std::string problem_of(const client::HttpResponse& response) {
  std::string status = "status " + std::to_string(response.status);
  const auto document = base::parse_json(response.body);
  if (!document || !document->is_object()) return status;
  for (const char* member : {"detail", "title"}) {
    const auto text = base::json_string_or(*document, member, "");
    if (text && !text->empty()) return *text + " (" + status + ")";
  }
  return status;
}

}  // namespace

std::string config_path(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* set = std::getenv("LARDER_CONFIG"); set != nullptr && *set != '\0') return set;
  return "/etc/larder/larder.toml";
}

Result<Control> Control::open(Role role, const std::string& config) {
  const std::string path = config_path(config);
  if (role == Role::Node) {
    const auto settings = node::load_node_settings(path);
    if (!settings) return std::unexpected(settings.error());
    return Control(role, settings->control_socket);
  }
  const auto settings = site::load_site_settings(path);
  if (!settings) return std::unexpected(settings.error());
  return Control(role, settings->control_socket);
}

Result<nlohmann::json> Control::get(const std::string& path) {
  client::HttpRequest request;
  request.url = path;
  return perform(std::move(request));
}

Result<nlohmann::json> Control::send(const std::string& method, const std::string& path,
                                     const nlohmann::json& body) {
  client::HttpRequest request;
  request.method = method;
  request.url = path;
  if (!body.is_null()) {
    request.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    request.fields.emplace_back("Content-Type", "application/json");
  }
  return perform(std::move(request));
}

Result<nlohmann::json> Control::send_file(const std::string& path, const std::string& file) {
  client::HttpRequest request;
  request.method = "PUT";
  request.url = path;
  request.body_file = file;
  request.fields.emplace_back("Content-Type", "application/octet-stream");
  request.timeout = std::chrono::milliseconds(0);
  request.low_speed = 1;
  return perform(std::move(request));
}

Result<nlohmann::json> Control::perform(client::HttpRequest request) {
  request.url = "http://larder" + request.url;
  request.unix_socket = socket_;
  request.body_limit = kAnswerLimit;
  client::HttpClient http;
  const auto response = http.perform(request);
  if (!response) {
    return base::with_context(std::string(role_ == Role::Node ? "the node" : "the site") +
                                  " does not answer on " + socket_,
                              response.error());
  }
  if (response->status < 200 || response->status > 299)
    return fail(code_of(response->status), problem_of(*response));
  if (response->body.empty()) return nlohmann::json();
  return base::parse_json(response->body, 16);
}

std::string encode_segment(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '~' || c == '.';
    if (unreserved) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::string control_advice(Role role, const base::Error& error, const std::string& config) {
  if (error.code != ErrorCode::Unavailable && error.code != ErrorCode::DeadlineExceeded) return "";
  const std::string name = role == Role::Node ? "node" : "site";
  return "is it running (`larder " + name + " run --config " + config_path(config) +
         "`), and are you in the group larder-admin, or root?";
}

}  // namespace larder::cli
