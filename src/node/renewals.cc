#include "node/renewals.h"

#include <algorithm>
#include <utility>

namespace larder::node {

using base::ErrorCode;
using base::fail;
using base::Result;

Renewals::Renewals(RenewalSurroundings surroundings, const base::Clock& clock)
    : surroundings_(std::move(surroundings)), clock_(clock) {}

Renewals::~Renewals() {
  stop();
}

void Renewals::start() {
  {
    const std::lock_guard lock(mutex_);
    running_ = true;
  }
  follow_settings();
}

void Renewals::stop() {
  Turns turns;
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    turns = std::exchange(turns_, {});
  }
  end(turns);
}

void Renewals::end(const Turns& turns) {
  for (const auto& [certificate, turn] : turns) turn->ask_to_stop();
  for (const auto& [certificate, turn] : turns) turn->stop();
}

void Renewals::wake() {
  const std::lock_guard lock(mutex_);
  for (const auto& [certificate, turn] : turns_) turn->wake();
}

void Renewals::follow_settings() {
  const std::lock_guard one_at_a_time(following_);
  const auto settings = surroundings_.settings();
  Turns gone;
  {
    const std::lock_guard lock(mutex_);
    for (auto turn = turns_.begin(); turn != turns_.end();) {
      const bool stays = std::ranges::find(settings->signers, turn->first,
                                           &SignerSettings::certificate) != settings->signers.end();
      const auto next = std::next(turn);
      if (!stays) gone.insert(turns_.extract(turn));
      turn = next;
    }
  }
  // Before one of the same name could begin: each has its files to itself.
  end(gone);
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  for (const SignerSettings& signer : settings->signers) {
    auto& turn = turns_[signer.certificate];
    if (turn) {
      turn->wake();
    } else {
      turn = std::make_unique<RenewalTurn>(surroundings_, signer.certificate, clock_);
      turn->start();
    }
  }
}

Result<std::uint64_t> Renewals::ask(const std::string& certificate) {
  const std::lock_guard lock(mutex_);
  const auto turn = turns_.find(certificate);
  if (turn == turns_.end()) {
    return fail(ErrorCode::NotFound,
                "no signer is configured for " + certificate +
                    "; add a [[node.signer]] table, or have the request signed and import the "
                    "result");
  }
  return turn->second->ask();
}

std::vector<RenewalFacts> Renewals::facts() const {
  const std::lock_guard lock(mutex_);
  std::vector<RenewalFacts> list;
  for (const auto& [certificate, turn] : turns_) list.push_back(turn->facts());
  return list;
}

}  // namespace larder::node
