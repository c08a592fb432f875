#include "certs/renewal.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "certs/chain_end.h"

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
// Between two renewals for the sake of the chain.
constexpr microseconds kChainPause = hours(24);
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

WallTime time_in_life(WallTime from, WallTime until, std::uint8_t draw) {
  const auto life = until - from;
  return from + life / 3 * 2 - life / 20 * draw / 256;
}

WallTime last_tenth(WallTime from, WallTime until) {
  return until - (until - from) / 10;
}

struct Plan {
  WallTime at;
  std::string reason;
};

Plan plan_for_leaf(const Lifetime& current, WallTime now,
                   const std::optional<RenewalWindow>& suggested) {
  Plan plan{current.renewal_time(), "two thirds of the certificate's life are over"};
  if (suggested) {
    const WallTime drawn =
        suggested->start + (suggested->end - suggested->start) / 256 * current.draw;
    // Of the certificate itself: what its chain needs is planned with a pause of its own.
    plan = {std::min(drawn, last_tenth(current.not_before, current.not_after)),
            "whoever signed the certificate suggests it"};
  }
  if (now >= current.not_after) plan.reason = "the certificate has ended";
  return plan;
}

Plan plan_for_chain(const Lifetime& current, const RenewalAttempts& attempts, WallTime now) {
  const WallTime end = *current.chain_end;
  // An intermediate may have ended before the certificate began.
  const WallTime at = time_in_life(std::min(current.not_before, end), end, current.draw);
  WallTime newest = current.not_before;
  if (attempts.failures == 0 && attempts.last && *attempts.last <= now) {
    newest = std::max(newest, *attempts.last);
  }
  const microseconds pause = std::min(kChainPause, (current.not_after - current.not_before) / 4);
  return {std::max(at, newest + pause),
          "an intermediate certificate of the chain " + std::string(now < end ? "ends" : "ended") +
              " on " + base::to_rfc3339(end) + ", before the certificate itself"};
}

Plan plan(const Lifetime& current, const RenewalAttempts& attempts, WallTime now,
          const std::optional<RenewalWindow>& suggested) {
  Plan first = plan_for_leaf(current, now, suggested);
  if (!current.chain_end) return first;
  Plan for_chain = plan_for_chain(current, attempts, now);
  return for_chain.at < first.at ? for_chain : first;
}

}  // namespace

WallTime Lifetime::renewal_time() const {
  return time_in_life(not_before, not_after, draw);
}

WallTime Lifetime::emergency_time() const {
  const WallTime own = last_tenth(not_before, not_after);
  if (!chain_end) return own;
  return std::min(own, last_tenth(std::min(not_before, *chain_end), *chain_end));
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

Lifetime lifetime_of(std::span<const crypto::Certificate> chain,
                     std::span<const std::string> client_trust, WallTime now) {
  Lifetime lifetime = lifetime_of(chain.front());
  const crypto::Certificate& first = first_to_end(chain, client_trust, now);
  if (first.not_after() < lifetime.not_after) lifetime.chain_end = first.not_after();
  return lifetime;
}

RenewalDecision decide_renewal(const std::optional<Lifetime>& current,
                               const RenewalAttempts& attempts, WallTime now,
                               const std::optional<RenewalWindow>& suggested) {
  RenewalDecision decision{.at = now, .reason = "there is no certificate yet"};
  if (current) {
    Plan chosen = plan(*current, attempts, now, suggested);
    decision.at = chosen.at;
    decision.reason = std::move(chosen.reason);
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
