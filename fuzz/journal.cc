// A drive's journal after a crash: records are read back up to the first wrong byte and never
// beyond it, and any sequence of records can be replayed.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>
#include <vector>

#include "store/journal_format.h"
#include "store/layout.h"
#include "store/replay.h"

namespace {

using larder::store::Record;
using larder::store::RecordType;

void require(bool holds) {
  if (!holds) std::abort();
}

// Small numbers, so that records name each other's generations.
Record any_record(FuzzedDataProvider& input) {
  Record record;
  record.type = static_cast<RecordType>(input.ConsumeIntegralInRange<int>(1, 5));
  record.generation = input.ConsumeIntegralInRange<std::uint64_t>(0, 7);
  const bool is_creation = record.type == RecordType::Large || record.type == RecordType::Packed;
  if (is_creation) {
    record.key.low = input.ConsumeIntegralInRange<std::uint64_t>(0, 3);
    record.length = input.ConsumeBool() ? input.ConsumeIntegralInRange<std::uint64_t>(
                                              0, 4 * larder::store::kSliceSize)
                                        : input.ConsumeIntegral<std::uint64_t>();
    record.location.slot_units = input.ConsumeIntegral<std::uint16_t>();
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> raw(data, size);
  (void)larder::store::parse_journal_header(raw);
  require(larder::store::parse_records(raw, 1, 48, [](const Record&) {}).consumed <= size);

  FuzzedDataProvider input(data, size);
  const auto epoch = input.ConsumeIntegral<std::uint64_t>();
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

  larder::store::ReplayTable table(nullptr);
  for (const Record& record : read) table.apply(record);
  std::uint64_t previous = 0;
  for (const auto& generation : table.take()) {
    require(generation->id >= previous && generation->length <= larder::store::kLengthLimit);
    previous = generation->id;
    for (const auto& slice : generation->slices)
      require(slice.index < std::max(1U, larder::store::slice_count_of(generation->length)));
  }
  return 0;
}
