// One loop thread of a server with its connections: accepts them, decides whether there is room,
// does the TLS handshakes and serves.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "net/loop.h"
#include "net/stream.h"
#include "server/clients.h"
#include "server/connection.h"
#include "server/connection_rules.h"
#include "server/egress.h"
#include "server/idle_search.h"
#include "server/listener.h"
#include "server/running_tasks.h"

namespace larder::server {

class Worker;

// What the workers of one server have in common. Only `workers` does not change while they run; the
// rest is thread-safe.
struct ServerState {
  Egress egress;
  Clients clients;
  ServerCounts counts;
  std::atomic<std::size_t> connection_limit = 0;
  std::atomic<std::size_t> client_limit = 0;
  std::atomic<std::size_t> connections = 0;
  // That have a place under the limit. One that ends to make room leaves its place to the one that
  // comes, so `connections` may be more by `ending`.
  std::atomic<std::size_t> places = 0;
  std::atomic<std::size_t> ending = 0;
  RunningTasks tasks;                  // accept loops and connections
  std::atomic<bool> stopping = false;  // who comes is served one answer
  std::atomic<bool> closing = false;   // nobody is served any more
  std::vector<std::unique_ptr<Worker>> workers;
};

// One listener on one loop.
struct Port {
  explicit Port(ListenerSettings listener) : settings(std::move(listener)) {}
  const ListenerSettings settings;
  std::unique_ptr<Handler> handler;
  base::UniqueFd fd;                    // bound, until the loop's thread makes the socket of it
  std::unique_ptr<net::Socket> socket;  // goes when nothing is accepted here any more
};

// Functions that say nothing else may be called by any thread, and hold from the loop's next turn
// on.
class Worker {
 public:
  // `server` outlives it.
  explicit Worker(ServerState& server) : server_(server), ticker_(loop_, server.egress) {}

  // Runs the loop on a thread of its own until finish(), which waits for its end.
  void start();
  void finish();
  net::Loop& loop() { return loop_; }

  void set_rules(const ConnectionRules& rules);
  // Accepts connections there, until close(): then those that have connected already are the last,
  // and served to their end.
  void listen(const std::shared_ptr<Port>& port);
  void close(const std::shared_ptr<Port>& port);
  // Lets every connection end after its running answer.
  void drain();
  // Ends every connection and handshake.
  void abort();

  // Connections that are not idle. Loop thread.
  std::size_t running_answers() const;

 private:
  // Lets connections go whose turn to send has come.
  class EgressTicker final : public net::Timed {
   public:
    EgressTicker(net::Loop& loop, Egress& egress) : egress_(egress) { loop.watch(*this); }
    void arm() { deadline_ = std::chrono::steady_clock::now(); }

   private:
    void expire() override {
      egress_.distribute();
      if (egress_.is_on()) arm();
    }
    Egress& egress_;
  };

  // In the order of a connection's life.
  net::Task<void> accept(std::shared_ptr<Port> port);
  int accept_turn(const std::shared_ptr<Port>& port, int most);
  void admit(const std::shared_ptr<Port>& port, base::UniqueFd fd, const sockaddr_storage& address);
  bool take_place(std::size_t limit);
  bool make_room();
  net::Task<void> admit_for_another(std::shared_ptr<Port> port, base::UniqueFd fd, Peer peer,
                                    Clients::Place place);
  void begin(const std::shared_ptr<Port>& port, base::UniqueFd fd, Peer peer, Clients::Place place);
  net::Task<void> serve(std::shared_ptr<Port> port, base::UniqueFd fd, Peer peer,
                        Clients::Place place);
  // The stream of the connection; null when there is none to go on with.
  static void tell_silent_end(const ListenerSettings& listener, const Connection& connection);
  net::Task<std::unique_ptr<net::Stream>> secure(const ListenerSettings& listener,
                                                 base::UniqueFd fd, Peer& peer);

  ServerState& server_;
  net::Loop loop_;
  EgressTicker ticker_;
  ConnectionRules rules_;
  std::unordered_set<Connection*> connections_;
  std::unordered_set<net::Stream*> handshakes_;  // that run
  IdleSearch idle_;
  std::thread thread_;
};

}  // namespace larder::server
