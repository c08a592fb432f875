// What the certificate commands work on: the files of the node on this machine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "certs/certificate_store.h"

namespace larder::cli {

// The node's certificates on disk, and the way to tell a running node of changes.
struct Host {
  certs::CertificateStore store;
  std::string socket;
  std::string folder;                     // of the certificates
  std::vector<std::string> signed_names;  // keys with a signer
};

// Those of the settings file (see config_path). The files belong to the node's user: root becomes
// that user first, so that nothing is left that the node cannot read.
base::Result<Host> open_host(const std::string& config);

// Whether the files are another user's: then not everything can be seen.
bool is_of_another_user(const Host& host);
// `report` for what went wrong with the files, with who may use them where that is what is missing.
int report_files(const Host& host, base::Error error, std::string_view what,
                 std::string_view next = "");

// Lets a running node take a change over, and says what did not succeed; the exit code. A node that
// does not run reads the files when it starts; that is no failure.
int tell_node(const Host& host, bool json, const std::string& what);

}  // namespace larder::cli
