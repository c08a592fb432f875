// The small JSON files of a host's certificate folder, as values. Reading and writing text only;
// certificate_store.h says where they lie and in which order they change.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace larder::certs {

// active.json: the one place that decides what is served.
struct ActiveFile {
  struct Choice {
    std::string key_name;
    std::string certificate_id;  // hex SHA-256 of the DER
    // A handshake from a client's view, up to a root in client_trust, succeeded at import.
    bool proven = false;

    bool operator==(const Choice&) const = default;
  };
  std::optional<Choice> choice;
  bool disabled = false;  // by the administrator; wins over the choice
  base::WallTime changed_at;
  std::string reason;  // of the last change, for the records

  // What is served: empty when nothing is.
  std::string effective_id() const {
    return choice && !disabled ? choice->certificate_id : std::string();
  }
};

base::Result<ActiveFile> parse_active_file(std::string_view text);
std::string print(const ActiveFile& file);

// <certificate id>.json: what became of one certificate. Never shortened below its first event.
struct Record {
  enum class Event { Imported, Activated, Deactivated, Retired };
  struct Entry {
    Event event = Event::Imported;
    base::WallTime at;
    std::string reason;
  };
  std::string certificate_id;
  std::vector<Entry> history;  // oldest first, never empty

  void add(Event event, base::WallTime at, std::string reason);
  Event last() const { return history.back().event; }
  // Activated, and not deactivated since.
  bool is_active() const;
};

base::Result<Record> parse_record(std::string_view text);
std::string print(const Record& record);

// Lower-case letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit: a key
// name is a folder name.
base::Status check_key_name(std::string_view name);

}  // namespace larder::certs
