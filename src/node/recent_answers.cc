#include "node/recent_answers.h"

#include <functional>

namespace larder::node {

namespace {

constexpr std::size_t kLongestRequest = 2048;
constexpr std::uint64_t kLongestAnswer = 16 * 1024;

// Who makes two requests collide on purpose only makes both take the longer way: the bytes are
// compared.
std::uint64_t hash(std::string_view request) {
  return std::hash<std::string_view>()(request);
}

}  // namespace

RecentAnswer* RecentAnswers::find(std::string_view request, base::SteadyTime now) {
  if (request.size() > kLongestRequest) return nullptr;
  const std::uint64_t hashed = hash(request);
  const Slot& slot = slots_[hashed % kSlots];
  RecentAnswer* answer = slot.answer.get();
  if (slot.seen != hashed || answer == nullptr || now >= answer->until ||
      answer->request != request) {
    return nullptr;
  }
  const store::Object& object = *answer->stored->object;
  if (object.is_removed() || object.revision() != answer->revision) return nullptr;
  return answer;
}

RecentAnswer* RecentAnswers::admit(std::string_view request, std::uint64_t answer_size) {
  if (request.size() > kLongestRequest || answer_size > kLongestAnswer) return nullptr;
  const std::uint64_t hashed = hash(request);
  Slot& slot = slots_[hashed % kSlots];
  if (slot.seen != hashed) {
    slot.seen = hashed;
    return nullptr;
  }
  if (!slot.answer) slot.answer = std::make_unique<RecentAnswer>();
  slot.answer->request = request;
  return slot.answer.get();
}

void RecentAnswers::drop_removed() {
  for (Slot& slot : slots_) {
    if (slot.answer && slot.answer->stored->object->is_removed()) slot.answer.reset();
  }
}

void RecentAnswers::drop_expired(base::SteadyTime now) {
  for (Slot& slot : slots_) {
    if (slot.answer && now >= slot.answer->until) slot.answer.reset();
  }
}

}  // namespace larder::node
