// One client's connection: reads requests, hands them to the handler, keeps the order, closes in
// time.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "net/loop.h"
#include "net/stream.h"
#include "server/exchange.h"

namespace larder::server {

struct Timeouts {
  std::chrono::milliseconds handshake{10'000};
  std::chrono::milliseconds header{
      15'000};  // from the first byte of a request to the end of its head
  std::chrono::milliseconds idle{75'000};  // between requests
  std::chrono::milliseconds stall{
      60'000};  // without progress while sending or while reading a body
};

class Connection {
 public:
  Connection(std::unique_ptr<net::Stream> stream, Peer peer, Handler& handler,
             const Timeouts& timeouts)
      : stream_(std::move(stream)),
        peer_(std::move(peer)),
        handler_(handler),
        timeouts_(timeouts) {}

  // Until the connection ends. The TLS handshake, if any, is done already.
  net::Task<void> serve();

  // Ends it after the running answer, at once when it is idle. Loop thread.
  void drain();
  // Ends it now. Loop thread.
  void abort() { stream_->socket().cancel(); }

  const Peer& peer() const { return peer_; }

 private:
  friend class Exchange;

  struct OwnedRequest;
  std::unique_ptr<OwnedRequest> take_request(const http::HeadParse& parse);
  void take_bytes(std::size_t count);  // from the front of received_; the rest goes to pending_

  // One read. NeedMore: what came is in pending_, or nothing came (ended_ says whether more can).
  http::HeadParse read_at_once(http::RequestHead& head);
  // Reads until a whole head is there; its bytes are then the front of `received_`.
  net::Task<http::HeadParse> read_head(http::RequestHead& head);
  net::Task<bool> answer_slowly(http::HeadParse parse, base::SteadyTime start);
  net::Task<void> refuse(http::HeadParse parse);
  net::Task<void> linger();

  std::unique_ptr<net::Stream> stream_;
  Peer peer_;
  Handler& handler_;
  const Timeouts& timeouts_;
  std::string pending_;        // received and not yet taken; empty while idle
  std::string_view received_;  // in pending_ or in the thread's buffer
  bool fresh_ = true;   // nothing was read yet: TLS may hold bytes that came with the handshake
  bool ended_ = false;  // the client sends nothing more
  bool draining_ = false;
  bool idle_ = false;
};

}  // namespace larder::server
