#include "node/signer_settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "base/file.h"
#include "certs/certificate_folder.h"
#include "certs/state_files.h"
#include "signers/acme_messages.h"

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

Result<std::string> parse_directory(std::string_view text) {
  if (signers::is_acme_url(text)) return std::string(text);
  return base::fail(base::ErrorCode::InvalidArgument,
                    "is no URL like \"https://acme.example.org/directory\"");
}

Result<std::string> parse_contact(std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
  if (text.starts_with("mailto:") && text.find('@') != std::string_view::npos && plain) {
    return std::string(text);
  }
  return base::fail(base::ErrorCode::InvalidArgument,
                    "is no contact like \"mailto:admin@example.org\"");
}

constexpr std::size_t kSocketPathLimit = 107;  // bytes, of the kernel's

void check_acme(const SignerSettings& signer, int line, SettingsErrors& errors) {
  const auto wrong = [&](const std::string& what) { errors.add(line, "[[node.signer]] " + what); };
  if (signer.directory.empty()) wrong("directory: missing; name the server's directory URL");
  if (signer.external_key_id.empty() != signer.external_key_file.empty()) {
    wrong("external_key_id, external_key_file: both or none");
  }
  if (!signer.command.empty() || !signer.socket.empty() || !signer.user.empty()) {
    wrong("command, socket, user: only for the type \"command\"");
  }
}

void check_signer(const SignerSettings& signer, int line, SettingsErrors& errors) {
  const auto wrong = [&](const std::string& what) { errors.add(line, "[[node.signer]] " + what); };
  if (signer.type == SignerType::Acme) return check_acme(signer, line, errors);
  if (!signer.directory.empty()) wrong("directory: only for the type \"acme\"");
  if (!signer.socket.empty()) {
    if (!signer.command.empty()) wrong("command, socket: one of them, not both");
    if (!signer.socket.starts_with('/') || signer.socket.size() > kSocketPathLimit) {
      wrong("socket: \"" + signer.socket + "\" is no absolute path of at most 107 bytes");
    }
  } else if (signer.command.empty()) {
    wrong("command, socket: both empty; name the program, or the socket of larder-signer.socket");
  } else if (!signer.command.front().starts_with('/')) {
    wrong("command: \"" + signer.command.front() + "\" is no absolute path");
  }
}

void add_acme(SettingsSection<SignerSettings>& s) {
  s.value("directory", &SignerSettings::directory, parse_directory, shown,
          {.text = "For \"acme\": URL of the server's directory. It is asked through `proxy` of "
                   "[node], unless `no_proxy` names its host.",
           .limits = "https URL"});
  s.choice<AcmeChallengeType>(
      "challenge", &SignerSettings::challenge,
      {{"http-01", AcmeChallengeType::Http01}, {"tls-alpn-01", AcmeChallengeType::TlsAlpn01}},
      {.text = "For \"acme\": how the server is shown that the names are this node's. http-01 is "
               "answered by `http_listen`, where the server comes to port 80; tls-alpn-01 by "
               "`https_listen`, where it comes to port 443."});
  s.boolean("accept_terms", &SignerSettings::accept_terms,
            {.text = "For \"acme\": you have read the server's terms of service and agree."});
  s.values("contact", &SignerSettings::contact, parse_contact, shown,
           {.text = "For \"acme\": where the server may write to.", .limits = "mailto: URLs"});
  s.text("external_key_id", &SignerSettings::external_key_id,
         {.text = "For \"acme\": name of the key by which the server knows an account that you "
                  "have elsewhere (external account binding)."});
  s.text("external_key_file", &SignerSettings::external_key_file,
         {.text = "For \"acme\": file with that key, base64url in one line, readable by the node's "
                  "user alone."});
  s.text("ca_file", &SignerSettings::ca_file,
         {.text = "For \"acme\": PEM roots by which the server itself is verified; empty: the "
                  "system's store."});
  s.text("preferred_chain", &SignerSettings::preferred_chain,
         {.text = "For \"acme\": common name of the issuer at the top of the chain, where the "
                  "server offers several; without a match its first one is taken."});
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
  s.choice<SignerType>("type", &SignerSettings::type,
                       {{"command", SignerType::Command}, {"acme", SignerType::Acme}},
                       {.text = "\"command\": a program of yours. \"acme\": a server that speaks "
                                "RFC 8555, Let's Encrypt for one, or an authority of your own.",
                        .required = true});
  s.texts(
      "command", &SignerSettings::command,
      {.text = "For \"command\": the program and its arguments; no shell reads them. The "
               "request (PEM) is on its standard input, the chain (PEM, leaf first) is expected "
               "on its standard output. Exit code 75 says: not yet, ask again later; 77: refused.",
       .limits = "an absolute path, then arguments"});
  s.text(
      "socket", &SignerSettings::socket,
      {.text = "For \"command\", in place of `command`: the unix socket behind which the program "
               "runs as a user of its own, as larder-signer.socket and larder-signer@.service "
               "of the package have it. That is how a node that is not root keeps its keys from "
               "the program.",
       .limits = "an absolute path, at most 107 bytes"});
  s.text("user", &SignerSettings::user,
         {.text = "For \"command\": the user that the program runs as. Only when the node runs as "
                  "root: another user cannot become one, and then nothing is run. Empty: the "
                  "node's user. With `socket`: the user that may listen there besides root, as "
                  "whom the service manager does."});
  s.duration("timeout", &SignerSettings::timeout, milliseconds(5000), std::chrono::hours(1),
             {.text = "For one attempt in all."});
  add_acme(s);
  s.check(check_signer);
  return s;
}

}  // namespace

const SettingsSection<SignerSettings>& signer_section() {
  static const SettingsSection<SignerSettings> section = make_signer_section();
  return section;
}

Result<std::string> read_external_key(const std::string& path) {
  constexpr std::uint64_t kKeyLimit = 1024;
  constexpr std::size_t kShortest = 16;  // bytes; RFC 2104 wants 32, servers know better
  const auto wrong = [&](base::ErrorCode code, const char* what) {
    return base::fail(code, "[[node.signer]] external_key_file: " + path + what);
  };
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
    return wrong(base::ErrorCode::PermissionDenied,
                 ": others may read or change it; chmod 0600 it");
  }
  const auto text = base::read_file(path, kKeyLimit);
  if (!text) return base::with_context("[[node.signer]] external_key_file", text.error());
  std::string_view line = *text;
  while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with('=')) line.remove_suffix(1);
  auto key = base::from_base64url(line);
  if (!key || key->size() < kShortest) {
    return wrong(base::ErrorCode::InvalidArgument, ": must be one line of base64url");
  }
  return key;
}

void check_signers(const std::vector<SignerSettings>& signers, int line, SettingsErrors& errors) {
  if (signers.size() > certs::kKeysLimit) {
    errors.add(line, "[[node.signer]]: more than 100 of them; a host has at most 100 keys");
  }
  std::set<std::string> seen;
  for (const SignerSettings& signer : signers) {
    if (!signer.certificate.empty() && !seen.insert(signer.certificate).second) {
      errors.add(line, "[[node.signer]] certificate: " + signer.certificate +
                           " has two signers; leave one");
    }
  }
}

}  // namespace larder::node
