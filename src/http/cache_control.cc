#include "http/cache_control.h"

#include <algorithm>

#include "http/characters.h"
#include "http/structured_field.h"

namespace larder::http {

namespace {

using std::chrono::seconds;

struct Directive {
  std::string_view name;
  std::optional<std::string_view> argument;  // without quotes
};

enum class Taken { Directive, End, Malformed };

// Takes the next directive off the front of `list`. The inside of a quoted string is given as it
// stands: no argument that we know has escapes in it.
Taken take_directive(std::string_view& list, Directive& out) {
  while (!list.empty() && (is_whitespace(list.front()) || list.front() == ',')) {
    list.remove_prefix(1);
  }
  if (list.empty()) return Taken::End;
  std::size_t i = 0;
  while (i < list.size() && is_class(list[i], kToken)) ++i;
  if (i == 0) return Taken::Malformed;
  out.name = list.substr(0, i);
  out.argument.reset();
  list.remove_prefix(i);
  if (list.starts_with('=')) {
    list.remove_prefix(1);
    if (list.starts_with('"')) {
      i = 1;
      while (i < list.size() && list[i] != '"') i += list[i] == '\\' ? 2 : 1;
      if (i >= list.size()) return Taken::Malformed;
      out.argument = list.substr(1, i - 1);
      list.remove_prefix(i + 1);
    } else {
      i = 0;
      while (i < list.size() && is_class(list[i], kToken)) ++i;
      out.argument = list.substr(0, i);
      list.remove_prefix(i);
    }
  }
  list = trim(list);
  if (!list.empty() && list.front() != ',') return Taken::Malformed;
  return Taken::Directive;
}

// An unusable or contradicting number of seconds counts as 0: stale at once.
void set_delta(std::optional<seconds>& out, const std::optional<std::string_view>& argument) {
  const seconds value = argument ? parse_delta_seconds(*argument).value_or(seconds{0}) : seconds{0};
  out = out && *out != value ? seconds{0} : value;
}

// The list of field names of a qualified directive; nothing when it is none.
std::optional<std::string_view> field_names(const std::optional<std::string_view>& argument) {
  if (!argument) return std::nullopt;
  std::string_view list = *argument;
  std::string_view name;
  bool any = false;
  while (next_list_element(list, name)) {
    if (!is_token(name)) return std::nullopt;
    any = true;
  }
  return any ? argument : std::nullopt;
}

// What a member of a targeted field says; false when its type is not the directive's.
bool add_member(CacheControl& control, std::string_view name, const StructuredItem& item) {
  const auto* flag = std::get_if<bool>(&item);
  const auto* number = std::get_if<std::int64_t>(&item);
  const auto set_flag = [&](bool& out) {
    // A list of field names ("no-cache=\"a\"") is taken as the directive without one.
    out = flag == nullptr || *flag;
    return flag != nullptr || std::holds_alternative<std::string_view>(item);
  };
  const auto set_seconds = [&](std::optional<seconds>& out) {
    if (number == nullptr) return false;
    out = seconds{std::clamp<std::int64_t>(*number, 0, kLongestDelta.count())};
    return true;
  };
  if (name == "max-age") return set_seconds(control.max_age);
  if (name == "s-maxage") return set_seconds(control.s_maxage);
  if (name == "stale-while-revalidate") return set_seconds(control.stale_while_revalidate);
  if (name == "stale-if-error") return set_seconds(control.stale_if_error);
  if (name == "no-cache") return set_flag(control.no_cache);
  if (name == "private") return set_flag(control.is_private);
  if (name == "no-store") return set_flag(control.no_store);
  if (name == "public") return set_flag(control.is_public);
  if (name == "must-revalidate") return set_flag(control.must_revalidate);
  if (name == "proxy-revalidate") return set_flag(control.proxy_revalidate);
  if (name == "must-understand") return set_flag(control.must_understand);
  return true;
}

}  // namespace

std::optional<CacheControl> parse_targeted_cache_control(std::string_view field_value) {
  const auto members = parse_structured_dictionary(field_value);
  if (!members || members->empty()) return std::nullopt;
  CacheControl control;
  for (const StructuredMember& member : *members) {
    if (!add_member(control, member.name, member.value)) return std::nullopt;
  }
  return control;
}

bool CacheControl::withholds(std::string_view field_name) const {
  return std::any_of(withheld_fields.begin(), withheld_fields.end(), [&](std::string_view list) {
    std::string_view name;
    while (next_list_element(list, name)) {
      if (same_ignoring_case(name, field_name)) return true;
    }
    return false;
  });
}

std::optional<seconds> parse_delta_seconds(std::string_view text) {
  if (text.empty() || !all_of_class(text, kDigit)) return std::nullopt;
  seconds::rep number = 0;
  for (const char c : text) {
    number = std::min<seconds::rep>(number * 10 + (c - '0'), kLongestDelta.count());
  }
  return seconds{number};
}

std::optional<seconds> parse_age(std::string_view field_value) {
  return parse_delta_seconds(trim(field_value.substr(0, field_value.find(','))));
}

void CacheControl::add(std::string_view field_value) {
  Directive directive;
  while (true) {
    switch (take_directive(field_value, directive)) {
      case Taken::End:
        return;
      case Taken::Malformed:
        malformed = true;
        return;
      case Taken::Directive:
        break;
    }
    const auto is = [&](std::string_view name) { return same_ignoring_case(directive.name, name); };
    if (is("max-age")) {
      set_delta(max_age, directive.argument);
    } else if (is("s-maxage")) {
      set_delta(s_maxage, directive.argument);
    } else if (is("no-cache") || is("private")) {
      bool& whole = is("private") ? is_private : no_cache;
      if (const auto names = field_names(directive.argument)) {
        withheld_fields.push_back(*names);
      } else {
        whole = true;
      }
    } else if (is("no-store")) {
      no_store = true;
    } else if (is("public")) {
      is_public = true;
    } else if (is("must-revalidate")) {
      must_revalidate = true;
    } else if (is("proxy-revalidate")) {
      proxy_revalidate = true;
    } else if (is("no-transform")) {
      no_transform = true;
    } else if (is("only-if-cached")) {
      only_if_cached = true;
    } else if (is("must-understand")) {
      must_understand = true;
    } else if (is("immutable")) {
      immutable = true;
    } else if (is("min-fresh")) {
      // The larger of two demands; an unusable one demands everything.
      const auto value =
          directive.argument ? parse_delta_seconds(*directive.argument) : std::nullopt;
      min_fresh = std::max(min_fresh.value_or(seconds{0}), value.value_or(kLongestDelta));
    } else if (is("max-stale")) {
      if (directive.argument) {
        set_delta(max_stale, directive.argument);
      } else {
        max_stale = max_stale.value_or(kLongestDelta);
      }
    } else if (is("stale-while-revalidate")) {
      set_delta(stale_while_revalidate, directive.argument);
    } else if (is("stale-if-error")) {
      set_delta(stale_if_error, directive.argument);
    }
  }
}

}  // namespace larder::http
