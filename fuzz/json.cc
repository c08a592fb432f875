// JSON from devices, nodes and sites: what is accepted is no deeper than allowed.
#include "base/json.h"

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace {

std::size_t depth_of(const larder::base::Json& value) {
  std::size_t deepest = 0;
  if (!value.is_structured()) return 0;
  for (const auto& each : value) deepest = std::max(deepest, depth_of(each));
  return deepest + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto value =
      larder::base::parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
  if (value && depth_of(*value) > 8) std::abort();
  return 0;
}
