#include "node/interim_relay.h"

#include <coroutine>
#include <string>

#include "http/head_writer.h"

namespace larder::node {

namespace {

std::string write_interim(const http::ResponseHead& head, http::Appearance appearance) {
  std::string text = "HTTP/1.1 " + std::to_string(head.status) + " " +
                     std::string(http::reason_phrase(head.status)) + "\r\n";
  for (const http::ResponseField& field : head.fields) {
    if (http::may_send_to_client(head, field, appearance)) {
      text += http::canonical_name(field.name) + ": " + field.value + "\r\n";
    }
  }
  return text + "\r\n";
}

}  // namespace

std::function<void(const http::ResponseHead&)> InterimRelay::receiver(
    http::Appearance appearance) const {
  return [target = target_, appearance](const http::ResponseHead& head) {
    ++target->came;
    target->loop->post([target, text = write_interim(head, appearance)] {
      ++target->handed_on;
      if (target->exchange != nullptr) target->exchange->try_send_interim(text);
    });
  };
}

net::Task<void> InterimRelay::handed_on() const {
  struct NextTurn {
    net::Loop& loop;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) const {
      loop.post([waiting] { waiting.resume(); });
    }
    void await_resume() const {}
  };
  while (target_->handed_on < target_->came) co_await NextTurn{*target_->loop};
}

}  // namespace larder::node
