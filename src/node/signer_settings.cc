#include "node/signer_settings.h"

#include <set>

#include "certs/state_files.h"

namespace larder::node {
namespace {

using base::Result;
using base::SettingsErrors;
using base::SettingsSection;
using std::chrono::milliseconds;

std::string shown(const std::string& text) {
  return text;
}

Result<std::string> parse_key_name(std::string_view text) {
  if (const base::Status good = certs::check_key_name(text); !good) {
    return std::unexpected(good.error());
  }
  return std::string(text);
}

void check_signer(const SignerSettings& signer, int line, SettingsErrors& errors) {
  const auto wrong = [&](const std::string& what) { errors.add(line, "[[node.signer]] " + what); };
  if (signer.command.empty()) {
    wrong("command: empty; name the program");
  } else if (!signer.command.front().starts_with('/')) {
    wrong("command: \"" + signer.command.front() + "\" is no absolute path");
  }
}

SettingsSection<SignerSettings> make_signer_section() {
  SettingsSection<SignerSettings> s(
      "[[node.signer]]",
      "Who signs a certificate of this node without a person in between: at first, when there is "
      "none, and again at two thirds of its life. What comes back is checked and proved like an "
      "imported file. `larder cert list` shows how attempts ended.",
      base::Effect::Live);
  s.value("certificate", &SignerSettings::certificate, parse_key_name, shown,
          {.text = "Name of the key and its request, as of `larder cert request --name`. Without a "
                   "request the node makes one for its `connection_names`, EC P-256.",
           .limits = "a to z, 0 to 9, '.', '_' and '-', at most 64",
           .required = true});
  s.choice<SignerType>("type", &SignerSettings::type, {{"command", SignerType::Command}},
                       {.text = "\"command\": a program of yours.", .required = true});
  s.texts(
      "command", &SignerSettings::command,
      {.text = "For \"command\": the program and its arguments; no shell reads them. The "
               "request (PEM) is on its standard input, the chain (PEM, leaf first) is expected "
               "on its standard output. Exit code 75 says: not yet, ask again later; 77: refused.",
       .limits = "an absolute path, then arguments"});
  s.text("user", &SignerSettings::user,
         {.text = "For \"command\": the user that the program runs as, when the node runs as root; "
                  "else it runs as the node's user. Empty: the node's user."});
  s.duration("timeout", &SignerSettings::timeout, milliseconds(5000), std::chrono::hours(1),
             {.text = "For one attempt in all."});
  s.check(check_signer);
  return s;
}

}  // namespace

const SettingsSection<SignerSettings>& signer_section() {
  static const SettingsSection<SignerSettings> section = make_signer_section();
  return section;
}

void check_signers(const std::vector<SignerSettings>& signers, int line, SettingsErrors& errors) {
  std::set<std::string> seen;
  for (const SignerSettings& signer : signers) {
    if (!signer.certificate.empty() && !seen.insert(signer.certificate).second) {
      errors.add(line, "[[node.signer]] certificate: " + signer.certificate +
                           " has two signers; leave one");
    }
  }
}

}  // namespace larder::node
