// What an administrator asks of the store: lists, purges, pins, quotas.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/log.h"
#include "store/generation.h"
#include "store/metadata_slots.h"
#include "store/store_parts.h"

namespace larder::store {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::uint32_t kStep = 64;              // entries copied under one lock
constexpr std::uint32_t kLongestPage = 500;      // items
constexpr std::uint32_t kMostLookedAt = 50'000;  // entries for one page
constexpr std::uint32_t kMostRead = 2'000;       // names for one page

}  // namespace

base::Result<std::string> Store::Parts::read_name(Drive& drive, const Entry& entry) {
  if (settings.name_of == nullptr) return "";
  if (!entry.is_recorded) {
    // On its way to the drive: there is nothing to be read yet.
    const auto object = index.find_open(entry.key);
    if (object && object->id() == entry.id) return std::string(name_in(*object->metadata()));
    return fail(base::ErrorCode::Unavailable, "the object is not written yet");
  }
  const Operation operation(drive.operations());
  if (operation.is_refused()) return std::unexpected(drive.operations().hangs());
  const auto fd = drive.open_to_read(entry.id, entry.location());
  if (!fd) return std::unexpected(fd.error());
  const auto slot = read_slots({.key = entry.key,
                                .generation = entry.id,
                                .length = entry.length,
                                .location = entry.location()},
                               fd->get(), drive.path());
  if (!slot) return std::unexpected(slot.error());
  return std::string(name_in(slot->metadata));
}

void Store::Parts::set_pinned(Drive& drive, const Key& key, std::uint64_t id, bool is_pinned) {
  const Operation operation(drive.operations());
  if (operation.is_refused()) {
    if (index.set_pinned(key, id, is_pinned)) drive.record_lost();
    return;
  }
  const std::shared_lock gate(drive.compaction_gate());
  if (!index.set_pinned(key, id, is_pinned)) return;
  const auto appended =
      drive.journal().append({.type = RecordType::Pin, .generation = id, .is_pinned = is_pinned});
  if (!appended) static_cast<void>(drive.write_failed(appended.error()));
}

void Store::Parts::apply_pins(const Object& object) {
  const Generation& generation = *object.generation_;
  const auto metadata = object.metadata();
  const std::string_view name = name_in(*metadata);
  bool is_pinned = orders->is_pinned(name);
  set_pinned(*generation.drive, generation.key, generation.id, is_pinned);
  // An order that came in between was applied before, perhaps.
  while (orders->is_pinned(name) != is_pinned) {
    is_pinned = !is_pinned;
    set_pinned(*generation.drive, generation.key, generation.id, is_pinned);
  }
}

bool Store::Parts::is_purged(const Object& object) const {
  return object.id() < index.purge_bound(object.generation_->group) ||
         orders->is_purged(name_in(*object.metadata()), object.id());
}

bool Store::Parts::has_forgetful_drives() const {
  return !missing_drives.empty() || std::ranges::any_of(drives, [](const auto& drive) {
    return drive->is_gone() || drive->is_hanging() || drive->lost_records() > 0;
  });
}

bool Store::Parts::sync_removals() {
  return std::ranges::all_of(drives, [](const auto& drive) {
    const Operation operation(drive->operations());
    if (operation.is_refused()) return false;
    const auto synced = drive->sync(true);
    if (synced) return true;
    drive->record_lost();
    static_cast<void>(drive->write_failed(synced.error()));
    return false;
  });
}

base::Status Store::Parts::mark_purge(std::string_view prefix) {
  base::Status marked = orders->purge_prefix(prefix, next_generation);
  if (!marked && marked.error().code == ErrorCode::ResourceExhausted && has_forgetful_drives()) {
    return fail(ErrorCode::ResourceExhausted,
                "too many purges wait for a drive that is missing or failing: bring it back, or "
                "take it out of the settings and restart");
  }
  return marked;
}

// What is open is found without a look at the marks, so it is removed by the purge itself. Bounded
// by what is open, however much is stored.
void Store::Parts::drop_purged_objects() {
  for (const auto& object : index.open_objects()) {
    if (is_purged(*object)) retire(*object->generation_);
  }
  keeper.want_walk();
}

base::Status Store::purge_prefix(std::string_view prefix) {
  if (parts_->settings.name_of == nullptr)
    return fail(ErrorCode::FailedPrecondition, "objects of this store have no names");
  LARDER_TRY(parts_->mark_purge(prefix));
  parts_->drop_purged_objects();
  return {};
}

base::Result<Store::Purged> Store::purge_name(std::string_view name, std::span<const Key> keys) {
  Purged purged;
  std::set<Drive*> changed;
  for (const Key& key : keys) {
    purged.objects += parts_->index.contains(key) ? 1 : 0;
    auto removed = parts_->index.erase(key);
    if (!removed) continue;
    changed.insert(removed->drive);
    parts_->finish_removal(std::move(*removed));
  }
  // A drive that fails may say so only now.
  for (Drive* drive : changed) {
    const Operation operation(drive->operations());
    if (operation.is_refused()) continue;  // the removal is owed
    if (const auto synced = drive->sync(true); !synced) {
      drive->record_lost();
      static_cast<void>(drive->write_failed(synced.error()));
    }
  }
  if (parts_->settings.name_of == nullptr) return purged;
  const bool must_wait = parts_->has_forgetful_drives() || !parts_->orders->outdate_absent_drives();
  // Parts that are not among the keys are found by no request, so a pin would keep them for ever.
  if (!must_wait && !parts_->orders->is_pinned(name)) return purged;
  const base::Status marked = parts_->mark_purge(std::string(name) + "\n");
  if (marked) {
    parts_->drop_purged_objects();
  } else if (must_wait) {
    return fail(marked.error().code,
                "it is not found now, but may be again after a restart: " + marked.error().message);
  }
  purged.is_waiting = must_wait;
  return purged;
}

base::Status Store::purge_group(std::string_view group) {
  const auto number = parts_->orders->known_group(group);
  if (!number) return fail(ErrorCode::NotFound, "nothing was ever stored for that");
  const std::uint64_t below = parts_->next_generation;
  LARDER_TRY(parts_->orders->purge_group(*number, below));
  parts_->index.purge_below(*number, below);
  parts_->drop_purged_objects();
  return {};
}

namespace {

// The entry of a key, copied; nothing when there is none.
std::optional<Entry> entry_of(const Index& index, const Key& key) {
  std::optional<Entry> copy;
  index.look_at(key, [&](const Entry& entry) { copy = entry; });
  return copy;
}

}  // namespace

base::Status Store::pin(const PinOrder& order, const std::vector<Key>& keys) {
  LARDER_TRY(parts_->orders->pin(order));
  for (const Key& key : keys) {
    const auto entry = entry_of(parts_->index, key);
    if (entry) parts_->set_pinned(*parts_->drives[entry->drive], key, entry->id, true);
  }
  parts_->keeper.want_walk();
  return {};
}

base::Status Store::unpin(const PinOrder& order, const std::vector<Key>& keys) {
  LARDER_TRY(parts_->orders->unpin(order));
  // Another order may still apply to them, so the walk decides about all.
  static_cast<void>(keys);
  parts_->keeper.want_walk();
  return {};
}

std::vector<PinOrder> Store::pins() const {
  return parts_->orders->book().pins;
}

void Store::set_quotas(const std::vector<std::pair<std::string, std::uint64_t>>& quotas) {
  auto all = std::make_shared<Quotas>();
  for (const auto& [name, bytes] : quotas) {
    auto quota = std::make_shared<Quota>();
    quota->group = parts_->orders->group(name);
    if (quota->group == 0) continue;
    quota->name = name;
    quota->bytes = bytes;
    for (const auto& drive : parts_->drives) {
      quota->evictors.push_back(std::make_unique<Evictor>(drive->number(), bytes, quota->group));
    }
    quota->exhausted.resize(quota->evictors.size());
    all->push_back(std::move(quota));
  }
  {
    const std::lock_guard lock(parts_->quotas_mutex);
    parts_->quotas = std::move(all);
  }
  // What is above a lower one goes now, not with the group's next object.
  for (const auto& drive : parts_->drives) drive->wake();
}

ListPage Store::list(const ListQuery& query) {
  ListPage page;
  const std::size_t limit = std::clamp<std::uint32_t>(query.limit, 1, kLongestPage);
  std::optional<std::uint16_t> group;
  if (!query.group.empty()) {
    group = parts_->orders->known_group(query.group);
    if (!group) return page;
  }
  // The cursor is the place of the first entry that was not looked at, plus one.
  IndexPosition at;
  if (query.cursor > 0) {
    at = {.shard = static_cast<std::uint32_t>((query.cursor - 1) >> 32),
          .slot = static_cast<std::uint32_t>(query.cursor - 1)};
  }
  std::uint32_t looked_at = 0;
  std::uint32_t read = 0;
  while (page.items.size() < limit && looked_at < kMostLookedAt && read < kMostRead) {
    // One entry at a time towards the end of a page, so that none is passed over.
    const auto step =
        std::min<std::uint32_t>(kStep, static_cast<std::uint32_t>(limit - page.items.size()));
    std::vector<Entry> entries;
    if (!parts_->index.visit(at, step, [&](const Entry& entry) {
          ++looked_at;
          if (parts_->index.is_purged(entry) || (group && entry.group != *group)) return;
          entries.push_back(entry);
          // Behind the lock the slices may change.
          entries.back().checksum = entry.stored_bytes();
        })) {
      return page;
    }
    for (const Entry& entry : entries) {
      Drive& drive = *parts_->drives[entry.drive];
      std::string name = parts_->read_name(drive, entry).value_or("");
      ++read;
      if (!name.starts_with(query.prefix) || parts_->orders->is_purged(name, entry.id)) continue;
      page.items.push_back({.name = std::move(name),
                            .group = parts_->orders->group_name(entry.group),
                            .drive = drive.path(),
                            .generation = entry.id,
                            .length = entry.length,
                            .stored = entry.checksum,
                            .is_pinned = entry.is_pinned != 0});
    }
  }
  page.next = (static_cast<std::uint64_t>(at.shard) << 32 | at.slot) + 1;
  return page;
}

bool Store::start_scrub() {
  return parts_->keeper.start_scrub();
}

namespace {

DriveState state_of(const Drive& drive) {
  if (drive.is_gone()) return DriveState::Missing;
  if (drive.is_failing() || drive.is_hanging()) return DriveState::Failing;
  return drive.is_short() ? DriveState::Short : DriveState::Good;
}

}  // namespace

std::vector<DriveStatistics> Store::drive_statistics() const {
  std::vector<DriveStatistics> all;
  for (const auto& drive : parts_->drives) {
    const DriveCounters& counters = drive->counters();
    Drive::LastErrors errors = drive->last_errors();
    if (drive->is_hanging()) errors.write = drive->operations().hangs().message;
    all.push_back({.path = drive->path(),
                   .size = drive->size(),
                   .limit = drive->limit(),
                   .used = drive->used(),
                   .journal = drive->journal().size(),
                   .state = state_of(*drive),
                   .write_errors = counters.write_errors,
                   .read_errors = counters.read_errors,
                   .not_evictable = counters.not_evictable,
                   .lost_slices = counters.lost_slices,
                   .write_error = std::move(errors.write),
                   .read_error = std::move(errors.read)});
  }
  for (const Parts::MissingDrive& drive : parts_->missing_drives) {
    all.push_back({.path = drive.settings.path,
                   .size = drive.settings.size,
                   .state = DriveState::Missing,
                   .write_error = drive.reason});
  }
  return all;
}

Statistics Store::statistics() const {
  const Index& index = parts_->index;
  Statistics all{.objects = index.objects(),
                 .slices = index.slices(),
                 .bytes = index.bytes(),
                 .pinned = index.pinned_cost(),
                 .unrecorded_uses = index.unrecorded_uses(),
                 .scrub = parts_->keeper.scrub_statistics()};
  for (const auto& drive : parts_->drives) {
    const DriveCounters& counters = drive->counters();
    all.evicted_objects += counters.evicted_objects;
    all.evicted_bytes += counters.evicted_bytes;
    all.freed_bytes += counters.freed_bytes;
    all.write_errors += counters.write_errors;
    all.read_errors += counters.read_errors;
    all.lost_slices += counters.lost_slices;
    all.size += drive->limit();
    all.used += drive->used();
  }
  all.drives = drive_statistics();
  const OrderBook book = parts_->orders->book();
  all.purges = book.purges.size();
  for (std::size_t i = 0; i < book.groups.size(); ++i) {
    const auto number = static_cast<std::uint16_t>(i + 1);
    const auto quota = parts_->quota_of(number);
    all.groups.push_back({.name = book.groups[i].name,
                          .used = index.group_cost(number),
                          .quota = quota ? quota->bytes : 0});
  }
  return all;
}

}  // namespace larder::store
