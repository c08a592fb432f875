// The cache's Origin over the origin thread: adds what the origin's table says about where and how
// to connect.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "cache/origin.h"
#include "client/origin_pool.h"
#include "node/policy.h"
#include "node/redirect_trails.h"
#include "node/upstream_caps.h"

namespace larder::node {

class OriginAdapter final : public cache::Origin {
 public:
  // All outlive the adapter.
  OriginAdapter(client::OriginPool& pool, const PolicyHolder& policy, const base::Clock& clock)
      : pool_(pool), policy_(policy), clock_(clock), caps_(policy.get()->settings) {}

  FetchId fetch(cache::OriginRequest request, std::shared_ptr<cache::OriginSink> sink) override;
  Permit admit(const std::string& host, bool must) override;
  bool has_room(const std::string& host) const override;
  // Settings that count from now on, for transfers under way too.
  void apply(const NodeSettings& settings) { caps_.apply(settings); }
  void resume(FetchId id) override { pool_.resume(id); }
  void cancel(FetchId id) override { pool_.cancel(id); }
  // Of what was asked for where a table says `follow_redirects`.
  const RedirectTrails& redirects() const { return *redirects_; }
  // Bytes of bodies that came from origins since the start, whatever became of them. Thread-safe.
  std::uint64_t received() const { return received_->load(std::memory_order_relaxed); }

 private:
  client::OriginPool& pool_;
  const PolicyHolder& policy_;
  const base::Clock& clock_;
  UpstreamCaps caps_;
  // Fetches that are under way note theirs whatever becomes of the adapter.
  const std::shared_ptr<RedirectTrails> redirects_ = std::make_shared<RedirectTrails>();
  // Transfers may end after the adapter.
  std::shared_ptr<std::atomic<std::uint64_t>> received_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace larder::node
