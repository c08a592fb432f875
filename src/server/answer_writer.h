// Sends what a connection has to say: in its client's turn where there is a limit to what is sent,
// and only as long as the client takes it fast enough.
#pragma once

#include <cstdint>

#include "net/loop.h"
#include "net/stream.h"
#include "server/connection_rules.h"
#include "server/egress.h"
#include "server/exchange.h"

namespace larder::server {

// Belongs to its connection. One write at a time.
class AnswerWriter {
 public:
  // `egress`: null for clients without a limit. All references outlive it.
  AnswerWriter(net::Stream& stream, const ConnectionRules& rules, EgressClient* egress)
      : stream_(stream), rules_(rules), egress_(egress) {}

  // Whether a write has to wait for its turn: then nothing may be sent past this writer.
  bool is_paced() const { return rules_.egress != nullptr && egress_ != nullptr; }
  // All of it. False when the connection is of no more use; what `out` points to stays until then.
  net::Task<bool> write(net::Outgoing out) {
    return is_paced() ? write_paced(std::move(out)) : write_at_once(std::move(out));
  }

  // An answer could not be sent whole: there is nobody to wait for, and every write fails.
  bool is_broken() const { return broken_; }
  // As a write of which `rest` could not be sent: false.
  bool fail(const net::Outgoing& rest);
  // Of an answer that could not be sent whole: whether that was the client's doing.
  Ending ending() const { return client_left_ ? Ending::ClientLeft : Ending::Cut; }
  // Bytes that the last write did not bring to the kernel.
  std::uint64_t unsent() const { return unsent_; }
  // Of an answer that was counted as sent whole.
  void take_back_unsent(Outcome& outcome) const;

 private:
  // Not inlined: the compiler would make their frames a part of Connection::serve's, which every
  // idle connection keeps.
  [[gnu::noinline]] net::Task<bool> write_paced(net::Outgoing out);
  [[gnu::noinline]] net::Task<bool> write_at_once(net::Outgoing out);

  net::Stream& stream_;
  const ConnectionRules& rules_;
  EgressClient* egress_;
  FairShare share_;
  bool broken_ = false;
  bool client_left_ = false;
  std::uint64_t unsent_ = 0;
};

}  // namespace larder::server
