#include "node/origin_adapter.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "cache/redirect_limits.h"
#include "node/origin_route.h"

namespace larder::node {

namespace {

// Collects the redirects of one fetch, on the origin thread, notes them when it is known where they
// led, and holds the answer there to what they allow.
class TrailNotes {
 public:
  TrailNotes(std::shared_ptr<RedirectTrails> trails, const store::Key& key, base::WallTime now,
             bool authorized)
      : trails_(std::move(trails)), key_(key), authorized_(authorized) {
    trail_.at = now;
  }
  void add(RedirectHop hop, const http::ResponseHead& head) {
    if (hop.is_followed) limits_.add(head, trail_.at);
    trail_.hops.push_back(std::move(hop));
  }
  bool limits_answers() const { return limits_.has_any(); }
  void narrow(http::ResponseHead& answer) const { limits_.narrow(answer, authorized_, trail_.at); }
  void arrived() {
    if (!std::exchange(is_noted_, true)) trails_->note(key_, trail_);
  }
  void failed(const base::Error& error) {
    // What fails before any redirect tells nothing of them.
    if (is_noted_ || trail_.hops.empty()) return;
    trail_.failure = error.message;
    arrived();
  }

 private:
  const std::shared_ptr<RedirectTrails> trails_;
  const store::Key key_;
  const bool authorized_;
  RedirectTrail trail_;
  cache::RedirectLimits limits_;
  bool is_noted_ = false;
};

class SinkAdapter final : public client::FetchSink {
 public:
  // `notes`: null when redirects are not followed.
  SinkAdapter(std::shared_ptr<cache::OriginSink> sink,
              std::function<void(const http::ResponseHead&)> on_interim,
              std::shared_ptr<std::atomic<std::uint64_t>> received,
              std::shared_ptr<TrailNotes> notes)
      : sink_(std::move(sink)),
        on_interim_(std::move(on_interim)),
        received_(std::move(received)),
        notes_(std::move(notes)) {}

  void on_interim(const http::ResponseHead& head) override {
    if (on_interim_) on_interim_(head);
  }
  bool on_head(const http::ResponseHead& head) override {
    if (notes_) notes_->arrived();
    if (!notes_ || !notes_->limits_answers()) return sink_->on_head(head);
    http::ResponseHead narrowed = head;
    notes_->narrow(narrowed);
    return sink_->on_head(narrowed);
  }
  Next on_body(std::span<const std::uint8_t> bytes) override {
    const cache::OriginSink::Next next = sink_->on_body(bytes);
    if (next == cache::OriginSink::Next::Pause) return Next::Pause;  // they will come again
    received_->fetch_add(bytes.size(), std::memory_order_relaxed);
    return next == cache::OriginSink::Next::Continue ? Next::Continue : Next::Abort;
  }
  bool on_burst() override { return sink_->on_burst(); }
  void on_end(base::Status status) override {
    if (notes_ && !status) notes_->failed(status.error());
    sink_->on_end(std::move(status));
  }

 private:
  std::shared_ptr<cache::OriginSink> sink_;
  std::function<void(const http::ResponseHead&)> on_interim_;
  std::shared_ptr<std::atomic<std::uint64_t>> received_;
  std::shared_ptr<TrailNotes> notes_;
};

}  // namespace

cache::Origin::Permit OriginAdapter::admit(const std::string& host, bool must) {
  const std::shared_ptr<const Policy> policy = policy_.get();
  return caps_.admit(policy->hosts.find(host), must);
}

bool OriginAdapter::has_room(const std::string& host) const {
  const std::shared_ptr<const Policy> policy = policy_.get();
  return caps_.has_room(policy->hosts.find(host));
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
  const std::shared_ptr<const Policy> policy =
      request.terms ? std::static_pointer_cast<const Policy>(request.terms) : policy_.get();
  const OriginSettings* origin = policy->hosts.find(fetch.host);
  std::shared_ptr<TrailNotes> notes;
  if (origin != nullptr) {
    set_route(fetch, *origin, policy->settings.no_proxy);
    if (origin->follow_redirects) {
      const bool authorized = std::ranges::any_of(fetch.fields, [](const auto& field) {
        return base::equals_ignoring_case(field.first, "Authorization");
      });
      notes = std::make_shared<TrailNotes>(redirects_, request.key, clock_.wall(), authorized);
      fetch.redirect =
          [policy, notes, https = fetch.https](
              const client::OriginFetch& hop,
              http::ResponseHead& head) -> base::Result<std::optional<client::OriginFetch>> {
        RedirectDecision decision =
            judge_redirect(hop, head, https, policy->hosts, policy->settings.no_proxy);
        notes->add(std::move(decision.hop), head);
        return std::move(decision.next);
      };
    }
  }
  fetch.limits = caps_.limits_of(origin);
  return pool_.fetch(std::move(fetch),
                     std::make_shared<SinkAdapter>(std::move(sink), std::move(request.on_interim),
                                                   received_, std::move(notes)));
}

}  // namespace larder::node
