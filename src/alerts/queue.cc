#include "alerts/queue.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"

namespace larder::alerts {

using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::uint64_t kFileLimit = 1 << 20;
constexpr int kFormat = 2;
constexpr int kCertificatesOnly = 1;  // an older format
constexpr std::chrono::seconds kFirstPause{2};
constexpr std::chrono::seconds kLongestPause{3600};
constexpr const char* kNoTexts = ": texts are missing";

Result<std::map<std::string, std::string>> parse_texts(const Json& object, const char* name) {
  std::map<std::string, std::string> texts;
  if (!object.is_object())
    return base::fail(ErrorCode::InvalidArgument, std::string(name) + kNoTexts);
  for (const auto& [member, text] : object.items()) {
    if (!text.is_string())
      return base::fail(ErrorCode::InvalidArgument, std::string(name) + kNoTexts);
    texts.emplace(member, text.get<std::string>());
  }
  return texts;
}

Result<Alert> parse_alert(const Json& json, std::int64_t format) {
  Alert alert;
  for (const auto& [name, target] : {std::pair{"id", &alert.id}, std::pair{"kind", &alert.kind},
                                     std::pair{"text", &alert.text}}) {
    auto value = base::json_string(json, name);
    if (!value) return std::unexpected(value.error());
    *target = std::move(*value);
  }
  for (const auto& [name, target] :
       {std::pair{"at", &alert.at}, std::pair{"next_attempt", &alert.next_attempt}}) {
    const auto text = base::json_string(json, name);
    const auto time =
        text ? base::parse_rfc3339(*text) : Result<base::WallTime>(std::unexpected(text.error()));
    if (!time) return std::unexpected(time.error());
    *target = *time;
  }
  const auto attempts = base::json_integer(json, "attempts");
  if (!attempts) return std::unexpected(attempts.error());
  alert.attempts = static_cast<unsigned>(std::clamp<std::int64_t>(*attempts, 0, 1000));
  if (format == kCertificatesOnly) {
    auto certificate = base::json_string(json, "certificate");
    if (!certificate) return std::unexpected(certificate.error());
    alert.about = {{"certificate", std::move(*certificate)}};
    return alert;
  }
  auto about = parse_texts(json.value("about", Json::object()), "about");
  if (!about) return std::unexpected(about.error());
  alert.about = std::move(*about);
  return alert;
}

// As format 1 wrote it.
base::Status read_certificates_only(const Json& json, AlertQueue& queue) {
  for (const auto& [id, stage] : json.value("told", Json::object()).items()) {
    if (!stage.is_number_integer())
      return base::fail(ErrorCode::InvalidArgument, "told: a whole number is missing");
    queue.told["certificate-expiry"][id] = std::to_string(stage.get<int>());
  }
  for (const Json& id : json.value("revoked", Json::array())) {
    if (!id.is_string())
      return base::fail(ErrorCode::InvalidArgument, "revoked: a text is missing");
    queue.told["certificate-revoked"][id.get<std::string>()] = "";
  }
  return {};
}

base::Status read_told(const Json& json, AlertQueue& queue) {
  const Json sources = json.value("told", Json::object());
  if (!sources.is_object()) return base::fail(ErrorCode::InvalidArgument, "told is no object");
  for (const auto& [source, of_source] : sources.items()) {
    auto told = parse_texts(of_source, "told");
    if (!told) return std::unexpected(told.error());
    queue.told.insert_or_assign(source, std::move(*told));
  }
  return {};
}

}  // namespace

std::chrono::seconds retry_pause(unsigned attempts) {
  return attempts >= 11 ? kLongestPause : std::min(kLongestPause, kFirstPause * (1 << attempts));
}

Result<AlertQueue> AlertQueue::open(std::string path) {
  AlertQueue queue(std::move(path));
  const auto text = base::read_file(queue.path_, kFileLimit);
  if (!text) {
    if (text.error().code == ErrorCode::NotFound) return queue;
    return std::unexpected(text.error());
  }
  const auto damaged = [&](const std::string& why) {
    return base::fail(ErrorCode::DataLoss, queue.path_ + ": " + why);
  };
  const auto json = base::parse_json(*text);
  if (!json) return damaged(json.error().message);
  const auto format = base::json_integer(*json, "format");
  if (!format || (*format != kFormat && *format != kCertificatesOnly)) {
    return damaged("is of another version");
  }
  const base::Status told =
      *format == kFormat ? read_told(*json, queue) : read_certificates_only(*json, queue);
  if (!told) return damaged(told.error().message);
  for (const Json& one : json->value("waiting", Json::array())) {
    auto alert = parse_alert(one, *format);
    if (!alert) return damaged(alert.error().message);
    if (queue.add(std::move(*alert))) return damaged("more alerts wait than can");
  }
  queue.saved_ = *text;
  return queue;
}

std::optional<Alert> AlertQueue::add(Alert alert) {
  std::optional<Alert> dropped;
  if (waiting_.size() >= kLimit) {
    dropped = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
  }
  waiting_.push_back(std::move(alert));
  return dropped;
}

const Alert* AlertQueue::due(base::WallTime now) const {
  // A clock that was set back must not silence what waits.
  const auto found = std::ranges::find_if(waiting_, [&](const Alert& alert) {
    return alert.next_attempt <= now || alert.next_attempt > now + kLongestPause;
  });
  return found == waiting_.end() ? nullptr : &*found;
}

void AlertQueue::delivered(const std::string& id) {
  std::erase_if(waiting_, [&](const Alert& alert) { return alert.id == id; });
}

bool AlertQueue::failed(const std::string& id, base::WallTime now) {
  const auto found = std::ranges::find(waiting_, id, &Alert::id);
  if (found == waiting_.end()) return false;
  found->next_attempt = now + retry_pause(found->attempts);
  ++found->attempts;
  if (found->attempts < kAttemptsLimit) return true;
  waiting_.erase(found);
  return false;
}

std::string AlertQueue::print() const {
  Json list = Json::array();
  for (const Alert& alert : waiting_) {
    list.push_back({{"id", alert.id},
                    {"at", base::to_rfc3339(alert.at)},
                    {"kind", alert.kind},
                    {"text", alert.text},
                    {"about", alert.about},
                    {"attempts", alert.attempts},
                    {"next_attempt", base::to_rfc3339(alert.next_attempt)}});
  }
  return Json{{"format", kFormat}, {"told", Json(told)}, {"waiting", std::move(list)}}.dump(
             2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

base::Status AlertQueue::save() {
  std::string text = print();
  if (text == saved_) return {};
  LARDER_TRY(base::write_file_atomically(path_, text, 0640));
  saved_ = std::move(text);
  return {};
}

}  // namespace larder::alerts
