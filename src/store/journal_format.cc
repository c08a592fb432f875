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

// Size of a whole record, 0 for a type that does not exist.
std::size_t size_of(RecordType type) {
  switch (type) {
    case RecordType::Large:
      return kFrame + 8 + 16 + 8 + 2;
    case RecordType::Packed:
      return kFrame + 8 + 16 + 8 + 4 + 4 + 2 + 8;
    case RecordType::Slice:
      return kFrame + 8 + 4 + 8;
    case RecordType::DropSlice:
      return kFrame + 8 + 4;
    case RecordType::Remove:
      return kFrame + 8;
  }
  return 0;
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

Record parse_body(RecordType type, const std::uint8_t* body) {
  Record record{.type = type};
  Reader reader(body);
  reader.get(record.generation);
  switch (type) {
    case RecordType::Large:
    case RecordType::Packed:
      reader.get(record.key.high);
      reader.get(record.key.low);
      reader.get(record.length);
      if (type == RecordType::Packed) {
        reader.get(record.location.segment);
        reader.get(record.location.block);
      }
      reader.get(record.location.slot_units);
      if (type == RecordType::Packed) reader.get(record.checksum);
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

EncodedRecord encode(const Record& record, std::uint64_t epoch, std::uint64_t offset) {
  EncodedRecord out;
  out.size = size_of(record.type);
  out.bytes[8] = static_cast<std::uint8_t>(record.type);
  out.bytes[9] = static_cast<std::uint8_t>(out.size);
  Writer writer(out.bytes.data() + kFrame);
  writer.put(record.generation);
  switch (record.type) {
    case RecordType::Large:
    case RecordType::Packed:
      writer.put(record.key.high);
      writer.put(record.key.low);
      writer.put(record.length);
      if (record.type == RecordType::Packed) {
        writer.put(record.location.segment);
        writer.put(record.location.block);
      }
      writer.put(record.location.slot_units);
      if (record.type == RecordType::Packed) writer.put(record.checksum);
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
    const std::size_t size = size_of(type);
    if (size == 0 || rest[9] != size) return result;
    if (rest.size() < size) {
      result.needs_more = true;
      return result;
    }
    const auto record = rest.first(size);
    if (load_le<std::uint64_t>(record.data()) !=
        checksum_of(record, epoch, offset + result.consumed)) {
      return result;
    }
    sink(parse_body(type, record.data() + kFrame));
    result.consumed += size;
  }
}

}  // namespace larder::store
