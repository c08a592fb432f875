// recv and send as bare system calls.
//
// In a program with threads glibc makes each of them a cancellation point, which costs two atomic
// exchanges a call; nothing here cancels threads. Errors as with recv and send: -1 and errno.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace larder::net {

inline ssize_t receive_bytes(int fd, char* into, std::size_t size) {
  return ::syscall(SYS_recvfrom, fd, into, size, 0, nullptr, nullptr);
}

// Never raises SIGPIPE.
inline ssize_t send_bytes(int fd, const char* bytes, std::size_t size, int flags = 0) {
  return ::syscall(SYS_sendto, fd, bytes, size, MSG_NOSIGNAL | flags, nullptr, 0);
}

}  // namespace larder::net
