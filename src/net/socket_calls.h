// recv and send as bare system calls.
//
// In a program with threads glibc makes each of them a cancellation point, which costs two atomic
// exchanges a call; nothing here cancels threads. Errors as with recv and send: -1 and errno.
// Sanitizers get the library's functions, which they know to read, write and synchronise.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define LARDER_LIBRARY_SOCKET_CALLS
#endif
#endif

namespace larder::net {

inline ssize_t receive_bytes(int fd, char* into, std::size_t size) {
#ifdef LARDER_LIBRARY_SOCKET_CALLS
  return ::recv(fd, into, size, 0);
#else
  return ::syscall(SYS_recvfrom, fd, into, size, 0, nullptr, nullptr);
#endif
}

// Never raises SIGPIPE.
inline ssize_t send_bytes(int fd, const char* bytes, std::size_t size, int flags = 0) {
#ifdef LARDER_LIBRARY_SOCKET_CALLS
  return ::send(fd, bytes, size, MSG_NOSIGNAL | flags);
#else
  return ::syscall(SYS_sendto, fd, bytes, size, MSG_NOSIGNAL | flags, nullptr, 0);
#endif
}

}  // namespace larder::net
