// Replay: what the journal of one drive says, put into the index.
//
// It takes any records in any order without failing: a record that makes no sense (a slice of an
// unknown generation, an older generation of a key, a place outside the object) is passed over.
// Applying a sequence after a snapshot that already holds part of its effects gives the same result
// as the sequence alone; compaction relies on that. Journals of several drives may be replayed into
// one index at once, each by one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "store/index.h"
#include "store/journal_format.h"

namespace larder::store {

class Replay {
 public:
  Replay(Index& index, std::uint32_t drive) : index_(index), drive_(drive) {}

  void apply(const Record& record);
  // Of all generations that were ever named.
  std::uint64_t highest_generation() const { return highest_; }
  // Generations that another drive replaces: their removal is not in their journal yet.
  std::vector<Removed> take_replaced() { return std::move(replaced_); }

 private:
  struct Place {
    std::uint32_t shard = 0;
    std::uint32_t slot = 0;
  };
  void create(const Record& record);
  void remember(std::uint64_t id, Place place);
  std::optional<Place> find(std::uint64_t id);
  bool is_at(Place place, std::uint64_t id) const;
  // Runs under the lock of the generation's shard, if it is there.
  template <typename Change>
  void change(std::uint64_t id, Change&& change);
  void remove(std::uint64_t id);
  void name(std::uint64_t id);
  void note_use(std::uint64_t id);
  void set_slice(Entry& entry, std::uint32_t slice, std::uint64_t checksum);

  Index& index_;
  const std::uint32_t drive_;
  std::uint64_t highest_ = 0;
  std::vector<Removed> replaced_;
  // Places by id, open addressing: shard and slot in 32 bits each, plus 1; 0: free. Places of what
  // was removed stay until the table grows; is_at tells them apart.
  std::vector<std::uint64_t> places_;
  std::size_t used_ = 0;
  std::uint64_t last_id_ = 0;  // records of one generation often follow each other
  Place last_{};
};

}  // namespace larder::store
