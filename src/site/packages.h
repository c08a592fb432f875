// Packages of the site: files go into the library, a published version is a signed manifest and
// never changes. Private to this folder.
#pragma once

#include <string>

#include "content/manifest.h"
#include "server/router.h"
#include "site/state.h"

namespace larder::site {

inline constexpr std::uint64_t kUploadLimit = content::kFileSizeLimit;
// Of all manifests together: every node holds them all, in one snapshot.
inline constexpr std::size_t kManifestsLimit = 8 << 20;
inline constexpr std::size_t kPackageVersionLimit = 1000;

// Adds a file to a version that is not published yet, or replaces it. `path` is an uploaded file;
// it may be deleted afterwards.
base::Result<content::ManifestFile> add_package_file(State& state, const std::string& actor,
                                                     const std::string& package,
                                                     const std::string& version,
                                                     const std::string& name,
                                                     const std::string& path);

// Signs the manifest; from here on nodes pull the files. FailedPrecondition without files,
// AlreadyExists when it is published.
base::Result<PublishedPackage> publish_package(State& state, const std::string& actor,
                                               const std::string& package,
                                               const std::string& version);

// The file of a published version; nothing when there is none.
base::Result<std::optional<content::ManifestFile>> find_package_file(const State& state,
                                                                     const std::string& package,
                                                                     const std::string& version,
                                                                     const std::string& name);

}  // namespace larder::site
