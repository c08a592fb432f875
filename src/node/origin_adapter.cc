#include "node/origin_adapter.h"

#include <utility>

#include "node/origin_route.h"

namespace larder::node {

namespace {

class SinkAdapter final : public client::FetchSink {
 public:
  SinkAdapter(std::shared_ptr<cache::OriginSink> sink,
              std::function<void(const http::ResponseHead&)> on_interim,
              std::shared_ptr<std::atomic<std::uint64_t>> received)
      : sink_(std::move(sink)),
        on_interim_(std::move(on_interim)),
        received_(std::move(received)) {}

  void on_interim(const http::ResponseHead& head) override {
    if (on_interim_) on_interim_(head);
  }
  bool on_head(const http::ResponseHead& head) override { return sink_->on_head(head); }
  Next on_body(std::span<const std::uint8_t> bytes) override {
    const cache::OriginSink::Next next = sink_->on_body(bytes);
    if (next == cache::OriginSink::Next::Pause) return Next::Pause;  // they will come again
    received_->fetch_add(bytes.size(), std::memory_order_relaxed);
    return next == cache::OriginSink::Next::Continue ? Next::Continue : Next::Abort;
  }
  bool on_burst() override { return sink_->on_burst(); }
  void on_end(base::Status status) override { sink_->on_end(std::move(status)); }

 private:
  std::shared_ptr<cache::OriginSink> sink_;
  std::function<void(const http::ResponseHead&)> on_interim_;
  std::shared_ptr<std::atomic<std::uint64_t>> received_;
};

}  // namespace

cache::Origin::Permit OriginAdapter::admit(const std::string& host, bool must) {
  const std::shared_ptr<const Policy> policy = policy_.get();
  return caps_.admit(policy->hosts.find(host), must);
}

cache::Origin::FetchId OriginAdapter::fetch(cache::OriginRequest request,
                                            std::shared_ptr<cache::OriginSink> sink) {
  client::OriginFetch fetch;
  fetch.method = std::move(request.method);
  fetch.https = request.https;
  fetch.host = std::move(request.host);
  fetch.target = std::move(request.target);
  fetch.fields = std::move(request.fields);
  fetch.body = std::move(request.body);
  fetch.is_first = request.is_first;
  const std::shared_ptr<const Policy> policy = policy_.get();
  const OriginSettings* origin = policy->hosts.find(fetch.host);
  if (origin != nullptr) {
    set_route(fetch, *origin, policy->settings.no_proxy);
    if (origin->follow_redirects) {
      fetch.redirect = [policy, https = fetch.https](const client::OriginFetch& hop,
                                                     http::ResponseHead& head) {
        return follow_redirect(hop, head, https, policy->hosts, policy->settings.no_proxy);
      };
    }
  }
  fetch.limits = caps_.limits_of(origin);
  return pool_.fetch(
      std::move(fetch),
      std::make_shared<SinkAdapter>(std::move(sink), std::move(request.on_interim), received_));
}

}  // namespace larder::node
