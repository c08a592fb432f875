// Listeners on several loops: accepts connections, does handshakes, runs handlers, stops in order.
// Listeners and limits may change while it runs; no connection is dropped for that.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "net/loop.h"
#include "server/connection_rules.h"
#include "server/limits.h"
#include "server/listener.h"

namespace larder::server {

struct ServerSettings {
  unsigned threads = 1;
  Limits limits;
};

// Thread-safe, except for start and the destructor.
class Server {
 public:
  // Binds everything or nothing, then serves on threads of its own. Errors name the listener and
  // its address.
  static base::Result<std::unique_ptr<Server>> start(const std::vector<ListenerSettings>& listeners,
                                                     const ServerSettings& settings);
  // As stop(10 s).
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // From now on listens at these places and no others: all of it, or an error and nothing changes.
  // A place that stays keeps what it was given at first, except for its congestion control.
  // Connections of a listener that goes are served to their end.
  base::Status set_listeners(const std::vector<ListenerSettings>& wanted);
  // In force for every connection from its next step on.
  void set_limits(const Limits& limits);

  // Idle connections end, running answers may finish until the grace is over; who comes meanwhile
  // gets one answer. Then nobody is served any more, but nobody's connect is refused either until
  // the server and listening_descriptors() are gone.
  void stop(std::chrono::milliseconds grace);
  // Duplicates, for who has more to bring to an end after stop().
  std::vector<base::UniqueFd> listening_descriptors() const;

  // Whether every loop took a turn within that time: false when one is stuck.
  bool is_responsive(std::chrono::milliseconds limit) const;
  // Runs on every loop, in its turn; does not wait for it.
  void on_each_loop(const std::function<void(net::Loop&)>& work);

  // The port that the listener of that name is bound to; 0 when there is none.
  std::uint16_t port(std::string_view listener) const;
  std::size_t connection_count() const;
  std::size_t client_count() const;
  const ServerCounts& counts() const;

 private:
  Server();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::server
