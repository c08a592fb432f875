// A stored object prepared for answering: its metadata parsed, the lines of its head written, small
// bodies in memory. Each loop has its own bounded table of them, so that a hit takes no lock of
// another thread's.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "cache/stored_response.h"
#include "http/forwarding.h"
#include "store/store.h"

namespace larder::node {

struct StoredObject : std::enable_shared_from_this<StoredObject> {
  std::shared_ptr<store::Object> object;
  store::Store* store = nullptr;                // of the object
  std::shared_ptr<const std::string> metadata;  // that `response` was parsed from
  cache::StoredResponse response;
  std::string lines_as_origin;  // Date and end-to-end fields, with CRLF
  std::string lines_as_node;
  std::string cache_status;  // the field's name, and what caches nearer to the origin said
  std::string whole_lines;   // fields that only go with the stored status: usually none
  std::string body;          // whole, when it is small and was verified; else empty

  const std::string& lines(http::Appearance appearance) const {
    return appearance == http::Appearance::AsNode ? lines_as_node : lines_as_origin;
  }
};

// Bodies up to this size are kept in memory, in bytes.
inline constexpr std::uint64_t kSmallBody = 64 * 1024;

base::Result<std::shared_ptr<const StoredObject>> prepare_object(
    std::shared_ptr<store::Object> object, store::Store& store);

// The lines of the head without Content-Type, for an answer in parts.
std::string lines_without_type(const StoredObject& stored, http::Appearance appearance);

// Writes the lines of the head anew, after `response` has changed.
void rewrite_lines(StoredObject& stored);
// The object as the client gets it whose request brought it: with the fields that are for nobody
// else.
std::shared_ptr<const StoredObject> for_first(std::shared_ptr<const StoredObject> stored,
                                              const http::ResponseHead& head);

// For net::Outgoing::mapped_failed, with a StoredObject as owner: true when the drive failed under
// a mapping that was just read; the object is then given up.
bool mapped_read_failed(const void* owner);

// Least recently used goes first. Not thread-safe.
class HotObjects {
 public:
  // `most_mapped`: of those entries that keep a descriptor and a mapping of their own, as objects
  // of more than a slice do. The store outlives it.
  HotObjects(std::uint64_t memory, std::size_t most_mapped, store::Store& store)
      : memory_(memory), most_mapped_(most_mapped), store_(store) {}

  // The prepared form of exactly this generation and metadata; prepares it when it is not there.
  // Null when its metadata cannot be read.
  std::shared_ptr<const StoredObject> get(std::shared_ptr<store::Object> object);
  // Lets go of generations that were replaced or evicted, so that their space can be freed.
  void drop_removed();

 private:
  struct Entry {
    std::shared_ptr<const StoredObject> stored;
    std::uint64_t cost = 0;
  };
  void trim();
  void forget(std::list<Entry>::iterator entry);

  std::uint64_t memory_;
  std::size_t most_mapped_;
  store::Store& store_;
  std::uint64_t used_ = 0;
  std::size_t mapped_ = 0;
  std::list<Entry> recent_;  // latest first
  std::unordered_map<std::uint64_t, std::list<Entry>::iterator> by_id_;
};

}  // namespace larder::node
