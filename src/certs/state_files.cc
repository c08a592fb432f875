#include "certs/state_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;

namespace {

// Stored on disk.
constexpr std::int64_t kRecordFormat = 2;  // 1 had whole seconds; it is still read
constexpr std::int64_t kActiveFormat = 3;  // 2 had whole seconds, 1 a single certificate
constexpr std::size_t kHistoryLimit = 200;
constexpr std::size_t kIdLength = 64;

// Stored on disk: do not rename.
constexpr std::pair<Record::Event, const char*> kEvents[] = {
    {Record::Event::Imported, "imported"},       {Record::Event::Activated, "activated"},
    {Record::Event::Deactivated, "deactivated"}, {Record::Event::Retired, "retired"},
    {Record::Event::Revoked, "revoked"},
};

Result<Json> parse_versioned(std::string_view text, std::int64_t newest) {
  auto json = base::parse_json(text);
  if (!json) return std::unexpected(json.error());
  const auto format = base::json_integer(*json, "format");
  if (!format) return std::unexpected(format.error());
  if (*format < 1 || *format > newest) {
    return fail(ErrorCode::FailedPrecondition, "the file has format " + std::to_string(*format) +
                                                   ", this program reads formats to " +
                                                   std::to_string(newest));
  }
  return json;
}

Result<base::WallTime> time_member(const Json& object, const char* name) {
  const auto text = base::json_string(object, name);
  if (!text) return std::unexpected(text.error());
  return base::parse_rfc3339(*text);
}

// Ids become file names.
Result<std::string> id_member(const Json& object, const char* name) {
  auto id = base::json_string(object, name);
  if (!id) return id;
  const bool is_hex = id->size() == kIdLength && std::ranges::all_of(*id, [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                      });
  if (!is_hex) return fail(ErrorCode::InvalidArgument, "a certificate id is malformed");
  return id;
}

Result<ActiveFile::Choice> parse_choice(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::InvalidArgument, "\"active\" holds no object");
  auto key_name = base::json_string(json, "key");
  if (!key_name) return std::unexpected(key_name.error());
  LARDER_TRY(check_key_name(*key_name));
  auto id = id_member(json, "certificate");
  if (!id) return std::unexpected(id.error());
  const auto proven = json.find("proven");
  if (proven == json.end() || !proven->is_boolean()) {
    return fail(ErrorCode::InvalidArgument, "\"proven\" must be true or false");
  }
  return ActiveFile::Choice{.key_name = std::move(*key_name),
                            .certificate_id = std::move(*id),
                            .proven = proven->get<bool>()};
}

Result<Record::Entry> parse_entry(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::InvalidArgument, "an event is no object");
  const auto event = base::json_string(json, "event");
  if (!event) return std::unexpected(event.error());
  const auto* const known =
      std::ranges::find_if(kEvents, [&](const auto& entry) { return *event == entry.second; });
  if (known == std::end(kEvents)) return fail(ErrorCode::InvalidArgument, "an event is unknown");
  const auto at = time_member(json, "at");
  if (!at) return std::unexpected(at.error());
  auto reason = base::json_string_or(json, "reason", "");
  if (!reason) return std::unexpected(reason.error());
  return Record::Entry{.event = known->first, .at = *at, .reason = std::move(*reason)};
}

std::string print_json(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

const ActiveFile::Choice* ActiveFile::find(std::string_view certificate_id) const {
  const auto found = std::ranges::find(choices, certificate_id, &Choice::certificate_id);
  return found == choices.end() ? nullptr : &*found;
}

Result<ActiveFile> parse_active_file(std::string_view text) {
  const auto json = parse_versioned(text, kActiveFormat);
  if (!json) return std::unexpected(json.error());
  ActiveFile file;
  const auto disabled = json->find("disabled");
  if (disabled == json->end() || !disabled->is_boolean()) {
    return fail(ErrorCode::InvalidArgument, "\"disabled\" must be true or false");
  }
  file.disabled = disabled->get<bool>();
  const auto changed_at = time_member(*json, "changed_at");
  if (!changed_at) return std::unexpected(changed_at.error());
  file.changed_at = *changed_at;
  auto reason = base::json_string_or(*json, "reason", "");
  if (!reason) return std::unexpected(reason.error());
  file.reason = std::move(*reason);
  const auto active = json->find("active");
  if (active == json->end() || active->is_null()) return file;
  const Json list = active->is_array() ? *active : Json::array({*active});
  if (list.size() > kServedLimit) {
    return fail(ErrorCode::InvalidArgument, "\"active\" has more than 16 certificates");
  }
  for (const Json& item : list) {
    auto choice = parse_choice(item);
    if (!choice) return std::unexpected(choice.error());
    file.choices.push_back(std::move(*choice));
  }
  return file;
}

std::string print(const ActiveFile& file) {
  Json active = Json::array();
  for (const ActiveFile::Choice& choice : file.choices) {
    active.push_back({{"key", choice.key_name},
                      {"certificate", choice.certificate_id},
                      {"proven", choice.proven}});
  }
  return print_json({{"format", kActiveFormat},
                     {"disabled", file.disabled},
                     {"changed_at", base::to_rfc3339_exact(file.changed_at)},
                     {"reason", file.reason},
                     {"active", std::move(active)}});
}

void Record::add(Event event, base::WallTime at, std::string reason) {
  if (history.size() >= kHistoryLimit) {
    // Neither when it came nor that it is revoked is forgotten.
    const auto oldest = std::find_if(history.begin() + 1, history.end(), [](const Entry& entry) {
      return entry.event != Event::Revoked;
    });
    history.erase(oldest != history.end() ? oldest : history.begin() + 1);
  }
  history.push_back({.event = event, .at = at, .reason = std::move(reason)});
}

bool Record::is_active() const {
  for (auto entry = history.rbegin(); entry != history.rend(); ++entry) {
    if (entry->event == Event::Activated) return true;
    if (entry->event == Event::Deactivated) return false;
  }
  return false;
}

bool Record::is_put_away() const {
  for (auto entry = history.rbegin(); entry != history.rend(); ++entry) {
    if (entry->event == Event::Retired) return true;
    if (entry->event == Event::Activated || entry->event == Event::Imported) return false;
  }
  return false;
}

std::string_view name(Record::Event event) {
  const auto* const known = std::ranges::find_if(
      kEvents, [&](const auto& candidate) { return candidate.first == event; });
  return known->second;
}

Result<Record> parse_record(std::string_view text) {
  const auto json = parse_versioned(text, kRecordFormat);
  if (!json) return std::unexpected(json.error());
  Record record;
  auto id = id_member(*json, "certificate");
  if (!id) return std::unexpected(id.error());
  record.certificate_id = std::move(*id);
  const auto history = json->find("history");
  if (history == json->end() || !history->is_array() || history->empty() ||
      history->size() > kHistoryLimit) {
    return fail(ErrorCode::InvalidArgument, "\"history\" must be a list of 1 to 200 events");
  }
  for (const Json& item : *history) {
    auto entry = parse_entry(item);
    if (!entry) return std::unexpected(entry.error());
    record.history.push_back(std::move(*entry));
  }
  return record;
}

std::string print(const Record& record) {
  Json history = Json::array();
  for (const Record::Entry& entry : record.history) {
    history.push_back({{"event", name(entry.event)},
                       {"at", base::to_rfc3339_exact(entry.at)},
                       {"reason", entry.reason}});
  }
  return print_json({{"format", kRecordFormat},
                     {"certificate", record.certificate_id},
                     {"history", std::move(history)}});
}

Status check_key_name(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool fits = !name.empty() && name.size() <= 64 && is_plain(name.front()) &&
                    std::ranges::all_of(name, [&](char c) {
                      return is_plain(c) || c == '.' || c == '_' || c == '-';
                    });
  if (fits) return {};
  return fail(ErrorCode::InvalidArgument,
              "the name of a key has 1 to 64 lower-case letters, digits, '.', '_' or '-' and "
              "begins with a letter or digit");
}

}  // namespace larder::certs
