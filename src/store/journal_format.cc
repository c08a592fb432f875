#include "store/journal_format.h"

#include <xxhash.h>

#include <algorithm>
#include <string_view>

#include "store/byte_order.h"

namespace larder::store {
namespace {

constexpr std::string_view kMagic = "LARDERJL";

// checksum u64, type u8, size of the whole record u8
constexpr std::size_t kFrame = 10;

// Bits of a creation's flags.
constexpr std::uint8_t kIsPinned = 1;
constexpr std::uint8_t kWasHit = 2;
constexpr std::uint8_t kIsSnapshot = 4;

constexpr std::size_t kSlicesHead = kFrame + 8 + 4;

// Size of a whole record of `count` values, 0 for a type that does not exist.
std::size_t size_of(RecordType type, std::size_t count) {
  switch (type) {
    case RecordType::Large:
      return kFrame + 8 + 16 + 8 + 2 + 2 + 1 + 1;
    case RecordType::Packed:
      return kFrame + 8 + 16 + 8 + 2 + 2 + 1 + 1 + 4 + 4 + 8;
    case RecordType::Slice:
      return kFrame + 8 + 4 + 8;
    case RecordType::DropSlice:
      return kFrame + 8 + 4;
    case RecordType::Remove:
      return kFrame + 8;
    case RecordType::Slices:
      return kSlicesHead + count * 8;
    case RecordType::Pin:
      return kFrame + 8 + 1;
    case RecordType::Uses:
      return kFrame + count * 8;
  }
  return 0;
}

// How many values a record of this size holds; 0 when it has none or cannot be of that size.
std::size_t values_in(RecordType type, std::size_t size) {
  const bool is_uses = type == RecordType::Uses;
  const std::size_t head = is_uses ? kFrame : kSlicesHead;
  if ((!is_uses && type != RecordType::Slices) || size <= head) return 0;
  const std::size_t count = (size - head) / 8;
  return count <= (is_uses ? kUsesPerRecord : kSlicesPerRecord) ? count : 0;
}

std::uint64_t checksum_of(std::span<const std::uint8_t> record, std::uint64_t epoch,
                          std::uint64_t offset) {
  return XXH3_64bits_withSeed(record.data() + 8, record.size() - 8,
                              epoch ^ (offset * 0x9E3779B97F4A7C15));
}

class Writer {
 public:
  explicit Writer(std::uint8_t* out) : out_(out) {}
  template <typename T>
  void put(T value) {
    store_le(out_, value);
    out_ += sizeof(T);
  }

 private:
  std::uint8_t* out_;
};

class Reader {
 public:
  explicit Reader(const std::uint8_t* bytes) : bytes_(bytes) {}
  template <typename T>
  void get(T& value) {
    value = load_le<T>(bytes_);
    bytes_ += sizeof(T);
  }

 private:
  const std::uint8_t* bytes_;
};

void get_creation(Reader& reader, Record& record) {
  std::uint8_t flags = 0;
  reader.get(record.key.high);
  reader.get(record.key.low);
  reader.get(record.length);
  reader.get(record.location.slot_units);
  reader.get(record.group);
  reader.get(record.age);
  reader.get(flags);
  record.is_pinned = (flags & kIsPinned) != 0;
  record.was_hit = (flags & kWasHit) != 0;
  record.is_snapshot = (flags & kIsSnapshot) != 0;
  if (record.type == RecordType::Large) return;
  reader.get(record.location.segment);
  reader.get(record.location.block);
  reader.get(record.checksum);
}

void put_creation(Writer& writer, const Record& record) {
  writer.put(record.key.high);
  writer.put(record.key.low);
  writer.put(record.length);
  writer.put(record.location.slot_units);
  writer.put(record.group);
  writer.put(record.age);
  writer.put(static_cast<std::uint8_t>((record.is_pinned ? kIsPinned : 0) |
                                       (record.was_hit ? kWasHit : 0) |
                                       (record.is_snapshot ? kIsSnapshot : 0)));
  if (record.type == RecordType::Large) return;
  writer.put(record.location.segment);
  writer.put(record.location.block);
  writer.put(record.checksum);
}

void get_values(Reader& reader, Record& record, std::size_t size) {
  record.count = static_cast<std::uint32_t>(values_in(record.type, size));
  for (std::uint32_t i = 0; i < record.count; ++i) reader.get(record.values[i]);
}

void put_values(Writer& writer, const Record& record) {
  for (std::uint32_t i = 0; i < record.count; ++i) writer.put(record.values[i]);
}

Record parse_body(RecordType type, const std::uint8_t* body, std::size_t size) {
  Record record{.type = type};
  Reader reader(body);
  std::uint8_t flag = 0;
  if (type != RecordType::Uses) reader.get(record.generation);
  switch (type) {
    case RecordType::Large:
    case RecordType::Packed:
      get_creation(reader, record);
      break;
    case RecordType::Slice:
      reader.get(record.slice);
      reader.get(record.checksum);
      break;
    case RecordType::DropSlice:
      reader.get(record.slice);
      break;
    case RecordType::Remove:
      break;
    case RecordType::Slices:
      reader.get(record.slice);
      get_values(reader, record, size);
      break;
    case RecordType::Pin:
      reader.get(flag);
      record.is_pinned = flag != 0;
      break;
    case RecordType::Uses:
      get_values(reader, record, size);
      break;
  }
  return record;
}

}  // namespace

std::array<std::uint8_t, kJournalHeaderSize> encode(const JournalHeader& header) {
  std::array<std::uint8_t, kJournalHeaderSize> out{};
  std::ranges::copy(kMagic, out.begin());
  store_le(out.data() + 8, header.version);
  store_le(out.data() + 16, header.epoch);
  std::ranges::copy(header.drive, out.begin() + 24);
  store_le(out.data() + 40, XXH3_64bits(out.data(), 40));
  return out;
}

std::optional<JournalHeader> parse_journal_header(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kJournalHeaderSize || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin()))
    return std::nullopt;
  JournalHeader header;
  header.version = load_le<std::uint32_t>(bytes.data() + 8);
  if (header.version != kFormatVersion) return header;
  if (load_le<std::uint64_t>(bytes.data() + 40) != XXH3_64bits(bytes.data(), 40)) {
    return std::nullopt;
  }
  header.epoch = load_le<std::uint64_t>(bytes.data() + 16);
  std::copy_n(bytes.begin() + 24, header.drive.size(), header.drive.begin());
  return header;
}

std::size_t size_of(const Record& record) {
  return size_of(record.type, record.count);
}

EncodedRecord encode(const Record& record, std::uint64_t epoch, std::uint64_t offset) {
  EncodedRecord out;
  out.size = size_of(record);
  out.bytes[8] = static_cast<std::uint8_t>(record.type);
  out.bytes[9] = static_cast<std::uint8_t>(out.size);
  Writer writer(out.bytes.data() + kFrame);
  if (record.type != RecordType::Uses) writer.put(record.generation);
  switch (record.type) {
    case RecordType::Large:
    case RecordType::Packed:
      put_creation(writer, record);
      break;
    case RecordType::Slice:
      writer.put(record.slice);
      writer.put(record.checksum);
      break;
    case RecordType::DropSlice:
      writer.put(record.slice);
      break;
    case RecordType::Remove:
      break;
    case RecordType::Slices:
      writer.put(record.slice);
      put_values(writer, record);
      break;
    case RecordType::Pin:
      writer.put(static_cast<std::uint8_t>(record.is_pinned ? 1 : 0));
      break;
    case RecordType::Uses:
      put_values(writer, record);
      break;
  }
  store_le(out.bytes.data(), checksum_of(out.view(), epoch, offset));
  return out;
}

ParsedRecords parse_records(std::span<const std::uint8_t> bytes, std::uint64_t epoch,
                            std::uint64_t offset, const std::function<void(const Record&)>& sink) {
  ParsedRecords result;
  for (;;) {
    const auto rest = bytes.subspan(result.consumed);
    if (rest.size() < kFrame) {
      result.needs_more = true;
      return result;
    }
    const auto type = static_cast<RecordType>(rest[8]);
    const std::size_t size = rest[9];
    const std::size_t count = values_in(type, size);
    const bool has_values = type == RecordType::Slices || type == RecordType::Uses;
    if (size < kFrame || size_of(type, count) != size || (has_values && count == 0)) {
      return result;
    }
    if (rest.size() < size) {
      result.needs_more = true;
      return result;
    }
    const auto record = rest.first(size);
    if (load_le<std::uint64_t>(record.data()) !=
        checksum_of(record, epoch, offset + result.consumed)) {
      return result;
    }
    sink(parse_body(type, record.data() + kFrame, size));
    result.consumed += size;
  }
}

}  // namespace larder::store
