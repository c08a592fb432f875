// handshakes PORT SECONDS AT_ONCE full|resumed HOST PATH: connects, asks for one object, closes,
// again and again, AT_ONCE connections at a time. "resumed" offers session tickets, each once, as
// RFC 8446 asks, but the last one again and again (a server need not give a new one). The
// handshakes that get the first of them are not counted.
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "common.h"

struct Connection {
  int fd;
  SSL* ssl;
  int asked;
  struct Answer answer;
};

static SSL_CTX* context;
static struct sockaddr_in address;
static const char* host;
static char request[1024];
static int request_length;
static SSL_SESSION* tickets[64];
static int ticket_count;
static int epoll_fd;
static long handshakes, resumed;

static int keep_ticket(SSL* ssl, SSL_SESSION* session) {
  (void)ssl;
  if (ticket_count == 64) return 0;
  tickets[ticket_count++] = session;
  return 1;
}

static void begin(struct Connection* connection) {
  memset(connection, 0, sizeof *connection);
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (connection->fd < 0) fail("socket");
  const int on = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(connection->fd, (struct sockaddr*)&address, sizeof address) != 0 &&
      errno != EINPROGRESS)
    fail("connect");
  connection->ssl = SSL_new(context);
  SSL_set_tlsext_host_name(connection->ssl, host);
  SSL_set_fd(connection->ssl, connection->fd);
  SSL_set_connect_state(connection->ssl);
  if (ticket_count > 0) {
    // A copy of the last one, because OpenSSL marks what it has offered as spent.
    SSL_SESSION* ticket = ticket_count > 1 ? tickets[--ticket_count] : SSL_SESSION_dup(tickets[0]);
    SSL_set_session(connection->ssl, ticket);
    SSL_SESSION_free(ticket);
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0) fail("epoll_ctl");
}

// Returns 1 when the answer has come.
static int advance(struct Connection* connection) {
  if (!connection->asked) {
    const int written =
        SSL_write(connection->ssl, request, request_length);  // performs the handshake first
    if (written <= 0) {
      const int error = SSL_get_error(connection->ssl, written);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
      fail("handshake");
    }
    connection->asked = 1;
  }
  for (;;) {
    char buffer[16384];
    const int got = SSL_read(connection->ssl, buffer, sizeof buffer);
    if (got <= 0) {
      const int error = SSL_get_error(connection->ssl, got);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
      fail("read");
    }
    if (take(&connection->answer, buffer, (size_t)got)) return 1;
  }
}

static void end(struct Connection* connection) {
  handshakes++;
  resumed += SSL_session_reused(connection->ssl);
  SSL_shutdown(connection->ssl);
  SSL_free(connection->ssl);
  close(connection->fd);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void run(struct Connection* connections, int count, double until) {
  int open = count;
  for (int i = 0; i < count; ++i) begin(&connections[i]);
  while (open > 0) {
    struct epoll_event events[64];
    const int ready = epoll_wait(epoll_fd, events, 64, 10000);
    if (ready <= 0) fail("nothing happened for 10 s");
    for (int i = 0; i < ready; ++i) {
      struct Connection* connection = events[i].data.ptr;
      if (!advance(connection)) continue;
      end(connection);
      if (now() < until) {
        begin(connection);
      } else {
        open--;
      }
    }
  }
}

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  address = server_address(argv[1]);
  const int at_once = atoi(argv[3]);
  const int resume = strcmp(argv[4], "resumed") == 0;
  host = argv[5];
  request_length = write_request(request, sizeof request, argv[6], host);
  context = new_context();
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  if (resume) SSL_CTX_sess_set_new_cb(context, keep_ticket);
  epoll_fd = epoll_create1(0);
  struct Connection* connections = calloc((size_t)at_once, sizeof *connections);
  if (resume) {
    run(connections, at_once, 0);
    handshakes = resumed = 0;
  }
  run(connections, at_once, now() + atof(argv[2]));
  printf("%ld handshakes, %ld resumed\n", handshakes, resumed);
  return 0;
}
