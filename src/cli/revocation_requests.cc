#include "cli/revocation_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "agent/doctor.h"
#include "agent/url.h"
#include "base/encoding.h"
#include "http/target.h"
#include "node/request_route.h"
#include "node/site_link.h"

namespace larder::cli {

using base::Result;
using client::HttpRequest;
using client::HttpResponse;

namespace {

constexpr std::chrono::seconds kAllRequests{30};

// Where this node's own listener answers for the URL; empty: it does not.
std::string own_listener(std::string_view url, const node::NodeSettings& settings) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return {};
  url.remove_prefix(kScheme.size());
  const std::size_t path = url.find('/');
  if (path == std::string_view::npos || node::issuer_of_list(url.substr(path)).empty()) return {};
  const auto authority = http::parse_authority(url.substr(0, path));
  if (!authority) return {};
  std::string_view host = authority->host();
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  if (std::ranges::none_of(settings.connection_names, [&](const std::string& name) {
        return base::equals_ignoring_case(name, host);
      })) {
    return {};
  }
  const int port = authority->port() == 0 ? 80 : authority->port();
  for (const base::ListenAddress& listen : settings.http_listen) {
    if (listen.port != port) continue;
    if (listen.address == "0.0.0.0") return "127.0.0.1";
    return listen.address == "::" ? "::1" : listen.address;
  }
  return {};
}

class Requests {
 public:
  Requests(const node::NodeSettings& settings, std::map<std::string, std::string> environment,
           const base::Clock& clock, client::HttpExchange perform)
      : settings_(settings),
        environment_(std::move(environment)),
        clock_(clock),
        perform_(std::move(perform)) {}

  Result<HttpResponse> perform(const HttpRequest& request) {
    if (const auto before = failed_.find(request.url); before != failed_.end()) {
      return std::unexpected(before->second);
    }
    auto answer = ask(request);
    if (!answer) failed_.emplace(request.url, answer.error());
    return answer;
  }

 private:
  Result<HttpResponse> ask(HttpRequest request) {
    // Only with its whole time: a place that got less could not be told from one that is down.
    if (spent_ + request.timeout > kAllRequests) {
      const auto seconds = std::chrono::floor<std::chrono::seconds>(spent_).count();
      return base::fail(base::ErrorCode::PermissionDenied,
                        fmt::format("requests before it took {} s already, and 30 s is all that "
                                    "is taken for them",
                                    seconds));
    }
    if (std::string own = own_listener(request.url, settings_); !own.empty()) {
      request.connect_to = std::move(own);
    } else {
      const base::Status routed =
          node::set_request_route(request, request.url, node::UrlSource::Elsewhere, settings_);
      // Whatever it was, nobody was asked.
      if (!routed) return base::fail(base::ErrorCode::PermissionDenied, routed.error().message);
      if (request.proxy.empty()) request.proxy = proxy_of_environment(request.url);
    }
    const base::SteadyTime begin = clock_.steady();
    auto answer = perform_(request);
    spent_ += clock_.steady() - begin;
    return node::with_advice(std::move(answer));
  }

  std::string proxy_of_environment(const std::string& url) const {
    const auto parts = agent::parse_url(url);
    if (!parts) return {};
    std::string_view host = parts->host;
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    return agent::proxy_for(environment_, parts->scheme, host);
  }

  const node::NodeSettings settings_;
  const std::map<std::string, std::string> environment_;
  const base::Clock& clock_;
  const client::HttpExchange perform_;
  base::SteadyTime::duration spent_{};  // inside requests: what else is examined is not theirs
  std::map<std::string, base::Error> failed_;
};

}  // namespace

client::HttpExchange revocation_requests(const node::NodeSettings& settings,
                                         std::map<std::string, std::string> environment,
                                         const base::Clock& clock, client::HttpExchange perform) {
  auto requests =
      std::make_shared<Requests>(settings, std::move(environment), clock, std::move(perform));
  return [requests = std::move(requests)](const HttpRequest& request) {
    return requests->perform(request);
  };
}

}  // namespace larder::cli
