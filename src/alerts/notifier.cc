#include "alerts/notifier.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/random.h"

namespace larder::alerts {

namespace {

constexpr std::chrono::minutes kTick{1};
constexpr std::chrono::milliseconds kShortestPause{500};

AlertQueue open_queue(const std::string& path) {
  auto queue = AlertQueue::open(path);
  if (queue) return std::move(*queue);
  base::log_error("what was told to the administrator is not known and is told again",
                  {{"reason", queue.error().message}});
  return AlertQueue(path);
}

}  // namespace

std::string printable(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

Notifier::Notifier(NotifierSurroundings surroundings, const base::Clock& clock)
    : surroundings_(std::move(surroundings)),
      clock_(clock),
      queue_(open_queue(surroundings_.state_file)),
      worker_([this](const client::HttpExchange& direct) { return step(direct); }) {}

Told Notifier::told(std::string_view source) const {
  const std::lock_guard lock(mutex_);
  const auto found = queue_.told.find(source);
  return found == queue_.told.end() ? Told() : found->second;
}

void Notifier::tell(std::string_view source, Told told, std::vector<News> news) {
  const bool is_news = !news.empty();
  {
    const std::lock_guard lock(mutex_);
    queue_.told.insert_or_assign(std::string(source), std::move(told));
    add(std::move(news));
    save_if_possible();
  }
  if (is_news) worker_.wake();
}

void Notifier::tell(std::vector<News> news) {
  if (news.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    add(std::move(news));
    save_if_possible();
  }
  worker_.wake();
}

// Requires: mutex_.
void Notifier::add(std::vector<News> news) {
  const base::WallTime now = clock_.wall();
  const bool has_receiver = !news.empty() && !surroundings_.webhook().url.empty();
  for (News& each : news) {
    std::string text = printable(std::move(each.text));
    base::log_warning("alert: " + text, {{"kind", each.kind}});
    if (!has_receiver) continue;
    const std::optional<Alert> dropped = queue_.add({.id = base::make_uuid(now),
                                                     .at = now,
                                                     .kind = std::move(each.kind),
                                                     .text = std::move(text),
                                                     .about = std::move(each.about),
                                                     .attempts = 0,
                                                     .next_attempt = now});
    if (!dropped) continue;
    ++undelivered_;
    base::log_warning("an alert is given up undelivered: too many wait for the receiver",
                      {{"id", dropped->id}, {"kind", dropped->kind}});
  }
}

// Requires: mutex_.
void Notifier::save() {
  const base::Status saved = queue_.save();
  if (saved.has_value() == can_save_) return;
  can_save_ = saved.has_value();
  if (saved) {
    base::log_info("what was told to the administrator is kept again");
  } else {
    base::log_error("what was told to the administrator cannot be kept, it is tried again",
                    {{"reason", saved.error().message}});
  }
}

// Requires: mutex_. Sources tell every few seconds: a file that cannot be written is left to the
// step.
void Notifier::save_if_possible() {
  if (can_save_) save();
}

std::chrono::milliseconds Notifier::step(const client::HttpExchange& direct) {
  const WebhookSettings webhook = surroundings_.webhook();
  const base::WallTime now = clock_.wall();
  // One after the other, and no further one while the receiver is away.
  for (bool goes_on = true; goes_on;) {
    std::optional<Alert> due;
    {
      const std::lock_guard lock(mutex_);
      if (webhook.url.empty()) queue_.forget();
      if (const Alert* const first = queue_.due(now)) due = *first;
    }
    goes_on = due && deliver(*due, webhook, direct);
  }
  const std::lock_guard lock(mutex_);
  save();
  base::WallTime next = now + kTick;
  for (const Alert& alert : queue_.waiting()) next = std::min(next, alert.next_attempt);
  return std::chrono::ceil<std::chrono::milliseconds>(
      std::max<std::chrono::microseconds>(next - now, kShortestPause));
}

bool Notifier::deliver(const Alert& alert, const WebhookSettings& webhook,
                       const client::HttpExchange& direct) {
  const base::WallTime now = clock_.wall();
  const auto request = make_webhook_request(webhook, surroundings_.node, alert, now);
  const auto answer = request
                          ? surroundings_.send(direct, *request)
                          : base::Result<client::HttpResponse>(std::unexpected(request.error()));
  const std::lock_guard lock(mutex_);
  if (answer && answer->status >= 200 && answer->status < 300) {
    queue_.delivered(alert.id);
    save_if_possible();
    return true;
  }
  const std::string reason =
      answer ? "answered with " + std::to_string(answer->status) : answer.error().message;
  const bool again = queue_.failed(alert.id, now);
  if (!again) ++undelivered_;
  base::log_warning(again ? "an alert could not be delivered, it is tried again"
                          : "an alert could not be delivered and is given up",
                    {{"reason", reason}, {"id", alert.id}});
  return false;
}

Notifier::Facts Notifier::facts() const {
  const std::lock_guard lock(mutex_);
  return {.waiting = queue_.waiting().size(), .undelivered = undelivered_};
}

}  // namespace larder::alerts
