// Writes a drive as a node leaves it that has filled many objects and was killed, without fetching
// or writing all the bytes: slices are holes with some bytes of their own at the end.
//
//     larder_store_generator FOLDER OBJECTS HOST URL_LENGTH [compacted]
//
// Each object has five slices, four whole ones and one of 4 KiB. Object i is /<padding>/i on HOST,
// over HTTP, with fresh metadata; slice s ends with the text "object i slice s\n" repeated. The
// journal has the records in the order of the fills, or as a compaction writes them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/file.h"
#include "base/random.h"
#include "cache/key.h"
#include "cache/stored_response.h"
#include "store/file_access.h"
#include "store/journal_format.h"
#include "store/layout.h"
#include "store/siphash.h"

namespace {

using namespace larder;
using store::kSliceSize;

constexpr std::uint64_t kTail = 4096;  // bytes of its own at the end of each slice
constexpr std::uint32_t kSlices = 5;
constexpr std::uint64_t kLength = (kSlices - 1) * kSliceSize + kTail;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "larder_store_generator: %s\n", what.c_str());
  std::exit(1);
}
template <typename T>
T must(base::Result<T> result) {
  if (!result) die(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
std::uint64_t number(const char* text) {
  std::uint64_t value = 0;
  const std::string_view all(text);
  if (std::from_chars(all.data(), all.data() + all.size(), value).ec != std::errc())
    die("a number");
  return value;
}

std::string path_of(std::uint64_t object, std::size_t url_length, std::size_t host_length) {
  const std::string end = "/" + std::to_string(object);
  const std::size_t rest = std::string("http://").size() + host_length + end.size() + 1;
  return "/" + std::string(url_length > rest ? url_length - rest : 1, 'p') + end;
}

std::string tail_of(std::uint64_t object, std::uint32_t slice) {
  const std::string line =
      "object " + std::to_string(object) + " slice " + std::to_string(slice) + "\n";
  std::string tail;
  while (tail.size() < kTail) tail += line;
  tail.resize(kTail);
  return tail;
}

// Of a whole slice: zeros, then the tail.
class Checksums {
 public:
  Checksums() {
    const std::vector<std::uint8_t> zeros(kSliceSize - kTail);
    XXH3_64bits_reset(&after_zeros_);
    XXH3_64bits_update(&after_zeros_, zeros.data(), zeros.size());
  }
  std::uint64_t of(std::uint32_t slice, const std::string& tail) const {
    if (slice == kSlices - 1) return store::checksum_of(base::as_bytes(tail));
    XXH3_state_t state;
    XXH3_copyState(&state, &after_zeros_);
    XXH3_64bits_update(&state, tail.data(), tail.size());
    return XXH3_64bits_digest(&state);
  }

 private:
  XXH3_state_t after_zeros_;
};

std::string metadata_of(const std::string& key, const std::string& host, std::uint64_t object) {
  cache::StoredResponse response;
  const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  response.key = key;
  response.host = host;
  response.fields = {{"Content-Type", "application/octet-stream"},
                     {"ETag", "\"" + std::to_string(object) + "\""}};
  response.request_time = response.response_time = response.date = now;
  response.has_origin_date = true;
  response.freshness.lifetime = std::chrono::hours(24 * 30);
  response.generation = {.kind = cache::GenerationKind::StrongEtag,
                         .validator = "\"" + std::to_string(object) + "\""};
  response.length = kLength;
  return must(cache::serialize(response));
}

class Journal {
 public:
  Journal(std::string path, const std::array<std::uint8_t, 16>& drive) : path_(std::move(path)) {
    std::array<std::uint8_t, 8> random{};
    base::random_bytes(random);
    for (const std::uint8_t byte : random) epoch_ = epoch_ << 8 | byte;
    const auto header = store::encode(store::JournalHeader{.epoch = epoch_, .drive = drive});
    bytes_.assign(reinterpret_cast<const char*>(header.data()), header.size());
  }
  void add(const store::Record& record) {
    const auto encoded = store::encode(record, epoch_, bytes_.size());
    bytes_.append(reinterpret_cast<const char*>(encoded.bytes.data()), encoded.size);
  }
  void write() { must(base::write_file_atomically(path_, bytes_, 0600)); }

 private:
  std::string path_;
  std::uint64_t epoch_ = 0;
  std::string bytes_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) die("FOLDER OBJECTS HOST URL_LENGTH [compacted]");
  const std::string folder = argv[1];
  const std::uint64_t objects = number(argv[2]);
  const std::string host = argv[3];
  const auto url_length = static_cast<std::size_t>(number(argv[4]));
  const bool is_compacted = argc > 5;
  for (const char* name : {"/objects", "/segments"})
    must(base::make_directories(folder + name, 0750));
  store::Identity identity;
  base::random_bytes(identity.drive);
  base::random_bytes(identity.secret);
  must(base::write_file_atomically(folder + "/store", store::encode_identity(identity), 0600));
  for (std::uint64_t i = 0; i < 64; ++i)
    must(base::make_directories(folder + "/" + store::large_folder_name(i), 0750));

  const Checksums checksums;
  Journal journal(folder + "/journal", identity.drive);
  for (std::uint64_t object = 0; object < objects; ++object) {
    std::string key_text;
    const std::string path = path_of(object, url_length, host.size());
    cache::write_key(key_text, {.host = host, .path = path});
    const std::string metadata = metadata_of(key_text, host, object);
    const std::uint64_t id = object + 1;
    const store::Location at{.slot_units = store::slot_units_for(metadata.size(), false)};
    const store::Key key = store::siphash_128(identity.secret, base::as_bytes(key_text));
    journal.add({.type = store::RecordType::Large,
                 .generation = id,
                 .key = key,
                 .length = kLength,
                 .location = at,
                 .is_snapshot = is_compacted});
    auto fd = store::open_at(folder + "/" + store::large_file_name(id), O_RDWR | O_CREAT | O_EXCL);
    if (!fd) die("cannot create an object's file");
    const auto write = [&](std::string_view bytes, std::uint64_t offset) {
      if (!store::write_at(fd->get(), base::as_bytes(bytes), offset)) die("cannot write");
    };
    write(
        store::encode_slot({.key = key, .generation = id, .length = kLength, .metadata = metadata}),
        store::slot_offset(at, 0));
    store::Record slices{.type = store::RecordType::Slices, .generation = id, .count = kSlices};
    for (std::uint32_t slice = 0; slice < kSlices; ++slice) {
      const std::string tail = tail_of(object, slice);
      const std::uint64_t end = slice * kSliceSize + store::slice_length_of(kLength, slice);
      write(tail, store::data_offset(at) + end - kTail);
      slices.values[slice] = checksums.of(slice, tail);
      if (is_compacted) continue;
      journal.add({.type = store::RecordType::Slice,
                   .generation = id,
                   .slice = slice,
                   .checksum = slices.values[slice]});
    }
    if (is_compacted) journal.add(slices);
  }
  journal.write();
  return 0;
}
