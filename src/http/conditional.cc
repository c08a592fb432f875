#include "http/conditional.h"

#include <chrono>

#include "http/characters.h"
#include "http/date.h"

namespace larder::http {

namespace {

// Takes an entity tag off the front of `text`.
std::optional<EntityTag> take_entity_tag(std::string_view& text) {
  EntityTag tag;
  std::string_view rest = text;
  if (rest.starts_with("W/")) {
    tag.weak = true;
    rest.remove_prefix(2);
  }
  if (!rest.starts_with('"')) return std::nullopt;
  std::size_t end = 1;
  while (end < rest.size() && is_class(rest[end], kEntityTag)) ++end;
  if (end == rest.size() || rest[end] != '"') return std::nullopt;
  tag.opaque = rest.substr(0, end + 1);
  text = rest.substr(end + 1);
  return tag;
}

// Whether "*" or a tag of one field's list matches. Nothing after a malformed element counts.
bool list_matches(std::string_view list, const std::optional<EntityTag>& have, bool strongly) {
  list = trim(list);
  if (list == "*") return true;
  if (!have) return false;
  while (!list.empty()) {
    if (list.front() == ',' || is_whitespace(list.front())) {
      list.remove_prefix(1);
      continue;
    }
    const auto tag = take_entity_tag(list);
    if (!tag) return false;
    if (strongly ? same_strongly(*tag, *have) : same_weakly(*tag, *have)) return true;
    list = trim(list);
    if (!list.empty() && list.front() != ',') return false;
  }
  return false;
}

bool any_list_matches(const RequestHead& request, FieldName name,
                      const std::optional<EntityTag>& have, bool strongly) {
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const HeadField& field = request.fields[i];
    if (field.id == name && list_matches(field.value, have, strongly)) return true;
  }
  return false;
}

// Whether the representation is newer than the date in the named field; nothing when there is no
// usable field (absent, repeated, or not a date: RFC 9110 section 13.1.3 ignores it).
std::optional<bool> modified_since(const RequestHead& request, FieldName name,
                                   const Validators& validators, base::WallTime now) {
  if (request.count(name) != 1) return std::nullopt;
  const auto since = parse_date(request.field(name), now);
  const auto modified = parse_date(validators.last_modified, now);
  if (!since || !modified) return std::nullopt;
  return *modified > *since;
}

}  // namespace

std::optional<EntityTag> parse_entity_tag(std::string_view text) {
  const auto tag = take_entity_tag(text);
  return text.empty() ? tag : std::nullopt;
}

bool is_strong_last_modified(std::string_view last_modified, std::string_view date,
                             base::WallTime now) {
  const auto modified = parse_date(last_modified, now);
  const auto sent = parse_date(date, now);
  return modified && sent && *sent - *modified >= std::chrono::seconds{1};
}

Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    bool as_origin, base::WallTime now) {
  constexpr std::uint64_t kConditions =
      bit(FieldName::IfMatch) | bit(FieldName::IfUnmodifiedSince) | bit(FieldName::IfNoneMatch) |
      bit(FieldName::IfModifiedSince);
  if ((request.present & kConditions) == 0) return Precondition::Pass;
  const bool reads = request.method == Method::Get || request.method == Method::Head;
  const auto etag = parse_entity_tag(validators.etag);
  if (as_origin) {
    if (request.has(FieldName::IfMatch)) {
      if (!any_list_matches(request, FieldName::IfMatch, etag, true)) return Precondition::Failed;
    } else if (modified_since(request, FieldName::IfUnmodifiedSince, validators, now) == true) {
      return Precondition::Failed;
    }
  }
  if (request.has(FieldName::IfNoneMatch)) {
    if (!any_list_matches(request, FieldName::IfNoneMatch, etag, false)) return Precondition::Pass;
    return reads ? Precondition::NotModified : Precondition::Failed;
  }
  if (reads && modified_since(request, FieldName::IfModifiedSince, validators, now) == false) {
    return Precondition::NotModified;
  }
  return Precondition::Pass;
}

}  // namespace larder::http
