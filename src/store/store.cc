// Creating, writing and finding objects.
#include "store/store.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "store/metadata_slots.h"
#include "store/object_state.h"
#include "store/store_parts.h"

namespace larder::store {
namespace {

using base::ErrorCode;

base::Error full(const Drive& drive) {
  return {ErrorCode::ResourceExhausted, "no space can be freed on the drive " + drive.path()};
}

Record creation_record(const Generation& generation, bool is_pinned, std::uint64_t checksum) {
  return {.type = generation.is_packed() ? RecordType::Packed : RecordType::Large,
          .generation = generation.id,
          .key = generation.key,
          .length = generation.length,
          .location = generation.location,
          .group = generation.group,
          .is_pinned = is_pinned,
          .checksum = checksum};
}

Record removal_record(const Generation& generation) {
  return {.type = RecordType::Remove, .generation = generation.id};
}

}  // namespace

Store::Parts::Creation::Creation(Parts& parts) : parts_(parts) {
  // At one go, so that whoever has read a higher number sees this one among the running ones.
  const std::lock_guard lock(parts.creations_mutex);
  id_ = parts.next_generation++;
  parts.creations.insert(id_);
}

Store::Parts::Creation::~Creation() {
  const std::lock_guard lock(parts_.creations_mutex);
  parts_.creations.erase(id_);
}

std::uint64_t Store::Parts::oldest_creation() const {
  const std::lock_guard lock(creations_mutex);
  return creations.empty() ? UINT64_MAX : *creations.begin();
}

base::Result<std::shared_ptr<Object>> Store::create(const Key& key,
                                                    std::span<const std::uint8_t> metadata,
                                                    std::uint64_t length, std::string_view group,
                                                    const Announcement& announce) {
  // One that is longer than a drive would drive out everything else and still not fit.
  const std::uint64_t longest = std::min(kLengthLimit, parts_->largest_drive());
  if (metadata.size() > kMetadataLimit || (length > longest && !parts_->drives.empty())) {
    return base::fail(ErrorCode::InvalidArgument, "an object of this length is not stored");
  }
  bool met_full = false;
  auto created = parts_->create(key, metadata, length, group, announce, met_full);
  // The drive is smaller now, so the second attempt evicts first.
  if (!created && met_full) {
    created = parts_->create(key, metadata, length, group, announce, met_full);
  }
  return created;
}

base::Result<std::shared_ptr<Object>> Store::Parts::create(
    const Key& key, std::span<const std::uint8_t> metadata, std::uint64_t length,
    std::string_view group, const Announcement& announce, bool& met_full) {
  Drive* drive = choose_drive(length);
  if (drive == nullptr) {
    return base::fail(ErrorCode::Unavailable, "every drive that could hold it is failing");
  }
  // Before: it may wait for what another thread writes to another drive.
  const std::uint16_t number = orders->group(group);
  const Operation operation(drive->operations());
  if (operation.is_refused()) return std::unexpected(drive->operations().hangs());
  const bool is_packed = is_packed_length(length);
  Location at{.slot_units = slot_units_for(metadata.size(), is_packed)};
  const auto text = std::make_shared<const std::string>(base::as_text(metadata));
  const bool is_pinned = orders->is_pinned(name_in(*text));
  std::optional<Creation> creation;
  const auto failed = [&](base::Error error) {
    base::Error told = drive->write_failed(std::move(error));
    met_full = told.code == ErrorCode::ResourceExhausted;
    return std::unexpected(std::move(told));
  };
  const auto make_generation = [&] {
    creation.emplace(*this);
    return std::make_shared<Generation>(drive, creation->id(), key, length, at, number);
  };

  std::shared_ptr<Generation> generation;
  std::shared_ptr<OpenFile> file;
  if (is_packed) {
    const std::uint64_t bytes = packed_size(at, length);
    const std::uint64_t segment = segment_cost(drive->segments().segment_size());
    if (!make_room(*drive, bytes + segment, number, 0)) {
      return std::unexpected(full(*drive));
    }
    auto place = drive->segments().allocate(bytes);
    if (!place) {
      drive->give_back(bytes + segment);
      return failed(std::move(place).error());
    }
    drive->give_back(segment - place->charged + place->credited);
    at.segment = place->segment;
    at.block = place->block;
    file = std::move(place->file);
    generation = make_generation();
  } else {
    if (!make_room(*drive, large_base_cost(at), number, 0)) {
      return std::unexpected(full(*drive));
    }
    generation = make_generation();
    auto created = drive->create_large(*generation);
    if (!created) {
      abandon(*generation);
      return failed(std::move(created).error());
    }
    file = std::move(*created);
  }

  auto object = std::make_shared<Object>(generation, file, text, 0);
  // A packed object is written, metadata and all, when its one slice comes.
  const bool is_recorded_now = !is_packed || length == 0;
  base::Status written;
  if (is_recorded_now) {
    written = write_slot(SlotOwner::of(*generation), file->fd(), 0, *text, drive->path());
  }
  std::optional<Removed> replaced;
  if (written) {
    const std::shared_lock gate(drive->compaction_gate());
    if (is_recorded_now) {
      written = drive->journal().append(creation_record(*generation, is_pinned, 0));
      generation->is_recorded = written.has_value();
    }
    if (written) {
      if (announce) announce(object);
      replaced = index.insert(generation, object, drive->number(), is_pinned);
    }
  }
  if (!written) {
    abandon(*generation);
    return failed(std::move(written).error());
  }
  if (replaced) finish_removal(std::move(*replaced));
  open_table.add(object);
  // A removal between insert and add did not see the table.
  if (object->is_removed()) open_table.drop(object->id());
  // An order that was given meanwhile finds the object, or we see its mark here.
  if (is_recorded_now) apply_pins(*object);
  if (is_purged(*object)) retire(*generation);
  return object;
}

base::Status Store::write_slice(Object& object, std::uint32_t index,
                                std::span<const std::uint8_t> bytes) {
  if (index >= object.slice_count() || bytes.size() != object.slice_length(index)) {
    return base::fail(ErrorCode::InvalidArgument, "not a whole slice of the object");
  }
  if (object.is_removed()) {
    return base::fail(ErrorCode::FailedPrecondition, "the object was replaced or removed");
  }
  Drive& drive = *object.generation_->drive;
  const Operation operation(drive.operations());
  if (operation.is_refused()) return std::unexpected(drive.operations().hangs());
  Object::State& state = *object.state_;
  state.claim_when_free(index);
  base::Status written;
  if (!state.stored.test(index)) {
    bool met_full = false;
    written = parts_->store_slice(object, index, bytes, met_full);
    // The drive is smaller now, so the second attempt evicts first.
    if (!written && met_full) written = parts_->store_slice(object, index, bytes, met_full);
  }
  state.unclaim(index);
  return written;
}

base::Status Store::Parts::store_slice(Object& object, std::uint32_t slice,
                                       std::span<const std::uint8_t> bytes, bool& met_full) {
  Generation& generation = *object.generation_;
  Object::State& state = *object.state_;
  Drive& drive = *generation.drive;
  const bool is_packed = generation.is_packed();
  // A packed object's space was reserved as a whole when it was created.
  const std::uint64_t cost = is_packed ? 0 : slice_cost(bytes.size());
  if (!make_room(drive, cost, generation.group, generation.id)) {
    return std::unexpected(full(drive));
  }

  const std::uint64_t offset = object.file_offset_of(slice * kSliceSize);
  const std::uint64_t checksum = checksum_of(bytes);
  std::unique_lock slots(state.slots_mutex, std::defer_lock);
  base::Status status;
  if (is_packed) {
    slots.lock();
    status = write_slot(SlotOwner::of(generation), object.fd(), state.sequence, *object.metadata(),
                        drive.path());
  }
  if (status) {
    const auto written = write_at(object.fd(), bytes, offset);
    if (!written) status = std::unexpected(written.error().to_error(drive.path()));
  }
  if (status) {
    const std::shared_lock gate(drive.compaction_gate());
    status = drive.journal().append(
        is_packed
            ? creation_record(generation, orders->is_pinned(name_in(*object.metadata())), checksum)
            : Record{.type = RecordType::Slice,
                     .generation = generation.id,
                     .slice = slice,
                     .checksum = checksum});
    if (status) {
      generation.is_recorded = true;
      if (const auto grown = index.add_slice(generation, slice, checksum)) {
        drive.expect_release(*grown);
        // Removed before it was recorded: the removal is still to be.
        if (is_packed) {
          status = drive.journal().append(removal_record(generation));
          if (!status) drive.record_lost();
        }
      }
    }
  }
  if (!status) {
    if (!is_packed) {
      static_cast<void>(punch(object.fd(), offset, round_up(bytes.size(), kBlockSize)));
      drive.give_back(cost);
    }
    base::Error told = drive.write_failed(std::move(status).error());
    met_full = told.code == ErrorCode::ResourceExhausted;
    return std::unexpected(std::move(told));
  }
  if (is_packed) apply_pins(object);
  state.verified.set(slice);
  state.stored.set(slice);
  drive.wrote(bytes.size());
  if (index.advance(bytes.size()) && index.unrecorded_uses() > 0) {
    for (const auto& each : drives) each->wake();
  }
  return {};
}

base::Status Store::update_metadata(Object& object, std::span<const std::uint8_t> metadata) {
  const Generation& generation = *object.generation_;
  if (kSlotHeaderSize + metadata.size() > slot_size(generation.location)) {
    return base::fail(ErrorCode::ResourceExhausted, "the new metadata does not fit");
  }
  const Operation operation(generation.drive->operations());
  if (operation.is_refused()) return std::unexpected(generation.drive->operations().hangs());
  auto text = std::make_shared<const std::string>(base::as_text(metadata));
  Object::State& state = *object.state_;
  const std::lock_guard slots(state.slots_mutex);
  if (generation.is_recorded) {
    const auto written = write_slot(SlotOwner::of(generation), object.fd(), state.sequence + 1,
                                    *text, generation.drive->path());
    if (!written) return std::unexpected(generation.drive->write_failed(written.error()));
    ++state.sequence;
  }
  const std::lock_guard lock(state.mutex);
  state.metadata = std::move(text);
  ++state.revision;
  return {};
}

std::shared_ptr<Object> Store::find_open(const Key& key) {
  auto object = parts_->index.find_open(key);
  if (object) OpenTable::note_use(*object);
  return object;
}

void Store::note_use(const Object& object) {
  parts_->index.note_use(object);
}

bool Store::contains(const Key& key) const {
  return parts_->index.contains(key);
}

std::shared_ptr<Object> Store::find(const Key& key) {
  if (auto object = find_open(key)) return object;
  return parts_->find(key);
}

std::shared_ptr<Object> Store::Parts::find(const Key& key) {
  const auto generation = index.find(key);
  if (!generation) return nullptr;
  if (!generation->is_recorded) {
    // Created, never filled, and nobody holds it any more.
    retire(*generation);
    return nullptr;
  }
  Drive& drive = *generation->drive;
  const Operation operation(drive.operations());
  if (operation.is_refused()) return nullptr;
  auto file = drive.open_data(*generation);
  auto slot = file ? read_slots(SlotOwner::of(*generation), (*file)->fd(), drive.path())
                   : base::Result<ReadSlot>(std::unexpected(file.error()));
  if (!slot) {
    if (generation->was_removed) return nullptr;  // gone meanwhile, and nothing is wrong
    const ErrorCode code = slot.error().code;
    static_cast<void>(drive.read_failed(slot.error()));
    // What is not there or not whole never comes back, but with its drive; a drive that fails may,
    // a lack of descriptors passes.
    const bool is_lost = code == ErrorCode::NotFound || code == ErrorCode::DataLoss;
    if (is_lost && drive.is_there()) retire(*generation);
    return nullptr;
  }
  auto object = index.attach(std::make_shared<Object>(
      generation, std::move(*file), std::make_shared<const std::string>(std::move(slot->metadata)),
      slot->sequence));
  if (!object) return nullptr;
  // A purge sees the object that is attached, or we see its mark here.
  if (is_purged(*object)) {
    retire(*generation);
    return nullptr;
  }
  open_table.add(object);
  // A removal between attach and add did not see the table.
  if (object->is_removed()) open_table.drop(object->id());
  return object;
}

bool Store::is_hanging(const Object& object) const {
  return object.generation_->drive->is_hanging();
}

void Store::remove(const Key& key) {
  if (auto removed = parts_->index.erase(key)) parts_->finish_removal(std::move(*removed));
}

void Store::remove(const Object& object) {
  parts_->retire(*object.generation_);
}

}  // namespace larder::store
