#include "cli/cert_facts.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "certs/serving_set.h"
#include "cli/command.h"

namespace larder::cli {
namespace {

// Part of the contract with scripts: a number never changes its meaning.
struct CheckExit {
  certs::Check::Kind kind;
  int code;
  const char* meaning;
};
constexpr CheckExit kCheckExits[] = {
    {certs::Check::Kind::Form, 10, "no certificate in any form that can be read"},
    {certs::Check::Kind::PrivateKey, 11, "a private key was handed over"},
    {certs::Check::Kind::Password, 12, "the password is missing or wrong"},
    {certs::Check::Kind::HeldKey, 13, "not made for a key of this host"},
    {certs::Check::Kind::Expiry, 14, "expired"},
    {certs::Check::Kind::Start, 15, "not valid yet"},
    {certs::Check::Kind::Usage, 16, "not for servers"},
    {certs::Check::Kind::Authority, 17, "a CA's own certificate"},
    {certs::Check::Kind::Issuer, 18, "self-signed"},
    {certs::Check::Kind::Names, 19, "does not cover the names that clients connect to"},
    {certs::Check::Kind::Strength, 20, "key or signature too weak"},
    {certs::Check::Kind::Chain, 21, "clients would refuse the chain"},
    {certs::Check::Kind::Handshake, 22, "the test handshake failed"},
    {certs::Check::Kind::Revoked, 23, "recorded here as revoked"},
};

std::string_view name_of(certs::Check::Verdict verdict) {
  switch (verdict) {
    case certs::Check::Verdict::Passed:
      return "passed";
    case certs::Check::Verdict::Warning:
      return "warning";
    case certs::Check::Verdict::Failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace

nlohmann::json facts_of(const certs::CertificateFacts& certificate, base::WallTime now) {
  nlohmann::json history = nlohmann::json::array();
  for (const certs::Record::Entry& entry : certificate.history) {
    history.push_back({{"event", certs::name(entry.event)},
                       {"at", base::to_rfc3339(entry.at)},
                       {"reason", entry.reason}});
  }
  // The last thing that happened to it is why it is in its state, and since when.
  const nlohmann::json since = history.empty() ? nlohmann::json() : history.back()["at"];
  const nlohmann::json why = history.empty() ? nlohmann::json() : history.back()["reason"];
  const auto left = std::chrono::floor<std::chrono::days>(certificate.not_after - now);
  const auto kept_until = certs::kept_until(certificate);
  return {{"name", certificate.key_name},
          {"state", certs::name(certificate.state)},
          {"since", since},
          {"why", why},
          {"proven", certificate.proven},
          {"subject", certificate.subject},
          {"issuer", certificate.issuer},
          {"serial", certificate.serial},
          {"dns_names", certificate.dns_names},
          {"addresses", certificate.addresses},
          {"key", certificate.key_description},
          {"not_before", base::to_rfc3339(certificate.not_before)},
          {"not_after", base::to_rfc3339(certificate.not_after)},
          {"days_left", left.count()},
          {"kept_until", kept_until ? nlohmann::json(base::to_rfc3339(*kept_until)) : nullptr},
          {"sha256", certificate.id},
          {"sha1", certificate.sha1},
          {"path", certificate.path},
          {"history", std::move(history)}};
}

nlohmann::json facts_of(const certs::Inventory& inventory, base::WallTime now) {
  nlohmann::json certificates = nlohmann::json::array();
  nlohmann::json requests = nlohmann::json::array();
  for (const certs::KeyFacts& key : inventory.keys) {
    if (!key.request_path.empty()) {
      requests.push_back({{"name", key.name},
                          {"request", key.request_path},
                          {"subject", key.request_subject},
                          {"certificates", key.certificates.size()}});
    }
    for (const certs::CertificateFacts& certificate : key.certificates)
      certificates.push_back(facts_of(certificate, now));
  }
  return {{"disabled", inventory.disabled},
          {"certificates", std::move(certificates)},
          {"requests", std::move(requests)},
          {"damaged", inventory.damaged}};
}

nlohmann::json facts_of(const certs::ImportOutcome& outcome) {
  nlohmann::json checks = nlohmann::json::array();
  for (const certs::Check& check : outcome.report.checks) {
    checks.push_back({{"name", certs::name(check.kind)},
                      {"verdict", name_of(check.verdict)},
                      {"message", check.message}});
  }
  return {{"name", outcome.key_name},        {"sha256", outcome.id},
          {"active", outcome.active},        {"disabled", outcome.disabled},
          {"proven", outcome.report.proven}, {"passed", outcome.report.passed()},
          {"checks", std::move(checks)}};
}

int exit_code(certs::Check::Kind failed) {
  const auto* const entry = std::ranges::find(kCheckExits, failed, &CheckExit::kind);
  return entry == std::end(kCheckExits) ? kFailed : entry->code;
}

std::vector<std::pair<int, std::string>> check_exit_codes() {
  std::vector<std::pair<int, std::string>> codes;
  for (const CheckExit& entry : kCheckExits) codes.emplace_back(entry.code, entry.meaning);
  return codes;
}

std::string describe_import(const certs::ImportOutcome& outcome, bool dry_run) {
  const std::string which = outcome.key_name + " " + outcome.id.substr(0, 16);
  if (dry_run) return which + ": would be accepted; nothing was changed";
  if (outcome.disabled)
    return which + ": stored; HTTPS is disabled, `larder cert enable` serves it";
  return which + (outcome.report.proven ? ": active" : ": active, unproven");
}

nlohmann::json rows_of(nlohmann::json certificates) {
  for (nlohmann::json& each : certificates) {
    const std::string state = each["state"];
    const bool is_served = state == certs::name(certs::CertificateState::Active) ||
                           state == certs::name(certs::CertificateState::Disabled);
    if (is_served && !each["proven"].get<bool>()) each["state"] = state + ", unproven";
  }
  return certificates;
}

std::string describe_disabled(const certs::Inventory& inventory) {
  for (const certs::KeyFacts& key : inventory.keys) {
    if (std::ranges::find(key.certificates, certs::CertificateState::Disabled,
                          &certs::CertificateFacts::state) != key.certificates.end()) {
      return "HTTPS is disabled; `larder cert enable` serves it again.";
    }
  }
  return "HTTPS is disabled, and no certificate is there to serve: `larder cert import` one, then "
         "run `larder cert enable`.";
}

std::string describe_missing(const certs::Inventory& inventory, base::WallTime now) {
  bool is_missing = false;
  for (const certs::KeyFacts& key : inventory.keys) {
    for (const certs::CertificateFacts& each : key.certificates) {
      if (each.state == certs::CertificateState::Active) return {};
      is_missing = true;
    }
  }
  if (!is_missing || inventory.disabled) return {};
  const bool has_earlier = certs::choose_earlier(inventory, "", now) != nullptr;
  return std::string(
             "No certificate is active: unless the site's is in use, HTTPS connections end with an "
             "alert. ") +
         (has_earlier
              ? "`larder cert rollback` serves the one before, `larder cert import` a new one."
              : "`larder cert import` serves a new one.");
}

}  // namespace larder::cli
