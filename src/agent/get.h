// `larder get`: downloads a package or a URL, verified, resumed after any interruption, falling
// back from source to source, and visible under its name only when it is complete and right.
//
// Functions block. The process may be killed at any moment: `<file>.larder-part` keeps what is
// verified, and the same call goes on from there. A second download of the same file at the same
// time is refused with FailedPrecondition.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/progress.h"
#include "base/clock.h"
#include "base/error.h"

namespace larder::agent {

struct Downloaded {
  std::string path;
  std::uint64_t size = 0;  // bytes
  std::string sha256;      // hexadecimal
};

struct GetResult {
  std::vector<Downloaded> files;
  std::map<std::string, std::uint64_t>
      bytes_by_source;  // received in this call; "resumed" and "present" were here already
};

struct PackageRequest {
  std::string state_folder;  // of the device; it must be registered
  std::string package;
  std::string version;  // empty: the newest
  // Of a package with one file: the file, or an existing folder to put it into; empty: the current
  // folder. Of a package with several: the folder; empty: <package>-<version> in the current one.
  std::string output;
};

// "tool@1.2" or "tool" into package and version. InvalidArgument when a name is not acceptable.
base::Result<PackageRequest> parse_package_name(std::string_view text);

// Needs a registered device: FailedPrecondition with advice otherwise. PermissionDenied when the
// site refuses the device. DataLoss when no source had the right bytes, Unavailable when none could
// be reached.
base::Result<GetResult> get_package(const PackageRequest& request, ProgressListener& listener,
                                    const base::Clock& clock);

struct UrlRequest {
  std::string url;         // http or https
  std::string cache_host;  // "host" or "host:port" of a cache node; empty: straight to the origin
  std::string sha256;      // hexadecimal, compared at the end; empty: not known
  std::string output;      // a file, or an existing folder; empty: the URL's last segment here
  std::string trust;       // PEM roots for the cache host; empty: the system's store
};

// No site and no registration: as a Delivery Optimization client uses a cache. Any failure of the
// cache falls back to the origin and keeps the bytes that certainly belong to the same object.
base::Result<GetResult> get_url(const UrlRequest& request, ProgressListener& listener,
                                const base::Clock& clock);

}  // namespace larder::agent
