// Renews the certificates that have a signer ([[node.signer]]) with nobody there: asks
// certs::decide_renewal, lets the signer sign, and imports the result like any other file. What
// became of it is kept in memory and, for a restart, in <certificates>/<key>/renewal.json.
//
// One thread of its own does all attempts, one after the other; it may block. The other functions
// may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "certs/certificate_store.h"
#include "certs/renewal_record.h"
#include "node/link_worker.h"
#include "node/settings.h"

namespace larder::node {

// What a signer needs of the thread that it runs on.
struct SigningThread {
  const client::HttpExchange& exchange;
  // Waits; false when the node stops.
  std::function<bool(std::chrono::milliseconds)> pause;
};

struct RenewalSurroundings {
  std::string folder;                                             // <state_dir>/certificates
  std::function<std::shared_ptr<const NodeSettings>()> settings;  // in force now
  std::function<base::Result<std::unique_ptr<certs::Signer>>(const SignerSettings&,
                                                             const SigningThread&)>
      make_signer;
  std::function<base::Status()> take_over;  // serves what was imported
};

class Renewals {
 public:
  Renewals(RenewalSurroundings surroundings, const base::Clock& clock);

  void start() { worker_.start(); }
  void stop() { worker_.stop(); }
  // Settings or certificates have changed: what is due is decided anew.
  void wake();

  // An attempt soon, whether it is due or not. The number that `finished` has when it is over;
  // NotFound when no signer is configured for the certificate.
  base::Result<std::uint64_t> ask(const std::string& certificate);

  struct Facts {
    std::string certificate;
    bool running = false;
    std::uint64_t finished = 0;  // attempts since the start of the node
    unsigned failures = 0;       // in a row
    std::string error;           // of the last attempt; empty: it succeeded, or there was none
  };
  std::vector<Facts> facts() const;

 private:
  std::chrono::milliseconds step(const client::HttpExchange& exchange);
  // When the next attempt is due.
  base::WallTime look_after(const SignerSettings& signer, const certs::Inventory& inventory,
                            const NodeSettings& settings, const SigningThread& thread);
  // Is written to disk before the signer is asked; when it cannot be, nobody is asked.
  void attempt(const SignerSettings& signer, const NodeSettings& settings,
               const SigningThread& thread, certs::RenewalRecord& record, bool emergency);
  // For `larder cert list`. `against`: why nothing is done at that time.
  void note_plan(const SignerSettings& signer, base::WallTime next, const std::string& against,
                 certs::RenewalRecord& record) const;
  // As it was left on disk, when it is asked for the first time.
  certs::RenewalRecord& record_of(const std::string& certificate);
  base::Status write_beginning(const std::string& certificate, certs::RenewalRecord record) const;
  void write_down(const std::string& certificate, const certs::RenewalRecord& record) const;
  bool take_wish(const std::string& certificate);
  base::Result<certs::CertificateStore> open_store(const NodeSettings& settings) const;

  const RenewalSurroundings surroundings_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Facts> facts_;  // guarded by mutex_
  std::map<std::string, bool> wanted_;  // guarded by mutex_
  bool changed_ = true;                 // guarded by mutex_
  base::WallTime next_{};               // of the worker's thread, as what follows
  // What decides: attempts do not follow each other because a disk takes nothing any more.
  std::map<std::string, certs::RenewalRecord> records_;
  base::SteadyTime look_again_{};
  LinkWorker worker_;  // last: its thread uses all above
};

}  // namespace larder::node
