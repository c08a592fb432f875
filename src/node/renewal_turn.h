// Renews the certificate of one key that has a signer ([[node.signer]]) with nobody there: asks
// certs::decide_renewal, lets the signer sign, and imports the result like any other file. What
// became of it is kept in memory and, for a restart, in <certificates>/<key>/renewal.json.
//
// Each has a thread of its own, which may block: a signer that hangs holds up nobody else's
// certificate. The other functions may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "certs/certificate_store.h"
#include "certs/renewal_record.h"
#include "client/step_worker.h"
#include "node/settings.h"

namespace larder::node {

// What a signer needs of the thread that it runs on.
struct SigningThread {
  const client::HttpExchange& exchange;
  // Waits; false when the node stops.
  std::function<bool(std::chrono::milliseconds)> pause;
};

// Everything is called from the threads of all certificates.
struct RenewalSurroundings {
  std::string folder;                                             // <state_dir>/certificates
  std::function<std::shared_ptr<const NodeSettings>()> settings;  // in force now
  // The last one is the certificate that is to be replaced, where the signer has spoken of that.
  std::function<base::Result<std::unique_ptr<certs::Signer>>(
      const SignerSettings&, const SigningThread&, const crypto::Certificate*)>
      make_signer;
  std::function<base::Status()> take_over;  // serves what was imported
  std::function<void()> failed;             // an attempt did: the facts say it now
};

struct RenewalFacts {
  std::string certificate;
  bool running = false;
  std::uint64_t finished = 0;  // attempts since the start of the node
  unsigned failures = 0;       // in a row, before this start as well
  std::string error;           // of the last attempt; empty: it succeeded, or there was none
};

class RenewalTurn {
 public:
  // `surroundings` and `clock` outlive it.
  RenewalTurn(const RenewalSurroundings& surroundings, std::string certificate,
              const base::Clock& clock);

  void start() { worker_.start(); }
  // Ends what is waited for; `stop` then waits for the thread.
  void ask_to_stop() { worker_.ask_to_stop(); }
  void stop() { worker_.stop(); }
  // Settings or certificates have changed: what is due is decided anew.
  void wake();
  // An attempt soon, whether it is due or not: the number that `finished` has when it is over.
  std::uint64_t ask();
  RenewalFacts facts() const;

 private:
  std::chrono::milliseconds step(const client::HttpExchange& exchange);
  // When the next attempt is due.
  base::WallTime look_after(const SignerSettings& signer, const certs::Inventory& inventory,
                            const NodeSettings& settings, const SigningThread& thread);
  // Asks whoever signed the current certificate when it should be renewed, where it is time for
  // that.
  void look_for_advice(const SignerSettings& signer, const certs::CertificateFacts& current,
                       const SigningThread& thread);
  // What it said of this one.
  std::optional<certs::RenewalWindow> suggested_for(const certs::CertificateFacts* current);
  // Is written to disk before the signer is asked; when it cannot be, nobody is asked.
  void attempt(const SignerSettings& signer, const NodeSettings& settings,
               const SigningThread& thread, const certs::CertificateFacts* current, bool emergency);
  // For `larder cert list`. `against`: why nothing is done at that time.
  void note_plan(const SignerSettings& signer, base::WallTime next, const std::string& against);
  // As it was left on disk, when it is asked for the first time.
  certs::RenewalRecord& record();
  base::Status write_beginning() const;
  void write_down() const;
  base::Result<certs::CertificateStore> open_store(const NodeSettings& settings) const;

  const RenewalSurroundings& surroundings_;
  const std::string certificate_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  RenewalFacts facts_;     // guarded by mutex_
  bool wanted_ = false;    // guarded by mutex_
  bool changed_ = true;    // guarded by mutex_
  base::WallTime next_{};  // of the worker's thread, as what follows
  // What decides: attempts do not follow each other because a disk takes nothing any more.
  std::optional<certs::RenewalRecord> record_;
  base::SteadyTime look_again_{};
  client::StepWorker worker_;  // last: its thread uses all above
};

}  // namespace larder::node
