#include "cache/pass_queue.h"

#include <utility>

namespace larder::cache {

namespace {

constexpr std::size_t kQueueLimit = 512 * 1024;

class PassSink final : public OriginSink {
 public:
  explicit PassSink(std::shared_ptr<PassQueue> queue) : queue_(std::move(queue)) {}
  bool on_head(const http::ResponseHead& head) override {
    queue_->put_head(head);
    return true;
  }
  Next on_body(std::span<const std::uint8_t> bytes) override { return queue_->put(bytes); }
  bool on_burst() override { return queue_->burst(); }
  void on_end(base::Status status) override { queue_->end(std::move(status)); }

 private:
  std::shared_ptr<PassQueue> queue_;
};

}  // namespace

net::Task<base::Result<http::ResponseHead>> PassQueue::head(base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = changed_.count();
    {
      const std::lock_guard lock(mutex_);
      if (head_) co_return *head_;
      if (ended_) {
        co_return status_ ? base::fail(base::ErrorCode::Unavailable, "the origin sent no answer")
                          : std::unexpected(status_.error());
      }
    }
    if (!co_await changed_.wait(seen, deadline)) {
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the origin did not answer in time");
    }
  }
}

net::Task<base::Result<std::string>> PassQueue::read(base::SteadyTime deadline) {
  for (;;) {
    const std::uint64_t seen = changed_.count();
    std::string bytes;
    std::optional<Origin::FetchId> resume;
    {
      const std::lock_guard lock(mutex_);
      bytes.swap(bytes_);
      if (std::exchange(paused_, false)) resume = fetch_;
      if (bytes.empty() && ended_) {
        if (!status_) co_return std::unexpected(status_.error());
        co_return bytes;
      }
    }
    if (resume) origin_.resume(*resume);
    if (!bytes.empty()) co_return bytes;
    if (!co_await changed_.wait(seen, deadline)) {
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the origin stalled");
    }
  }
}

void PassQueue::abandon() {
  std::optional<Origin::FetchId> fetch;
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    bytes_.clear();
    if (!ended_) fetch = fetch_;
  }
  if (fetch) origin_.cancel(*fetch);
}

void PassQueue::set_fetch(Origin::FetchId id) {
  const std::lock_guard lock(mutex_);
  fetch_ = id;
}

void PassQueue::put_head(http::ResponseHead head) {
  {
    const std::lock_guard lock(mutex_);
    head_ = std::move(head);
  }
  changed_.notify();
}

OriginSink::Next PassQueue::put(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  if (abandoned_) return OriginSink::Next::Abort;
  if (bytes_.size() + bytes.size() > kQueueLimit) {
    paused_ = true;
    return OriginSink::Next::Pause;
  }
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  notify_ = true;
  return OriginSink::Next::Continue;
}

bool PassQueue::burst() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(notify_, false)) return false;
  }
  changed_.notify();
  return false;
}

void PassQueue::end(base::Status status) {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    status_ = std::move(status);
  }
  changed_.notify();
}

std::shared_ptr<PassQueue> fetch_for_one(Origin& origin, OriginRequest request) {
  auto queue = std::make_shared<PassQueue>(origin);
  Origin::Permit permit = origin.admit(request.host, false);
  if (!permit) {
    queue->end(std::unexpected(refused_by_cap()));
    return queue;
  }
  queue->set_permit(std::move(permit));
  request.is_first = true;
  queue->set_fetch(origin.fetch(std::move(request), std::make_shared<PassSink>(queue)));
  return queue;
}

}  // namespace larder::cache
