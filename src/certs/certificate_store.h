// A host's certificates as plain files, and what may be done with them.
//
//   <folder>/active.json          which certificates are served, and whether HTTPS is disabled
//   <folder>/audit.jsonl          what was purged, as a chain of digests
//   <folder>/lock                 held while something changes
//   <folder>/<key>/key.pem        0600, made here, never exported
//   <folder>/<key>/request.csr    signed again and again: a renewal keeps the key
//   <folder>/<key>/<id>.crt       a chain that was imported, leaf first, PEM
//   <folder>/<key>/<id>.json      when it was imported, activated, deactivated, and why
//
// <id> is the SHA-256 of the leaf's DER. Every file is written beside its place, synced and
// renamed. One rename of active.json decides; what is written before it is not yet believed, what
// is written after it is made good by the next change. So a crash between any two writes leaves the
// old state or the new one.
//
// The object holds settings only; the truth is on disk. Reading takes no lock and may go on while
// another process changes something. Changing takes the lock: FailedPrecondition when another
// process does not let go of it. All functions block.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "certs/audit_log.h"
#include "certs/certificate_folder.h"
#include "certs/check.h"
#include "certs/inventory.h"
#include "certs/retention.h"
#include "certs/signer.h"
#include "certs/state_files.h"
#include "crypto/key.h"
#include "crypto/names.h"

namespace larder::certs {

struct StoreSettings {
  std::string folder;                         // <state_dir>/certificates
  std::vector<std::string> connection_names;  // what clients call this host
  std::vector<std::string> client_trust;      // CA files; empty: the system's store
  // How long a change waits for another one to end: what a signer has signed may have cost minutes,
  // and who wants HTTPS to end wants it now.
  std::chrono::milliseconds patience{10'000};
};

struct RequestOptions {
  std::string key_name;
  crypto::KeyAlgorithm algorithm = crypto::KeyAlgorithm::EcP256;
  crypto::DistinguishedName subject;
  // Empty: the connection names, or else the common name.
  crypto::AlternativeNames names;
};

struct RequestOutcome {
  std::string path;  // of the CSR
  std::vector<std::string> warnings;
};

struct ImportOptions {
  std::string_view password = {};  // of PKCS#12
  bool partial = false;            // other certificates cover the rest of the connection names
  bool dry_run = false;            // check only, write nothing
};

struct ImportOutcome {
  std::string key_name;   // empty while no certificate for a key held here was found
  std::string id;         // as well
  CheckReport report;     // when a check failed, nothing was changed
  bool active = false;    // served from now on
  bool disabled = false;  // stored and chosen, but HTTPS is disabled: `enable` serves it
};

// What to serve with.
struct ServingCertificate {
  crypto::PrivateKey key;
  std::vector<crypto::Certificate> chain;  // leaf first
  std::string chain_pem;
  ActiveFile::Choice choice;
};
struct ActiveState {
  bool disabled = false;  // by the administrator: no other certificate may be served either
  std::string reason;     // why it is, when it is
  std::vector<ServingCertificate> certificates;  // the latest first; none when disabled
  struct Damage {
    ActiveFile::Choice choice;
    base::Error error;
  };
  std::vector<Damage> damaged;  // chosen as well, but the files are missing or do not fit
};

class CertificateStore {
 public:
  // Makes the folder (0750) when there is none.
  static base::Result<CertificateStore> open(StoreSettings settings);

  // Makes a key and its request. AlreadyExists when the name has a request: a renewal signs that
  // one again, a new key takes a new name. With `pause`, where another change is going on, after
  // it.
  base::Result<RequestOutcome> make_request(const RequestOptions& options, base::WallTime now,
                                            const Pause& pause = {});

  // Checks the content against a key held here and, when every check passes, serves it from now on,
  // in place of what it replaces (serving_set.h). A failed check is no error but stands in the
  // report. Importing an earlier certificate again goes back to it.
  base::Result<ImportOutcome> import_certificate(std::string_view content,
                                                 const ImportOptions& options, base::WallTime now);
  // Goes back to the certificate that was served last and is not any more, checked anew; with a key
  // name, to that of the key. A second time comes forward again. FailedPrecondition when there is
  // none that is still valid.
  base::Result<ImportOutcome> rollback(std::string_view key_name, base::WallTime now);
  // Has the signer sign the request of a key, and imports the result; where another change is going
  // on just then, once that is done: within 10 s, or until `pause` says that nobody waits any more.
  // Not for event loops.
  // FailedPrecondition, and the signer is not asked, when there is no request or it leaves out a
  // name that clients connect by and that the certificate in use covers; InvalidArgument when what
  // comes back is not for this key, or when neither the certificate nor what clients need of its
  // chain ends later than in use, or with the messages of all failed checks.
  base::Result<ImportOutcome> renew(const std::string& key_name, Signer& signer,
                                    const base::Clock& clock, const Pause& pause = {});

  // HTTPS ends; key, request and certificates stay. Also without a certificate: then it keeps the
  // site's own from being served.
  base::Status disable(const std::string& reason, base::WallTime now);
  // What can be served is served again (load_active says what cannot). FailedPrecondition when that
  // is none of what is chosen, or every one has expired, or when nothing is disabled nor chosen.
  base::Status enable(base::WallTime now);
  // Puts a certificate away, active or not, whatever is said to be the reason. `id` may be
  // shortened to 8 digits when that is clear. One that the CA has revoked is kept by the time of
  // that instead of by its validity. A chosen one whose file is lost or cannot be read is not
  // chosen any more. A record that is missing is begun anew; one that cannot be read is an error,
  // and nothing changes.
  struct RetireOptions {
    std::string reason = {};
    bool revoked = false;
  };
  base::Status retire(std::string_view id, const RetireOptions& options, base::WallTime now);

  // Deletes what was kept for long enough (retention.h), in the audit log first; with `dry_run`
  // only says what would go.
  base::Result<std::vector<Purge>> purge(bool dry_run, base::WallTime now);
  base::Result<AuditChain> audit() const;

  base::Result<Inventory> list() const;
  // NotFound when no certificate has the id, or its first 8 or more digits.
  base::Result<CertificateFacts> show(std::string_view id) const;
  // An error only when it cannot be known what is chosen.
  base::Result<ActiveState> load_active() const;

 private:
  explicit CertificateStore(StoreSettings settings);

  // NotFound when none has that id, neither a certificate that can be read nor one that is chosen.
  base::Result<ActiveFile::Choice> find(std::string_view id, const ActiveFile& active) const;
  // Nothing unless the certificate is recorded as revoked: nobody serves it again by mistake. An
  // error when there is a record that cannot be read: it may say so.
  base::Result<std::optional<Check>> find_revoked(const std::string& key_name,
                                                  const std::string& id) const;
  // What a signer returned for the request of that key. `pause`: as of renew.
  base::Result<ImportOutcome> import_signed(const std::string& chain, const std::string& key_name,
                                            const crypto::PrivateKey& key, std::string_view signer,
                                            const base::Clock& clock, const Pause& pause);
  // Checks a chain for a key; unless it is a dry run, commits it. Under the lock.
  enum class Source { Import, Rollback };
  struct Candidate {
    std::vector<crypto::Certificate> chain;
    std::vector<crypto::Certificate> others;  // that came along
  };
  base::Result<Candidate> make_candidate(const crypto::Certificate& leaf,
                                         const std::vector<crypto::Certificate>& certificates,
                                         base::WallTime now) const;
  base::Result<ImportOutcome> activate(const HeldKey& key, const Candidate& candidate,
                                       Source source, const ImportOptions& options,
                                       base::WallTime now);
  base::Result<ServingCertificate> load(const ActiveFile::Choice& choice) const;
  // InvalidArgument when the one of that key that is or would be served ends as late, and so does
  // its chain.
  base::Status check_newer(const std::vector<crypto::Certificate>& chain,
                           const std::string& key_name, base::WallTime now) const;
  // What is chosen, sorted by what becomes of it with a new certificate of that key.
  struct Beside {
    std::vector<ActiveFile::Choice> choices;    // that go on
    std::vector<crypto::Certificate> leaves;    // of those that can be read and have not ended
    std::vector<crypto::Certificate> followed;  // in whose place it comes
    bool follows_unreadable = false;            // among those is one that cannot be read
  };
  // `next` is null where it is not made yet.
  Beside beside(const crypto::Certificate* next, const std::string& key_name,
                const ActiveFile& active, base::WallTime now) const;

  StoreSettings settings_;
  CertificateFolder folder_;
};

}  // namespace larder::certs
