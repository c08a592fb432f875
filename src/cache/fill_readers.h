// Who reads a fill: what they want of it, and whose request the origin may be asked with.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cache/fill_plan.h"
#include "cache/origin.h"

namespace larder::cache {

// Guarded by the fill's mutex.
class FillReaders {
 public:
  // Requests that were refused one after the other: after so many the object itself is what the
  // origin refuses.
  static constexpr int kMostRefusals = 16;

  struct Reader {
    Want want{0, UINT32_MAX};
    std::shared_ptr<const OriginRequest> request;  // null until it asked
    bool is_refused = false;                       // by the origin, with a 4xx
    bool is_promised = false;                      // what it reads: the caps come too late
  };
  struct Asker {
    std::uint64_t id;
    std::shared_ptr<const OriginRequest> request;
  };

  std::uint64_t add();
  void remove(std::uint64_t id) { readers_.erase(id); }
  bool is_empty() const { return readers_.empty(); }
  // Requires: it was added and not removed.
  Reader& of(std::uint64_t id) { return readers_[id]; }

  // Somebody has yet to send one of these slices, both ends included.
  bool want(std::uint32_t first, std::uint32_t last) const;
  bool want(std::uint32_t index) const { return want(index, index); }
  // Somebody has yet to send a slice that is not before this one.
  bool want_behind(std::uint32_t index) const;
  // Of those who have asked.
  std::vector<Want> wants() const;

  // There is a request that the origin has not refused.
  bool can_ask() const;
  // Such a request: of who wants that slice, when one of them has it.
  std::optional<Asker> asker_for(std::uint32_t index) const;
  // The origin has refused that reader's request: neither those who ask in the same words can ask
  // from now on nor, after kMostRefusals, any of them. False when that was known already, or the
  // reader has left.
  bool refuse(std::uint64_t id);
  // The origin gives slices: earlier refusals do not count any more.
  void forget_refusals() { refusals_ = 0; }

 private:
  std::map<std::uint64_t, Reader> readers_;
  std::uint64_t next_id_ = 1;
  int refusals_ = 0;
};

}  // namespace larder::cache
