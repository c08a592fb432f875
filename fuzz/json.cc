// JSON from devices, nodes and sites: what is accepted is no deeper than allowed.
#include "base/json.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "require.h"

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
  if (!value) return 0;
  require(depth_of(*value) <= 8);
  // What is written again is read as the same value, and members are of the type that was asked
  // for.
  const auto again = larder::base::parse_json(value->dump());
  require(again && *again == *value);
  for (const char* name : {"a", "number"}) {
    if (const auto text = larder::base::json_string(*value, name)) require((*value)[name] == *text);
    if (const auto number = larder::base::json_integer(*value, name))
      require((*value)[name] == *number);
    (void)larder::base::json_string_or(*value, name, "fallback");
  }
  return 0;
}
