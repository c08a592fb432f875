// A connection's bytes, plain or over TLS, with one interface for both. Everything is non-blocking:
// a call does what it can at once and says whether to wait. Belongs to its loop's thread. Buffers
// belong to the thread, not to the stream: an idle connection holds none.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/shown_identity.h"
#include "net/socket.h"
#include "net/task.h"

namespace larder::net {

class TlsContext;

enum class IoState {
  Done,        // all of it (write), or some bytes (read)
  WouldBlock,  // wait for the socket, then call again
  Yield,       // let other connections have their turn, then call again (write)
  Closed,      // the peer ended its side in order
  Failed,      // reset, TLS error, or a mapped file that could not be read
};

// What is to be written: a head, then bytes in memory, then a run of a file. A stream takes from
// the front.
struct Outgoing {
  std::string_view head;
  std::string_view memory;
  int file = -1;
  std::uint64_t file_offset = 0;
  std::uint64_t file_length = 0;
  const std::uint8_t* mapped = nullptr;  // where file_offset is mapped, if it is: spares TLS a copy
  bool (*mapped_failed)(const void* owner) =
      nullptr;  // asked after reading from `mapped`: true when the bytes were not the file's
  std::shared_ptr<const void> owner;  // keeps `memory`, `file` and `mapped` alive

  bool empty() const { return head.empty() && memory.empty() && file_length == 0; }
  std::uint64_t size() const { return head.size() + memory.size() + file_length; }
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Reads what is there. Done: `got` > 0.
  virtual IoState try_read(std::span<char> into, std::size_t& got) = 0;
  // Done: everything was handed to the kernel. WouldBlock: `out` holds the rest; call again when
  // writable.
  virtual IoState try_write(Outgoing& out) = 0;
  // Tells the peer that nothing more comes (close_notify and FIN).
  virtual void finish() = 0;
  // DER of the certificate that the peer has proven to hold; empty when none.
  virtual std::string peer_certificate() const { return {}; }
  // Lets go of buffers until the next use; for connections that have fallen silent.
  virtual void release_memory() {}
  // Bytes that were taken from what was to be written and that the kernel does not have yet.
  virtual std::size_t unsent() const { return 0; }
  virtual bool is_tls() const { return false; }
  // The certificate that the client was shown in the handshake, or would have been in one that
  // failed before; null when there is none: it came back with a ticket.
  virtual const ShownIdentity* shown() const { return nullptr; }
  // The alert by which the client ended the connection after the handshake ("unknown CA"); empty
  // when it gave none, or only said that it closes.
  virtual std::string_view alert() const { return {}; }

  Socket& socket() { return socket_; }
  // The last read took all that was there: wait before the next one.
  bool is_drained() const { return drained_; }

  // Waits as needed, each wait at most `stall` long. False when the connection is of no more use.
  Task<bool> write(Outgoing out, std::chrono::milliseconds stall);

 protected:
  Stream(Loop& loop, base::UniqueFd fd) : socket_(loop, std::move(fd)) {}
  Socket socket_;
  bool drained_ = false;
};

std::unique_ptr<Stream> make_plain_stream(Loop& loop, base::UniqueFd fd);

// The server's side of a TLS connection; call handshake() first.
class TlsStream : public Stream {
 public:
  using Stream::Stream;
  // Empty when done; else the reason in a few words, for log and metric (the alert's name when the
  // peer sent one).
  virtual Task<std::string> handshake(base::SteadyTime deadline) = 0;
  // The handshake was all that this connection is for: it answered a challenge.
  virtual bool ends_with_handshake() const = 0;
};
std::unique_ptr<TlsStream> make_tls_stream(Loop& loop, base::UniqueFd fd,
                                           std::shared_ptr<const TlsContext> context);

// A TLS port without a certificate: waits for the ClientHello, answers with a fatal alert, closes.
// (A closed port would make Delivery Optimization clients avoid the host for everything.) `stream`
// is a plain one.
Task<void> refuse_tls(Stream& stream, base::SteadyTime deadline);

}  // namespace larder::net
