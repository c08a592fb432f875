// One package from its sources, piece by verified piece. Private to this folder.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/get.h"
#include "agent/location.h"
#include "agent/progress_meter.h"
#include "base/clock.h"
#include "base/error.h"
#include "client/exchange.h"
#include "content/piece_file.h"

namespace larder::agent {

// What the device shows to a source.
struct Credentials {
  std::string certificate_pem;
  std::string key_pem;        // secret
  std::string content_token;  // secret
};

// One thread at a time; what is passed by reference must outlive it.
class PackageDownload {
 public:
  // `renew_token` gives a new content token after a source refused the current one; it is asked
  // once.
  PackageDownload(client::HttpExchange exchange, Location location, Credentials credentials,
                  std::function<base::Result<std::string>()> renew_token,
                  ProgressListener& listener, const base::Clock& clock);

  // Goes through the sources until the file is complete, then puts it at `path`. A source that
  // fails is tried again only after all others, for this file and the next ones.
  base::Status fetch(const content::ManifestFile& file, const std::string& path);

  // Bytes received from each source; "resumed" were on disk.
  const std::map<std::string, std::uint64_t>& bytes_by_source() const { return bytes_; }

 private:
  base::Status fetch_from(const Source& source, content::PieceFile& part, ProgressMeter& meter);
  client::HttpRequest request_for(const Source& source, const std::string& file) const;

  client::HttpExchange exchange_;
  content::Manifest manifest_;
  std::vector<Source> sources_;  // those that failed last are at the end
  Credentials credentials_;
  std::function<base::Result<std::string>()> renew_token_;
  ProgressListener& listener_;
  const base::Clock& clock_;
  std::map<std::string, std::uint64_t> bytes_;
};

}  // namespace larder::agent
