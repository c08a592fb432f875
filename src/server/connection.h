// One client's connection: reads requests, hands them to the handler, keeps the order, closes in
// time.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "net/loop.h"
#include "net/stream.h"
#include "server/egress.h"
#include "server/exchange.h"
#include "server/limits.h"

namespace larder::server {

// Why connections ended before their time, and what was not accepted. Added to by any loop.
struct ServerCounts {
  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> refused_total = 0;   // beyond Limits::connections
  std::atomic<std::uint64_t> made_room = 0;       // idle ones that ended for others
  std::atomic<std::uint64_t> refused_client = 0;  // beyond Limits::connections_per_client
  std::atomic<std::uint64_t> slow_heads = 0;      // Timeouts::header
  std::atomic<std::uint64_t> slow_bodies = 0;     // Timeouts::stall while reading
  std::atomic<std::uint64_t> slow_readers = 0;    // Timeouts::stall while sending
};

// What holds for the connections of one loop. Changes between two steps of the loop.
struct ConnectionRules {
  Timeouts timeouts;
  std::uint64_t lowest_rate = 0;  // Limits::lowest_rate
  Egress* egress = nullptr;       // null: no limit
  ServerCounts* counts = nullptr;
};

class Connection {
 public:
  // `egress`: null for clients without a limit. All references outlive the connection.
  Connection(std::unique_ptr<net::Stream> stream, Peer peer, Handler& handler,
             const ConnectionRules& rules, EgressClient* egress)
      : stream_(std::move(stream)),
        peer_(std::move(peer)),
        handler_(handler),
        rules_(rules),
        egress_(egress) {}

  // Until the connection ends. The TLS handshake, if any, is done already.
  net::Task<void> serve();

  // Ends it after the running answer or, when there was none yet, the first one; at once when it is
  // idle after answers. Loop thread.
  void drain();
  // Nothing of a request has come, or nothing of the next one. Loop thread.
  bool is_idle() const { return idle_; }
  base::SteadyTime idle_since() const { return idle_since_; }
  // Ends it, which is idle, to make room for another one. Loop thread.
  void make_room();
  bool makes_room() const { return makes_room_; }
  // Ends it now. Loop thread.
  void abort() { stream_->socket().cancel(); }

  const Peer& peer() const { return peer_; }

 private:
  friend class Exchange;

  struct OwnedRequest;
  std::unique_ptr<OwnedRequest> take_request(const http::HeadParse& parse);
  void take_bytes(std::size_t count);  // from the front of received_; the rest goes to pending_

  // One read without a wait. False: nothing came (ended_ says whether more can).
  bool receive();
  // Parses what came. NeedMore: it is in pending_.
  http::HeadParse parse_received(http::RequestHead& head);
  // Not inlined, here and below: the compiler would make their frames a part of serve's, which
  // every idle connection keeps.
  //
  // Reads until a whole head is there; its bytes are then the front of `received_`.
  [[gnu::noinline]] net::Task<http::HeadParse> read_head(http::RequestHead& head);
  // Sends the answer that the handler has given before to the same bytes, if it has. Partly: `rest`
  // is still to be sent by finish_repeating(), which returns whether the connection goes on.
  enum class Repeated { No, Sent, Partly };
  Repeated try_repeat(base::SteadyTime start, std::string& rest);
  [[gnu::noinline]] net::Task<bool> finish_repeating(base::SteadyTime start, std::string rest);
  [[gnu::noinline]] net::Task<bool> answer_slowly(http::HeadParse parse, base::SteadyTime start);
  [[gnu::noinline]] net::Task<void> refuse(http::HeadParse parse);
  [[gnu::noinline]] net::Task<void> linger();
  // All of it, as fast as limits allow. False when the connection is of no more use.
  net::Task<bool> write(net::Outgoing out) {
    return is_paced() ? write_paced(std::move(out)) : write_at_once(std::move(out));
  }
  bool is_paced() const { return rules_.egress != nullptr && egress_ != nullptr; }
  bool fail_to_write(const net::Outgoing& rest);  // false
  // Of an answer that was counted as sent whole.
  void take_back_unsent(Outcome& outcome) const;
  [[gnu::noinline]] net::Task<bool> write_paced(net::Outgoing out);
  [[gnu::noinline]] net::Task<bool> write_at_once(net::Outgoing out);

  std::unique_ptr<net::Stream> stream_;
  Peer peer_;
  Handler& handler_;
  const ConnectionRules& rules_;
  EgressClient* egress_;
  FairShare egress_share_;
  std::string pending_;        // received and not yet taken; empty while idle
  std::string_view received_;  // in pending_ or in the thread's buffer
  bool fresh_ = true;   // nothing was read yet: TLS may hold bytes that came with the handshake
  bool first_ = true;   // no whole request has come yet
  bool ended_ = false;  // the client sends nothing more
  bool draining_ = false;
  bool idle_ = false;
  base::SteadyTime idle_since_{};  // while idle_
  bool makes_room_ = false;
  bool broken_ = false;       // an answer could not be sent whole: there is nobody to wait for
  std::uint64_t unsent_ = 0;  // bytes of that answer
};

}  // namespace larder::server
