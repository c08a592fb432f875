// An answer of an origin on its way to one client, without being stored: a head and a bounded queue
// of bytes between the origin thread and the client's loop. A slow client slows the origin down.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "cache/byte_source.h"
#include "cache/origin.h"
#include "http/response_head.h"
#include "net/signal.h"
#include "net/task.h"

namespace larder::cache {

class PassQueue final : public ByteSource {
 public:
  explicit PassQueue(Origin& origin) : origin_(origin) {}

  // The consumer's side. abandon ends the fetch.
  net::Task<base::Result<http::ResponseHead>> head(base::SteadyTime deadline) override;
  net::Task<base::Result<std::string>> read(base::SteadyTime deadline) override;
  void abandon() override;

  // The origin thread's side.
  void set_fetch(Origin::FetchId id);
  void set_permit(Origin::Permit permit) { permit_ = std::move(permit); }
  void put_head(http::ResponseHead head);
  OriginSink::Next put(std::span<const std::uint8_t> bytes);
  bool burst();
  void end(base::Status status);

 private:
  Origin& origin_;
  Origin::Permit permit_;  // set before the fetch
  net::Signal changed_;
  std::mutex mutex_;  // guards what follows
  std::optional<http::ResponseHead> head_;
  std::string bytes_;
  bool notify_ = false;
  bool paused_ = false;
  bool abandoned_ = false;
  bool ended_ = false;
  base::Status status_;
  std::optional<Origin::FetchId> fetch_;
};

// Starts a fetch whose answer goes to one client only; refused_by_cap() when there is no permit.
std::shared_ptr<PassQueue> fetch_for_one(Origin& origin, OriginRequest request);

}  // namespace larder::cache
