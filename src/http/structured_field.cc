#include "http/structured_field.h"

#include <algorithm>

#include "http/characters.h"

namespace larder::http {

namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

// Takes parts off the front of the text; each function is false or empty when the part is not
// there.
class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  // What was taken since `rest` was the rest.
  std::string_view taken_since(std::string_view rest) const {
    return rest.substr(0, rest.size() - rest_.size());
  }
  bool take(char wanted) {
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip_spaces() {
    while (take(' ')) {
    }
  }
  void skip_whitespace() {
    while (!rest_.empty() && is_whitespace(rest_.front())) rest_.remove_prefix(1);
  }

  // The comma before another member, when this was not the last one.
  bool next_member() {
    skip_whitespace();
    if (at_end()) return true;
    if (!take(',')) return false;
    skip_whitespace();
    return !at_end();  // a comma with nothing behind it
  }

  std::string_view key() {
    if (rest_.empty() || !(is_lower(rest_.front()) || rest_.front() == '*')) return {};
    return take_while([](char c) {
      return is_lower(c) || is_class(c, kDigit) ||
             std::string_view("_-.*").find(c) != std::string_view::npos;
    });
  }

  std::optional<StructuredItem> item() {
    if (rest_.empty()) return std::nullopt;
    const char first = rest_.front();
    if (first == '"') return string();
    if (first == '?') return boolean();
    if (first == ':') return bytes();
    if (first == '-' || is_class(first, kDigit)) return number();
    if (first == '*' || is_letter(first)) return token();
    return std::nullopt;
  }

  std::optional<StructuredItem> item_or_inner_list() {
    if (!take('(')) return item();
    for (;;) {
      skip_spaces();
      if (take(')')) return StructuredItem{StructuredOther{}};
      if (!item() || !parameters()) return std::nullopt;
      if (!rest_.starts_with(' ') && !rest_.starts_with(')')) return std::nullopt;
    }
  }

  bool parameters(std::vector<StructuredParameter>* seen = nullptr) {
    while (take(';')) {
      skip_spaces();
      const std::string_view start = rest_;
      const std::string_view name = key();
      if (name.empty()) return false;
      if (take('=') && !item()) return false;
      if (seen != nullptr) seen->push_back({.name = name, .text = taken_since(start)});
    }
    return true;
  }

 private:
  template <typename Predicate>
  std::string_view take_while(Predicate belongs) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), belongs);
    const auto length = static_cast<std::size_t>(end - rest_.begin());
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  std::optional<StructuredItem> string() {
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '"') {
        const std::string_view text = rest_.substr(1, i - 1);
        rest_.remove_prefix(i + 1);
        return StructuredItem{text};
      }
      if (c == '\\') {
        ++i;
        if (i == rest_.size() || (rest_[i] != '"' && rest_[i] != '\\')) return std::nullopt;
      } else if (c < 0x20 || c >= 0x7f) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  std::optional<StructuredItem> boolean() {
    take('?');
    if (take('1')) return StructuredItem{true};
    if (take('0')) return StructuredItem{false};
    return std::nullopt;
  }

  std::optional<StructuredItem> bytes() {
    take(':');
    take_while([](char c) {
      return is_letter(c) || is_class(c, kDigit) || c == '+' || c == '/' || c == '=';
    });
    if (!take(':')) return std::nullopt;
    return StructuredItem{StructuredOther{}};
  }

  std::optional<StructuredItem> number() {
    const bool negative = take('-');
    const auto digits = take_while([](char c) { return is_class(c, kDigit); });
    if (digits.empty() || digits.size() > 15) return std::nullopt;
    if (take('.')) {
      const auto fraction = take_while([](char c) { return is_class(c, kDigit); });
      if (digits.size() > 12 || fraction.empty() || fraction.size() > 3) return std::nullopt;
      return StructuredItem{StructuredOther{}};
    }
    std::int64_t value = 0;
    for (const char c : digits) value = value * 10 + (c - '0');
    return StructuredItem{negative ? -value : value};
  }

  std::optional<StructuredItem> token() {
    return StructuredItem{StructuredToken{
        take_while([](char c) { return is_class(c, kToken) || c == ':' || c == '/'; })}};
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::vector<StructuredMember>> parse_structured_dictionary(std::string_view text) {
  std::vector<StructuredMember> members;
  Parser parser(text);
  parser.skip_spaces();
  while (!parser.at_end()) {
    const std::string_view name = parser.key();
    if (name.empty()) return std::nullopt;
    StructuredItem value = true;
    if (parser.take('=')) {
      const auto given = parser.item_or_inner_list();
      if (!given) return std::nullopt;
      value = *given;
    }
    if (!parser.parameters()) return std::nullopt;
    std::erase_if(members, [name](const StructuredMember& other) { return other.name == name; });
    if (members.size() == kMostStructuredMembers) return std::nullopt;
    members.push_back({.name = name, .value = value});
    if (!parser.next_member()) return std::nullopt;
  }
  return members;
}

std::optional<std::vector<StructuredElement>> parse_structured_list(std::string_view text) {
  std::vector<StructuredElement> elements;
  Parser parser(text);
  parser.skip_spaces();
  while (!parser.at_end()) {
    if (elements.size() == kMostStructuredMembers) return std::nullopt;
    StructuredElement& element = elements.emplace_back();
    const std::string_view start = parser.rest();
    const auto value = parser.item_or_inner_list();
    if (!value) return std::nullopt;
    element.value = *value;
    element.text = parser.taken_since(start);
    if (!parser.parameters(&element.parameters) || !parser.next_member()) return std::nullopt;
  }
  return elements;
}

}  // namespace larder::http
