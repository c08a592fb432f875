#include "cache/stored_response.h"

#include <limits>

#include "base/encoding.h"
#include "http/cache_control.h"
#include "http/characters.h"
#include "http/field_line.h"
#include "http/target.h"

namespace larder::cache {

namespace {

// "LRSR" and the version; a new version discards what older programs stored.
constexpr std::uint32_t kMagic = 0x5253524c;
constexpr std::uint32_t kVersion = 3;

constexpr std::uint64_t kHeuristic = 1;
constexpr std::uint64_t kMustRevalidate = 2;
constexpr std::uint64_t kAlwaysRevalidate = 4;
constexpr std::uint64_t kAnswersAuthorization = 8;
constexpr std::uint64_t kHasOriginDate = 16;
constexpr std::uint64_t kHasLength = 32;
constexpr std::uint64_t kAllFlags = 63;

// Little-endian numbers, texts with a length of four bytes in front.
class Writer {
 public:
  void number(std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) out_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
  void signed_number(std::int64_t value) { number(static_cast<std::uint64_t>(value), 8); }
  void time(base::WallTime value) { signed_number(value.time_since_epoch().count()); }
  void text(std::string_view value) {
    number(value.size(), 4);
    out_ += value;
  }
  std::size_t size() const { return out_.size(); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// After the first failure every read gives zeros and empty texts.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number(unsigned bytes) {
    if (failed_ || rest_.size() < bytes) {
      failed_ = true;
      return 0;
    }
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
    }
    rest_.remove_prefix(bytes);
    return value;
  }
  std::string_view text() {
    const std::uint64_t length = number(4);
    if (failed_ || rest_.size() < length) {
      failed_ = true;
      return {};
    }
    const std::string_view value = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return value;
  }
  std::int64_t number_up_to(std::int64_t most) {
    const std::uint64_t value = number(8);
    expect(value <= static_cast<std::uint64_t>(most));
    return failed_ ? 0 : static_cast<std::int64_t>(value);
  }
  // Within some 9,000 years, so that sums of times and durations do not overflow.
  base::WallTime time() {
    constexpr std::int64_t kFarthest = 300'000'000'000'000'000;
    const auto value = static_cast<std::int64_t>(number(8));
    expect(value >= -kFarthest && value <= kFarthest);
    return base::WallTime{std::chrono::microseconds{failed_ ? 0 : value}};
  }
  std::chrono::seconds delta() {
    return std::chrono::seconds{number_up_to(http::kLongestDelta.count())};
  }
  void expect(bool holds) { failed_ = failed_ || !holds; }
  bool failed() const { return failed_; }
  bool at_end() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

constexpr std::int64_t kLongestAge = std::chrono::microseconds{2 * http::kLongestDelta}.count();

void write_freshness(Writer& writer, const Freshness& freshness) {
  writer.signed_number(freshness.lifetime.count());
  writer.signed_number(freshness.initial_age.count());
  writer.signed_number(freshness.stale_while_revalidate.count());
  writer.signed_number(freshness.stale_if_error.count());
}

std::uint64_t flags_of(const StoredResponse& response) {
  const Freshness& freshness = response.freshness;
  return (freshness.is_heuristic ? kHeuristic : 0) |
         (freshness.must_revalidate ? kMustRevalidate : 0) |
         (freshness.always_revalidate ? kAlwaysRevalidate : 0) |
         (freshness.answers_authorization ? kAnswersAuthorization : 0) |
         (response.has_origin_date ? kHasOriginDate : 0) | (response.length ? kHasLength : 0);
}

void read_fields(Reader& reader, StoredResponse& response) {
  const std::uint64_t count = reader.number(1);
  reader.expect(count <= http::kMostFields);
  for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    reader.expect(http::is_token(name) && http::is_field_value(value));
    response.fields.push_back({.name = std::string(name),
                               .value = std::string(value),
                               .id = http::find_field_name(name)});
  }
}

void read_vary(Reader& reader, StoredResponse& response) {
  const std::uint64_t count = reader.number(1);
  reader.expect(count <= kMostNominatedFields);
  for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
    const std::string_view name = reader.text();
    const std::uint64_t present = reader.number(1);
    const std::string_view value = reader.text();
    reader.expect(http::is_token(name) && http::is_field_value(value) && present <= 1 &&
                  (present == 1 || value.empty()));
    response.vary.push_back(
        {.name = std::string(name),
         .value = present == 1 ? std::optional<std::string>(value) : std::nullopt});
  }
}

}  // namespace

std::string_view StoredResponse::field(http::FieldName name) const {
  for (const http::ResponseField& field : fields) {
    if (field.id == name) return field.value;
  }
  return {};
}

base::Result<std::string> serialize(const StoredResponse& response) {
  if (response.fields.size() > http::kMostFields || response.vary.size() > kMostNominatedFields) {
    return base::fail(base::ErrorCode::ResourceExhausted, "response has too many fields to store");
  }
  Writer writer;
  writer.number(kMagic, 4);
  writer.number(kVersion, 4);
  writer.text(response.key);
  writer.text(response.host);
  writer.number(static_cast<std::uint64_t>(response.status), 2);
  writer.number(flags_of(response), 1);
  writer.time(response.request_time);
  writer.time(response.response_time);
  writer.time(response.date);
  write_freshness(writer, response.freshness);
  writer.number(static_cast<std::uint64_t>(response.generation.kind), 1);
  writer.text(response.generation.validator);
  writer.number(response.length.value_or(0), 8);
  writer.number(response.variant_epoch, 8);
  writer.number(response.fields.size(), 1);
  for (const http::ResponseField& field : response.fields) {
    writer.text(field.name);
    writer.text(field.value);
  }
  writer.number(response.vary.size(), 1);
  for (const NominatedField& field : response.vary) {
    writer.text(field.name);
    writer.number(field.value ? 1 : 0, 1);
    writer.text(field.value.value_or(""));
  }
  if (writer.size() > kLongestStoredResponse) {
    return base::fail(base::ErrorCode::ResourceExhausted, "response head is too large to store");
  }
  return writer.take();
}

base::Result<StoredResponse> parse_stored_response(std::span<const std::uint8_t> bytes) {
  const auto damaged = [] {
    return base::fail(base::ErrorCode::DataLoss, "stored response cannot be read");
  };
  if (bytes.size() > kLongestStoredResponse) return damaged();
  Reader reader(base::as_text(bytes));
  if (reader.number(4) != kMagic || reader.number(4) != kVersion) return damaged();

  StoredResponse response;
  response.key = reader.text();
  response.host = reader.text();
  reader.expect(response.host.empty() || http::parse_authority(response.host).has_value());
  response.status = static_cast<int>(reader.number(2));
  reader.expect(response.status >= 200 && response.status <= 599);
  const std::uint64_t flags = reader.number(1);
  reader.expect((flags & ~kAllFlags) == 0);
  response.request_time = reader.time();
  response.response_time = reader.time();
  response.date = reader.time();
  response.has_origin_date = (flags & kHasOriginDate) != 0;
  response.freshness = {
      .lifetime = reader.delta(),
      .initial_age = std::chrono::microseconds{reader.number_up_to(kLongestAge)},
      .stale_while_revalidate = reader.delta(),
      .stale_if_error = reader.delta(),
      .is_heuristic = (flags & kHeuristic) != 0,
      .must_revalidate = (flags & kMustRevalidate) != 0,
      .always_revalidate = (flags & kAlwaysRevalidate) != 0,
      .answers_authorization = (flags & kAnswersAuthorization) != 0,
  };
  const std::uint64_t kind = reader.number(1);
  reader.expect(kind <= static_cast<std::uint64_t>(GenerationKind::LastModified));
  response.generation.kind = static_cast<GenerationKind>(reader.failed() ? 0 : kind);
  response.generation.validator = reader.text();
  reader.expect(http::is_field_value(response.generation.validator));
  reader.expect(response.generation.validator.empty() ==
                (response.generation.kind == GenerationKind::SingleResponse));
  const auto length =
      static_cast<std::uint64_t>(reader.number_up_to(std::numeric_limits<std::int64_t>::max()));
  if ((flags & kHasLength) != 0) {
    response.length = length;
  } else {
    reader.expect(length == 0);
  }
  response.variant_epoch = reader.number(8);
  read_fields(reader, response);
  read_vary(reader, response);
  if (!reader.at_end()) return damaged();
  return response;
}

std::string_view stored_key(std::string_view form) {
  constexpr std::size_t kBefore = 12;  // magic, version, length of the key
  if (form.size() < kBefore) return {};
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i > 0; --i)
      value = value << 8 | static_cast<std::uint8_t>(form[at + i - 1]);
    return value;
  };
  const std::uint32_t length = number(8);
  if (number(0) != kMagic || length > form.size() - kBefore) return {};
  return form.substr(kBefore, length);
}

}  // namespace larder::cache
