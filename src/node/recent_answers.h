// Answers that were given lately, by the exact bytes of their requests.
//
// A hit is a function of the request's bytes, the stored object and its age in whole seconds. So
// when the same bytes come again within the second and the object is the same, the answer is the
// same but for its request id, and parsing, look-up, decision and writing can be
// left out: fleets ask for the same few objects with the same words. A request is kept from its
// second time on, so that what is asked once costs nothing.
//
// Belongs to one loop thread. Bounded: docs/limits.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "node/stored_object.h"
#include "server/access_log.h"

namespace larder::node {

struct RecentAnswer {
  std::string request;            // the head, whole
  std::string bytes;              // the answer: head and body
  std::size_t request_id_at = 0;  // where the id of 32 digits stands in `bytes`
  base::SteadyTime until;         // the Age is another
  std::shared_ptr<const StoredObject> stored;
  std::uint64_t revision = 0;  // of the object's metadata
  std::uint64_t body = 0;      // bytes of it
  int status = 0;
  std::uint32_t origin = 0;  // server::Outcome::origin
  std::string_view reason;   // static text
  server::AccessLine line;
};

class RecentAnswers {
 public:
  // Null when there is none for exactly these bytes at that time. Valid until the next call.
  RecentAnswer* find(std::string_view request, base::SteadyTime now);

  // The place for the answer to this request, to be filled whole; null when it is not worth it:
  // this is the first time, or it is too large.
  RecentAnswer* admit(std::string_view request, std::uint64_t answer_size);

  // Gives back what was not asked for again.
  void drop_expired(base::SteadyTime now);
  // Lets go of objects that were evicted: their space is waited for.
  void drop_removed();
  void clear() { drop_expired(base::SteadyTime::max()); }

 private:
  struct Slot {
    std::uint64_t seen = 0;  // hash of the request that was here last
    std::unique_ptr<RecentAnswer> answer;
  };
  static constexpr std::size_t kSlots = 512;
  std::vector<Slot> slots_{kSlots};
};

}  // namespace larder::node
