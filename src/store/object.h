// Object: one generation of a stored object, opened for reading.
//
// A generation is one representation of one key: its length, its metadata (opaque bytes of the
// caller) and those of its slices that are on disk. Objects are shared; there is at most one per
// generation, so what one thread writes is seen by all. While somebody holds an Object its bytes
// stay readable and unchanged, even after the generation was replaced, removed or evicted; its
// space is freed when the last holder lets go. So hold it for a bounded window, then find again.
//
// Thread-safe. Nothing here blocks, apart from page faults in a window() that is not resident.
// Every Object must be released before its Store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace larder::store {

class OpenFile;
struct Generation;

// Bytes per slice; the last slice of an object may be shorter.
inline constexpr std::uint64_t kSliceSize = 1 << 20;

// Made by the caller with a keyed hash under Store::secret(), so that nobody outside can choose two
// names with one key. The caller compares the full name, which it keeps in the metadata.
struct Key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Key&, const Key&) = default;
};

// For tables by key, whose bits are random already.
struct KeyHash {
  std::size_t operator()(const Key& key) const { return key.low; }
};

class Object {
 public:
  Object(std::shared_ptr<Generation> generation, std::shared_ptr<OpenFile> file,
         std::shared_ptr<const std::string> metadata, std::uint64_t metadata_sequence);
  ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // The generation: unique in its store, a newer one has a higher number.
  std::uint64_t id() const;
  const Key& key() const;
  std::uint64_t length() const;
  // Never null; another string after Store::update_metadata.
  std::shared_ptr<const std::string> metadata() const;
  // Another number after each Store::update_metadata; cheaper to ask for than metadata().
  std::uint64_t revision() const;
  // True once the generation was replaced, removed or evicted: what is there stays readable, but
  // nothing can be added.
  bool is_removed() const;

  std::uint32_t slice_count() const;
  std::uint64_t slice_length(std::uint32_t index) const;
  bool has_slice(std::uint32_t index) const;
  // True when every byte of the range is stored. The range lies inside the object.
  bool has_range(std::uint64_t offset, std::uint64_t length) const;

  // True when the range is stored, its checksums were verified and its pages are in memory (see
  // resident_pages.h), and the drive never failed under a window: sending it does not block.
  // Otherwise call Store::prepare on a thread that may block.
  bool is_ready(std::uint64_t offset, std::uint64_t length) const;
  // True when the pages of the range are in memory; says nothing of checksums.
  bool is_resident(std::uint64_t offset, std::uint64_t length) const;

  // For sendfile: any range of the object is one contiguous run of this file. The descriptor
  // belongs to the object.
  int fd() const;
  std::uint64_t file_offset_of(std::uint64_t offset) const;

  // For sealing: the range as memory, valid while the object is held. Reading it may raise SIGBUS,
  // which becomes zeros for all threads: ask has_faulted() after the bytes were used and before
  // they are sent; if it is true, call Store::report_fault and cut the connection.
  std::span<const std::uint8_t> window(std::uint64_t offset, std::uint64_t length) const;
  // True when a window may have shown zeros instead of the object's bytes, to any thread; for as
  // long as the object is held. Its file can still be read.
  bool has_faulted() const;

 private:
  friend class Store;
  friend class Index;
  friend class OpenTable;
  struct State;  // slice bits and metadata
  // The order of destruction matters: the file is closed before the generation gives up its space.
  std::shared_ptr<Generation> generation_;
  std::shared_ptr<OpenFile> file_;
  std::unique_ptr<State> state_;
};

}  // namespace larder::store
