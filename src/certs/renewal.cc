#include "certs/renewal.h"

#include <algorithm>

#include "base/encoding.h"

namespace larder::certs {

using base::WallTime;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr microseconds kFirstDelay = minutes(1);
constexpr microseconds kLongestDelay = hours(12);
constexpr microseconds kLongestInEmergency = hours(1);
constexpr microseconds kShortestDelay = seconds(1);
constexpr microseconds kOverdueAfter = hours(1);
constexpr unsigned kGrowth = 4;

// Bounds for a certificate of three months, and less for one that lives a day.
microseconds delay_after(unsigned failures, const std::optional<Lifetime>& current,
                         bool emergency) {
  const microseconds life =
      current ? current->not_after - current->not_before : microseconds(hours(24 * 90));
  microseconds longest = emergency ? kLongestInEmergency : kLongestDelay;
  longest = std::min(longest, life / (emergency ? 200 : 20));
  if (failures == 0) return std::clamp(longest, kShortestDelay, kLongestDelay);
  microseconds delay = std::min(kFirstDelay, life / 1000);
  for (unsigned i = 1; i < failures && delay < longest; ++i) delay *= kGrowth;
  return std::max(std::min(delay, longest), kShortestDelay);
}

WallTime planned(const Lifetime& current, const std::optional<RenewalWindow>& suggested) {
  if (!suggested) return current.renewal_time();
  const WallTime drawn =
      suggested->start + (suggested->end - suggested->start) / 256 * current.draw;
  return std::min(drawn, current.emergency_time());
}

}  // namespace

WallTime Lifetime::renewal_time() const {
  const auto life = not_after - not_before;
  return not_before + life / 3 * 2 - life / 20 * draw / 256;
}

WallTime Lifetime::emergency_time() const {
  return not_after - (not_after - not_before) / 10;
}

WallTime Lifetime::overdue_time() const {
  const auto life = not_after - not_before;
  return not_before + life / 3 * 2 + std::min(life / 50, kOverdueAfter);
}

Lifetime lifetime_of(const crypto::Certificate& certificate) {
  return {certificate.not_before(), certificate.not_after(), certificate.sha256()[0]};
}

Lifetime lifetime_of(WallTime not_before, WallTime not_after, std::string_view id) {
  const auto first = base::from_hex(id.substr(0, 2));
  const bool known = first && first->size() == 1;
  return {not_before, not_after,
          known ? static_cast<std::uint8_t>(first->front()) : std::uint8_t{0}};
}

RenewalDecision decide_renewal(const std::optional<Lifetime>& current,
                               const RenewalAttempts& attempts, WallTime now,
                               const std::optional<RenewalWindow>& suggested) {
  RenewalDecision decision;
  if (!current) {
    decision.at = now;
    decision.reason = "there is no certificate yet";
  } else if (now >= current->not_after) {
    decision.at = planned(*current, suggested);
    decision.reason = "the certificate has ended";
  } else {
    decision.at = planned(*current, suggested);
    decision.reason = suggested ? "whoever signed the certificate suggests it"
                                : "two thirds of the certificate's life are over";
  }
  decision.emergency = !current || now >= current->emergency_time();
  // An attempt in the future was made before somebody set the clock back: it says nothing.
  if (attempts.last && *attempts.last <= now) {
    const WallTime asked = *attempts.last + attempts.asked_to_wait;
    WallTime again = *attempts.last + delay_after(attempts.failures, current, decision.emergency);
    if (current && !decision.emergency) {
      // A long pause that began before the emergency window does not reach into it.
      again =
          std::min(again, std::max(current->emergency_time(),
                                   *attempts.last + delay_after(attempts.failures, current, true)));
    }
    decision.at = std::max({decision.at, again, asked});
  }
  decision.due = now >= decision.at;
  return decision;
}

}  // namespace larder::certs
