#include "net/socket.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "net/loop_impl.h"

namespace larder::net {

struct Socket::Impl {
  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> descriptor;
};

Socket::Socket(Loop& loop, base::UniqueFd fd)
    : impl_(std::make_unique<Impl>(
          boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>(
              loop.impl().context.get_executor(), fd.get()))),
      fd_(fd.release()) {
  loop.watch(*this);
}

Socket::~Socket() = default;

void Socket::start(Wait& wait) {
  if (cancelled_) {
    boost::asio::post(impl_->descriptor.get_executor(), [&wait] { wait.waiting_.resume(); });
    return;
  }
  deadline_ = wait.deadline_;
  const auto type = wait.direction_ == Direction::Read
                        ? boost::asio::posix::descriptor_base::wait_read
                        : boost::asio::posix::descriptor_base::wait_write;
  impl_->descriptor.async_wait(type, [this, &wait](const boost::system::error_code& error) {
    deadline_ = base::SteadyTime::max();
    wait.ready_ = !error;
    wait.waiting_.resume();
  });
}

void Socket::expire() {
  boost::system::error_code ignored;
  impl_->descriptor.cancel(ignored);
}

void Socket::cancel() {
  cancelled_ = true;
  expire();
}

}  // namespace larder::net
