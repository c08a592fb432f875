#include "site/site.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "site/routes.h"

namespace larder::site {
namespace {

constexpr std::chrono::seconds kStep{1};
constexpr std::chrono::seconds kHeadEvery{60};
constexpr std::chrono::minutes kRetryAfterFailure{1};

}  // namespace

struct Site::Impl {
  Impl(const SiteSettings& settings, const base::Clock& clock)
      : state(settings, clock), serving(state), lists(state) {}

  State state;
  Serving serving;
  RevocationLists lists;
  server::Router device;
  server::Router control;
  server::Router admin;
  server::Router pki;
  std::function<void(const ServingIdentity&)> renewed;
  base::WallTime head_signed_at;

  std::mutex mutex;
  std::condition_variable_any stopped;
  std::jthread timer;

  void add_routes();
};

void Site::Impl::add_routes() {
  add_pki_routes(device, state, lists);
  add_client_routes(device, state);
  add_node_routes(device, state);
  add_status_routes(control, state, serving);
  add_control_routes(control, state);
  add_page_routes(admin, state, serving);
  add_pki_routes(pki, state, lists);
}

Site::Site(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Site::~Site() {
  stop();
}

base::Result<std::unique_ptr<Site>> Site::open(const SiteSettings& settings,
                                               const base::Clock& clock) {
  auto impl = std::make_unique<Impl>(settings, clock);
  LARDER_TRY(load_state(impl->state));
  LARDER_TRY(impl->serving.load(clock.wall()));
  LARDER_TRY(impl->lists.refresh(clock.wall()));
  impl->add_routes();
  return std::unique_ptr<Site>(new Site(std::move(impl)));
}

const server::Router& Site::device_router() const {
  return impl_->device;
}
const server::Router& Site::control_router() const {
  return impl_->control;
}
const server::Router& Site::admin_router() const {
  return impl_->admin;
}
const server::Router& Site::pki_router() const {
  return impl_->pki;
}

ServingIdentity Site::serving_certificate() const {
  ServingCertificate current = impl_->serving.current();
  return {std::move(current.key), std::move(current.chain), current.not_after};
}

void Site::on_serving_certificate(std::function<void(const ServingIdentity&)> callback) {
  impl_->renewed = std::move(callback);
}

base::Status Site::step(base::WallTime now) {
  base::Status first;
  const auto note = [&](const char* what, const base::Error& error) {
    base::log_error("a periodic task failed", {{"task", what}, {"error", error.message}});
    if (first) first = base::with_context(what, error);
  };
  const auto rotated = impl_->state.authority->rotate_if_due(now);
  if (!rotated) note("rotate the issuing certificate", rotated.error());

  const auto renewed = impl_->serving.renew_if_due(now);
  if (!renewed) note("renew the site's certificate", renewed.error());
  if (renewed && *renewed && impl_->renewed) impl_->renewed(serving_certificate());

  const auto refreshed = impl_->lists.refresh_if_due(now);
  if (!refreshed) note("refresh the revocation lists", refreshed.error());

  if (now - impl_->head_signed_at >= kHeadEvery) {
    const base::Status head = impl_->state.records->sign_head(impl_->state.ledger_key->key, now);
    if (!head) note("sign the ledger's head", head.error());
    impl_->head_signed_at = now;
  }
  return first;
}

void Site::start() {
  impl_->timer = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const bool fine = step(impl_->state.clock.wall()).has_value();
      std::unique_lock lock(impl_->mutex);
      impl_->stopped.wait_for(lock, stop, fine ? std::chrono::seconds(kStep) : kRetryAfterFailure,
                              [] { return false; });
    }
  });
}

void Site::stop() {
  impl_->state.stopping = true;
  impl_->state.changed.notify();
  impl_->timer.request_stop();
  if (impl_->timer.joinable()) impl_->timer.join();
}

base::Result<std::int64_t> Site::verify_ledger() const {
  return impl_->state.records->verify_ledger(impl_->state.ledger_key->key.public_key());
}

}  // namespace larder::site
