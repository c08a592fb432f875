#include <nlohmann/json.hpp>
#include <utility>

#include "agent/device.h"
#include "agent/get.h"
#include "agent/location.h"
#include "agent/package_download.h"
#include "agent/registration.h"
#include "agent/site_session.h"
#include "agent/target.h"
#include "base/file.h"
#include "base/json.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

Result<Location> locate(SiteSession& session, const PackageRequest& request,
                        std::string_view client_token, base::WallTime now) {
  const base::Json json = {{"package", request.package}, {"version", request.version}};
  const auto body =
      session.post("/client/v1/locate", "application/json", json.dump(), client_token);
  if (!body) return base::with_context("cannot locate " + request.package, body.error());
  auto location = parse_location(*body, request.package, request.version, now);
  if (!location) {
    return base::with_context("the site's answer about " + request.package, location.error());
  }
  return location;
}

// The folder or file that the package goes to; folders are made.
Result<std::vector<std::string>> targets_of(const content::Manifest& manifest,
                                            const std::string& output) {
  std::vector<std::string> paths;
  if (manifest.files.size() == 1) {
    paths.push_back(target_path(output, manifest.files.front().name));
    return paths;
  }
  const auto folder = output.empty() ? manifest.package + "-" + manifest.version : output;
  LARDER_TRY(base::make_directories(folder, 0755));
  for (const auto& file : manifest.files) paths.push_back(folder + "/" + file.name);
  return paths;
}

}  // namespace

Result<PackageRequest> parse_package_name(std::string_view text) {
  const auto at = text.find('@');
  PackageRequest request;
  request.package = text.substr(0, at);
  if (at != std::string_view::npos) request.version = text.substr(at + 1);
  const bool right = content::is_safe_name(request.package) &&
                     (at == std::string_view::npos || content::is_safe_name(request.version));
  if (!right) {
    return fail(ErrorCode::InvalidArgument,
                "a package is named like \"tool\" or \"tool@1.2\": letters, digits and ._+~-");
  }
  return request;
}

Result<GetResult> get_package(const PackageRequest& request, ProgressListener& listener,
                              const base::Clock& clock) {
  auto registration = load_registration(request.state_folder);
  if (!registration) return std::unexpected(registration.error());
  if (!*registration) {
    return fail(ErrorCode::FailedPrecondition,
                "this device is not registered at a site: run `larder client register`");
  }
  const auto device = open_device(request.state_folder, clock.wall());
  if (!device) return std::unexpected(device.error());

  client::HttpClient http;
  const client::HttpExchange exchange = [&http](const auto& each) { return http.perform(each); };
  SiteSession session(exchange,
                      {.url = (*registration)->site_url, .root_pem = (*registration)->root_pem},
                      device->key, clock);
  const auto client_token =
      current_client_token(session, request.state_folder, **registration, clock.wall());
  if (!client_token) return std::unexpected(client_token.error());
  auto location = locate(session, request, *client_token, clock.wall());
  if (!location) return std::unexpected(location.error());
  const auto new_token = [&]() -> Result<std::string> {
    auto token = request_content_token(session, device->certificate_der);
    if (!token) return base::with_context("cannot get a content token", token.error());
    return std::move(token->text);
  };
  auto token = new_token();
  if (!token) return std::unexpected(token.error());

  const auto manifest = location->manifest;
  const auto paths = targets_of(manifest, request.output);
  if (!paths) return std::unexpected(paths.error());
  PackageDownload download(exchange, std::move(*location),
                           {.certificate_pem = device->certificate_pem,
                            .key_pem = device->key_pem,
                            .content_token = std::move(*token)},
                           new_token, listener, clock);
  GetResult result;
  std::uint64_t present = 0;
  for (std::size_t i = 0; i < paths->size(); ++i) {
    const auto& file = manifest.files[i];
    const auto& path = (*paths)[i];
    if (is_there(path, file.size, file.sha256)) {
      present += file.size;
    } else {
      LARDER_TRY(download.fetch(file, path));
    }
    result.files.push_back({.path = path, .size = file.size, .sha256 = file.sha256});
  }
  result.bytes_by_source = download.bytes_by_source();
  if (present > 0) result.bytes_by_source["present"] = present;
  return result;
}

}  // namespace larder::agent
