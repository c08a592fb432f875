#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "net/handshake_turns.h"
#include "net/socket_calls.h"
#include "net/stream.h"
#include "net/tls_context.h"
#include "net/traffic_secrets.h"

namespace larder::net {

namespace {

// Plaintext sealed before one send: beyond 256 KiB larger batches gain nothing, below they cost
// system calls.
constexpr std::size_t kBatch = 256 * 1024;
constexpr std::size_t kRecord = 16 * 1024;
// Batches that one connection may send before others get their turn.
constexpr int kTurn = 16;

// Buffers of the thread. OpenSSL reads from `received` and appends to `sealed` through the BIO
// below.
struct ThreadBuffers {
  char received[64 * 1024];
  std::size_t received_at = 0;
  std::size_t received_end = 0;
  std::string sealed;
  char file[kRecord];
  char joined[kRecord];
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

// How many records of application data `bytes` holds; nothing when it holds anything else.
std::optional<std::uint64_t> count_records(std::string_view bytes) {
  std::uint64_t count = 0;
  while (!bytes.empty()) {
    if (bytes.size() < Tls13Keys::kHeader || bytes[0] != '\x17') return std::nullopt;
    const std::size_t length = Tls13Keys::kHeader + static_cast<unsigned char>(bytes[3]) * 256U +
                               static_cast<unsigned char>(bytes[4]);
    if (length > bytes.size()) return std::nullopt;
    bytes.remove_prefix(length);
    ++count;
  }
  return count;
}

// OpenSSL does the handshake. After it the records of TLS 1.3 with AES-128-GCM, which every such
// client gets, are sealed and opened here, and OpenSSL's state is freed; all other connections stay
// with OpenSSL.
class ServerTlsStream final : public TlsStream {
 public:
  ServerTlsStream(Loop& loop, base::UniqueFd fd, std::shared_ptr<const TlsContext> context)
      : TlsStream(loop, std::move(fd)),
        context_(std::move(context)),
        secrets_(std::make_unique<TrafficSecrets>()),
        ssl_(static_cast<SSL*>(context_->new_session(socket_.fd()))) {
    BIO* bio = BIO_new(bio_method());
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_accept_state(ssl_);
    SSL_set_app_data(ssl_, secrets_.get());
  }
  ~ServerTlsStream() override { SSL_free(ssl_); }
  ServerTlsStream(const ServerTlsStream&) = delete;
  ServerTlsStream& operator=(const ServerTlsStream&) = delete;

  bool is_tls() const override { return true; }
  std::string peer_certificate() const override { return peer_certificate_; }
  const ShownIdentity* shown() const override { return shown_; }
  std::string_view alert() const override {
    return alert_ == kCloseNotify ? std::string_view() : SSL_alert_desc_string_long(alert_);
  }
  void release_memory() override {
    if (ssl_ != nullptr) SSL_free_buffers(ssl_);
  }

  std::size_t unsent() const override { return pending_.size(); }

  Task<std::string> handshake(base::SteadyTime deadline) override {
    HandshakeTurns& turns = HandshakeTurns::current();
    for (;;) {
      // Before anything is received, which goes to a buffer that connections share.
      co_await turns.next();
      const base::SteadyTime began = std::chrono::steady_clock::now();
      if (began >= deadline) co_return "timed out";
      const IoState received = receive(0);
      if (received == IoState::Closed) co_return "closed by the client";
      if (received == IoState::Failed) co_return "connection failed";
      if (received == IoState::Done) {
        forget_errors();
        const int result = SSL_do_handshake(ssl_);
        const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, result);
        std::string reason;
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
          const char* text = ERR_reason_error_string(ERR_peek_last_error());
          reason = text != nullptr ? text : "handshake failed";
        }
        forget_errors();
        turns.spent(std::chrono::steady_clock::now() - began);
        const std::optional<std::uint64_t> tickets = count_records(buffers().sealed);
        keep_sealed();
        keep_received();
        // The ticket leaves right after Finished: without it a client with delayed acknowledgements
        // stalls 40 ms.
        while (flush() == IoState::WouldBlock) {
          if (!co_await socket_.writable(deadline)) co_return "timed out";
        }
        if (!reason.empty()) {
          shown_ = context_->shown_in(ssl_);
          co_return reason;
        }
        if (error == SSL_ERROR_NONE) {
          finish_handshake(tickets);
          co_return std::string();
        }
      }
      if (drained_ && !co_await socket_.readable(deadline)) co_return "timed out";
    }
  }

  bool ends_with_handshake() const override { return ends_with_handshake_; }

  IoState try_read(std::span<char> into, std::size_t& got) override {
    got = 0;
    return open_ ? read_records(into, got) : read_through_openssl(into, got);
  }

  IoState try_write(Outgoing& out) override {
    if (const IoState flushed = flush(); flushed != IoState::Done) return flushed;
    for (int turn = 0; !out.empty(); ++turn) {
      if (turn == kTurn) return IoState::Yield;
      if (!seal(out)) {
        buffers().sealed.clear();
        return IoState::Failed;
      }
      if (const IoState sent = send_sealed(); sent != IoState::Done) return sent;
    }
    return IoState::Done;
  }

  void finish() override {
    buffers().sealed.clear();
    if (seal_) {
      put_own_record(Tls13Keys::kAlert, std::string_view("\1\0", 2), {});  // close_notify
    } else if (SSL_is_init_finished(ssl_) == 1) {
      SSL_shutdown(ssl_);
      forget_errors();
    }
    keep_sealed();
    flush();
    ::shutdown(socket_.fd(), SHUT_WR);
  }

 private:
  static constexpr std::uint8_t kCloseNotify = 0;
  static constexpr std::uint8_t kUserCanceled = 90;  // no error: close_notify follows

  void finish_handshake(std::optional<std::uint64_t> tickets) {
    shown_ = context_->shown_in(ssl_);
    if (X509* certificate = SSL_get1_peer_certificate(ssl_); certificate != nullptr) {
      unsigned char* der = nullptr;
      const int length = i2d_X509(certificate, &der);
      X509_free(certificate);
      if (length > 0) {
        peer_certificate_.assign(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
      }
      OPENSSL_free(der);
    }
    const unsigned char* protocol = nullptr;
    unsigned protocol_length = 0;
    SSL_get0_alpn_selected(ssl_, &protocol, &protocol_length);
    ends_with_handshake_ = std::string_view(reinterpret_cast<const char*>(protocol),
                                            protocol_length) == kChallengeProtocol;
    constexpr std::uint32_t kAes128GcmSha256 = 0x03001301;
    SSL_set_app_data(ssl_, nullptr);
    if (tickets && SSL_version(ssl_) == TLS1_3_VERSION && secrets_->has_client &&
        secrets_->has_server &&
        SSL_CIPHER_get_id(SSL_get_current_cipher(ssl_)) == kAes128GcmSha256) {
      auto open = Tls13Keys::create(Tls13Keys::Direction::Open, secrets_->client, 0);
      auto seal = Tls13Keys::create(Tls13Keys::Direction::Seal, secrets_->server, *tickets);
      if (open && seal) {
        open_ = std::move(open);
        seal_ = std::move(seal);
        SSL_free(std::exchange(ssl_, nullptr));
      }
    }
    secrets_.reset();
  }

  // Fills the thread's buffer from the socket, behind the first `kept` bytes.
  IoState receive(std::size_t kept) {
    ThreadBuffers& thread = buffers();
    thread.received_at = 0;
    thread.received_end = kept;
    thread.sealed.clear();
    socket_.forget_missed_read();
    for (;;) {
      const std::size_t room = sizeof thread.received - kept;
      const ssize_t count = receive_bytes(socket_.fd(), thread.received + kept, room);
      if (count > 0) {
        thread.received_end = kept + static_cast<std::size_t>(count);
        drained_ = static_cast<std::size_t>(count) < room;
        return IoState::Done;
      }
      if (count == 0) return IoState::Closed;
      if (errno == EINTR) continue;
      drained_ = true;
      return errno == EAGAIN ? IoState::WouldBlock : IoState::Failed;
    }
  }

  IoState read_records(std::span<char> into, std::size_t& got) {
    for (;;) {
      ThreadBuffers& thread = buffers();
      const std::size_t kept = early_.size();
      std::memcpy(thread.received, early_.data(), kept);
      early_.clear();
      const IoState received = receive(kept);
      if (received == IoState::Failed) return received;
      std::span<char> bytes(thread.received, thread.received_end);
      const IoState opened = open_records(bytes, into, got);
      early_.assign(bytes.data(), bytes.size());
      if (early_.empty() && early_.capacity() > 64) early_.shrink_to_fit();
      if (!pending_.empty() && flush() == IoState::Failed) return IoState::Failed;
      if (got > 0) return IoState::Done;
      if (opened != IoState::Done) return opened;
      if (received != IoState::Done) return received;
      if (drained_) return IoState::WouldBlock;
    }
  }

  // Opens the whole records at the front of `bytes`. Closed after close_notify.
  IoState open_records(std::span<char>& bytes, std::span<char> into, std::size_t& got) {
    while (bytes.size() >= Tls13Keys::kHeader) {
      const std::size_t length = Tls13Keys::kHeader + static_cast<unsigned char>(bytes[3]) * 256U +
                                 static_cast<unsigned char>(bytes[4]);
      if (length > Tls13Keys::kMostContent + 256 + Tls13Keys::kHeader) return IoState::Failed;
      if (length > bytes.size()) break;
      Tls13Keys::Opened record;
      if (!open_->open(bytes.first(length), record)) return IoState::Failed;
      bytes = bytes.subspan(length);
      if (record.type == Tls13Keys::kData) {
        if (record.content.size() > into.size() - got) return IoState::Failed;
        std::memcpy(into.data() + got, record.content.data(), record.content.size());
        got += record.content.size();
      } else if (record.type == Tls13Keys::kAlert) {
        if (record.content == std::string_view("\1\0", 2)) return IoState::Closed;
        if (record.content.size() == 2) keep_alert(static_cast<std::uint8_t>(record.content[1]));
        return IoState::Failed;
      } else if (record.type != Tls13Keys::kHandshake || !take_key_update(record.content)) {
        return IoState::Failed;
      }
    }
    return IoState::Done;
  }

  void keep_alert(std::uint8_t description) {
    alert_ = description == kUserCanceled ? kCloseNotify : description;
  }

  // The only message that a client may still send (RFC 8446 section 4.6.3).
  bool take_key_update(std::string_view message) {
    constexpr std::string_view kKeyUpdate("\x18\0\0\1", 4);
    if (message.size() != kKeyUpdate.size() + 1 || !message.starts_with(kKeyUpdate)) return false;
    if (!open_->update()) return false;
    if (message.back() == 0) return true;
    // Asked for ours; a client that asks without reading is of no use.
    if (message.back() != 1 || pending_.size() > kBatch) return false;
    buffers().sealed.clear();
    const bool updated = update_own_keys();
    keep_sealed();
    return updated;
  }

  bool update_own_keys() {
    return seal_record(Tls13Keys::kHandshake, std::string_view("\x18\0\0\1\0", 5), {}) &&
           seal_->update();
  }

  IoState read_through_openssl(std::span<char> into, std::size_t& got) {
    ThreadBuffers& thread = buffers();
    thread.received_at = thread.received_end = 0;
    if (early_.empty()) {
      const IoState received = receive(0);
      if (received != IoState::Done && received != IoState::WouldBlock) return received;
    } else {
      std::memcpy(thread.received, early_.data(), early_.size());
      thread.received_end = early_.size();
      thread.sealed.clear();
      early_.clear();
      early_.shrink_to_fit();
    }
    int error = SSL_ERROR_NONE;
    while (got < into.size()) {
      forget_errors();
      const int count = SSL_read(ssl_, into.data() + got, static_cast<int>(into.size() - got));
      if (count <= 0) {
        error = SSL_get_error(ssl_, count);
        const int reason = ERR_GET_REASON(ERR_peek_last_error());
        if (error == SSL_ERROR_SSL && reason > SSL_AD_REASON_OFFSET &&
            reason <= SSL_AD_REASON_OFFSET + 255) {
          keep_alert(static_cast<std::uint8_t>(reason - SSL_AD_REASON_OFFSET));
        }
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

  // What nobody has taken yet (a request that came with the end of the handshake) outlives the
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
      const ssize_t count = send_bytes(socket_.fd(), pending_.data(), pending_.size());
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
      const ssize_t count = send_bytes(socket_.fd(), sealed.data() + sent, sealed.size() - sent);
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

  bool put_record(std::string_view first, std::string_view second) {
    return seal_ ? put_own_record(Tls13Keys::kData, first, second)
                 : put_openssl_record(first, second);
  }

  bool put_own_record(std::uint8_t type, std::string_view first, std::string_view second) {
    if (seal_->sequence() >= Tls13Keys::kMostRecords && !update_own_keys()) return false;
    return seal_record(type, first, second);
  }

  bool seal_record(std::uint8_t type, std::string_view first, std::string_view second) {
    std::string& sealed = buffers().sealed;
    const std::size_t before = sealed.size();
    std::size_t wrote = 0;
    sealed.resize_and_overwrite(before + first.size() + second.size() + Tls13Keys::kOverhead,
                                [&](char* bytes, std::size_t /*size*/) {
                                  wrote = seal_->seal(type, first, second, bytes + before);
                                  return before + wrote;
                                });
    return wrote > 0;
  }

  bool put_openssl_record(std::string_view first, std::string_view second) {
    if (!first.empty() && !second.empty()) {
      char* joined = buffers().joined;
      std::memcpy(joined, first.data(), first.size());
      std::memcpy(joined + first.size(), second.data(), second.size());
      first = {joined, first.size() + second.size()};
    } else if (first.empty()) {
      first = second;
    }
    forget_errors();
    return SSL_write(ssl_, first.data(), static_cast<int>(first.size())) ==
           static_cast<int>(first.size());
  }

  // Seals up to one batch from the front of `out` into the thread's buffer. A head and the body
  // after it share a record.
  bool seal(Outgoing& out) {
    ThreadBuffers& thread = buffers();
    thread.sealed.clear();
    std::size_t room = kBatch;
    while (room > 0 && !out.empty()) {
      const std::size_t most = std::min(kRecord, room);
      const std::string_view first = out.head.substr(0, most);
      const std::size_t space = out.head.size() > first.size() ? 0 : most - first.size();
      std::string_view second = out.memory.substr(0, space);
      const bool from_file = out.memory.empty() && space > 0;
      if (from_file && out.file_length > 0) {
        const std::size_t length = std::min<std::uint64_t>(out.file_length, space);
        if (out.mapped != nullptr) {
          second = {reinterpret_cast<const char*>(out.mapped), length};
        } else {
          const ssize_t count =
              ::pread(out.file, thread.file, length, static_cast<off_t>(out.file_offset));
          if (count != static_cast<ssize_t>(length)) return false;
          second = {thread.file, length};
        }
      }
      if (!put_record(first, second)) return false;
      room -= first.size() + second.size();
      out.head.remove_prefix(first.size());
      if (!from_file) {
        out.memory.remove_prefix(second.size());
      } else {
        out.file_offset += second.size();
        out.file_length -= second.size();
        if (out.mapped != nullptr) out.mapped += second.size();
      }
    }
    return out.mapped_failed == nullptr || !out.mapped_failed(out.owner.get());
  }

  std::shared_ptr<const TlsContext> context_;
  const ShownIdentity* shown_ = nullptr;  // of the context, or of one that it keeps
  bool ends_with_handshake_ = false;
  std::uint8_t alert_ = kCloseNotify;
  std::unique_ptr<TrafficSecrets> secrets_;  // only while the handshake runs
  SSL* ssl_;                                 // null once the records are ours
  std::unique_ptr<Tls13Keys> seal_;
  std::unique_ptr<Tls13Keys> open_;
  std::string peer_certificate_;
  std::string early_;    // received, not yet opened: at most the part of one record, or what came
                         // with the handshake
  std::string pending_;  // sealed, not yet sent; at most one batch and its overhead
};

// handshake_failure, fatal, in a record of its own (RFC 8446 section 6).
constexpr std::string_view kFatalAlert("\x15\x03\x03\x00\x02\x02\x28", 7);

}  // namespace

std::unique_ptr<TlsStream> make_tls_stream(Loop& loop, base::UniqueFd fd,
                                           std::shared_ptr<const TlsContext> context) {
  return std::make_unique<ServerTlsStream>(loop, std::move(fd), std::move(context));
}

Task<void> refuse_tls(Stream& stream, base::SteadyTime deadline) {
  if (!co_await stream.socket().readable(deadline)) co_return;
  char hello[4096];
  std::size_t got = 0;
  if (stream.try_read(hello, got) != IoState::Done) co_return;
  Outgoing alert;
  alert.head = kFatalAlert;
  if (stream.try_write(alert) != IoState::Done) co_return;
  stream.finish();
  // Closing with unread bytes would reset the connection and could take the alert with it.
  for (std::size_t total = got; total < 65536; total += got) {
    if (stream.is_drained() && !co_await stream.socket().readable(deadline)) co_return;
    if (stream.try_read(hello, got) != IoState::Done) co_return;
  }
}

}  // namespace larder::net
