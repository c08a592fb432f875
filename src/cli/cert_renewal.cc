#include "cli/cert_renewal.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "certs/renewal_record.h"
#include "cli/cert_host.h"
#include "cli/control.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

using base::Result;
using std::chrono::milliseconds;

constexpr milliseconds kPoll{200};
constexpr std::chrono::hours kLongestAttempt{2};  // above what a signer's `timeout` may be

// How the attempt with that number ended: empty when it succeeded.
Result<std::string> wait_for(Control& control, const std::string& key_name, std::int64_t number) {
  const auto deadline = std::chrono::steady_clock::now() + kLongestAttempt;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto answer = control.get("/api/v1/certificates/renewals");
    if (!answer) return std::unexpected(answer.error());
    const auto renewals = answer->value("renewals", nlohmann::json::array());
    const auto renewal = std::ranges::find_if(
        renewals, [&](const auto& each) { return each.value("name", "") == key_name; });
    if (renewal == renewals.end()) {
      return base::fail(base::ErrorCode::NotFound,
                        "its [[node.signer]] table has gone meanwhile, and the attempt with it");
    }
    if (renewal->value("finished", std::int64_t{0}) >= number) return renewal->value("error", "");
    std::this_thread::sleep_for(kPoll);
  }
  return base::fail(base::ErrorCode::DeadlineExceeded, "the attempt did not end");
}

}  // namespace

nlohmann::json renewal_facts(const std::string& certificates_folder,
                             const std::vector<std::string>& key_names) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& key_name : key_names) {
    nlohmann::json facts = {{"name", key_name}, {"failures", 0}, {"reason", ""}};
    const auto record = certs::read_renewal_record(certificates_folder, key_name);
    if (record) {
      facts["signer"] = record->signer;
      facts["failures"] = record->attempts.failures;
      facts["reason"] = record->reason;
      facts["running"] = record->is_running;
      // Not known while the first attempt runs.
      if (record->next != base::WallTime{}) facts["next"] = base::to_rfc3339(record->next);
      if (record->attempts.last) facts["last"] = base::to_rfc3339(*record->attempts.last);
    }
    list.push_back(std::move(facts));
  }
  return list;
}

std::string describe_renewal(const nlohmann::json& facts) {
  const std::string name = printable(facts.value("name", ""));
  const std::string next = facts.value("next", "");
  const std::string signer = printable(facts.value("signer", ""));
  if (facts.value("running", false)) {
    return name + ": is renewed by " + signer + " now, since " + facts.value("last", "");
  }
  if (next.empty()) return name + ": the node has not looked at its renewal yet";
  const auto failures = facts.value("failures", std::int64_t{0});
  const std::string reason = printable(facts.value("reason", ""));
  if (failures == 0 && !reason.empty())
    return name + ": is not renewed: " + reason + "; `larder cert renew " + name + "` does it";
  if (failures == 0) return name + ": is renewed by " + signer + " on " + next;
  return name + ": renewal failed " + std::to_string(failures) + " times, last on " +
         facts.value("last", "") + ": " + reason + "; tried again on " + next;
}

int renew_certificate(const std::string& config, const std::string& key_name, bool json) {
  const std::string what = "cannot renew " + printable(key_name);
  auto control = Control::open(Role::Node, config);
  if (!control) return report(control.error(), what);
  const auto asked = control->send("POST", "/api/v1/certificates/renew", {{"name", key_name}});
  if (!asked) return report(asked.error(), what, control_advice(Role::Node, asked.error(), config));
  const auto number = base::json_integer(*asked, "finished");
  if (!number) return report(number.error(), what);
  const auto outcome = wait_for(*control, key_name, *number);
  if (!outcome) return report(outcome.error(), what);
  if (!outcome->empty()) return report({base::ErrorCode::Unavailable, printable(*outcome)}, what);
  const auto host = open_host(config);
  const auto inventory = host ? host->store.list() : Result<certs::Inventory>(certs::Inventory{});
  const bool is_disabled = inventory && inventory->disabled;
  if (json) {
    print_json({{"name", key_name}, {"renewed", true}, {"disabled", is_disabled}});
  } else if (is_disabled) {
    print_line(printable(key_name) +
               ": renewed, but HTTPS is disabled; `larder cert enable` serves it");
  } else {
    print_line(printable(key_name) + ": renewed and in effect; `larder cert list` shows it");
  }
  return kOk;
}

}  // namespace larder::cli
