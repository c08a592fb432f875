#include "node/certificate_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "base/log.h"
#include "certs/chain_end.h"
#include "certs/expiry_alerts.h"
#include "certs/renewal.h"
#include "client/revocation_look.h"
#include "node/request_route.h"

namespace larder::node {

namespace {

constexpr std::chrono::minutes kTick{1};
constexpr std::chrono::hours kLookPause{24};
constexpr std::chrono::hours kLookAgain{1};  // after one that did not succeed
constexpr std::chrono::minutes kShortestLook{1};
constexpr std::chrono::hours kLongestRepeat{1};  // while a responder repeats an answer near its end
constexpr std::chrono::hours kRefusalsPause{24};  // between two alerts about one certificate
constexpr std::size_t kMostRefusalsTold = 256;    // in that time
constexpr std::chrono::hours kRecently{1};
// As sources of alerts.
constexpr std::string_view kExpiry = "certificate-expiry";
constexpr std::string_view kTroubles = "certificate-troubles";
constexpr std::string_view kRevoked = "certificate-revoked";

std::string short_id(const std::string& id) {
  return id.substr(0, 16);
}

std::string names_of(const crypto::Certificate& leaf) {
  std::string text;
  for (const auto& list : {leaf.dns_names(), leaf.addresses()}) {
    for (const std::string& each : list) {
      if (text.size() > 200) return text + ", ...";
      text += (text.empty() ? "" : ", ") + each;
    }
  }
  return text.empty() ? leaf.subject() : text;
}

std::string title(const ShownCertificate& shown) {
  const crypto::Certificate& leaf = shown.chain.front();
  return alerts::printable(fmt::format("certificate {} ({}) for {}", shown.name,
                                       short_id(leaf.sha256_hex()), names_of(leaf)));
}

std::string title_of(const std::string& id, const std::vector<ShownCertificate>& shown) {
  if (id.empty()) return "the certificate";
  const auto found = std::ranges::find(
      shown, id, [](const ShownCertificate& each) { return each.chain.front().sha256_hex(); });
  if (found != shown.end()) return title(*found);
  return fmt::format("certificate {}, which is not served any more", short_id(id));
}

std::string clients_text(std::size_t count) {
  return fmt::format("{} client{}", count, count == 1 ? "" : "s");
}

// Clients that close without a request.
bool is_worth_telling(const ShownCertificate& shown, std::size_t silent_clients) {
  return !shown.is_accepted && silent_clients >= HandshakeFailures::kEnoughSilent;
}

// Port probes do the same: so nothing is claimed.
std::string silent_text(const ShownCertificate& shown, std::size_t clients) {
  return fmt::format(
      "it may be that clients refuse {}: none that was shown it has sent a request, and {} closed "
      "after the handshake without one; larder doctor says what clients see",
      title(shown), clients_text(clients));
}

std::string expiry_text(const std::string& what, base::WallTime end, base::WallTime now) {
  if (end <= now) return fmt::format("{} expired on {}", what, base::to_rfc3339(end));
  const auto days = std::chrono::floor<std::chrono::days>(end - now).count();
  return fmt::format("{} expires on {}, in {} day{}", what, base::to_rfc3339(end), days,
                     days == 1 ? "" : "s");
}

alerts::News news_of(std::string kind, std::string text, const std::string& certificate) {
  return {
      .kind = std::move(kind), .text = std::move(text), .about = {{"certificate", certificate}}};
}

alerts::Told to_told(const certs::ToldStages& stages) {
  alerts::Told told;
  for (const auto& [id, stage] : stages) told.emplace(id, std::to_string(stage));
  return told;
}

// What cannot be understood was not told.
certs::ToldStages to_stages(const alerts::Told& told) {
  certs::ToldStages stages;
  for (const auto& [id, text] : told) {
    int stage = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), stage).ec == std::errc())
      stages.emplace(id, stage);
  }
  return stages;
}

}  // namespace

std::string_view name(CertificateWatch::Revocation::State state) {
  switch (state) {
    case CertificateWatch::Revocation::State::Good:
      return "good";
    case CertificateWatch::Revocation::State::Revoked:
      return "revoked";
    case CertificateWatch::Revocation::State::Unknown:
      return "unknown";
  }
  return "unknown";
}

base::WallTime next_staple_look(base::WallTime from, base::WallTime until, base::WallTime now) {
  // One that is in its last quarter already will not be another at once.
  const base::WallTime floor =
      now + std::clamp<base::WallTime::duration>((until - now) / 4, kShortestLook, kLongestRepeat);
  return std::max(until - (until - from) / 4, floor);
}

CertificateWatch::CertificateWatch(WatchSurroundings surroundings, const base::Clock& clock)
    : surroundings_(std::move(surroundings)),
      clock_(clock),
      worker_([this](const client::HttpExchange& exchange) { return step(exchange); }) {}

void CertificateWatch::handshake_failed(std::string_view address, std::string_view reason,
                                        const net::ShownIdentity* shown) {
  const std::string id = shown != nullptr ? shown->sha256 : std::string();
  if (handshakes_.add(address, reason, id, clock_.wall())) worker_.wake();
}

void CertificateWatch::ended_silently(std::string_view address, const net::ShownIdentity& shown) {
  if (handshakes_.add_silent(address, shown.sha256, clock_.wall())) worker_.wake();
}

std::chrono::milliseconds CertificateWatch::step(const client::HttpExchange& direct) {
  const client::HttpExchange look =
      [&](const client::HttpRequest& request) -> base::Result<client::HttpResponse> {
    if (const auto list = surroundings_.own_list(request.url)) {
      return client::HttpResponse{.status = 200, .fields = {}, .body = *list};
    }
    client::HttpRequest routed = request;
    LARDER_TRY(surroundings_.route(routed));
    return with_advice(direct(routed));
  };
  const std::vector<ShownCertificate> shown = surroundings_.shown();
  const base::WallTime now = clock_.wall();
  tell_expiry(shown, now);
  tell_troubles();
  tell_refusals(shown, now);
  tell_silent_ends(shown, now);
  look_for_revocation(shown, look, now);
  const base::WallTime next =
      std::min(now + kTick, std::max(next_look_, now + std::chrono::seconds(1)));
  return std::chrono::ceil<std::chrono::milliseconds>(
      std::max<std::chrono::microseconds>(next - now, std::chrono::milliseconds(500)));
}

void CertificateWatch::tell_expiry(const std::vector<ShownCertificate>& shown, base::WallTime now) {
  std::vector<certs::WatchedCertificate> watched;
  std::vector<std::pair<std::string, base::WallTime>> ends;
  const WatchSettings settings = surroundings_.settings();
  for (const ShownCertificate& each : shown) {
    const crypto::Certificate& leaf = each.chain.front();
    const crypto::Certificate& first = certs::first_to_end(each.chain, settings.client_trust, now);
    // One that lives for a few weeks at most would be told each time, although all is well.
    if (first == leaf && settings.renewed.contains(each.name) &&
        now < certs::lifetime_of(leaf).overdue_time()) {
      continue;
    }
    watched.push_back({leaf.sha256_hex(), first.not_after()});
    ends.emplace_back(first == leaf ? title(each)
                                    : alerts::printable(fmt::format(
                                          "intermediate certificate \"{}\" in the chain of {}",
                                          first.subject(), title(each))),
                      first.not_after());
  }
  std::vector<alerts::News> news;
  const certs::ToldStages told = to_stages(surroundings_.notifier->told(kExpiry));
  for (const certs::DueAlert& due : certs::due_alerts(watched, told, now)) {
    const auto index = static_cast<std::size_t>(
        std::ranges::find(watched, due.id, &certs::WatchedCertificate::id) - watched.begin());
    news.push_back(news_of(due.days == 0 ? "certificate-expired" : "certificate-expires",
                           expiry_text(ends[index].first, ends[index].second, now), due.id));
  }
  surroundings_.notifier->tell(kExpiry, to_told(certs::told_stages(watched, now)), std::move(news));
  const std::lock_guard lock(mutex_);
  ends_ = std::move(ends);
}

void CertificateWatch::tell_troubles() {
  std::vector<CertificateTrouble> troubles = surroundings_.troubles();
  const alerts::Told before = surroundings_.notifier->told(kTroubles);
  alerts::Told told;
  std::vector<alerts::News> news;
  for (CertificateTrouble& each : troubles) {
    each.text = alerts::printable(std::move(each.text));
    std::string id = each.kind;
    for (const auto& [member, value] : each.about) id += " " + value;
    if (!before.contains(id)) news.push_back({each.kind, each.text, each.about});
    told.emplace(std::move(id), "");
  }
  surroundings_.notifier->tell(kTroubles, std::move(told), std::move(news));
  const std::lock_guard lock(mutex_);
  troubles_ = std::move(troubles);
}

bool CertificateWatch::is_refusal_due(const std::string& id, base::WallTime now) {
  std::erase_if(refusals_told_, [&](const auto& told) {
    return now - told.second >= kRefusalsPause || now < told.second;
  });
  // However many certificates come and go in a day.
  if (refusals_told_.size() >= kMostRefusalsTold) return false;
  return refusals_told_.emplace(id, now).second;
}

void CertificateWatch::tell_refusals(const std::vector<ShownCertificate>& shown,
                                     base::WallTime now) {
  for (const HandshakeFailures::Report& report : handshakes_.take_reports(now)) {
    std::string causes;
    for (const auto& [cause, count] : report.refusals) {
      causes += fmt::format("{}{} handshake{} ended by \"{}\"", causes.empty() ? "" : ", ", count,
                            count == 1 ? "" : "s", cause);
    }
    const std::string text =
        fmt::format("clients refuse {}: {}, the last from {}", title_of(report.certificate, shown),
                    causes, report.address);
    if (is_refusal_due(report.certificate, now)) {
      surroundings_.notifier->tell({news_of("certificate-refused", text, report.certificate)});
    } else {
      base::log_warning(text);
    }
  }
}

void CertificateWatch::tell_silent_ends(const std::vector<ShownCertificate>& shown,
                                        base::WallTime now) {
  const auto clients = handshakes_.silent_clients(now - kRecently);
  for (const ShownCertificate& each : shown) {
    const std::string id = each.chain.front().sha256_hex();
    const auto found = clients.find(id);
    if (found == clients.end() || !is_worth_telling(each, found->second)) continue;
    if (!is_refusal_due(id + " silently", now)) continue;
    surroundings_.notifier->tell(
        {news_of("certificate-unused", silent_text(each, found->second), id)});
  }
}

void CertificateWatch::tell_revoked(const Revocation& revocation, const std::string& text) {
  alerts::Told told = surroundings_.notifier->told(kRevoked);
  if (!told.emplace(revocation.id, "").second) return;
  surroundings_.notifier->tell(kRevoked, std::move(told),
                               {news_of("certificate-revoked", text, revocation.id)});
}

bool CertificateWatch::withdraw(const Revocation& revocation, const WatchSettings& settings) {
  if (!settings.disable_when_revoked || revocation.state != Revocation::State::Revoked) return true;
  return surroundings_.withdraw(revocation.id,
                                std::string(kWithdrawnReason) + revocation.source + " says");
}

void CertificateWatch::look_for_revocation(const std::vector<ShownCertificate>& shown,
                                           const client::HttpExchange& exchange,
                                           base::WallTime now) {
  std::vector<std::string> ids;
  for (const ShownCertificate& each : shown) ids.push_back(each.chain.front().sha256_hex());
  const WatchSettings settings = surroundings_.settings();
  if (ids == looked_at_ && now < next_look_ && next_look_ <= now + kLookPause) {
    // The setting may be new, and counts for what is known.
    std::vector<Revocation> known;
    {
      const std::lock_guard lock(mutex_);
      known = revocations_;
    }
    for (const Revocation& each : known) withdraw(each, settings);
    return;
  }
  const auto trusted = client::read_trusted(settings.client_trust);
  base::WallTime next = now + kLookPause;
  auto staples = std::make_shared<net::Staples>();
  std::vector<Revocation> revocations;
  std::set<std::string> still_revoked;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const client::RevocationLook look =
        client::look_for_revocation(shown[i].chain, trusted, exchange, now);
    Revocation revocation{.name = shown[i].name,
                          .id = ids[i],
                          .state = Revocation::State::Unknown,
                          .source = look.source,
                          .error = look.error,
                          .looked_at = now,
                          .stapled_until = {}};
    if (look.is_revoked) {
      revocation.state = Revocation::State::Revoked;
      still_revoked.insert(ids[i]);
      tell_revoked(revocation,
                   fmt::format("{}: \"{}\" is revoked{}, {} says", title(shown[i]), look.subject,
                               look.reason.empty() ? "" : " (" + look.reason + ")", look.source));
      // Again at each look: nobody serves a revoked certificate against the setting.
      if (!withdraw(revocation, settings)) next = std::min(next, now + kShortestLook);
    } else if (look.is_known) {
      revocation.state = Revocation::State::Good;
    }
    if (!look.error.empty()) {
      base::log_warning("whether a certificate is revoked cannot be found out",
                        {{"certificate", shown[i].name}, {"reason", look.error}});
      next = std::min(next, now + kLookAgain);
    }
    if (look.staple_until && *look.staple_until > now) {
      (*staples)[ids[i]] = {look.staple, std::chrono::system_clock::time_point(
                                             look.staple_until->time_since_epoch())};
      revocation.stapled_until = look.staple_until;
      next = std::min(next, next_staple_look(look.staple_from, *look.staple_until, now));
    }
    revocations.push_back(std::move(revocation));
  }
  // A good answer stays good for clients until its own end, whatever became of the responder.
  if (const auto before = surroundings_.staples->get()) {
    for (const auto& [id, staple] : *before) {
      if (std::ranges::find(ids, id) != ids.end() && !still_revoked.contains(id)) {
        staples->emplace(id, staple);
      }
    }
  }
  surroundings_.staples->set(std::move(staples));
  // Only one that is good again may be told again. One that is not shown now stays told: the site's
  // own, for one, is not there yet when a node starts.
  alerts::Told told = surroundings_.notifier->told(kRevoked);
  std::erase_if(told, [&](const auto& each) {
    const auto found = std::ranges::find(revocations, each.first, &Revocation::id);
    return found != revocations.end() && found->state == Revocation::State::Good;
  });
  surroundings_.notifier->tell(kRevoked, std::move(told), {});
  looked_at_ = std::move(ids);
  next_look_ = next;
  const std::lock_guard lock(mutex_);
  revocations_ = std::move(revocations);
}

// Of what is served now: the others are refused no more.
std::vector<std::string> CertificateWatch::refusal_alerts(base::WallTime now) const {
  std::vector<std::string> alerts;
  const auto refusing = handshakes_.refusing_clients(now - kRecently);
  const auto silent = handshakes_.silent_clients(now - kRecently);
  if (refusing.empty() && silent.empty()) return alerts;
  const auto add_refusing = [&](const std::string& id, const std::string& what) {
    if (const auto found = refusing.find(id); found != refusing.end()) {
      alerts.push_back(
          fmt::format("{} refused {} within the last hour", clients_text(found->second), what));
    }
  };
  for (const ShownCertificate& each : surroundings_.shown()) {
    const std::string id = each.chain.front().sha256_hex();
    add_refusing(id, title(each));
    const auto found = silent.find(id);
    if (found != silent.end() && is_worth_telling(each, found->second)) {
      alerts.push_back(silent_text(each, found->second));
    }
  }
  add_refusing({}, "the certificate");
  return alerts;
}

CertificateWatch::Facts CertificateWatch::facts() const {
  const base::WallTime now = clock_.wall();
  Facts facts;
  facts.handshakes = handshakes_.facts();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [what, end] : ends_) {
      if (certs::alert_stage(end, now)) facts.alerts.push_back(expiry_text(what, end, now));
    }
    for (const CertificateTrouble& each : troubles_) facts.alerts.push_back(each.text);
    facts.revocations = revocations_;
  }
  for (const Revocation& each : facts.revocations) {
    if (each.state != Revocation::State::Revoked) continue;
    facts.alerts.push_back(fmt::format("certificate {} ({}) is revoked, {} says", each.name,
                                       short_id(each.id), each.source));
  }
  std::ranges::move(refusal_alerts(now), std::back_inserter(facts.alerts));
  return facts;
}

}  // namespace larder::node
