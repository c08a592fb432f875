#include "node/retention_worker.h"

#include "base/log.h"
#include "certs/certificate_store.h"

namespace larder::node {

namespace {

// The wall clock is looked at this often, because it may be set.
constexpr std::chrono::seconds kTick{5};
constexpr std::chrono::hours kInterval{24};
// After a failure: another process may just hold the lock.
constexpr std::chrono::minutes kRetry{10};

}  // namespace

RetentionWorker::RetentionWorker(std::string certificates_folder, const base::Clock& clock)
    : folder_(std::move(certificates_folder)),
      clock_(clock),
      worker_([this](const client::HttpExchange&) { return step(); }) {}

std::chrono::milliseconds RetentionWorker::step() {
  const base::WallTime now = clock_.wall();
  // A clock that went back counts as well.
  if (now < next_ && next_ - now <= kInterval) return kTick;
  auto store = certs::CertificateStore::open(
      {.folder = folder_, .connection_names = {}, .client_trust = {}});
  // Also when nothing is due: it takes away what a crash has left.
  const auto gone = store ? store->purge(false, now)
                          : base::Result<std::vector<certs::Purge>>(std::unexpected(store.error()));
  if (!gone) {
    base::log_error("certificates cannot be purged", {{"reason", gone.error().message}});
  }
  next_ = now + (gone ? std::chrono::seconds(kInterval) : std::chrono::seconds(kRetry));
  return kTick;
}

}  // namespace larder::node
