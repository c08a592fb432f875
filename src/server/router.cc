#include "server/router.h"

#include "base/encoding.h"
#include "http/target.h"

namespace larder::server {

namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const std::size_t end = path.find('/');
    segments.push_back(path.substr(0, end));
    if (end == std::string_view::npos) return segments;
    path.remove_prefix(end + 1);
  }
}

// One path segment decoded is at most this long, in bytes.
constexpr std::size_t kCaptureLimit = 1024;

std::string escape_json(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') escaped.push_back('\\');
    if (byte < 0x20) {
      escaped += "\\u00";
      escaped.push_back(kDigits[byte >> 4]);
      escaped.push_back(kDigits[byte & 15]);
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

bool is_capture(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

}  // namespace

std::string_view RouteRequest::field(std::string_view name) const {
  for (const auto& [field_name, value] : fields) {
    if (base::equals_ignoring_case(field_name, name)) return value;
  }
  return {};
}

std::size_t RouteRequest::field_count(std::string_view name) const {
  std::size_t count = 0;
  for (const auto& [field_name, value] : fields) {
    if (base::equals_ignoring_case(field_name, name)) ++count;
  }
  return count;
}

Reply json_reply(std::string body, int status) {
  Reply reply;
  reply.status = status;
  reply.fields.emplace_back("Content-Type", "application/json");
  reply.fields.emplace_back("Cache-Control", "no-store");
  reply.body = std::move(body);
  return reply;
}

Reply text_reply(int status, std::string_view text) {
  Reply reply;
  reply.status = status;
  reply.fields.emplace_back("Content-Type", "text/plain; charset=utf-8");
  reply.body = text;
  return reply;
}

Reply problem_reply(int status, std::string_view name, std::string_view detail) {
  Reply reply = json_reply("{\"type\":\"urn:larder:problem:" + std::string(name) +
                               "\",\"status\":" + std::to_string(status) + ",\"detail\":\"" +
                               escape_json(detail) + "\"}",
                           status);
  reply.fields[0].second = "application/problem+json";
  return reply;
}

Router::Router() = default;
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(std::string method, const std::string& pattern, BlockingHandler handler,
                 RouteOptions options) {
  Route route;
  route.method = std::move(method);
  for (const std::string_view segment : split_path(pattern)) route.segments.emplace_back(segment);
  route.blocking = std::move(handler);
  route.options = std::move(options);
  routes_.push_back(std::move(route));
}

void Router::add_task(std::string method, const std::string& pattern, TaskHandler handler,
                      RouteOptions options) {
  add(std::move(method), pattern, nullptr, std::move(options));
  routes_.back().task = std::move(handler);
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  Match match;
  const std::vector<std::string_view> segments = split_path(path);
  for (const Route& route : routes_) {
    if (route.segments.size() != segments.size()) continue;
    std::map<std::string, std::string> captures;
    bool fits = true;
    for (std::size_t i = 0; i < segments.size() && fits; ++i) {
      const std::string& expected = route.segments[i];
      if (!is_capture(expected)) {
        fits = expected == segments[i];
        continue;
      }
      const auto decoded = http::percent_decode(segments[i], kCaptureLimit);
      fits = decoded && !decoded->empty();
      if (fits) captures.emplace(expected.substr(1, expected.size() - 2), *decoded);
    }
    if (!fits) continue;
    match.path_known = true;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      match.route = &route;
      match.captures = std::move(captures);
      return match;
    }
    match.allow += match.allow.empty() ? route.method : ", " + route.method;
  }
  return match;
}

}  // namespace larder::server
