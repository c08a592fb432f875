#include "cache/generation.h"

#include "http/conditional.h"
#include "http/date.h"

namespace larder::cache {

using http::FieldName;

std::optional<std::uint64_t> complete_length(const http::ResponseHead& response) {
  if (response.status == 206) {
    return response.content_range ? response.content_range->length : std::nullopt;
  }
  if (response.chunked) return std::nullopt;
  return response.content_length;
}

Generation identify(const http::ResponseHead& response, IdentityRule rule, base::WallTime now) {
  if (response.status != 200 && response.status != 206) return {};
  const std::string_view etag = response.field(FieldName::ETag);
  const std::string_view last_modified = response.field(FieldName::LastModified);
  // Repeated validators contradict or say nothing.
  if (response.count(FieldName::ETag) > 1 || response.count(FieldName::LastModified) > 1) return {};
  const bool has_length = complete_length(response).has_value();
  if (rule == IdentityRule::LengthAndLastModified) {
    if (!has_length || !http::parse_date(last_modified, now)) return {};
    return {.kind = GenerationKind::LastModified, .validator = std::string(last_modified)};
  }
  const auto tag = http::parse_entity_tag(etag);
  if (tag && !tag->weak) {
    return {.kind = GenerationKind::StrongEtag, .validator = std::string(etag)};
  }
  if (has_length && response.count(FieldName::Date) == 1 &&
      http::is_strong_last_modified(last_modified, response.field(FieldName::Date), now)) {
    return {.kind = GenerationKind::LastModified, .validator = std::string(last_modified)};
  }
  return {};
}

Part judge_part(const StoredResponse& stored, const http::ResponseHead& response,
                http::ByteRange wanted, IdentityRule rule, base::WallTime now) {
  if (response.status != 200 && response.status != 206) return Part::NoBytes;
  // An origin that sends everything, and no length with it, says by a strong tag all the same that
  // it is the same bytes.
  const std::optional<std::uint64_t> length = complete_length(response);
  const bool is_sure_of_length =
      length || (response.status == 200 && stored.generation.kind == GenerationKind::StrongEtag);
  if (stored.generation.kind == GenerationKind::SingleResponse ||
      identify(response, rule, now) != stored.generation || !is_sure_of_length || !stored.length ||
      (length && length != stored.length) ||
      response.field(FieldName::ContentEncoding) != stored.field(FieldName::ContentEncoding)) {
    return Part::OtherGeneration;
  }
  if (response.status == 200) return Part::Whole;
  const http::ByteRange range = *response.content_range->range;  // it has a length
  const bool fits = range.first == wanted.first && range.last <= wanted.last;
  return fits ? Part::Belongs : Part::OtherGeneration;
}

bool if_range_holds(const StoredResponse& stored, std::string_view if_range, base::WallTime now) {
  const std::string date = stored.has_origin_date ? http::date_text(stored.date) : std::string{};
  return http::if_range_holds(if_range, stored.etag(), stored.last_modified(), date, now);
}

}  // namespace larder::cache
