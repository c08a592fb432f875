// Asks for one object over kept connections, as often as it can, with less work per answer than a
// general client: the server shall be what limits the rate.
//
//   hits [ADDRESS:]PORT SECONDS CONNECTIONS PATH HOST [tls]
//
// Over TLS, OpenSSL does the handshakes; the records of TLS_AES_128_GCM_SHA256 are opened here,
// because OpenSSL's way to a small record costs a client more than its server spends on it.
#define _GNU_SOURCE            // strcasestr
#define NO_COMPAT_IMB_API_053  // its short names are OpenSSL's too
#include <intel-ipsec-mb.h>
#include <openssl/hmac.h>
#include <sys/epoll.h>
#include <time.h>

#include "common.h"

enum { kHeader = 5, kTag = 16, kSecret = 32, kMostConnections = 1024 };

struct Keys {
  struct gcm_key_data key __attribute__((aligned(64)));
  uint8_t iv[12];
  uint64_t sequence;
};

struct Connection {
  int socket;
  struct Keys seal, open;
  uint8_t secrets[2][kSecret];  // the client's, the server's
  unsigned char kept[20000];    // the part of a record that came last
  size_t kept_length;
  struct Answer answer;
};

static IMB_MGR* functions;
static char request[1024];
static size_t request_length;
static unsigned char received[1 << 18];

static void expand(const uint8_t* secret, const char* label, uint8_t* out, size_t size) {
  uint8_t info[64] = {0, (uint8_t)size, (uint8_t)(6 + strlen(label))};
  size_t length = 3 + (size_t)sprintf((char*)info + 3, "tls13 %s", label);
  info[length++] = 0;
  info[length++] = 1;
  uint8_t block[EVP_MAX_MD_SIZE];
  unsigned block_length;
  HMAC(EVP_sha256(), secret, kSecret, info, length, block, &block_length);
  memcpy(out, block, size);
}

static void set_keys(struct Keys* keys, const uint8_t* secret) {
  uint8_t key[16];
  expand(secret, "key", key, sizeof key);
  expand(secret, "iv", keys->iv, sizeof keys->iv);
  IMB_AES128_GCM_PRE(functions, key, &keys->key);
}

static void next_nonce(struct Keys* keys, uint8_t nonce[12]) {
  memcpy(nonce, keys->iv, 12);
  for (int i = 0; i < 8; ++i) nonce[11 - i] ^= (uint8_t)(keys->sequence >> (8 * i));
  ++keys->sequence;
}

// "CLIENT_TRAFFIC_SECRET_0 <random> <secret>"
static void take_secret(const SSL* ssl, const char* line) {
  struct Connection* connection = SSL_get_app_data(ssl);
  int of_server = strncmp(line, "SERVER_TRAFFIC_SECRET_0", 23) == 0;
  if (!of_server && strncmp(line, "CLIENT_TRAFFIC_SECRET_0", 23) != 0) return;
  const char* hex = strrchr(line, ' ') + 1;
  for (int i = 0; i < kSecret; ++i)
    sscanf(hex + 2 * i, "%2hhx", &connection->secrets[of_server][i]);
}

static void connect_to(struct Connection* connection, const char* port, SSL_CTX* context) {
  struct sockaddr_in address = server_address(port);
  int one = 1;
  connection->socket = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(connection->socket, (struct sockaddr*)&address, sizeof address)) fail("connect");
  if (!context) return;
  SSL* ssl = SSL_new(context);
  SSL_set_app_data(ssl, connection);
  SSL_set_fd(ssl, connection->socket);
  if (SSL_connect(ssl) != 1) fail("SSL_connect");
  set_keys(&connection->seal, connection->secrets[0]);
  set_keys(&connection->open, connection->secrets[1]);
  SSL_set_quiet_shutdown(ssl, 1);
  SSL_free(ssl);  // the socket stays: it is not OpenSSL's to close
}

static void send_request(struct Connection* connection, int tls) {
  if (!tls) {
    if (send(connection->socket, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
      fail("send");
    return;
  }
  unsigned char record[sizeof request + 64] = {23, 3, 3};
  size_t inner = request_length + 1;
  record[3] = (unsigned char)((inner + kTag) >> 8);
  record[4] = (unsigned char)(inner + kTag);
  uint8_t nonce[12];
  next_nonce(&connection->seal, nonce);
  struct gcm_context_data state __attribute__((aligned(64)));
  request[request_length] = 23;
  IMB_AES128_GCM_ENC(functions, &connection->seal.key, &state, record + kHeader,
                     (unsigned char*)request, inner, nonce, record, kHeader,
                     record + kHeader + inner, kTag);
  size_t size = kHeader + inner + kTag;
  if (send(connection->socket, record, size, MSG_NOSIGNAL) != (ssize_t)size) fail("send");
}

// Opens the record at `bytes`; its content is given to the answer. 1 when that is complete.
static int open_record(struct Connection* connection, unsigned char* bytes, size_t inner) {
  uint8_t nonce[12], tag[kTag];
  next_nonce(&connection->open, nonce);
  struct gcm_context_data state __attribute__((aligned(64)));
  IMB_AES128_GCM_DEC(functions, &connection->open.key, &state, bytes + kHeader, bytes + kHeader,
                     inner, nonce, bytes, kHeader, tag, kTag);
  if (memcmp(tag, bytes + kHeader + inner, kTag) != 0) fail("a record with a wrong tag");
  unsigned char type = bytes[kHeader + inner - 1];
  if (type == 22) return 0;  // a ticket
  if (type != 23) fail("an alert");
  return take(&connection->answer, (char*)bytes + kHeader, inner - 1);
}

// Reads what there is; 1 when an answer is complete.
static int receive(struct Connection* connection, int tls) {
  memcpy(received, connection->kept, connection->kept_length);
  ssize_t count = recv(connection->socket, received + connection->kept_length,
                       sizeof received - sizeof connection->kept, 0);
  if (count <= 0) fail("recv");
  if (!tls) return take(&connection->answer, (char*)received, (size_t)count);
  size_t length = connection->kept_length + (size_t)count, at = 0;
  int complete = 0;
  while (length - at >= kHeader) {
    size_t body = received[at + 3] * 256UL + received[at + 4];
    if (length - at < kHeader + body) break;
    complete |= open_record(connection, received + at, body - kTag);
    at += kHeader + body;
  }
  connection->kept_length = length - at;
  if (connection->kept_length > sizeof connection->kept) fail("a record that is too long");
  memcpy(connection->kept, received + at, connection->kept_length);
  return complete;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int count, char** words) {
  if (count < 6) {
    fprintf(stderr, "hits [ADDRESS:]PORT SECONDS CONNECTIONS PATH HOST [tls]\n");
    return 2;
  }
  double seconds = atof(words[2]);
  int connections = atoi(words[3]), tls = count > 6;
  if (connections < 1 || connections > kMostConnections) fail("connections");
  functions = alloc_mb_mgr(0);
  init_mb_mgr_auto(functions, NULL);
  request_length = (size_t)write_request(request, sizeof request - 1, words[4], words[5]);
  SSL_CTX* context = tls ? new_context() : NULL;
  if (tls) SSL_CTX_set_keylog_callback(context, take_secret);

  struct Connection* all;
  if (posix_memalign((void**)&all, 64, (size_t)connections * sizeof *all)) fail("memory");
  memset(all, 0, (size_t)connections * sizeof *all);
  int poll = epoll_create1(0);
  for (int i = 0; i < connections; ++i) {
    connect_to(&all[i], words[1], context);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
    epoll_ctl(poll, EPOLL_CTL_ADD, all[i].socket, &event);
  }
  double begin = now(), end = begin + seconds;
  long answers = 0;
  for (int i = 0; i < connections; ++i) send_request(&all[i], tls);
  while (now() < end) {
    struct epoll_event events[256];
    int ready = epoll_wait(poll, events, 256, 100);
    for (int i = 0; i < ready; ++i) {
      struct Connection* connection = events[i].data.ptr;
      if (!receive(connection, tls)) continue;
      ++answers;
      connection->answer.length = connection->answer.whole_length = 0;
      send_request(connection, tls);
    }
  }
  printf("%ld requests in %.2fs\n", answers, now() - begin);
  return 0;
}
