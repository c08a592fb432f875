#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "certs/certificate_store.h"
#include "cli/cert_facts.h"
#include "cli/cert_host.h"
#include "cli/cert_renewal.h"
#include "cli/cert_watch.h"
#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/input_file.h"
#include "cli/output.h"
#include "cli/secret_input.h"

namespace larder::cli {
namespace {

using base::Result;

constexpr std::uint64_t kImportLimit = 1 << 20;  // bytes of a certificate file

struct CertOptions : CommonOptions {
  std::string name = "default";
  std::string algorithm = "ec";
  std::string size_or_curve;
  std::string common_name;
  std::string country;
  std::string state;
  std::string organization;
  std::vector<std::string> dns;
  std::vector<std::string> addresses;
  std::vector<std::string> uris;
  std::vector<std::string> emails;
  std::vector<std::string> registered_ids;
  std::vector<std::string> directory_names;
  std::vector<std::string> other_names;
  std::string file;
  std::string id;
  std::string reason;
  std::string password_file;
  bool partial = false;
  bool revoked = false;
  bool dry_run = false;
};

int request(const CertOptions& options) {
  const char* const what = "cannot make a certificate request";
  const auto algorithm = crypto::parse_key_algorithm(options.algorithm, options.size_or_curve);
  if (!algorithm) {
    report(algorithm.error(), what);
    return kWrongUsage;
  }
  auto host = open_host(options.config);
  if (!host) return report(host.error(), what);
  certs::RequestOptions wanted;
  wanted.key_name = options.name;
  wanted.algorithm = *algorithm;
  wanted.subject = {options.common_name, options.country, options.state, options.organization};
  wanted.names.dns = options.dns;
  wanted.names.addresses = options.addresses;
  wanted.names.uris = options.uris;
  wanted.names.emails = options.emails;
  wanted.names.registered_ids = options.registered_ids;
  wanted.names.directory_names = options.directory_names;
  wanted.names.other_names = options.other_names;
  const base::SystemClock clock;
  const auto made = host->store.make_request(wanted, clock.wall());
  if (!made) {
    const bool exists = made.error().code == base::ErrorCode::AlreadyExists;
    const int code = report_files(
        *host, made.error(), what,
        exists ? "have the request that is there signed again, or choose another --name" : "");
    return made.error().code == base::ErrorCode::InvalidArgument ? kWrongUsage : code;
  }
  if (options.json) {
    print_json({{"name", options.name}, {"request", made->path}, {"warnings", made->warnings}});
    return kOk;
  }
  for (const std::string& warning : made->warnings) print_line("warning: " + warning);
  print_line("Have this signed, then `larder cert import FILE`:");
  print_line(made->path);
  return kOk;
}

void print_warnings(const certs::ImportOutcome& outcome) {
  for (const certs::Check& check : outcome.report.checks) {
    if (check.verdict == certs::Check::Verdict::Warning)
      print_line("warning: " + printable(check.message));
  }
}

// What the checks found, and for a change, that the node takes it over.
int finish(const Host& host, const certs::ImportOutcome& outcome, const CertOptions& options,
           const std::string& what) {
  const certs::Check* const failure = outcome.report.first_failure();
  if (failure == nullptr && !options.dry_run) {
    if (const int told = tell_node(host, options.json, "the certificate"); told != kOk) return told;
  }
  if (options.json) {
    print_json(facts_of(outcome));
  } else {
    print_warnings(outcome);
    if (failure == nullptr) {
      print_line(describe_import(outcome, options.dry_run));
    } else {
      report({base::ErrorCode::InvalidArgument, outcome.report.failures()}, what,
             "nothing was changed");
    }
  }
  return failure == nullptr ? kOk : exit_code(failure->kind);
}

// What is known of the password before root becomes the node's user.
Result<std::string> read_password(const CertOptions& options) {
  if (options.password_file.empty()) return std::string();
  return read_secret(options.password_file, "");
}

int import(const CertOptions& options) {
  const std::string what =
      "cannot import " + (options.file == "-" ? "standard input" : printable(options.file));
  if (options.file == "-" && options.password_file == "-") {
    report({base::ErrorCode::InvalidArgument,
            "standard input cannot be both the certificate and its password"},
           what, "give one of them as a file");
    return kWrongUsage;
  }
  // Before root becomes the node's user, who need not be able to read it.
  const auto content = read_input(options.file, kImportLimit);
  if (!content && content.error().code == base::ErrorCode::ResourceExhausted) {
    report(content.error(), what, "a certificate file is smaller");
    return exit_code(certs::Check::Kind::Form);
  }
  if (!content) return report(content.error(), what);
  const auto password = read_password(options);
  if (!password) return report(password.error(), what);
  auto host = open_host(options.config);
  if (!host) return report(host.error(), what);
  const base::SystemClock clock;
  const auto outcome = host->store.import_certificate(
      *content, {.password = *password, .partial = options.partial, .dry_run = options.dry_run},
      clock.wall());
  if (!outcome) return report_files(*host, outcome.error(), what);
  return finish(*host, *outcome, options, what);
}

int rollback(const CertOptions& options) {
  const char* const what = "cannot go back";
  auto host = open_host(options.config);
  if (!host) return report(host.error(), what);
  const base::SystemClock clock;
  const auto outcome = host->store.rollback(options.name, clock.wall());
  if (!outcome) return report_files(*host, outcome.error(), what);
  return finish(*host, *outcome, options, what);
}

// Certificates that are to be served, and cannot be: the next start would show it.
struct Unusable {
  std::string id;
  std::string text;
};
std::vector<Unusable> unusable(const certs::CertificateStore& store) {
  std::vector<Unusable> found;
  const auto active = store.load_active();
  if (!active) return found;
  for (const certs::ActiveState::Damage& damage : active->damaged) {
    const std::string& id = damage.choice.certificate_id;
    found.push_back({id, damage.choice.key_name + " " + id.substr(0, 16) +
                             " cannot be served: " + damage.error.message});
  }
  return found;
}

void add_unusable(const certs::CertificateStore& store, certs::Inventory& inventory) {
  for (Unusable& each : unusable(store)) {
    const bool is_told = std::ranges::any_of(
        inventory.damaged, [&](const std::string& text) { return text.contains(each.id); });
    if (!is_told) inventory.damaged.push_back(std::move(each.text));
  }
}

// Nobody should find out by a client.
void print_missing(const certs::Inventory& inventory, base::WallTime now) {
  if (const std::string text = describe_missing(inventory, now); !text.empty()) print_line(text);
}

int list(const CertOptions& options) {
  auto host = open_host(options.config);
  if (!host) return report(host.error(), "cannot list certificates");
  auto inventory = host->store.list();
  std::optional<base::Error> unknown;  // why it is not known what is served
  if (!inventory) {
    unknown = inventory.error();
    inventory = certs::read_inventory_without_choice(certs::CertificateFolder(host->folder, {}));
  }
  if (!inventory) return report_files(*host, *unknown, "cannot list certificates");
  add_unusable(host->store, *inventory);
  const base::SystemClock clock;
  nlohmann::json facts = facts_of(*inventory, clock.wall());
  facts["renewals"] = renewal_facts(host->folder, host->signed_names);
  facts["watch"] = watch_facts(host->socket);
  facts["error"] = unknown ? nlohmann::json(unknown->message) : nlohmann::json();
  const auto finish_list = [&] {
    if (unknown) {
      return report_files(*host, *unknown, "it cannot be read which certificates are to be served",
                          "a node that runs goes on with those that it has; mend this before it "
                          "is started anew");
    }
    if (inventory->damaged.empty() || !is_of_another_user(*host)) return kOk;
    return report_files(*host, {base::ErrorCode::PermissionDenied, "not everything can be read"},
                        "the list is not complete");
  };
  if (options.json) {
    print_json(facts);
    return finish_list();
  }
  print_table({{"NAME", "name"},
               {"STATE", "state"},
               {"SINCE", "since"},
               {"WHY", "why"},
               {"DOMAIN", "dns_names"},
               {"ADDRESSES", "addresses"},
               {"ISSUER", "issuer"},
               {"KEY", "key"},
               {"NOT BEFORE", "not_before"},
               {"NOT AFTER", "not_after"},
               {"DAYS", "days_left"},
               {"SHA-1", "sha1"},
               {"SHA-256", "sha256"}},
              rows_of(facts["certificates"]), "certificates");
  for (const auto& open : facts["requests"]) {
    if (open["certificates"] == 0)
      print_line("waits for its certificate: " + printable(open["request"].get<std::string>()));
  }
  for (const auto& renewal : facts["renewals"]) print_line(describe_renewal(renewal));
  if (inventory->disabled) print_line(describe_disabled(*inventory));
  if (!unknown) print_missing(*inventory, clock.wall());
  for (const std::string& damaged : inventory->damaged)
    print_line("damaged: " + printable(damaged));
  print_watch(facts["watch"]);
  return finish_list();
}

// The certificate with that id, else of those that are or would be served the one imported last.
Result<certs::CertificateFacts> find(const certs::CertificateStore& store, const std::string& id) {
  if (!id.empty()) return store.show(id);
  const auto inventory = store.list();
  if (!inventory) return std::unexpected(inventory.error());
  const certs::CertificateFacts* const latest = certs::last_imported(*inventory);
  if (latest != nullptr) return *latest;
  return base::fail(base::ErrorCode::NotFound, "no certificate is active");
}

int show(const CertOptions& options) {
  auto host = open_host(options.config);
  if (!host) return report(host.error(), "cannot show the certificate");
  const auto certificate = find(host->store, options.id);
  if (!certificate)
    return report_files(*host, certificate.error(), "cannot show the certificate",
                        "`larder cert list` shows all");
  const base::SystemClock clock;
  nlohmann::json facts = facts_of(*certificate, clock.wall());
  if (options.json) {
    print_json(facts);
    return kOk;
  }
  print_facts({{"Name", "name"},
               {"State", "state"},
               {"Proved by a handshake", "proven"},
               {"Subject", "subject"},
               {"Issuer", "issuer"},
               {"Domain names", "dns_names"},
               {"Addresses", "addresses"},
               {"Key", "key"},
               {"Valid from", "not_before"},
               {"Valid until", "not_after"},
               {"Days left", "days_left"},
               {"Kept until", "kept_until"},
               {"Thumbprint (SHA-1)", "sha1"},
               {"Thumbprint (SHA-256)", "sha256"},
               {"File", "path"}},
              facts);
  for (const auto& entry : facts["history"]) {
    print_line(entry["at"].get<std::string>() + "  " + entry["event"].get<std::string>() + "  " +
               printable(entry["reason"].get<std::string>()));
  }
  return kOk;
}

// A change that only names what it is about.
int change(const CertOptions& options, const char* verb,
           const std::function<base::Status(certs::CertificateStore&, base::WallTime)>& apply,
           const std::string& done, const std::string& done_without_certificate = {}) {
  const std::string what = std::string("cannot ") + verb;
  auto host = open_host(options.config);
  if (!host) return report(host.error(), what);
  const base::SystemClock clock;
  if (auto status = apply(host->store, clock.wall()); !status)
    return report_files(*host, status.error(), what);
  if (const int code = tell_node(*host, options.json, "the change"); code != kOk) return code;
  const std::vector<Unusable> left_out = unusable(host->store);
  if (options.json) {
    nlohmann::json facts{{"done", verb}, {"damaged", nlohmann::json::array()}};
    for (const Unusable& each : left_out) facts["damaged"].push_back(each.text);
    print_json(facts);
  } else {
    const auto left = host->store.list();
    const bool is_missing = left && !describe_missing(*left, clock.wall()).empty();
    print_line(is_missing && !done_without_certificate.empty() ? done_without_certificate : done);
    for (const Unusable& each : left_out) print_line("damaged: " + printable(each.text));
    if (left) print_missing(*left, clock.wall());
  }
  return kOk;
}

int disable(const CertOptions& options) {
  return change(
      options, "disable",
      [&](certs::CertificateStore& store, base::WallTime now) {
        return store.disable(options.reason.empty() ? "by command" : options.reason, now);
      },
      "HTTPS is disabled; key, request and certificates are kept.");
}

int enable(const CertOptions& options) {
  return change(
      options, "enable",
      [](certs::CertificateStore& store, base::WallTime now) { return store.enable(now); },
      "HTTPS is enabled.", "HTTPS is not disabled any more, but nothing serves it.");
}

int retire(const CertOptions& options) {
  return change(
      options, "retire",
      [&](certs::CertificateStore& store, base::WallTime now) {
        return store.retire(options.id, {.reason = options.reason, .revoked = options.revoked},
                            now);
      },
      "The certificate is retired.");
}

void add_renew(Command& cert) {
  auto options = std::make_shared<CertOptions>();
  options->name.clear();
  Command& command = cert.command(
      "renew",
      "Have the configured signer sign a certificate's request now, and serve the result.");
  add_common_options(command, *options)
      .positional("NAME", options->name, "Name of the key, as in [[node.signer]] certificate.")
      .example("larder cert renew delivery")
      .run([options] { return renew_certificate(options->config, options->name, options->json); });
}

int purge(const CertOptions& options) {
  const char* const what = "cannot purge certificates";
  auto host = open_host(options.config);
  if (!host) return report(host.error(), what);
  const base::SystemClock clock;
  const auto gone = host->store.purge(options.dry_run, clock.wall());
  if (!gone) return report_files(*host, gone.error(), what);
  nlohmann::json list = nlohmann::json::array();
  for (const certs::Purge& each : *gone) {
    list.push_back({{"name", each.key_name}, {"sha256", each.id}, {"with_key", each.with_key}});
  }
  if (options.json) {
    print_json({{"purged", list}, {"dry_run", options.dry_run}});
    return kOk;
  }
  for (const certs::Purge& each : *gone) {
    print_line((options.dry_run ? "would go: " : "purged: ") + each.key_name + " " + each.id +
               (each.with_key ? ", with its key" : ""));
  }
  if (gone->empty()) print_line("Every certificate is to be kept for now.");
  return kOk;
}

int audit(const CertOptions& options) {
  const char* const what = "cannot read the audit log";
  auto host = open_host(options.config);
  if (!host) return report(host.error(), what);
  const auto chain = host->store.audit();
  if (!chain) return report_files(*host, chain.error(), what);
  nlohmann::json entries = nlohmann::json::array();
  for (const certs::AuditEntry& entry : chain->entries) {
    entries.push_back({{"sequence", entry.sequence},
                       {"at", base::to_rfc3339(entry.at)},
                       {"event", entry.event},
                       {"subject", nlohmann::json::parse(entry.subject)},
                       {"digest", entry.digest}});
  }
  if (options.json) {
    print_json({{"entries", entries}, {"damage", chain->damage}});
  } else {
    print_table({{"AT", "at"}, {"EVENT", "event"}, {"SUBJECT", "subject"}, {"DIGEST", "digest"}},
                entries, "purges");
  }
  if (chain->damage.empty()) return kOk;
  return report({base::ErrorCode::DataLoss, chain->damage}, "the audit log was changed");
}

void add_request(Command& cert) {
  auto options = std::make_shared<CertOptions>();
  Command& command = cert.command(
      "request",
      "Make a key, which never leaves this machine, and a request (CSR) to have signed.");
  add_common_options(command, *options)
      .option("--name", options->name, "Name of the key here; default: default.")
      .option("--algorithm", options->algorithm,
              "ec (default), rsa, ed25519 or ed448; Windows and browsers cannot use the last two.")
      .option("--size-or-curve", options->size_or_curve,
              "rsa: 2048, 3072 or 4096; ec: P-256 or P-384.")
      .option("--common-name", options->common_name,
              "Subject: common name; default, without any subject: the first DNS name.")
      .option("--country", options->country, "Subject: country, two letters.")
      .option("--state", options->state, "Subject: state or province.")
      .option("--organization", options->organization, "Subject: organisation.")
      .options("--san-dns", options->dns, "DNS names; default: the node's connection_names.")
      .options("--san-ip", options->addresses, "Addresses.")
      .options("--san-uri", options->uris, "URIs.")
      .options("--san-email", options->emails, "E-mail addresses.")
      .options("--san-rid", options->registered_ids, "Registered ids: 1.2.3.4.")
      .lines("--san-dir-name", options->directory_names, "Directory name: CN=node1,O=Example.")
      .lines("--san-other-name", options->other_names, "Object id and text: 1.2.3.4;text.")
      .example(
          "larder cert request --name delivery --algorithm ec --common-name node1.example.org "
          "--san-dns node1.example.org")
      .run([options] { return request(*options); });
}

void add_import(Command& cert) {
  auto options = std::make_shared<CertOptions>();
  Command& command = cert.command(
      "import",
      "Check a signed certificate and serve it from now on. It may come as PEM (leaf or chain, in "
      "any order), DER, base64, PKCS#7 or PKCS#12: what it is shows its content, not its name.");
  add_common_options(command, *options)
      .positional("CERTFILE", options->file, "The certificate; \"-\": standard input.")
      .flag("--dry-run", options->dry_run, "Only check; change nothing.")
      .flag("--partial", options->partial,
            "It need not cover all connection_names; other certificates do, or will.")
      .option("--password-file", options->password_file,
              "PKCS#12: file with its password; \"-\": standard input. A key inside is never read.")
      .example("larder cert import node1.pem --dry-run")
      .example("larder cert import node1.pfx --password-file node1.password")
      .exit_codes(check_exit_codes())
      .run([options] { return import(*options); });
}

Command& add_simple(Command& cert, const char* verb, const char* text, const char* example,
                    const std::shared_ptr<CertOptions>& options,
                    int (*function)(const CertOptions&)) {
  return add_common_options(cert.command(verb, text), *options)
      .example(example)
      .run([options, function] { return function(*options); });
}

}  // namespace

void add_cert_commands(Command& root) {
  Command& cert = root.command("cert", "Certificates of this node, from request to retirement.");
  add_request(cert);
  add_import(cert);
  add_renew(cert);
  {
    auto options = std::make_shared<CertOptions>();
    options->name.clear();
    add_simple(cert, "rollback",
               "Serve the certificate again that was served before; a second time comes back.",
               "larder cert rollback", options, rollback)
        .option("--name", options->name, "Of this key; default: the last that was replaced.")
        .exit_codes(check_exit_codes());
  }
  add_simple(cert, "list", "Show all certificates with domain, issuer, dates and thumbprint.",
             "larder cert list", std::make_shared<CertOptions>(), list);
  {
    auto options = std::make_shared<CertOptions>();
    add_simple(cert, "show", "Show one certificate; without an id the active one imported last.",
               "larder cert show --json", options, show)
        .positional("ID", options->id, "First 8 or more digits of its SHA-256 or SHA-1.",
                    Need::Optional);
  }
  {
    auto options = std::make_shared<CertOptions>();
    add_simple(cert, "disable", "End HTTPS at once; nothing is deleted.",
               "larder cert disable --reason \"moving to another CA\"", options, disable)
        .option("--reason", options->reason, "Why, for the records.");
  }
  add_simple(cert, "enable", "Serve HTTPS again after `disable`.", "larder cert enable",
             std::make_shared<CertOptions>(), enable);
  {
    auto options = std::make_shared<CertOptions>();
    add_simple(cert, "retire", "Put a certificate away; it is not served any more.",
               "larder cert retire 3f9a17c2 --reason \"the host moved\"", options, retire)
        .positional("ID", options->id, "First 8 or more digits of its SHA-256 or SHA-1.")
        .option("--reason", options->reason, "Why, for the records.")
        .flag("--revoked", options->revoked,
              "Its CA has revoked it: it is kept 18 months from now instead of from its end.");
  }
  {
    auto options = std::make_shared<CertOptions>();
    add_simple(cert, "purge",
               "Delete certificates that were kept for 18 months after their use; the running node "
               "does so daily.",
               "larder cert purge --dry-run", options, purge)
        .flag("--dry-run", options->dry_run, "Only say what would go.");
  }
  add_simple(
      cert, "audit",
      "Show what was purged, and check the record: a line changed or taken out before the last "
      "is found. Its end proves nothing by itself: compare the last digest with the event log.",
      "larder cert audit", std::make_shared<CertOptions>(), audit);
}

}  // namespace larder::cli
