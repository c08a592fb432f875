#include "http/cache_control.h"

#include <algorithm>

#include "http/characters.h"

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

}  // namespace

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
    } else if (is("no-cache")) {
      no_cache = true;
    } else if (is("no-store")) {
      no_store = true;
    } else if (is("private")) {
      is_private = true;
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
