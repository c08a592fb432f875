// hold plain|tls PORT COUNT HOST PATH: opens COUNT connections, asks each for one object, prints
// "holding" and keeps them open until it is ended.
#define _GNU_SOURCE
#include <sys/resource.h>

#include "common.h"

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const int tls = strcmp(argv[1], "tls") == 0;
  struct sockaddr_in address = server_address(argv[2]);
  const int count = atoi(argv[3]);
  char request[1024];
  const int request_length = write_request(request, sizeof request, argv[5], argv[4]);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  SSL_CTX* context = tls ? new_context() : NULL;

  for (int i = 0; i < count; ++i) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) != 0) fail("connect");
    SSL* ssl = NULL;
    if (tls) {
      ssl = SSL_new(context);
      SSL_set_tlsext_host_name(ssl, argv[4]);
      SSL_set_fd(ssl, fd);
      if (SSL_connect(ssl) != 1) fail("SSL_connect");
    }
    const int sent = tls ? SSL_write(ssl, request, request_length)
                         : (int)write(fd, request, (size_t)request_length);
    if (sent != request_length) fail("write");
    struct Answer answer = {.length = 0, .whole_length = 0};
    char buffer[16384];
    int got;
    do {
      got = tls ? SSL_read(ssl, buffer, sizeof buffer) : (int)read(fd, buffer, sizeof buffer);
      if (got <= 0) fail("read");
    } while (!take(&answer, buffer, (size_t)got));
  }
  puts("holding");
  fflush(stdout);
  pause();
  return 0;
}
