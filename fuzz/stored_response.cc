// Stored heads: what is written is read back; as a damaged drive might give them they are refused,
// or exactly what was written.
#include "cache/stored_response.h"

#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/encoding.h"
#include "cache/freshness.h"
#include "require.h"

namespace {

using namespace larder;

void check(std::string_view data) {
  const std::string_view key = cache::stored_key(data);
  const auto stored = cache::parse_stored_response(base::as_bytes(data));
  if (!stored) return;
  require(key == stored->key);
  const auto bytes = cache::serialize(*stored);
  require(bytes && *bytes == data);
  require(stored->field(http::FieldName::ETag) == stored->etag());
  (void)stored->last_modified();
  const base::WallTime now = base::from_unix_seconds(1795300000);
  require(cache::current_age(*stored, now).count() >= 0);
  (void)cache::may_serve_on_error(*stored, std::chrono::seconds{5}, now);
}

cache::StoredResponse any_response(FuzzedDataProvider& input) {
  cache::StoredResponse made;
  made.key = input.ConsumeRandomLengthString(40);
  made.host = input.ConsumeBool() ? "a.test" : "";
  made.status = input.ConsumeIntegralInRange(199, 600);
  made.request_time =
      base::from_unix_seconds(input.ConsumeIntegralInRange<std::int64_t>(0, 1 << 30));
  made.response_time = made.request_time;
  made.date = made.request_time;
  made.has_origin_date = input.ConsumeBool();
  made.freshness.lifetime = std::chrono::seconds{input.ConsumeIntegral<std::int32_t>()};
  made.freshness.must_revalidate = input.ConsumeBool();
  made.freshness.always_revalidate = input.ConsumeBool();
  made.freshness.answers_authorization = input.ConsumeBool();
  made.freshness.is_heuristic = input.ConsumeBool();
  if (input.ConsumeBool()) {
    made.generation = {cache::GenerationKind::StrongEtag, input.ConsumeRandomLengthString(20)};
  }
  if (input.ConsumeBool()) made.length = input.ConsumeIntegral<std::uint64_t>();
  const int fields = input.ConsumeIntegralInRange(0, 110);
  const std::string filler(input.ConsumeIntegralInRange<std::size_t>(0, 900), 'a');
  for (int i = 0; i < fields; ++i) {
    const std::string name = input.ConsumeBool() ? "ETag" : input.ConsumeRandomLengthString(8);
    made.fields.push_back(
        {name, input.ConsumeRandomLengthString(8) + filler, http::find_field_name(name)});
  }
  const int nominated = input.ConsumeIntegralInRange(0, 18);
  for (int i = 0; i < nominated; ++i) {
    std::optional<std::string> value;
    if (input.ConsumeBool()) value = input.ConsumeRandomLengthString(8);
    made.vary.push_back({"accept", value});
  }
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(base::as_text({data, size}));

  FuzzedDataProvider input(data, size);
  auto written = cache::serialize(any_response(input));
  if (!written) return 0;
  check(*written);
  written->at(input.ConsumeIntegralInRange<std::size_t>(0, written->size() - 1)) ^=
      input.ConsumeIntegralInRange<char>(1, 127);
  check(*written);
  check(std::string_view(*written).substr(
      0, input.ConsumeIntegralInRange<std::size_t>(0, written->size() - 1)));
  return 0;
}
