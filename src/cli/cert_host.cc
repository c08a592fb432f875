#include "cli/cert_host.h"

#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/state_owner.h"
#include "node/settings.h"

namespace larder::cli {

using base::Result;

namespace {

constexpr const char* kWho = "; run this as root or as the node's user";

Result<Host> open_files(const std::string& config) {
  const auto settings = node::load_node_settings(config_path(config));
  if (!settings) return std::unexpected(settings.error());
  if (auto status = become_owner_of(settings->state_dir); !status)
    return std::unexpected(status.error());
  if (auto status = base::make_directories(settings->state_dir, 0750); !status)
    return std::unexpected(status.error());
  auto store = certs::CertificateStore::open(
      {settings->state_dir + "/certificates", settings->connection_names, settings->client_trust});
  if (!store) return std::unexpected(store.error());
  Host host{std::move(*store), settings->control_socket, settings->state_dir + "/certificates", {}};
  for (const node::SignerSettings& signer : settings->signers)
    host.signed_names.push_back(signer.certificate);
  return host;
}

}  // namespace

Result<Host> open_host(const std::string& config) {
  base::configure_log({.level = base::LogLevel::Warning});  // a command prints what it did
  auto host = open_files(config);
  if (!host && host.error().code == base::ErrorCode::PermissionDenied) host.error().message += kWho;
  return host;
}

bool is_of_another_user(const Host& host) {
  struct stat facts{};
  if (::geteuid() == 0) return false;
  return ::stat(host.folder.c_str(), &facts) != 0 || facts.st_uid != ::geteuid();
}

int report_files(const Host& host, base::Error error, std::string_view what,
                 std::string_view next) {
  if (error.code == base::ErrorCode::PermissionDenied && is_of_another_user(host))
    error.message += kWho;
  return report(error, what, next);
}

int tell_node(const Host& host, bool json, const std::string& what) {
  Control control(Role::Node, host.socket);
  const auto answer = control.send("POST", "/api/v1/certificates/reload", nlohmann::json());
  if (answer) return kOk;
  if (answer.error().code != base::ErrorCode::Unavailable)
    return report(answer.error(), what + " is stored, but the node could not take over all");
  if (!json) print_line("The node does not run: it takes effect when it starts.");
  return kOk;
}

}  // namespace larder::cli
