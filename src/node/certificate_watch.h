// Looks after the certificates that the node shows: tells somebody before they expire, asks once a
// day whether their issuers have revoked them, keeps OCSP answers ready for clients, and says when
// clients refuse them.
//
// One thread of its own, which may block; nothing that is served waits for it. The other functions
// may be called from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "alerts/notifier.h"
#include "base/clock.h"
#include "base/error.h"
#include "client/step_worker.h"
#include "crypto/certificate.h"
#include "net/shown_identity.h"
#include "net/stapling.h"
#include "node/handshake_failures.h"

namespace larder::node {

// A certificate that the node shows now.
struct ShownCertificate {
  std::string name;                        // of its key
  std::vector<crypto::Certificate> chain;  // leaf first, never empty
  bool is_accepted = false;                // a client that was shown it has sent a request
};

// What keeps clients from a certificate, beside its dates.
struct CertificateTrouble {
  std::string kind;                          // "certificate-unusable"
  std::string text;                          // a sentence
  std::map<std::string, std::string> about;  // further members of the message; tell it from others
};

struct WatchSettings {
  bool disable_when_revoked = false;
  std::vector<std::string> client_trust;  // CA files
  std::set<std::string> renewed;          // keys whose certificates are renewed with nobody there
};

struct WatchSurroundings {
  alerts::Notifier* notifier = nullptr;  // outlives the watch
  std::function<std::vector<ShownCertificate>()> shown;
  std::function<std::vector<CertificateTrouble>()> troubles;  // now
  std::function<WatchSettings()> settings;                    // in force now
  // Sets the way by which a request leaves, and what it may reach.
  std::function<base::Status(client::HttpRequest&)> route;
  // A revocation list of the node's own site, which is known here: its address leads to this node.
  // Null for every other address.
  std::function<std::shared_ptr<const std::string>(std::string_view url)> own_list;
  // Takes a revoked certificate out of service, by its SHA-256, and ends HTTPS when none is left;
  // false when that did not succeed.
  std::function<bool(const std::string& id, const std::string& reason)> withdraw;
  net::StapleBoard* staples = nullptr;  // what clients are handed; outlives the watch
};

// How the reasons begin for which certificates are withdrawn.
inline constexpr std::string_view kWithdrawnReason = "revoked by its issuer, as ";

class CertificateWatch {
 public:
  CertificateWatch(WatchSurroundings surroundings, const base::Clock& clock);

  void start() { worker_.start(); }
  void stop() { worker_.stop(); }
  // Certificates or settings have changed.
  void wake() { worker_.wake(); }

  // On any thread; says so soon when the client refused a certificate. `shown`: what it was shown.
  void handshake_failed(std::string_view address, std::string_view reason,
                        const net::ShownIdentity* shown);
  // On any thread: the client closed after a whole handshake without a byte of a request.
  void ended_silently(std::string_view address, const net::ShownIdentity& shown);

  struct Revocation {
    enum class State { Good, Revoked, Unknown };
    std::string name;
    std::string id;  // SHA-256
    State state = State::Unknown;
    std::string source;  // URL that said so
    std::string error;   // why it is not known
    base::WallTime looked_at;
    std::optional<base::WallTime> stapled_until;  // its OCSP answer is handed to clients
  };
  struct Facts {
    std::vector<std::string> alerts;  // what is wrong now, as sentences
    std::vector<Revocation> revocations;
    HandshakeFailures::Facts handshakes;
  };
  Facts facts() const;

 private:
  std::chrono::milliseconds step(const client::HttpExchange& exchange);
  void tell_expiry(const std::vector<ShownCertificate>& shown, base::WallTime now);
  void tell_troubles();
  void tell_refusals(const std::vector<ShownCertificate>& shown, base::WallTime now);
  void tell_silent_ends(const std::vector<ShownCertificate>& shown, base::WallTime now);
  // True once a day for each `id`, of those that are `shown`.
  bool is_refusal_due(const std::string& id, base::WallTime now);
  std::vector<std::string> refusal_alerts(base::WallTime now) const;
  void look_for_revocation(const std::vector<ShownCertificate>& shown,
                           const client::HttpExchange& exchange, base::WallTime now);
  // Out of service; false when one is to go, but cannot now.
  bool withdraw(const Revocation& revocation, const WatchSettings& settings);
  void tell_revoked(const Revocation& revocation, const std::string& text);

  const WatchSurroundings surroundings_;
  const base::Clock& clock_;
  HandshakeFailures handshakes_;

  // Of the worker's thread.
  std::vector<std::string> looked_at_;  // ids
  base::WallTime next_look_;
  std::map<std::string, base::WallTime> refusals_told_;  // by certificate

  mutable std::mutex mutex_;  // guards what follows
  std::vector<std::pair<std::string, base::WallTime>>
      ends_;  // sentence's beginning, end of validity
  std::vector<CertificateTrouble> troubles_;
  std::vector<Revocation> revocations_;

  client::StepWorker worker_;  // the last: it uses the rest
};

// When to ask for the successor of an OCSP answer that is valid from `from` to `until`: when a
// quarter of its time is left, and after that less and less long until its end, from an hour to a
// minute.
base::WallTime next_staple_look(base::WallTime from, base::WallTime until, base::WallTime now);

std::string_view name(CertificateWatch::Revocation::State state);  // "good"

}  // namespace larder::node
