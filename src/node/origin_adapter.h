// The cache's Origin over the origin thread: adds what the origin's table says about where and how
// to connect.
#pragma once

#include <memory>

#include "cache/origin.h"
#include "client/origin_pool.h"
#include "node/host_table.h"

namespace larder::node {

class OriginAdapter final : public cache::Origin {
 public:
  // All outlive the adapter.
  OriginAdapter(client::OriginPool& pool, const HostTable& hosts, const NodeSettings& settings)
      : pool_(pool), hosts_(hosts), settings_(settings) {}

  FetchId fetch(cache::OriginRequest request, std::shared_ptr<cache::OriginSink> sink) override;
  void resume(FetchId id) override { pool_.resume(id); }
  void cancel(FetchId id) override { pool_.cancel(id); }

 private:
  client::OriginPool& pool_;
  const HostTable& hosts_;
  const NodeSettings& settings_;
};

}  // namespace larder::node
