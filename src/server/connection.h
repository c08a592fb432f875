// One client's connection: reads requests, hands them to the handler, keeps the order, closes in
// time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "http/request_head.h"
#include "net/loop.h"
#include "net/stream.h"
#include "server/answer_writer.h"
#include "server/connection_rules.h"
#include "server/exchange.h"
#include "server/peer.h"

namespace larder::server {

class Connection {
 public:
  // `egress`: null for clients without a limit. All references outlive the connection.
  Connection(std::unique_ptr<net::Stream> stream, Peer peer, Handler& handler,
             const ConnectionRules& rules, EgressClient* egress)
      : stream_(std::move(stream)),
        peer_(std::move(peer)),
        handler_(handler),
        rules_(rules),
        writer_(*stream_, rules, egress) {}

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
  const net::Stream& stream() const { return *stream_; }
  // The client ended it before a byte of a request.
  bool ended_silently() const { return ended_silently_; }

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
  void take_first(const http::HeadParse& parse);

  std::unique_ptr<net::Stream> stream_;
  Peer peer_;
  Handler& handler_;
  const ConnectionRules& rules_;
  AnswerWriter writer_;
  std::string pending_;        // received and not yet taken; empty while idle
  std::string_view received_;  // in pending_ or in the thread's buffer
  bool fresh_ = true;   // nothing was read yet: TLS may hold bytes that came with the handshake
  bool first_ = true;   // no whole request has come yet
  bool ended_ = false;  // the client sends nothing more
  bool draining_ = false;
  bool is_cut_ = false;  // its end must not look like that of a whole answer
  bool idle_ = false;
  base::SteadyTime idle_since_{};  // while idle_
  bool makes_room_ = false;
  bool ended_silently_ = false;
};

}  // namespace larder::server
