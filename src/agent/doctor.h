// Behaves as a client towards a node and says what is wrong, and what mends it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "client/exchange.h"

namespace larder::agent {

struct Finding {
  enum class Verdict { Ok, Warning, Wrong, Skipped };
  std::string check;  // "chain"
  Verdict verdict = Verdict::Ok;
  std::string text;
  std::string fix;  // empty when nothing needs mending
};
std::string_view name(Finding::Verdict verdict);  // "ok", "warning", "wrong", "skipped"

struct Examination {
  std::string url;      // http or https, a host, perhaps a port; the path, when it has one, is read
  std::string address;  // connect there instead of asking the resolver; empty: ask
  std::string name;     // expected in the certificate; empty: the URL's host
  std::vector<std::string> trust;     // CA files; empty: the system's store
  std::string object;                 // URL of an object at its origin, read through the node
  std::vector<std::string> expected;  // SHA-256 of the certificates that the node says it shows
  std::map<std::string, std::string> environment;  // of the client: its proxy settings
  // Asks a responder or a list that the chain names; it decides by which way, what may be reached,
  // and when it took too long.
  client::HttpExchange ask;
};

struct Diagnosis {
  std::string target;  // "https://node1.example.org:443"
  std::vector<Finding> findings;
  bool is_well() const;  // nothing is wrong
};

// The proxy that programs with this environment ask for `host` (without brackets); empty: none.
std::string proxy_for(const std::map<std::string, std::string>& environment,
                      std::string_view scheme, std::string_view host);

// Makes some connections and reads at most 40 MiB; takes three minutes when everything times
// out, besides what `ask` takes. An error when the examination itself makes no sense: a URL that is
// none, trust that cannot be read.
base::Result<Diagnosis> examine(const Examination& what, const base::Clock& clock);

}  // namespace larder::agent
