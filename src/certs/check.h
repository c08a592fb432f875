// What a certificate must pass before it may be served, one by one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder::certs {

struct Check {
  // In the order in which they are made. A machine may rely on each one: it has a name and its own
  // exit code.
  enum class Kind {
    Form,        // it is one of the forms that can be read, and holds certificates
    PrivateKey,  // it is not a private key by mistake
    Password,    // its password opens it
    HeldKey,     // it was made for a key of this host
    Revoked,     // it is not recorded here as revoked
    Expiry,      // it has not expired
    Start,       // it is valid already
    Usage,       // it may serve TLS
    Authority,   // it is no CA
    Issuer,      // somebody else signed it
    Names,       // it covers what clients connect to
    Strength,    // key and signature are strong enough
    Chain,       // it leads to a root that clients trust
    Handshake,   // real handshakes succeed with it
  };
  enum class Verdict { Passed, Warning, Failed };
  Kind kind = Kind::Form;
  Verdict verdict = Verdict::Passed;
  std::string message;  // what was found, and what to do when it is not right
};
std::string_view name(Check::Kind kind);  // "held-key"

struct CheckReport {
  std::vector<Check> checks;
  bool proven = false;  // the chain leads to a trusted root and real handshakes succeeded

  bool passed() const;  // no check failed
  // The first that failed; null when none did.
  const Check* first_failure() const;
  // The messages of all failed checks, one per line.
  std::string failures() const;
};

}  // namespace larder::certs
