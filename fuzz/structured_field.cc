// Dictionaries and lists of structured fields: members lie inside the text, names of a dictionary
// differ and are keys, and what is made of what was read is read as the same.
#include "http/structured_field.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "require.h"

namespace {

using namespace larder::http;

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

std::string written(const StructuredItem& item) {
  if (const auto* flag = std::get_if<bool>(&item)) return *flag ? "?1" : "?0";
  if (const auto* number = std::get_if<std::int64_t>(&item)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string_view>(&item))
    return "\"" + std::string(*text) + "\"";
  if (const auto* token = std::get_if<StructuredToken>(&item)) return std::string(token->text);
  return "1.5";
}

void check_list(std::string_view text) {
  const auto list = parse_structured_list(text);
  if (!list) return;
  require(list->size() <= kMostStructuredMembers);
  std::string again;
  for (const StructuredElement& element : *list) {
    require(!element.text.empty() && inside(element.text, text));
    again.append(again.empty() ? "" : ", ").append(element.text);
    for (const StructuredParameter& parameter : element.parameters) {
      require(!parameter.name.empty() && parameter.text.starts_with(parameter.name) &&
              inside(parameter.text, text));
      again.append("; ").append(parameter.text);
    }
  }
  const auto reread = parse_structured_list(again);
  require(reread && reread->size() == list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    require((*reread)[i].value == (*list)[i].value && (*reread)[i].text == (*list)[i].text);
    require((*reread)[i].parameters.size() == (*list)[i].parameters.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_list(text);
  const auto members = parse_structured_dictionary(text);
  if (!members) return 0;
  require(members->size() <= kMostStructuredMembers);
  std::string again;
  for (const StructuredMember& member : *members) {
    require(!member.name.empty() && inside(member.name, text));
    for (const StructuredMember& other : *members)
      require(&other == &member || other.name != member.name);
    if (const auto* string = std::get_if<std::string_view>(&member.value))
      require(inside(*string, text));
    if (const auto* token = std::get_if<StructuredToken>(&member.value))
      require(!token->text.empty() && inside(token->text, text));
    if (!again.empty()) again += ", ";
    again.append(member.name).append("=").append(written(member.value));
  }
  const auto reread = parse_structured_dictionary(again);
  require(reread && reread->size() == members->size());
  for (std::size_t i = 0; i < members->size(); ++i) {
    require((*reread)[i].name == (*members)[i].name);
    require((*reread)[i].value == (*members)[i].value);
  }
  return 0;
}
