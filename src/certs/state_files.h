// The small JSON files of a host's certificate folder, as values. Reading and writing text only;
// certificate_store.h says where they lie and in which order they change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace larder::certs {

// Clients that name nobody are shown the certificate of this key, where there is one.
inline constexpr std::string_view kDefaultKey = "default";
// How many certificates one host serves side by side.
inline constexpr std::size_t kServedLimit = 16;

// active.json: the one place that decides what is served.
struct ActiveFile {
  struct Choice {
    std::string key_name;
    std::string certificate_id;  // hex SHA-256 of the DER
    // A handshake from a client's view, up to a root in client_trust, succeeded at import.
    bool proven = false;

    bool operator==(const Choice&) const = default;
  };
  std::vector<Choice> choices;  // the latest first; of one key at most one
  bool disabled = false;        // by the administrator; wins over the choices
  base::WallTime changed_at;
  std::string reason;  // of the last change, for the records

  // Null when it is not chosen.
  const Choice* find(std::string_view certificate_id) const;
  bool serves(std::string_view certificate_id) const {
    return !disabled && find(certificate_id) != nullptr;
  }
};

base::Result<ActiveFile> parse_active_file(std::string_view text);
std::string print(const ActiveFile& file);

// <certificate id>.json: what became of one certificate. Never shortened below its first event.
struct Record {
  enum class Event { Imported, Activated, Deactivated, Retired, Revoked };
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
  // Retired, and not chosen since. That it ceased to be served, or was revoked, may be noted later.
  bool is_put_away() const;
};

std::string_view name(Record::Event event);  // "imported"

base::Result<Record> parse_record(std::string_view text);
std::string print(const Record& record);

// Lower-case letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit: a key
// name is a folder name.
base::Status check_key_name(std::string_view name);

}  // namespace larder::certs
