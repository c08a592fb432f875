// What the clients share: connecting, and reading one answer with a Content-Length.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void fail(const char* what) {
  perror(what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

// Of "PORT" on this host, or of "ADDRESS:PORT".
static inline struct sockaddr_in server_address(const char* where) {
  const char* colon = strchr(where, ':');
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(colon ? colon + 1 : where))};
  char host[INET_ADDRSTRLEN] = "127.0.0.1";
  if (colon) snprintf(host, sizeof host, "%.*s", (int)(colon - where), where);
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail(where);
  return address;
}

static inline SSL_CTX* new_context(void) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (!context) fail("SSL_CTX_new");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

static inline int write_request(char* buffer, size_t size, const char* path, const char* host) {
  return snprintf(buffer, size, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
}

// How far the reading of one answer has come.
struct Answer {
  char head[8192];
  size_t length;        // of what has been read, head and body
  size_t whole_length;  // 0: the head is not complete
};

// Takes bytes in; returns 1 when the answer is complete. Anything but 200 ends the program.
static inline int take(struct Answer* answer, const char* bytes, size_t count) {
  if (!answer->whole_length) {
    size_t room =
        sizeof answer->head - 1 -
        (answer->length < sizeof answer->head - 1 ? answer->length : sizeof answer->head - 1);
    size_t part = count < room ? count : room;
    memcpy(answer->head + answer->length, bytes, part);
    answer->head[answer->length + part] = 0;
    const char* end = strstr(answer->head, "\r\n\r\n");
    if (end) {
      const char* field = strcasestr(answer->head, "\r\ncontent-length:");
      if (strncmp(answer->head, "HTTP/1.1 200", 12) != 0 || !field) {
        fprintf(stderr, "unexpected answer:\n%.600s\n", answer->head);
        exit(1);
      }
      answer->whole_length = (size_t)(end + 4 - answer->head) + strtoul(field + 17, NULL, 10);
    } else if (answer->length + count >= sizeof answer->head - 1) {
      fprintf(stderr, "a head of more than %zu bytes\n", sizeof answer->head);
      exit(1);
    }
  }
  answer->length += count;
  return answer->whole_length && answer->length >= answer->whole_length;
}
