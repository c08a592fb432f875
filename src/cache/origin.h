// How the cache asks an origin for bytes: the interface that a role implements with a real
// transport.
//
// Calls of a sink come from one thread, the origin thread, and must neither wait nor touch the
// disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "http/response_head.h"
#include "store/object.h"

namespace larder::cache {

// What the transport has to know of the settings under which a request came: the role's own affair.
class OriginTerms {
 public:
  virtual ~OriginTerms() = default;

 protected:
  OriginTerms() = default;
};

struct OriginRequest {
  std::string method = "GET";
  std::string host;    // the origin as the client named it, allow-listed
  bool https = false;  // verified TLS to the origin
  std::string target;  // origin-form, raw, without what chose the origin
  // Null: those in force when it is sent.
  std::shared_ptr<const OriginTerms> terms;
  // Of the object that it is for: what is learnt on the way is noted under it.
  store::Key key{};
  // Known to serve ranges: even the first request asks for a bounded one.
  bool serves_ranges = false;
  // Nobody has got a byte because of it: it may be refused where it would have to wait.
  bool is_first = false;
  std::vector<std::pair<std::string, std::string>> fields;  // beside Host
  std::string body;
  // On the origin thread, for each interim response (1xx) to this very request; may be empty.
  std::function<void(const http::ResponseHead&)> on_interim;
};

// Why nothing is fetched when Origin::admit gives no permit: what was configured, and no failure.
base::Error refused_by_cap();
bool is_refused_by_cap(const base::Error& error);

class OriginSink {
 public:
  enum class Next { Continue, Pause, Abort };
  virtual ~OriginSink() = default;
  virtual bool on_head(const http::ResponseHead& head) = 0;  // false ends the fetch
  virtual Next on_body(
      std::span<const std::uint8_t> bytes) = 0;  // Pause: the same bytes come again
  virtual bool
  on_burst() = 0;  // after a burst of bytes; true asks to be called again in a few milliseconds
  virtual void on_end(base::Status status) = 0;  // exactly once, last
};

class Origin {
 public:
  using FetchId = std::uint64_t;
  virtual ~Origin() = default;
  // The right to one more fill from the origin of that host, for as long as it is held. Null when
  // the caps on what may come from origins would starve it; `must`: an answer was promised already.
  struct Admission {
    std::uint64_t rate = UINT64_MAX;  // bytes a second that all fills under the cap share
    virtual ~Admission() = default;
  };
  using Permit = std::shared_ptr<const Admission>;
  virtual Permit admit(const std::string& /*host*/, bool /*must*/) {
    return std::make_shared<const Admission>();
  }
  // Whether admit() would give one now that is no `must`.
  virtual bool has_room(const std::string& /*host*/) const { return true; }
  // Thread-safe, as all of these.
  virtual FetchId fetch(OriginRequest request, std::shared_ptr<OriginSink> sink) = 0;
  virtual void resume(FetchId id) = 0;
  virtual void cancel(FetchId id) = 0;
};

}  // namespace larder::cache
