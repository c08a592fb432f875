// Checking stored bytes before they are sent.
#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "store/object_state.h"
#include "store/store_parts.h"

namespace larder::store {

using base::ErrorCode;

base::Status Store::verify(Object& object, std::uint32_t index) {
  return parts_->verify(object, index);
}

base::Status Store::Parts::verify(Object& object, std::uint32_t slice) {
  Generation& generation = *object.generation_;
  Drive& drive = *generation.drive;
  const auto expected = index.checksum(generation, slice);
  if (!expected) return base::fail(ErrorCode::NotFound, "the slice is not stored");
  const auto found = checksum_at(object.fd(), object.file_offset_of(slice * kSliceSize),
                                 object.slice_length(slice));
  if (!found) {
    // A slice that cannot be read cannot safely be written again in its place either; whoever has
    // promised it fetches it.
    base::Error error = found.error().to_error(drive.path());
    if (error.code != ErrorCode::Unavailable) give_up(object, slice);
    return std::unexpected(drive.read_failed(std::move(error)));
  }
  if (*found == *expected) {
    object.state_->verified.set(slice);
    return {};
  }
  return drop_slice(object, slice);
}

void Store::Parts::give_up(Object& object, std::uint32_t slice) {
  retire(*object.generation_);
  if (!object.state_->claim(slice)) return;
  object.state_->stored.clear(slice);
  object.state_->unclaim(slice);
}

base::Status Store::Parts::drop_slice(Object& object, std::uint32_t slice) {
  Generation& generation = *object.generation_;
  Drive& drive = *generation.drive;
  const auto lost =
      base::fail(ErrorCode::DataLoss, "slice " + std::to_string(slice) + " of object " +
                                          std::to_string(generation.id) + " on " + drive.path() +
                                          " has the wrong checksum and was dropped");
  // The claim keeps writers out until the old blocks are gone: a slice that was written again
  // meanwhile would be punched out under its readers.
  if (!object.state_->claim(slice)) return lost;
  object.state_->stored.clear(slice);
  object.state_->verified.clear(slice);
  const bool was_first = generation.is_packed() ? retire(generation) : punch_slice(object, slice);
  object.state_->unclaim(slice);
  if (was_first) {
    ++drive.counters().lost_slices;
    base::log_warning("stored bytes are lost", {{"reason", lost.error().message}});
  }
  return lost;
}

bool Store::Parts::punch_slice(Object& object, std::uint32_t slice) {
  Generation& generation = *object.generation_;
  Drive& drive = *generation.drive;
  {
    const std::shared_lock gate(drive.compaction_gate());
    if (!index.drop_slice(generation, slice)) return false;
    const auto appended = drive.journal().append(
        {.type = RecordType::DropSlice, .generation = generation.id, .slice = slice});
    if (!appended) static_cast<void>(drive.write_failed(appended.error()));
  }
  // The new bytes of this slice must land in new blocks: visible bytes are never overwritten.
  const std::uint64_t length = object.slice_length(slice);
  const auto punched =
      punch(object.fd(), object.file_offset_of(slice * kSliceSize), round_up(length, kBlockSize));
  if (!punched) retire(generation);
  drive.give_back(slice_cost(length));
  return true;
}

base::Status Store::prepare(Object& object, std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return {};
  if (!object.has_range(offset, length)) {
    return base::fail(ErrorCode::NotFound, "a part of the range is not stored");
  }
  Operations& operations = object.generation_->drive->operations();
  const Operation operation(operations);
  const std::uint64_t end = offset + length;
  while (offset < end) {
    const auto index = static_cast<std::uint32_t>(offset / kSliceSize);
    const std::uint64_t part = std::min(end, (index + 1) * kSliceSize) - offset;
    if (!object.is_ready(offset, part)) {
      if (operation.is_refused()) {
        parts_->give_up(object, index);
        return std::unexpected(operations.hangs());
      }
      LARDER_TRY(verify(object, index));
    }
    offset += part;
  }
  return {};
}

base::Status Store::read(Object& object, std::uint64_t offset, std::span<std::uint8_t> out) {
  LARDER_TRY(prepare(object, offset, out.size()));
  const auto got = read_at(object.fd(), out, object.file_offset_of(offset));
  if (got && *got == out.size()) return {};
  Drive& drive = *object.generation_->drive;
  parts_->retire(*object.generation_);
  if (!got) return std::unexpected(drive.read_failed(got.error().to_error(drive.path())));
  return base::fail(ErrorCode::DataLoss, "a file on " + drive.path() + " is shorter than it was");
}

void Store::report_fault(Object& object) {
  Drive& drive = *object.generation_->drive;
  static_cast<void>(drive.read_failed(
      {ErrorCode::DataLoss, "a mapped file on " + drive.path() + " could not be read"}));
  parts_->retire(*object.generation_);
}

}  // namespace larder::store
