// One request and its answer, as handlers see it; and the interface of handlers.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "http/request_head.h"
#include "net/loop.h"
#include "net/stream.h"
#include "server/peer.h"

namespace larder::server {

// How an answer ended.
enum class Ending : std::uint8_t {
  Complete,
  ClientLeft,  // the client closed the connection, or took its bytes too slowly
  Cut,         // what was to follow could not be had, or the server stops
};

// What the access log and the metrics get to know of a request. Views point to static text.
struct Outcome {
  int status = 0;
  std::string_view cache = "-";   // "hit", "miss", "pass", ...: see docs/operations.md
  std::string_view reason = "-";  // why it went this way
  std::uint64_t bytes = 0;        // handed to the kernel, head included
  std::uint64_t body_from_store = 0;
  std::uint64_t body_from_origin = 0;
  std::array<char, 32> request_id{};  // hexadecimal; zeros when the handler gives none
  std::uint32_t origin = UINT32_MAX;  // a number of the handler's for the origin; none
  Ending ending = Ending::Complete;

  // The answer cannot be completed; unless its client has left before.
  void cut() {
    if (ending == Ending::Complete) ending = Ending::Cut;
  }
};

class Connection;
class RequestBody;

// Belongs to the connection's loop thread and ends with the request.
class Exchange {
 public:
  Exchange(Connection& connection, const http::RequestHead& head, base::SteadyTime start);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const http::RequestHead& head() const { return *head_; }
  const Peer& peer() const;
  base::SteadyTime start() const { return start_; }
  // When the first byte of an answer that needed waits was sent; the epoch for one that did not.
  base::SteadyTime first_sent() const { return first_sent_; }
  // The request's head as it was received. For try_answer only: it is valid as long as head().
  std::string_view raw_head() const { return raw_head_; }

  // Sends bytes of the answer; false when the client is gone: stop then. The caller has written a
  // complete head.
  net::Task<bool> send(net::Outgoing out);

  // Sends a complete interim response (1xx) before the answer, unless that has begun, the client
  // speaks HTTP/1.0 or its socket is full. Only while the handler waits for something else than
  // this exchange.
  void try_send_interim(std::string_view head);

  // The next bytes of the request's body, in order; 0 at its end. Sends 100 Continue when the
  // client waits for it. InvalidArgument for broken framing, DeadlineExceeded and Unavailable for a
  // client that stalls or leaves.
  net::Task<base::Result<std::size_t>> read_body(std::span<char> into);

  // The connection ends after this answer; say so with "Connection: close" in its head.
  void close_connection() { keep_alive_ = false; }
  // The end of the connection is that of the answer's body, too: an answer that is not complete
  // ends with a reset, and over TLS without close_notify, so that nobody takes it for the whole.
  void end_body_by_closing();
  bool keep_alive() const { return keep_alive_ && head_->keep_alive; }
  // The server is about to stop, or the request asked for it: the answer should say "Connection:
  // close".
  bool closing() const;

  Outcome outcome;

 private:
  friend class Connection;
  // The client still holds its body back.
  bool awaits_continue() const;

  base::SteadyTime start_;
  base::SteadyTime first_sent_{};
  Connection& connection_;
  const http::RequestHead* head_;
  std::string_view raw_head_;
  bool keep_alive_ = true;
  bool body_ends_by_closing_ = false;
  std::unique_ptr<RequestBody> body_;  // null until it is read
};

// Answers the requests of one listener on one loop; made for each by the listener's factory.
class Handler {
 public:
  virtual ~Handler() = default;

  // A chance to answer without any wait. True: `out` holds the whole answer, whose head may live in
  // a buffer of the thread until the next call. The views of the request's head are valid only
  // during the call.
  virtual bool try_answer(Exchange& exchange, net::Outgoing& out) {
    (void)exchange;
    (void)out;
    return false;
  }

  // The whole answer to exactly these bytes, which are all that was received: empty unless they are
  // one request that was answered lately and would be answered alike now. Nothing of it was parsed
  // yet. Valid until the next call; what became of it is told by repeated() or partly_repeated().
  virtual std::string_view repeat(std::string_view received, base::SteadyTime now) {
    (void)received;
    (void)now;
    return {};
  }
  // The answer of the last repeat() was sent.
  virtual void repeated(const Peer& peer, base::SteadyTime start) {
    (void)peer;
    (void)start;
  }
  // It was sent in part, or not at all: makes `exchange.outcome` that of the whole answer.
  // finished() follows when it is over.
  virtual void partly_repeated(Exchange& exchange) { (void)exchange; }

  // Answers, waiting as needed. Always sends something or closes the connection.
  virtual net::Task<void> answer(Exchange& exchange) = 0;

  // After the last byte or the failure; for log and metrics.
  virtual void finished(const Exchange& exchange) { (void)exchange; }

  // A request that could not be parsed was answered, as `outcome` tells; nothing else of it is
  // known.
  virtual void refused(const Peer& peer, const Outcome& outcome, base::SteadyTime start) {
    (void)peer;
    (void)outcome;
    (void)start;
  }
};

using HandlerFactory = std::function<std::unique_ptr<Handler>(net::Loop&)>;

// "Sun, 06 Nov 1994 08:49:37 GMT" of now, made once a second and thread.
std::string_view http_date_now();

}  // namespace larder::server
