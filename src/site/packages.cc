#include "site/packages.h"

#include "base/encoding.h"

namespace larder::site {
namespace {

using base::ErrorCode;

base::Status check_open(db::Session& session, const std::string& package,
                        const std::string& version) {
  const auto rows = session.query(
      "SELECT 1 FROM packages WHERE name = :name AND version = :version", {package, version});
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return {};
  return base::fail(
      ErrorCode::AlreadyExists,
      package + " " + version + " is published and cannot change: publish another version");
}

base::Result<std::vector<content::ManifestFile>> files_of(db::Session& session,
                                                          const std::string& package,
                                                          const std::string& version) {
  const auto rows = session.query(
      "SELECT name, size, sha256, pieces FROM package_files WHERE package = :package AND version "
      "= :version ORDER BY name",
      {package, version});
  if (!rows) return std::unexpected(rows.error());
  std::vector<content::ManifestFile> files;
  for (const db::Row& row : *rows) {
    auto pieces = base::from_base64url(row.text(3));
    if (!pieces) return std::unexpected(pieces.error());
    files.push_back(
        {row.text(0), static_cast<std::uint64_t>(row.integer(1)), row.text(2), std::move(*pieces)});
  }
  return files;
}

}  // namespace

base::Result<content::ManifestFile> add_package_file(State& state, const std::string& actor,
                                                     const std::string& package,
                                                     const std::string& version,
                                                     const std::string& name,
                                                     const std::string& path) {
  for (const std::string& part : {package, version, name}) {
    if (!content::is_safe_name(part)) {
      return base::fail(ErrorCode::InvalidArgument,
                        "names of packages, versions and files are 1 to 128 letters, digits and "
                        "\"._+~-\", beginning with a letter or digit");
    }
  }
  LARDER_TRY(state.database->read(
      [&](db::Session& session) { return check_open(session, package, version); }));
  auto file = state.library->import_file(path, name);
  if (!file) return file;
  LARDER_TRY(state.change(
      {actor, "package.add-file", package + " " + version, name + " " + file->sha256},
      [&](db::Session& session) -> base::Status {
        LARDER_TRY(check_open(session, package, version));
        LARDER_TRY(session.execute(
            "DELETE FROM package_files WHERE package = :package AND version = :version AND name = "
            ":name",
            {package, version, name}));
        LARDER_TRY(session.execute(
            "INSERT INTO package_files (package, version, name, size, sha256, pieces) VALUES "
            "(:package, :version, :name, :size, :sha256, :pieces)",
            {package, version, name, static_cast<std::int64_t>(file->size), file->sha256,
             base::to_base64url(base::as_bytes(file->pieces))}));
        return {};
      }));
  return file;
}

base::Result<PublishedPackage> publish_package(State& state, const std::string& actor,
                                               const std::string& package,
                                               const std::string& version) {
  const base::WallTime now = state.clock.wall();
  PublishedPackage published{package, version, {}, base::to_unix_seconds(now)};
  LARDER_TRY(state.change(
      {actor, "package.publish", package + " " + version, ""},
      [&](db::Session& session) -> base::Status {
        LARDER_TRY(check_open(session, package, version));
        auto files = files_of(session, package, version);
        if (!files) return std::unexpected(files.error());
        if (files->empty()) {
          return base::fail(ErrorCode::FailedPrecondition,
                            package + " " + version + " has no files: add some first");
        }
        const content::Manifest manifest{package, version, now, std::move(*files)};
        auto text = content::sign_manifest(manifest, state.manifest_key->key);
        if (!text) return std::unexpected(text.error());
        const auto sum =
            session.query("SELECT COUNT(*), COALESCE(SUM(LENGTH(manifest)), 0) FROM packages");
        if (!sum) return std::unexpected(sum.error());
        if (sum->front().integer(0) >= static_cast<std::int64_t>(kPackageVersionLimit) ||
            sum->front().integer(1) + static_cast<std::int64_t>(text->size()) >
                static_cast<std::int64_t>(kManifestsLimit)) {
          return base::fail(ErrorCode::ResourceExhausted,
                            "the site holds as many packages as its nodes' snapshots can carry");
        }
        LARDER_TRY(session.execute(
            "INSERT INTO packages (name, version, manifest, published_at) VALUES (:name, "
            ":version, :manifest, :published_at)",
            {package, version, *text, published.published_at}));
        published.manifest = std::move(*text);
        return {};
      },
      "package"));
  return published;
}

base::Result<std::optional<content::ManifestFile>> find_package_file(const State& state,
                                                                     const std::string& package,
                                                                     const std::string& version,
                                                                     const std::string& name) {
  if (state.published()->find(package, version) == nullptr || version.empty()) return std::nullopt;
  const auto files = state.database->read(
      [&](db::Session& session) { return files_of(session, package, version); });
  if (!files) return std::unexpected(files.error());
  for (const content::ManifestFile& file : *files) {
    if (file.name == name) return file;
  }
  return std::nullopt;
}

}  // namespace larder::site
