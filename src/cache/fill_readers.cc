#include "cache/fill_readers.h"

#include <algorithm>

namespace larder::cache {

std::uint64_t FillReaders::add() {
  readers_.emplace(next_id_, Reader{});
  return next_id_++;
}

bool FillReaders::want(std::uint32_t first, std::uint32_t last) const {
  return std::any_of(readers_.begin(), readers_.end(), [&](const auto& reader) {
    return reader.second.want.at <= last && reader.second.want.last >= first;
  });
}

bool FillReaders::want_behind(std::uint32_t index) const {
  return std::any_of(readers_.begin(), readers_.end(),
                     [&](const auto& reader) { return reader.second.want.last >= index; });
}

std::vector<Want> FillReaders::wants() const {
  std::vector<Want> wants;
  for (const auto& [id, reader] : readers_) {
    if (reader.request) wants.push_back(reader.want);
  }
  return wants;
}

bool FillReaders::can_ask() const {
  return std::any_of(readers_.begin(), readers_.end(), [](const auto& reader) {
    return reader.second.request && !reader.second.is_refused;
  });
}

std::optional<FillReaders::Asker> FillReaders::asker_for(std::uint32_t index) const {
  std::optional<Asker> any;
  for (const auto& [id, reader] : readers_) {
    if (!reader.request || reader.is_refused) continue;
    if (index >= reader.want.at && index <= reader.want.last) return Asker{id, reader.request};
    if (!any) any = Asker{id, reader.request};
  }
  return any;
}

bool FillReaders::refuse(std::uint64_t id) {
  const auto asked = readers_.find(id);
  if (asked == readers_.end() || asked->second.is_refused) return false;
  const bool is_last = ++refusals_ >= kMostRefusals;
  const std::shared_ptr<const OriginRequest> request = asked->second.request;
  for (auto& [other, reader] : readers_) {
    const bool asks_the_same = reader.request && reader.request->target == request->target &&
                               reader.request->fields == request->fields;
    if (asks_the_same || is_last) reader.is_refused = true;
  }
  if (is_last) refusals_ = 0;  // who comes from now on may ask again
  return true;
}

}  // namespace larder::cache
