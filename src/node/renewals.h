// The renewals of a node: a turn (renewal_turn.h) for each certificate that has a signer in the
// settings in force, begun and ended as those change. All functions may be called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "node/renewal_turn.h"

namespace larder::node {

class Renewals {
 public:
  Renewals(RenewalSurroundings surroundings, const base::Clock& clock);
  ~Renewals();

  void start();
  // Ends all turns at once, and waits for them.
  void stop();
  // The certificates have changed: what is due is decided anew.
  void wake();
  // So have the settings. Waits for turns whose certificate has no signer any more, so not from
  // one of them.
  void follow_settings();

  // An attempt soon, whether it is due or not. The number that `finished` has when it is over;
  // NotFound when no signer is configured for the certificate.
  base::Result<std::uint64_t> ask(const std::string& certificate);

  std::vector<RenewalFacts> facts() const;

 private:
  using Turns = std::map<std::string, std::unique_ptr<RenewalTurn>, std::less<>>;
  static void end(const Turns& turns);

  const RenewalSurroundings surroundings_;
  const base::Clock& clock_;
  std::mutex following_;  // one at a time; taken before mutex_
  mutable std::mutex mutex_;
  bool running_ = false;  // guarded by mutex_
  Turns turns_;           // guarded by mutex_
};

}  // namespace larder::node
