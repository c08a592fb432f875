// Fetches from origins: one thread that runs all transfers, so that caps and pools are global by
// construction.
//
// The bytes of the request target go out as they are; redirects are followed only as the fetch's
// own rule says; TLS is always verified; the address that is really connected is checked at every
// connect, after every resolution.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "client/address_policy.h"
#include "client/rate_limit.h"
#include "http/response_head.h"

namespace larder::client {

struct OriginFetch;

// What a redirect (301 to 308) means for a fetch: another fetch that replaces it, nothing when the
// redirect itself is the answer, or an error that ends it. May rewrite the head that is passed on.
// Called on the origin thread: pure and quick. At most 5 hops, and none twice.
using RedirectRule = std::function<base::Result<std::optional<OriginFetch>>(
    const OriginFetch& hop, http::ResponseHead& head)>;

struct OriginFetch {
  std::string method = "GET";
  bool https = false;
  std::string host;        // of the Host field, of SNI and of the certificate's check; IPv6 with or
                           // without brackets
  std::uint16_t port = 0;  // 0: the scheme's
  // Where to connect to instead of host:port.
  std::optional<std::pair<std::string, std::uint16_t>> connect_to;
  std::string target;                                       // origin-form, raw
  std::vector<std::pair<std::string, std::string>> fields;  // beside Host
  std::string body;
  // Caps that it shares with others; all of them count.
  std::vector<std::shared_ptr<RateLimit>> limits;
  AddressRules addresses;  // that it may be connected to
  std::string ca_file;     // the only roots trusted; empty: the system's store
  bool direct = false;     // not through the proxy
  // Nobody has got a byte because of it: it ends when no connection is free for `patience`.
  bool is_first = false;
  RedirectRule redirect;  // empty: redirects are answers like others
};

// An HTTP proxy on the way to origins: plain requests in absolute-form, TLS through CONNECT. It
// resolves names, so the addresses of origins are its to judge.
struct OriginProxy {
  std::string url;   // http:// or https://, host and port
  std::string user;  // empty: no credentials are sent
  std::string password;
};

// What happens to a fetch. Called on the origin thread, which all transfers share: no waiting, no
// disk.
class FetchSink {
 public:
  enum class Next { Continue, Pause, Abort };
  virtual ~FetchSink() = default;
  // An interim response (1xx, never 101), before the final head. A few at most.
  virtual void on_interim(const http::ResponseHead& head) { (void)head; }
  // The final response head; strictly parsed. False ends the fetch.
  virtual bool on_head(const http::ResponseHead& head) = 0;
  // Pause: the same bytes come again after OriginPool::resume.
  virtual Next on_body(std::span<const std::uint8_t> bytes) = 0;
  // After a burst of on_body calls: the moment to wake whoever waits. True to be called again after
  // a few milliseconds even if nothing arrives.
  virtual bool on_burst() { return false; }
  // Exactly once, last. Unavailable: the origin cannot be reached or broke off; DeadlineExceeded:
  // it stalled; PermissionDenied: its address is not allowed; DataLoss: its answer breaks HTTP's
  // rules; Unauthenticated: its certificate is not trusted.
  virtual void on_end(base::Status status) = 0;
};

using FetchId = std::uint64_t;

struct OriginPoolSettings {
  std::chrono::milliseconds connect_timeout{10'000};
  // A transfer without a byte for this long is given up, 5 s later at most. How slow one may be is
  // for those to judge who wait for it.
  std::chrono::seconds silence{15};
  std::size_t connections = 512;
  std::size_t connections_per_host = 128;
  std::size_t queue_limit = 4096;  // fetches running and waiting
  // How long a first fetch waits for one of these connections.
  std::chrono::milliseconds patience{5'000};
  std::chrono::seconds dns_cache{10};  // how long a resolved name is used for further connects
  std::optional<OriginProxy> proxy;
  std::string extra_ca_file;  // PEM roots beside the system's store, as an inspecting proxy needs
  // Ports on which this process listens: an own address with such a port is never an origin.
  std::vector<std::uint16_t> own_ports;
};

// Thread-safe.
class OriginPool {
 public:
  static base::Result<std::unique_ptr<OriginPool>> start(OriginPoolSettings settings);
  ~OriginPool();  // stops
  OriginPool(const OriginPool&) = delete;
  OriginPool& operator=(const OriginPool&) = delete;

  // on_end is called in any case; ResourceExhausted when too many fetches are queued, or no
  // connection was free in time.
  FetchId fetch(OriginFetch fetch, std::shared_ptr<FetchSink> sink);
  void resume(FetchId id);
  void cancel(FetchId id);
  // Replaces the settings, but for `connections` and `queue_limit`: `own_ports` for connects from
  // now on, the rest for what begins from now on. Connections that are open beyond
  // `connections_per_host` end by themselves. Files of roots are read anew, and connections that
  // were verified by what stood in them before are not used again.
  void apply(OriginPoolSettings settings);

  // Ends all fetches (on_end is called) and the thread. Before what the sinks use goes; later calls
  // do nothing, not even on_end.
  void stop();

 private:
  OriginPool();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::client
