// The table [[node.signer]]: who signs the certificates of a node without a person in between.
#pragma once

#include "base/settings.h"
#include "node/settings.h"

namespace larder::node {

// Name, limits, text and checks of every setting of a signer.
const base::SettingsSection<SignerSettings>& signer_section();

// The secret of an external account binding: a file with one line of base64url, which others may
// not read. The bytes that it stands for.
base::Result<std::string> read_external_key(const std::string& path);

// Certificates with two signers. `line` is that of the table [node].
void check_signers(const std::vector<SignerSettings>& signers, int line,
                   base::SettingsErrors& errors);

}  // namespace larder::node
