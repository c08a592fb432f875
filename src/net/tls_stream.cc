#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/stream.h"
#include "net/tls_context.h"

namespace larder::net {

namespace {

// Plaintext sealed before one send: beyond 256 KiB larger batches gain nothing, below they cost
// system calls.
constexpr std::size_t kBatch = 256 * 1024;
constexpr std::size_t kRecord = 16 * 1024;

// Buffers of the thread. OpenSSL reads from `received` and appends to `sealed` through the BIO
// below.
struct ThreadBuffers {
  char received[64 * 1024];
  std::size_t received_at = 0;
  std::size_t received_end = 0;
  std::string sealed;
  char file[kRecord];
};

ThreadBuffers& buffers() {
  thread_local const std::unique_ptr<ThreadBuffers> instance = [] {
    auto made = std::make_unique<ThreadBuffers>();
    made->sealed.reserve(kBatch + kBatch / 8);
    return made;
  }();
  return *instance;
}

int bio_write(BIO* /*bio*/, const char* bytes, int length) {
  buffers().sealed.append(bytes, static_cast<std::size_t>(length));
  return length;
}

int bio_read(BIO* bio, char* into, int length) {
  ThreadBuffers& thread = buffers();
  BIO_clear_retry_flags(bio);
  const std::size_t count =
      std::min(static_cast<std::size_t>(length), thread.received_end - thread.received_at);
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(into, thread.received + thread.received_at, count);
  thread.received_at += count;
  return static_cast<int>(count);
}

long bio_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// SSL_get_error looks at the thread's queue, so nothing old may stand in it. Clearing an empty one
// costs more than asking.
void forget_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

BIO_METHOD* bio_method() {
  static BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "larder");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    BIO_meth_set_create(made, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return made;
  }();
  return method;
}

class OpenSslStream final : public TlsStream {
 public:
  OpenSslStream(Loop& loop, base::UniqueFd fd, std::shared_ptr<const TlsContext> context)
      : TlsStream(loop, std::move(fd)),
        context_(std::move(context)),
        ssl_(SSL_new(static_cast<SSL_CTX*>(context_->native()))) {
    BIO* bio = BIO_new(bio_method());
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_accept_state(ssl_);
  }
  ~OpenSslStream() override { SSL_free(ssl_); }
  OpenSslStream(const OpenSslStream&) = delete;
  OpenSslStream& operator=(const OpenSslStream&) = delete;

  bool is_tls() const override { return true; }

  Task<std::string> handshake(base::SteadyTime deadline) override {
    for (;;) {
      const IoState received = receive();
      if (received == IoState::Closed) co_return "closed by the client";
      if (received == IoState::Failed) co_return "connection failed";
      if (received == IoState::Done) {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl_);
        const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, result);
        std::string reason;
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
          const char* text = ERR_reason_error_string(ERR_peek_last_error());
          reason = text != nullptr ? text : "handshake failed";
          ERR_clear_error();
        }
        keep_sealed();
        keep_received();
        // The ticket leaves right after Finished: without it a client with delayed acknowledgements
        // stalls 40 ms.
        while (flush() == IoState::WouldBlock) {
          if (!co_await socket_.writable(deadline)) co_return "timed out";
        }
        if (!reason.empty()) co_return reason;
        if (error == SSL_ERROR_NONE) co_return std::string();
      }
      if (drained_ && !co_await socket_.readable(deadline)) co_return "timed out";
    }
  }

  IoState try_read(std::span<char> into, std::size_t& got) override {
    got = 0;
    ThreadBuffers& thread = buffers();
    thread.received_at = thread.received_end = 0;
    if (early_.empty()) {
      const IoState received = receive();
      if (received != IoState::Done && received != IoState::WouldBlock) return received;
    } else {
      std::memcpy(thread.received, early_.data(), early_.size());
      thread.received_end = early_.size();
      early_.clear();
      early_.shrink_to_fit();
    }
    int error = SSL_ERROR_NONE;
    while (got < into.size()) {
      forget_errors();
      const int count = SSL_read(ssl_, into.data() + got, static_cast<int>(into.size() - got));
      if (count <= 0) {
        error = SSL_get_error(ssl_, count);
        forget_errors();
        break;
      }
      got += static_cast<std::size_t>(count);
      // Another call would only find out what is known already: nothing is left.
      if (thread.received_at == thread.received_end && SSL_pending(ssl_) == 0) break;
    }
    keep_received();
    keep_sealed();
    if (!pending_.empty() && flush() == IoState::Failed) return IoState::Failed;
    if (got > 0) return IoState::Done;
    if (error == SSL_ERROR_ZERO_RETURN) return IoState::Closed;
    return error == SSL_ERROR_WANT_READ ? IoState::WouldBlock : IoState::Failed;
  }

  IoState try_write(Outgoing& out) override {
    if (const IoState flushed = flush(); flushed != IoState::Done) return flushed;
    while (!out.empty()) {
      if (!seal(out)) return IoState::Failed;
      if (const IoState sent = send_sealed(); sent != IoState::Done) return sent;
    }
    return IoState::Done;
  }

  void finish() override {
    if (SSL_is_init_finished(ssl_) == 1) {
      buffers().sealed.clear();
      SSL_shutdown(ssl_);
      ERR_clear_error();
      keep_sealed();
      flush();
    }
    ::shutdown(socket_.fd(), SHUT_WR);
  }

  void release_memory() override { SSL_free_buffers(ssl_); }

  std::string peer_certificate() const override {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    if (certificate == nullptr) return {};
    unsigned char* der = nullptr;
    const int length = i2d_X509(certificate, &der);
    X509_free(certificate);
    if (length <= 0) return {};
    std::string bytes(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
    OPENSSL_free(der);
    return bytes;
  }

 private:
  // Fills the thread's buffer from the socket.
  IoState receive() {
    ThreadBuffers& thread = buffers();
    thread.received_at = thread.received_end = 0;
    thread.sealed.clear();
    for (;;) {
      const ssize_t count = ::recv(socket_.fd(), thread.received, sizeof thread.received, 0);
      if (count > 0) {
        thread.received_end = static_cast<std::size_t>(count);
        drained_ = thread.received_end < sizeof thread.received;
        return IoState::Done;
      }
      if (count == 0) return IoState::Closed;
      if (errno == EINTR) continue;
      drained_ = true;
      return errno == EAGAIN ? IoState::WouldBlock : IoState::Failed;
    }
  }

  // What OpenSSL has not taken yet (a request that came with the end of the handshake) outlives the
  // thread's buffer here.
  void keep_received() {
    ThreadBuffers& thread = buffers();
    if (thread.received_at < thread.received_end) {
      early_.append(thread.received + thread.received_at, thread.received_end - thread.received_at);
    }
    thread.received_at = thread.received_end = 0;
  }
  void keep_sealed() {
    pending_ += buffers().sealed;
    buffers().sealed.clear();
  }

  // Sends what an earlier call had sealed but could not send.
  IoState flush() {
    while (!pending_.empty()) {
      const ssize_t count = ::send(socket_.fd(), pending_.data(), pending_.size(), MSG_NOSIGNAL);
      if (count < 0) {
        if (errno == EINTR) continue;
        return errno == EAGAIN ? IoState::WouldBlock : IoState::Failed;
      }
      pending_.erase(0, static_cast<std::size_t>(count));
    }
    if (pending_.capacity() > kRecord) pending_.shrink_to_fit();
    return IoState::Done;
  }

  IoState send_sealed() {
    std::string& sealed = buffers().sealed;
    std::size_t sent = 0;
    IoState state = IoState::Done;
    while (sent < sealed.size()) {
      const ssize_t count =
          ::send(socket_.fd(), sealed.data() + sent, sealed.size() - sent, MSG_NOSIGNAL);
      if (count < 0) {
        if (errno == EINTR) continue;
        state = errno == EAGAIN ? IoState::WouldBlock : IoState::Failed;
        break;
      }
      sent += static_cast<std::size_t>(count);
    }
    if (state == IoState::WouldBlock) pending_.assign(sealed, sent);
    sealed.clear();
    return state;
  }

  bool write_record(const void* bytes, std::size_t length) {
    forget_errors();
    return SSL_write(ssl_, bytes, static_cast<int>(length)) == static_cast<int>(length);
  }

  // Seals up to one batch from the front of `out` into the thread's buffer.
  bool seal(Outgoing& out) {
    ThreadBuffers& thread = buffers();
    thread.sealed.clear();
    std::size_t room = kBatch;
    // Head and a small body share a record: one less to seal and to open.
    if (!out.head.empty() && out.head.size() + out.memory.size() <= kRecord &&
        !out.memory.empty()) {
      std::memcpy(thread.file, out.head.data(), out.head.size());
      std::memcpy(thread.file + out.head.size(), out.memory.data(), out.memory.size());
      const std::size_t length = out.head.size() + out.memory.size();
      out.head = {};
      out.memory = {};
      if (!write_record(thread.file, length)) return false;
      room -= length;
    }
    for (std::string_view* part : {&out.head, &out.memory}) {
      while (!part->empty() && room > 0) {
        const std::size_t length = std::min({part->size(), kRecord, room});
        if (!write_record(part->data(), length)) return false;
        part->remove_prefix(length);
        room -= length;
      }
    }
    while (out.file_length > 0 && room > 0) {
      const std::size_t length =
          std::min({static_cast<std::size_t>(out.file_length), kRecord, room});
      const void* source = out.mapped;
      if (out.mapped == nullptr) {
        const ssize_t count =
            ::pread(out.file, thread.file, length, static_cast<off_t>(out.file_offset));
        if (count != static_cast<ssize_t>(length)) return false;
        source = thread.file;
      } else {
        out.mapped += length;
      }
      if (!write_record(source, length)) return false;
      out.file_offset += length;
      out.file_length -= length;
      room -= length;
    }
    return out.mapped_failed == nullptr || !out.mapped_failed(out.owner.get());
  }

  std::shared_ptr<const TlsContext> context_;
  SSL* ssl_;
  std::string early_;    // received, not yet given to OpenSSL
  std::string pending_;  // sealed, not yet sent; at most one batch and its overhead
};

// handshake_failure, fatal, in a record of its own (RFC 8446 section 6).
constexpr std::string_view kFatalAlert("\x15\x03\x03\x00\x02\x02\x28", 7);

}  // namespace

std::unique_ptr<TlsStream> make_tls_stream(Loop& loop, base::UniqueFd fd,
                                           std::shared_ptr<const TlsContext> context) {
  return std::make_unique<OpenSslStream>(loop, std::move(fd), std::move(context));
}

Task<void> refuse_tls(Loop& loop, base::UniqueFd fd, base::SteadyTime deadline) {
  const std::unique_ptr<Stream> stream = make_plain_stream(loop, std::move(fd));
  if (!co_await stream->socket().readable(deadline)) co_return;
  char hello[4096];
  std::size_t got = 0;
  if (stream->try_read(hello, got) != IoState::Done) co_return;
  Outgoing alert;
  alert.head = kFatalAlert;
  if (stream->try_write(alert) != IoState::Done) co_return;
  stream->finish();
  // Closing with unread bytes would reset the connection and could take the alert with it.
  for (std::size_t total = got; total < 65536; total += got) {
    if (stream->is_drained() && !co_await stream->socket().readable(deadline)) co_return;
    if (stream->try_read(hello, got) != IoState::Done) co_return;
  }
}

}  // namespace larder::net
