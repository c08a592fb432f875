#include "net/socket.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>

namespace larder::net {

Socket::Socket(Loop& loop, base::UniqueFd fd, Trigger trigger) : loop_(loop), fd_(std::move(fd)) {
  const unsigned events = trigger == Trigger::Edge
                              ? EPOLLIN | EPOLLOUT | EPOLLRDHUP | static_cast<unsigned>(EPOLLET)
                              : static_cast<unsigned>(EPOLLIN);
  loop.register_fd(fd_.get(), events, *this);
  loop.watch(*this);
}

Socket::~Socket() {
  loop_.forget(*this);
}

void Socket::start(Wait& wait) {
  wait_ = &wait;
  deadline_ = cancelled_ ? base::SteadyTime::min() : wait.deadline_;
}

void Socket::on_events(unsigned events) {
  constexpr unsigned kRead = EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
  if ((wait_ == nullptr || wait_->direction_ != Direction::Read) && (events & kRead) != 0) {
    missed_read_ = true;
  }
  if (wait_ == nullptr) return;
  const unsigned wanted = (wait_->direction_ == Direction::Read ? EPOLLIN | EPOLLRDHUP : EPOLLOUT) |
                          static_cast<unsigned>(EPOLLERR | EPOLLHUP);
  if ((events & wanted) != 0) resume(true);
}

bool Socket::is_hung_up() const {
  struct pollfd state{.fd = fd_.get(), .events = 0, .revents = 0};
  return ::poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

void Socket::reset_when_closed(bool on) {
  const struct linger at_once{.l_onoff = on ? 1 : 0, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void Socket::expire() {
  if (wait_ != nullptr) resume(false);
}

// Last: the task may destroy this socket.
void Socket::resume(bool ready) {
  deadline_ = base::SteadyTime::max();
  Wait& wait = *std::exchange(wait_, nullptr);
  wait.ready_ = ready && !cancelled_;
  wait.waiting_.resume();
}

void Socket::cancel() {
  cancelled_ = true;
  deadline_ = base::SteadyTime::min();
}

}  // namespace larder::net
