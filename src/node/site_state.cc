#include "node/site_state.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "node/site_view.h"

namespace larder::node {

using base::ErrorCode;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kRevocationListLimit = 4 << 20;
constexpr std::uint64_t kSmallLimit = 256 << 10;

}  // namespace

Result<SiteState> SiteState::open(const std::string& state_dir) {
  auto folder = state_dir + "/site";
  LARDER_TRY(base::make_directories(folder, 0700));
  return SiteState(std::move(folder));
}

std::string SiteState::path(std::string_view name) const {
  return folder_ + "/" + std::string(name);
}

Result<std::optional<std::string>> SiteState::read(std::string_view name,
                                                   std::uint64_t limit) const {
  auto content = base::read_file(path(name), limit);
  if (content) return std::optional(std::move(*content));
  if (content.error().code == ErrorCode::NotFound) return std::nullopt;
  return std::unexpected(content.error());
}

Status SiteState::write(std::string_view name, std::string_view content) const {
  return base::write_file_atomically(path(name), content, 0600);
}

Status SiteState::remove(std::string_view name) const {
  if (::unlink(path(name).c_str()) != 0 && errno != ENOENT) {
    return base::fail_errno("cannot remove " + path(name), errno);
  }
  return {};
}

Result<std::optional<SiteIdentity>> SiteState::load_identity() const {
  const auto about = read("site.json", kSmallLimit);
  if (!about) return std::unexpected(about.error());
  if (!*about) return std::nullopt;
  const auto json = base::parse_json(**about);
  if (!json) return base::with_context(path("site.json"), json.error());
  SiteIdentity identity;
  const std::pair<const char*, std::string*> members[] = {
      {"url", &identity.url}, {"node_id", &identity.node_id}, {"name", &identity.name}};
  for (const auto& [name, target] : members) {
    auto value = base::json_string(*json, name);
    if (!value) return base::with_context(path("site.json"), value.error());
    *target = std::move(*value);
  }
  const std::pair<const char*, std::string*> files[] = {
      {"root.pem", &identity.root_pem},
      {"identity.key", &identity.key_pem},
      {"identity.pem", &identity.certificate_pem}};
  for (const auto& [name, target] : files) {
    auto content = base::read_file(path(name), kSmallLimit);
    if (!content) return std::unexpected(content.error());
    *target = std::move(*content);
  }
  return std::optional(std::move(identity));
}

Status SiteState::store_identity(const SiteIdentity& identity) const {
  for (const auto* name :
       {"site.json", "snapshot.jws", "snapshot.key", "role.pem", "role.key", "identity.pem"}) {
    LARDER_TRY(remove(name));
  }
  LARDER_TRY(write("root.pem", identity.root_pem));
  LARDER_TRY(write("identity.key", identity.key_pem));
  LARDER_TRY(write("identity.pem", identity.certificate_pem));
  const base::Json json = {
      {"url", identity.url}, {"node_id", identity.node_id}, {"name", identity.name}};
  return write("site.json", json.dump(2) + "\n");
}

Status SiteState::store_identity_certificate(std::string_view chain_pem) const {
  return write("identity.pem", chain_pem);
}

Result<std::optional<StoredSnapshot>> SiteState::load_snapshot() const {
  auto text = read("snapshot.jws", kSnapshotLimit);
  if (!text) return std::unexpected(text.error());
  auto key = read("snapshot.key", kSmallLimit);
  if (!key) return std::unexpected(key.error());
  struct stat about{};
  if (!*text || !*key || ::stat(path("snapshot.jws").c_str(), &about) != 0) return std::nullopt;
  const auto received = std::chrono::seconds(about.st_mtim.tv_sec) +
                        std::chrono::microseconds(about.st_mtim.tv_nsec / 1000);
  return std::optional(StoredSnapshot{.signed_text = std::move(**text),
                                      .pinned_key = std::move(**key),
                                      .received_at = base::WallTime(received)});
}

Status SiteState::store_snapshot(std::string_view signed_text, std::string_view pinned_key) const {
  const auto key = read("snapshot.key", kSmallLimit);
  if (!key) return std::unexpected(key.error());
  // The key first: a snapshot without its pin could not be verified after a restart.
  if (!*key || **key != pinned_key) LARDER_TRY(write("snapshot.key", pinned_key));
  return write("snapshot.jws", signed_text);
}

Result<std::optional<RoleFiles>> SiteState::load_role() const {
  auto key = read("role.key", kSmallLimit);
  if (!key) return std::unexpected(key.error());
  auto chain = read("role.pem", kSmallLimit);
  if (!chain) return std::unexpected(chain.error());
  if (!*key || !*chain) return std::nullopt;
  return std::optional(RoleFiles{.key_pem = std::move(**key), .chain_pem = std::move(**chain)});
}

Status SiteState::store_role(const RoleFiles& role) const {
  LARDER_TRY(write("role.key", role.key_pem));
  return write("role.pem", role.chain_pem);
}

Result<std::optional<std::string>> SiteState::load_revocation_list() const {
  return read("role.crl", kRevocationListLimit);
}

Status SiteState::store_revocation_list(std::string_view der) const {
  return write("role.crl", der);
}

}  // namespace larder::node
