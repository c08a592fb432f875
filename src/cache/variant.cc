#include "cache/variant.h"

#include <algorithm>

#include "http/characters.h"

namespace larder::cache {

namespace {

using http::FieldName;

constexpr std::string_view kAcceptLanguage = "accept-language";

// Appends a value without the whitespace around its commas; quoted strings stay as they are.
void append_compact(std::string& out, std::string_view value) {
  bool quoted = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (quoted) {
      out += c;
      if (c == '\\' && i + 1 < value.size()) out += value[++i];
      if (c == '"') quoted = false;
      continue;
    }
    if (c == ',') {
      while (!out.empty() && http::is_whitespace(out.back())) out.pop_back();
      out += c;
      while (i + 1 < value.size() && http::is_whitespace(value[i + 1])) ++i;
      continue;
    }
    quoted = c == '"';
    out += c;
  }
}

struct Language {
  std::string range;   // lower case
  int thousandth = 0;  // weight
};

// The weight after ";q=": 0 to 1000.
std::optional<int> parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int value = text[0] - '0';
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  for (std::size_t i = 2; i < 5; ++i) {
    const char c = i < text.size() ? text[i] : '0';
    if (!http::is_class(c, http::kDigit)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value <= 1000 ? std::optional(value) : std::nullopt;
}

// The elements of Accept-Language; nothing when it is malformed.
std::optional<std::vector<Language>> parse_languages(std::string_view list) {
  std::vector<Language> languages;
  std::string_view element;
  while (http::next_list_element(list, element)) {
    const std::size_t semicolon = element.find(';');
    Language language{.range = std::string(http::trim(element.substr(0, semicolon))),
                      .thousandth = 1000};
    if (!http::is_token(language.range)) return std::nullopt;
    std::transform(language.range.begin(), language.range.end(), language.range.begin(),
                   http::lower);
    if (semicolon != std::string_view::npos) {
      const std::string_view parameter = http::trim(element.substr(semicolon + 1));
      if (parameter.size() < 2 || !http::same_ignoring_case(parameter.substr(0, 2), "q=")) {
        return std::nullopt;
      }
      const auto weight = parse_weight(parameter.substr(2));
      if (!weight) return std::nullopt;
      language.thousandth = *weight;
    }
    languages.push_back(std::move(language));
  }
  return languages;
}

std::string sorted_text(std::vector<Language> languages) {
  std::sort(languages.begin(), languages.end(), [](const Language& a, const Language& b) {
    return a.thousandth != b.thousandth ? a.thousandth > b.thousandth : a.range < b.range;
  });
  std::string text;
  for (const Language& language : languages) {
    if (!text.empty()) text += ',';
    text += language.range;
    if (language.thousandth == 1000) continue;
    const std::string digits = std::to_string(language.thousandth);
    text += ";q=0." + std::string(3 - digits.size(), '0') + digits;
  }
  return text;
}

// The one language that the request prefers to all others, exactly as the stored response has it:
// whatever else the origin has, this is what it would send.
bool prefers_stored_language(const StoredResponse& stored, std::string_view accept_language) {
  std::string_view tag;
  for (const http::ResponseField& field : stored.fields) {
    if (!http::same_ignoring_case(field.name, "content-language")) continue;
    if (!tag.empty()) return false;
    tag = field.value;
  }
  if (!http::is_token(tag)) return false;
  const auto languages = parse_languages(accept_language);
  if (!languages || languages->empty()) return false;
  const auto best = std::max_element(
      languages->begin(), languages->end(),
      [](const Language& a, const Language& b) { return a.thousandth < b.thousandth; });
  const bool is_only_best =
      std::count_if(languages->begin(), languages->end(), [&](const Language& language) {
        return language.thousandth == best->thousandth;
      }) == 1;
  return is_only_best && best->thousandth > 0 && http::same_ignoring_case(best->range, tag);
}

void mix(std::uint64_t& hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  hash = (hash ^ 0x100) * 1099511628211ULL;
}

}  // namespace

std::optional<std::string> normalise_nominated(std::string_view name,
                                               std::span<const std::string_view> values) {
  if (values.empty()) return std::nullopt;
  std::string text;
  for (const std::string_view value : values) {
    if (!text.empty()) text += ',';
    append_compact(text, value);
  }
  if (name == kAcceptLanguage) {
    if (auto languages = parse_languages(text)) return sorted_text(std::move(*languages));
  }
  return text;
}

std::optional<std::string> nominated_value(std::string_view name, const http::RequestHead& request,
                                           http::Exchange fill) {
  std::vector<std::string_view> values;
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const http::HeadField& field = request.fields[i];
    if (http::same_ignoring_case(field.name, name) &&
        http::may_send_to_origin(request, field, fill)) {
      values.push_back(field.value);
    }
  }
  return normalise_nominated(name, values);
}

bool varies_by_who_asks(const StoredResponse& stored, const http::RequestHead& request) {
  return std::any_of(stored.vary.begin(), stored.vary.end(), [&](const NominatedField& nominated) {
    const FieldName name = http::find_field_name(nominated.name);
    return http::says_who_asks(name) && request.has(name);
  });
}

bool matches_vary(const StoredResponse& stored, const http::RequestHead& request,
                  http::Exchange fill) {
  if (varies_by_who_asks(stored, request)) return false;
  return std::all_of(stored.vary.begin(), stored.vary.end(), [&](const NominatedField& nominated) {
    const auto value = nominated_value(nominated.name, request, fill);
    if (value == nominated.value) return true;
    return nominated.name == kAcceptLanguage && value && prefers_stored_language(stored, *value);
  });
}

unsigned first_variant_slot(const StoredResponse& first, const http::RequestHead& request,
                            http::Exchange fill) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const NominatedField& nominated : first.vary) {
    mix(hash, nominated.name);
    mix(hash, nominated_value(nominated.name, request, fill).value_or("\n"));
  }
  return static_cast<unsigned>((hash ^ hash >> 32) % kVariantSlots);
}

std::string variant_key(std::string_view key, std::uint64_t epoch, unsigned slot) {
  return std::string(key) + "\nvariant " + std::to_string(epoch) + " " + std::to_string(slot);
}

}  // namespace larder::cache
