// A drive's journal after a crash: records are read back up to the first wrong byte and never
// beyond it, and any sequence of records can be replayed.
#include <fuzzer/FuzzedDataProvider.h>

#include <vector>

#include "require.h"
#include "store/index.h"
#include "store/journal_format.h"
#include "store/layout.h"
#include "store/replay.h"

namespace {

using larder::store::Record;
using larder::store::RecordType;

// Small numbers, so that records name each other's generations.
Record any_record(FuzzedDataProvider& input) {
  Record record;
  record.type = static_cast<RecordType>(input.ConsumeIntegralInRange<int>(1, 8));
  record.generation = input.ConsumeIntegralInRange<std::uint64_t>(0, 7);
  const bool is_creation = record.type == RecordType::Large || record.type == RecordType::Packed;
  if (is_creation) {
    record.key.low = input.ConsumeIntegralInRange<std::uint64_t>(0, 3);
    record.length = input.ConsumeBool() ? input.ConsumeIntegralInRange<std::uint64_t>(
                                              0, 4 * larder::store::kSliceSize)
                                        : input.ConsumeIntegral<std::uint64_t>();
    record.location.slot_units = input.ConsumeIntegral<std::uint16_t>();
    record.group = input.ConsumeIntegralInRange<std::uint16_t>(0, 2000);
    record.age = input.ConsumeIntegral<std::uint8_t>();
    record.is_snapshot = input.ConsumeBool();
    record.was_hit = input.ConsumeBool();
  }
  if (is_creation || record.type == RecordType::Pin) record.is_pinned = input.ConsumeBool();
  if (record.type == RecordType::Slices) {
    record.slice = input.ConsumeIntegralInRange<std::uint32_t>(0, 6);
    record.count = input.ConsumeIntegralInRange<std::uint32_t>(1, larder::store::kSlicesPerRecord);
    for (std::uint32_t i = 0; i < record.count; ++i)
      record.values[i] = input.ConsumeIntegral<std::uint64_t>();
  }
  if (record.type == RecordType::Uses) {
    record.generation = 0;
    record.count = input.ConsumeIntegralInRange<std::uint32_t>(1, larder::store::kUsesPerRecord);
    for (std::uint32_t i = 0; i < record.count; ++i)
      record.values[i] = input.ConsumeIntegralInRange<std::uint64_t>(0, 8);
  }
  if (record.type == RecordType::Packed) {
    record.location.segment = input.ConsumeIntegralInRange<std::uint32_t>(0, 2);
    record.location.block = input.ConsumeIntegral<std::uint32_t>();
  }
  if (record.type == RecordType::Slice || record.type == RecordType::DropSlice)
    record.slice = input.ConsumeIntegralInRange<std::uint32_t>(0, 6);
  if (record.type == RecordType::Slice || record.type == RecordType::Packed)
    record.checksum = input.ConsumeIntegral<std::uint64_t>();
  return record;
}

// What is written is read back; one wrong byte behind the version makes it no header.
void check_header(std::uint64_t epoch, FuzzedDataProvider& input) {
  larder::store::JournalHeader header{.epoch = epoch};
  header.drive.fill(input.ConsumeIntegral<std::uint8_t>());
  auto bytes = larder::store::encode(header);
  const auto back = larder::store::parse_journal_header(bytes);
  require(back && back->epoch == epoch && back->drive == header.drive);
  const auto at = input.ConsumeIntegralInRange<std::size_t>(0, bytes.size() - 1);
  bytes[at] ^= input.ConsumeIntegralInRange<std::uint8_t>(1, 255);
  const auto wrong = larder::store::parse_journal_header(bytes);
  require(!wrong || wrong->version != header.version);
}

// So many that the table of their places grows.
void add_many(larder::store::Replay& replay) {
  for (std::uint64_t id = 8; id < 1600; ++id) {
    Record record{
        .type = RecordType::Large, .generation = id, .length = larder::store::kSliceSize * 2};
    record.key.low = id % 1000;
    record.location.slot_units = 4;
    replay.apply(record);
    replay.apply({.type = RecordType::Slice, .generation = id, .slice = 1, .checksum = id});
  }
  require(replay.highest_generation() >= 1599);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> raw(data, size);
  (void)larder::store::parse_journal_header(raw);
  require(larder::store::parse_records(raw, 1, 48, [](const Record&) {}).consumed <= size);

  FuzzedDataProvider input(data, size);
  const auto epoch = input.ConsumeIntegral<std::uint64_t>();
  check_header(epoch, input);
  const std::uint64_t start = larder::store::kJournalHeaderSize;
  std::vector<Record> written;
  std::vector<std::size_t> ends;  // of each record in bytes
  std::vector<std::uint8_t> bytes;
  const int count = input.ConsumeIntegralInRange<int>(0, 40);
  for (int i = 0; i < count; ++i) {
    written.push_back(any_record(input));
    const auto encoded = larder::store::encode(written.back(), epoch, start + bytes.size());
    bytes.insert(bytes.end(), encoded.view().begin(), encoded.view().end());
    ends.push_back(bytes.size());
  }
  std::size_t whole = written.size();
  if (!bytes.empty() && input.ConsumeBool()) {
    const auto at = input.ConsumeIntegralInRange<std::size_t>(0, bytes.size() - 1);
    bytes[at] ^= input.ConsumeIntegralInRange<std::uint8_t>(1, 255);
    whole = 0;
    while (ends[whole] <= at) ++whole;
  }

  std::vector<Record> read;
  const auto parsed = larder::store::parse_records(
      bytes, epoch, start, [&read](const Record& record) { read.push_back(record); });
  require(parsed.consumed == (whole == 0 ? 0 : ends[whole - 1]));
  written.resize(whole);
  require(read == written);

  // Cut anywhere: the records before the cut.
  if (!bytes.empty()) {
    const auto length = input.ConsumeIntegralInRange<std::size_t>(0, bytes.size() - 1);
    const auto cut = larder::store::parse_records(std::span(bytes).first(length), epoch, start,
                                                  [](const Record&) {});
    require(cut.consumed <= length && cut.consumed <= parsed.consumed);
  }

  // Two drives, as when an object has moved: each record belongs to one of them.
  larder::store::Index index;
  index.set_drives({nullptr, nullptr});
  larder::store::Replay first(index, 0);
  larder::store::Replay second(index, 1);
  for (const Record& record : read) (record.generation % 2 == 0 ? first : second).apply(record);
  if (input.ConsumeBool()) add_many(first);
  (void)first.take_replaced();
  (void)second.take_replaced();
  std::uint64_t objects = 0;
  std::uint64_t stored = 0;
  larder::store::IndexPosition at;
  while (index.visit(at, 64, [&](const larder::store::Entry& entry) {
    ++objects;
    stored += entry.stored_bytes();
    require(entry.length <= larder::store::kLengthLimit);
    if (entry.is_packed()) return;
    for (const auto& slice : entry.list().view())
      require(slice.index < larder::store::slice_count_of(entry.length));
  })) {
  }
  require(objects == index.objects() && stored == index.bytes());
  return 0;
}
