// Hands the interim responses (1xx) of an origin to the client whose request they belong to, while
// that request waits for its answer.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "http/forwarding.h"
#include "http/response_head.h"
#include "net/loop.h"
#include "net/task.h"
#include "server/exchange.h"

namespace larder::node {

// Made and destroyed on the exchange's loop; what it gives out may be called from any thread, and
// does nothing once the relay is gone or the answer has begun.
class InterimRelay {
 public:
  InterimRelay(server::Exchange& exchange, net::Loop& loop)
      : target_(std::make_shared<Target>(&exchange, &loop)) {}
  ~InterimRelay() { target_->exchange = nullptr; }
  InterimRelay(const InterimRelay&) = delete;
  InterimRelay& operator=(const InterimRelay&) = delete;

  std::function<void(const http::ResponseHead&)> receiver(http::Appearance appearance) const;
  // Until all that came before the answer is on its way: the loop may know of the answer first.
  net::Task<void> handed_on() const;

 private:
  struct Target {
    server::Exchange* exchange;  // on the loop; null once the relay is gone
    net::Loop* loop;
    std::atomic<unsigned> came = 0;
    unsigned handed_on = 0;  // on the loop
  };
  std::shared_ptr<Target> target_;
};

}  // namespace larder::node
