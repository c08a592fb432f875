// Settings files (TOML): each setting is declared once, with the member it fills, its limits and
// its text, and from that one declaration come reader, checker and manual.
//
//   SettingsSection<Drive> drives("[[node.drive]]", "A folder for cached bytes.");
//   drives.bytes("size", &Drive::size, 1 << 30, 1ULL << 50, {.text = "...", .required = true});
//
// The default of a setting is what a default-constructed struct holds. A mistake never stops the
// reading: all of them are collected, each with its line, what is wrong and what would be right.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace larder::base {

inline constexpr std::uint64_t kSettingsFileLimit = 1 << 20;  // bytes
inline constexpr std::size_t kSettingsListLimit = 256;        // items of one list
inline constexpr std::size_t kSettingsTextLimit = 4096;       // bytes of one text
inline constexpr std::size_t kSettingsErrorLimit = 20;        // mistakes shown at once

// ---- The file as it is written -----------------------------------------------------------------

struct SettingsMember;

struct SettingsTable {
  std::vector<SettingsMember> members;  // in the order of the file's names

  const SettingsMember* find(std::string_view name) const;  // null when absent
};

struct SettingsValue {
  struct Other {  // a kind of value that no setting has
    std::string kind;
  };
  int line = 0;
  std::variant<Other, bool, std::int64_t, std::string, std::vector<SettingsValue>, SettingsTable>
      data;
};

struct SettingsMember {
  std::string name;
  int line = 0;
  SettingsValue value;
};

// Mistakes found so far, bounded: those above the limit are only counted.
class SettingsErrors {
 public:
  explicit SettingsErrors(std::string file_name) : file_name_(std::move(file_name)) {}

  void add(int line, std::string message);
  bool empty() const { return count_ == 0; }
  // Good when nothing was added; else InvalidArgument with one line per mistake, by line number.
  Status status() const;

 private:
  std::string file_name_;
  std::vector<std::pair<int, std::string>> shown_;
  std::size_t count_ = 0;
};

// The error has file, line and column of the first mistake of syntax.
Result<SettingsTable> parse_settings(std::string_view text, const std::string& file_name);

// Refuses top-level names other than `known`, with the nearest one as advice.
void check_top_level(const SettingsTable& file, const std::vector<std::string>& known,
                     SettingsErrors& errors);

// The tables behind a top-level name: one for [name], any number for [[name]], none when absent.
struct SettingsTableAt {
  const SettingsTable* table = nullptr;
  int line = 0;
};
std::vector<SettingsTableAt> find_tables(const SettingsTable& parent, std::string_view name,
                                         bool repeated, SettingsErrors& errors);

// ---- Facts for the manual ----------------------------------------------------------------------

enum class Effect { Restart, Live };

// A setting that two readings of a file differ in.
struct SettingChange {
  std::string name;
  Effect effect = Effect::Restart;
};

struct SettingFacts {
  std::string name;
  std::string type;
  std::string default_text;  // as it would be written in the file; "required" when there is none
  std::string limits;
  std::string text;
  Effect effect = Effect::Restart;
};

struct SettingsSectionFacts {
  std::string header;  // "[node]", "[[origin]]"
  std::string text;
  std::vector<SettingFacts> settings;
};

// The manual page docs/settings.md.
std::string format_settings_manual(const std::vector<SettingsSectionFacts>& sections);

// ---- Declarations ------------------------------------------------------------------------------

struct SettingOptions {
  std::string text = {};
  std::string limits = {};                      // in words, where the type does not say it
  std::string default_text = {};                // where the default is not a fixed value
  std::optional<Effect> effect = std::nullopt;  // else the section's
  bool required = false;
};

namespace settings_detail {

Result<bool> read_boolean(const SettingsValue& value);
Result<std::int64_t> read_integer(const SettingsValue& value, std::int64_t min, std::int64_t max);
Result<std::uint64_t> read_bytes(const SettingsValue& value, std::uint64_t min, std::uint64_t max);
Result<std::chrono::milliseconds> read_duration(const SettingsValue& value,
                                                std::chrono::milliseconds min,
                                                std::chrono::milliseconds max);
Result<std::string> read_text(const SettingsValue& value);
Result<std::vector<std::string>> read_texts(const SettingsValue& value);

std::string quoted(std::string_view text);
std::string quoted_list(const std::vector<std::string>& texts);
std::string format_bytes_exactly(std::uint64_t bytes);
std::string format_duration(std::chrono::milliseconds duration);
std::string between(std::string_view min, std::string_view max);
// `, did you mean "x"?` or, without a near one, the list of `names`.
std::string advice(std::string_view wrong, const std::vector<std::string>& names);

}  // namespace settings_detail

template <typename T>
class SettingsSection {
 public:
  SettingsSection(std::string header, std::string text, Effect effect = Effect::Restart)
      : facts_{std::move(header), std::move(text), {}}, effect_(effect) {}

  // `parse` judges and normalises one text: Result<E>(std::string_view). `show` is its inverse.
  template <typename E, typename Parse, typename Show>
  void value(std::string name, E T::* member, const Parse& parse, const Show& show,
             SettingOptions options) {
    add(
        std::move(name), "text", std::move(options), settings_detail::quoted(show(T{}.*member)),
        [member, parse](T& out, const SettingsValue& value) -> Status {
          auto text = settings_detail::read_text(value);
          if (!text) return std::unexpected(text.error());
          return assign(out.*member, parse(*text));
        },
        same(member));
  }
  template <typename E, typename Parse, typename Show>
  void optional_value(std::string name, std::optional<E> T::* member, const Parse& parse,
                      const Show& show, SettingOptions options) {
    const T defaults{};
    const std::string shown = (defaults.*member) ? show(*(defaults.*member)) : "";
    add(
        std::move(name), "text", std::move(options), settings_detail::quoted(shown),
        [member, parse](T& out, const SettingsValue& value) -> Status {
          auto text = settings_detail::read_text(value);
          if (!text) return std::unexpected(text.error());
          if (text->empty()) {
            (out.*member).reset();
            return {};
          }
          return assign(out.*member, parse(*text));
        },
        same(member));
  }
  template <typename E, typename Parse, typename Show>
  void values(std::string name, std::vector<E> T::* member, const Parse& parse, const Show& show,
              SettingOptions options) {
    std::vector<std::string> shown;
    const T defaults{};
    for (const E& item : defaults.*member) shown.push_back(show(item));
    add(
        std::move(name), "list of texts", std::move(options), settings_detail::quoted_list(shown),
        [member, parse](T& out, const SettingsValue& value) -> Status {
          auto texts = settings_detail::read_texts(value);
          if (!texts) return std::unexpected(texts.error());
          std::vector<E> items;
          for (const std::string& text : *texts) {
            auto item = parse(text);
            if (!item) return with_context(settings_detail::quoted(text), item.error());
            items.push_back(std::move(*item));
          }
          out.*member = std::move(items);
          return {};
        },
        same(member));
  }
  void text(std::string name, std::string T::* member, SettingOptions options) {
    value(std::move(name), member, as_is, as_shown, std::move(options));
  }
  void texts(std::string name, std::vector<std::string> T::* member, SettingOptions options) {
    values(std::move(name), member, as_is, as_shown, std::move(options));
  }
  void boolean(std::string name, bool T::* member, SettingOptions options) {
    add(
        std::move(name), "true or false", std::move(options), T{}.*member ? "true" : "false",
        [member](T& out, const SettingsValue& value) {
          return assign(out.*member, settings_detail::read_boolean(value));
        },
        same(member));
  }
  void integer(std::string name, int T::* member, int min, int max, SettingOptions options) {
    if (options.limits.empty())
      options.limits = settings_detail::between(std::to_string(min), std::to_string(max));
    add(
        std::move(name), "whole number", std::move(options), std::to_string(T{}.*member),
        [member, min, max](T& out, const SettingsValue& value) -> Status {
          auto number = settings_detail::read_integer(value, min, max);
          if (!number) return std::unexpected(number.error());
          out.*member = static_cast<int>(*number);
          return {};
        },
        same(member));
  }
  void bytes(std::string name, std::uint64_t T::* member, std::uint64_t min, std::uint64_t max,
             SettingOptions options) {
    if (options.limits.empty())
      options.limits = settings_detail::between(settings_detail::format_bytes_exactly(min),
                                                settings_detail::format_bytes_exactly(max));
    add(
        std::move(name), "size", std::move(options),
        settings_detail::quoted(settings_detail::format_bytes_exactly(T{}.*member)),
        [member, min, max](T& out, const SettingsValue& value) {
          return assign(out.*member, settings_detail::read_bytes(value, min, max));
        },
        same(member));
  }
  void duration(std::string name, std::chrono::milliseconds T::* member,
                std::chrono::milliseconds min, std::chrono::milliseconds max,
                SettingOptions options) {
    if (options.limits.empty())
      options.limits = settings_detail::between(settings_detail::format_duration(min),
                                                settings_detail::format_duration(max));
    add(
        std::move(name), "duration", std::move(options),
        settings_detail::quoted(settings_detail::format_duration(T{}.*member)),
        [member, min, max](T& out, const SettingsValue& value) {
          return assign(out.*member, settings_detail::read_duration(value, min, max));
        },
        same(member));
  }
  template <typename E>
  void choice(std::string name, E T::* member,
              const std::vector<std::pair<std::string, E>>& choices, SettingOptions options) {
    std::vector<std::string> names;
    std::string shown;
    for (const auto& [word, choice] : choices) {
      names.push_back(word);
      if (choice == T{}.*member) shown = word;
    }
    if (options.limits.empty()) options.limits = "one of " + settings_detail::quoted_list(names);
    value(
        std::move(name), member,
        [choices, names](std::string_view text) -> Result<E> {
          for (const auto& [word, choice] : choices)
            if (word == text) return choice;
          return fail(ErrorCode::InvalidArgument, settings_detail::quoted(text) + " is no choice" +
                                                      settings_detail::advice(text, names));
        },
        [shown](const E&) { return shown; }, std::move(options));
  }
  // Tables inside this one: [[header.name]].
  template <typename U>
  void tables(std::string name, std::vector<U> T::* member, const SettingsSection<U>& section,
              Effect effect = Effect::Restart) {
    nested_.push_back(
        {std::move(name), effect,
         [member, &section](const SettingsTable& parent, std::string_view key, T& out,
                            SettingsErrors& errors) {
           for (const SettingsTableAt& found : find_tables(parent, key, true, errors)) {
             section.read(*found.table, found.line, (out.*member).emplace_back(), errors);
           }
         },
         [member, &section](const T& before, const T& after) {
           const auto& a = before.*member;
           const auto& b = after.*member;
           if (a.size() != b.size()) return false;
           for (std::size_t i = 0; i < a.size(); ++i) {
             if (!section.changes(a[i], b[i]).empty()) return false;
           }
           return true;
         }});
  }
  // Runs after all settings of a table were read without a mistake: for what concerns several.
  void check(std::function<void(const T&, int line, SettingsErrors&)> check) {
    check_ = std::move(check);
  }

  void read(const SettingsTable& table, int line, T& out, SettingsErrors& errors) const {
    SettingsErrors* const sink = &errors;
    bool good = true;
    const auto report = [&](int where, const std::string& what) {
      good = false;
      sink->add(where, facts_.header + " " + what);
    };
    for (const SettingsMember& member : table.members) {
      if (is_nested(member.name)) continue;
      const Entry* const entry = find(member.name);
      if (entry == nullptr) {
        report(member.line, member.name + ": there is no such setting" +
                                settings_detail::advice(member.name, names()));
      } else if (Status stored = entry->store(out, member.value); !stored) {
        report(member.line, member.name + ": " + stored.error().message);
      }
    }
    for (const Entry& entry : entries_) {
      if (entry.required && table.find(entry.name) == nullptr)
        report(line, entry.name + ": missing; it has no default");
    }
    for (const Nested& nested : nested_) nested.read(table, nested.name, out, errors);
    if (good && check_) check_(out, line, errors);
  }

  const SettingsSectionFacts& facts() const { return facts_; }

  // The settings and tables in which the two differ, in the order of their declaration.
  std::vector<SettingChange> changes(const T& before, const T& after) const {
    std::vector<SettingChange> found;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].same(before, after))
        found.push_back({entries_[i].name, facts_.settings[i].effect});
    }
    for (const Nested& nested : nested_) {
      if (!nested.same(before, after)) found.push_back({nested.name, nested.effect});
    }
    return found;
  }

 private:
  using Same = std::function<bool(const T&, const T&)>;
  struct Entry {
    std::string name;
    bool required = false;
    std::function<Status(T&, const SettingsValue&)> store;
    Same same;
  };
  struct Nested {
    std::string name;
    Effect effect = Effect::Restart;
    std::function<void(const SettingsTable&, std::string_view, T&, SettingsErrors&)> read;
    Same same;
  };

  template <typename M>
  static Same same(M T::* member) {
    return [member](const T& a, const T& b) { return a.*member == b.*member; };
  }

  static Result<std::string> as_is(std::string_view text) { return std::string(text); }
  static std::string as_shown(const std::string& text) { return text; }

  template <typename M, typename V>
  static Status assign(M& member, Result<V> value) {
    if (!value) return std::unexpected(std::move(value).error());
    member = std::move(*value);
    return {};
  }
  void add(std::string name, std::string type, SettingOptions options, std::string shown,
           std::function<Status(T&, const SettingsValue&)> store, Same same) {
    if (options.required) {
      shown = "required";
    } else if (!options.default_text.empty()) {
      shown = std::move(options.default_text);
    }
    facts_.settings.push_back({name, std::move(type), std::move(shown), std::move(options.limits),
                               std::move(options.text), options.effect.value_or(effect_)});
    entries_.push_back({std::move(name), options.required, std::move(store), std::move(same)});
  }
  const Entry* find(std::string_view name) const {
    for (const Entry& entry : entries_)
      if (entry.name == name) return &entry;
    return nullptr;
  }
  bool is_nested(std::string_view name) const {
    for (const Nested& nested : nested_)
      if (nested.name == name) return true;
    return false;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    all.reserve(entries_.size() + nested_.size());
    for (const Entry& entry : entries_) all.push_back(entry.name);
    for (const Nested& nested : nested_) all.push_back(nested.name);
    return all;
  }

  SettingsSectionFacts facts_;
  Effect effect_;
  std::vector<Entry> entries_;
  std::vector<Nested> nested_;
  std::function<void(const T&, int, SettingsErrors&)> check_;
};

}  // namespace larder::base
