// The cache's Origin over the origin thread: adds what the origin's table says about where and how
// to connect.
#pragma once

#include <memory>

#include "cache/origin.h"
#include "client/origin_pool.h"
#include "node/policy.h"

namespace larder::node {

class OriginAdapter final : public cache::Origin {
 public:
  // Both outlive the adapter.
  OriginAdapter(client::OriginPool& pool, const PolicyHolder& policy)
      : pool_(pool), policy_(policy) {}

  FetchId fetch(cache::OriginRequest request, std::shared_ptr<cache::OriginSink> sink) override;
  void resume(FetchId id) override { pool_.resume(id); }
  void cancel(FetchId id) override { pool_.cancel(id); }

 private:
  client::OriginPool& pool_;
  const PolicyHolder& policy_;
};

}  // namespace larder::node
