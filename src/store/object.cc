#include "store/object.h"

#include <chrono>

#include "store/generation.h"
#include "store/layout.h"
#include "store/object_state.h"
#include "store/open_file.h"
#include "store/resident_pages.h"

namespace larder::store {

Object::Object(std::shared_ptr<Generation> generation, std::shared_ptr<OpenFile> file,
               std::shared_ptr<const std::string> metadata, std::uint64_t metadata_sequence)
    : generation_(std::move(generation)),
      file_(std::move(file)),
      state_(std::make_unique<State>(slice_count_of(generation_->length), std::move(metadata),
                                     metadata_sequence)) {}

Object::~Object() {
  state_.reset();
  file_.reset();
}

std::uint64_t Object::id() const {
  return generation_->id;
}
const Key& Object::key() const {
  return generation_->key;
}
std::uint64_t Object::length() const {
  return generation_->length;
}
bool Object::is_removed() const {
  return generation_->was_removed;
}

std::uint64_t Object::revision() const {
  return state_->revision.load(std::memory_order_acquire);
}

std::shared_ptr<const std::string> Object::metadata() const {
  const std::lock_guard lock(state_->mutex);
  return state_->metadata;
}

std::uint32_t Object::slice_count() const {
  return slice_count_of(length());
}
std::uint64_t Object::slice_length(std::uint32_t index) const {
  return slice_length_of(length(), index);
}
bool Object::has_slice(std::uint32_t index) const {
  return index < slice_count() && state_->stored.test(index);
}

bool Object::has_range(std::uint64_t offset, std::uint64_t length) const {
  if (length == 0) return true;
  if (offset >= this->length() || length > this->length() - offset) return false;
  const auto last = static_cast<std::uint32_t>((offset + length - 1) / kSliceSize);
  for (auto index = static_cast<std::uint32_t>(offset / kSliceSize); index <= last; ++index) {
    if (!state_->stored.test(index)) return false;
  }
  return true;
}

bool Object::is_ready(std::uint64_t offset, std::uint64_t length) const {
  if (length == 0) return true;
  if (!has_range(offset, length)) return false;
  const auto last = static_cast<std::uint32_t>((offset + length - 1) / kSliceSize);
  for (auto index = static_cast<std::uint32_t>(offset / kSliceSize); index <= last; ++index) {
    if (!state_->verified.test(index)) return false;
  }
  return !has_faulted() && is_resident(offset, length);
}

bool Object::is_resident(std::uint64_t offset, std::uint64_t length) const {
  const std::uint64_t begin = file_offset_of(0);
  return is_in_memory({.fd = file_->fd(), .base = file_->region().data()},
                      {begin + offset, begin + offset + length}, {begin, begin + this->length()},
                      std::chrono::steady_clock::now());
}

int Object::fd() const {
  return file_->fd();
}

std::uint64_t Object::file_offset_of(std::uint64_t offset) const {
  return data_offset(generation_->location) + offset;
}

std::span<const std::uint8_t> Object::window(std::uint64_t offset, std::uint64_t length) const {
  return {file_->region().data() + file_offset_of(offset), length};
}

bool Object::has_faulted() const {
  return file_->region().has_lost(file_offset_of(0), length());
}

}  // namespace larder::store
