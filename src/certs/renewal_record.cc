#include "certs/renewal_record.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "certs/certificate_folder.h"

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::int64_t kFormat = 1;  // stored on disk
constexpr std::int64_t kFailuresLimit = 1'000'000;
constexpr std::int64_t kWaitLimit = 7 * 24 * 3600;  // seconds
constexpr std::size_t kReasonLimit = 1000;          // bytes

std::string path_of(const std::string& folder, std::string_view key_name) {
  return folder + "/" + std::string(key_name) + "/renewal.json";
}

Result<std::int64_t> bounded(const Json& json, const char* name, std::int64_t limit) {
  auto number = base::json_integer(json, name);
  if (number && (*number < 0 || *number > limit)) {
    return fail(ErrorCode::InvalidArgument, "\"" + std::string(name) + "\" is out of bounds");
  }
  return number;
}

// One that cannot be read is none: the signer is asked again.
std::optional<RenewalRecord::Advice> advice_of(const Json& json) {
  const auto found = json.find("advice");
  if (found == json.end() || !found->is_object()) return std::nullopt;
  auto certificate = base::json_string(*found, "certificate");
  const auto look_again = base::json_time(*found, "look_again");
  if (!certificate || !look_again) return std::nullopt;
  RenewalRecord::Advice advice{
      .certificate = std::move(*certificate), .window = {}, .look_again = *look_again};
  const auto start = base::json_time(*found, "start");
  const auto end = base::json_time(*found, "end");
  if (start && end && *start < *end) advice.window = {.start = *start, .end = *end};
  return advice;
}

Json json_of(const RenewalRecord::Advice& advice) {
  Json json = {{"certificate", advice.certificate},
               {"look_again", base::to_rfc3339(advice.look_again)}};
  if (advice.window) {
    json["start"] = base::to_rfc3339(advice.window->start);
    json["end"] = base::to_rfc3339(advice.window->end);
  }
  return json;
}

}  // namespace

Result<RenewalRecord> parse_renewal_record(std::string_view text) {
  const auto json = base::parse_json_of_format(text, kFormat);
  if (!json) return std::unexpected(json.error());
  auto signer = base::json_string(*json, "signer");
  if (!signer) return std::unexpected(signer.error());
  const auto failures = bounded(*json, "failures", kFailuresLimit);
  if (!failures) return std::unexpected(failures.error());
  const auto wait = bounded(*json, "asked_to_wait", kWaitLimit);
  if (!wait) return std::unexpected(wait.error());
  auto reason = base::json_string_or(*json, "reason", "");
  if (!reason) return std::unexpected(reason.error());
  const auto next = base::json_time(*json, "next");
  if (!next) return std::unexpected(next.error());
  const auto last_text = base::json_string_or(*json, "last", "");
  if (!last_text) return std::unexpected(last_text.error());
  const auto running = base::json_flag(*json, "running");
  if (!running) return std::unexpected(running.error());

  RenewalRecord record{.signer = std::move(*signer),
                       .attempts = {},
                       .reason = {},
                       .next = *next,
                       .advice = advice_of(*json)};
  record.is_running = *running;
  record.reason = std::move(*reason);
  record.attempts.failures = static_cast<unsigned>(*failures);
  record.attempts.asked_to_wait = std::chrono::seconds(*wait);
  if (!last_text->empty()) {
    const auto last = base::parse_rfc3339(*last_text);
    if (!last) return std::unexpected(last.error());
    record.attempts.last = *last;
  }
  return record;
}

std::string print(const RenewalRecord& record) {
  Json json = {
      {"format", kFormat},
      {"signer", record.signer},
      {"failures", std::min<std::int64_t>(record.attempts.failures, kFailuresLimit)},
      {"last", record.attempts.last ? base::to_rfc3339(*record.attempts.last) : ""},
      {"asked_to_wait", std::min<std::int64_t>(record.attempts.asked_to_wait.count(), kWaitLimit)},
      {"reason", record.reason.substr(0, kReasonLimit)},
      {"next", base::to_rfc3339(record.next)}};
  if (record.is_running) json["running"] = true;
  if (record.advice) json["advice"] = json_of(*record.advice);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<RenewalRecord> read_renewal_record(const std::string& certificates_folder,
                                          std::string_view key_name) {
  const std::string path = path_of(certificates_folder, key_name);
  if (!file_exists(path)) return fail(ErrorCode::NotFound, "no renewal was tried yet");
  const auto text = base::read_file(path, kSmallFileLimit);
  if (!text) return std::unexpected(text.error());
  auto record = parse_renewal_record(*text);
  if (!record) return base::with_context(path, record.error());
  return record;
}

base::Status write_renewal_record(const std::string& certificates_folder, std::string_view key_name,
                                  const RenewalRecord& record) {
  return base::write_file_atomically(path_of(certificates_folder, key_name), print(record),
                                     kFileMode);
}

}  // namespace larder::certs
