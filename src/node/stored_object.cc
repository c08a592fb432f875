#include "node/stored_object.h"

#include <iterator>

#include "base/encoding.h"
#include "cache/withheld_fields.h"
#include "http/date.h"
#include "http/reference.h"

namespace larder::node {

namespace {

constexpr std::size_t kMostEntries = 4096;
constexpr std::uint64_t kEntryCost = 1024;

// Those of at most a slice share a segment's.
bool has_own_mapping(const store::Object& object) {
  return object.length() > store::kSliceSize;
}

std::string write_lines(const cache::StoredResponse& response, http::Appearance appearance,
                        bool with_type = true) {
  http::ResponseHead head;
  head.status = response.status;
  // When the origin wrote the answer, or when it came from one that has no clock: not the time of
  // this answer (RFC 9110 section 6.6.1).
  std::string lines = "Date: " + http::date_text(response.date) + "\r\n";
  for (const http::ResponseField& field : response.fields) {
    if (http::is_of_one_message(field) ||
        (field.id == http::FieldName::ContentType && !with_type) ||
        !http::may_send_to_client(head, field, appearance)) {
      continue;
    }
    const bool relocates =
        field.id == http::FieldName::Location && appearance == http::Appearance::AsNode;
    lines += field.name + ": " +
             (relocates ? http::with_cache_host_origin(field.value, response.host) : field.value) +
             "\r\n";
  }
  if (appearance == http::Appearance::AsNode) {
    // Foreign bytes under the node's own name must not act as its pages.
    lines += "X-Content-Type-Options: nosniff\r\n";
    lines += "Content-Security-Policy: sandbox\r\n";
  }
  return lines;
}

}  // namespace

base::Result<std::shared_ptr<const StoredObject>> prepare_object(
    std::shared_ptr<store::Object> object, store::Store& store) {
  auto stored = std::make_shared<StoredObject>();
  stored->store = &store;
  stored->metadata = object->metadata();
  auto response = cache::parse_stored_response(base::as_bytes(*stored->metadata));
  if (!response) return std::unexpected(response.error());
  stored->response = std::move(*response);
  rewrite_lines(*stored);
  const std::uint64_t length = object->length();
  if (length <= kSmallBody && object->is_ready(0, length)) {
    const std::span<const std::uint8_t> window = object->window(0, length);
    stored->body.assign(base::as_text(window));
    if (object->has_faulted()) {
      stored->body.clear();
      store.report_fault(*object);
    }
  }
  stored->object = std::move(object);
  return stored;
}

std::string lines_without_type(const StoredObject& stored, http::Appearance appearance) {
  return write_lines(stored.response, appearance, false);
}

void rewrite_lines(StoredObject& stored) {
  stored.lines_as_origin = write_lines(stored.response, http::Appearance::AsOrigin);
  stored.lines_as_node = write_lines(stored.response, http::Appearance::AsNode);
  stored.cache_status = "Cache-Status: ";
  const std::string_view upstream = stored.response.field(http::FieldName::CacheStatus);
  if (!upstream.empty()) stored.cache_status.append(upstream).append(", ");
  stored.whole_lines.clear();
  // A Content-Range means nothing in a 200, but it is the origin's.
  for (const http::ResponseField& field : stored.response.fields) {
    if (http::is_of_one_message(field)) {
      stored.whole_lines += field.name + ": " + field.value + "\r\n";
    }
  }
}

std::shared_ptr<const StoredObject> for_first(std::shared_ptr<const StoredObject> stored,
                                              const http::ResponseHead& head) {
  std::vector<http::ResponseField> fields = cache::fields_for_first(head);
  if (fields.empty()) return stored;
  auto own = std::make_shared<StoredObject>(*stored);
  for (http::ResponseField& field : fields) own->response.fields.push_back(std::move(field));
  rewrite_lines(*own);
  return own;
}

bool mapped_read_failed(const void* owner) {
  const auto& stored = *static_cast<const StoredObject*>(owner);
  if (!stored.object->has_faulted()) return false;
  stored.store->report_fault(*stored.object);
  return true;
}

std::shared_ptr<const StoredObject> HotObjects::get(std::shared_ptr<store::Object> object) {
  if (const auto found = by_id_.find(object->id()); found != by_id_.end()) {
    const std::shared_ptr<const StoredObject>& stored = found->second->stored;
    const bool body_missing = stored->body.empty() && object->length() <= kSmallBody;
    if (stored->metadata == object->metadata() && !body_missing) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return stored;
    }
    forget(found->second);
  }
  const std::uint64_t id = object->id();
  auto stored = prepare_object(std::move(object), store_);
  if (!stored) return nullptr;
  const std::uint64_t cost = kEntryCost + (*stored)->body.size() + (*stored)->metadata->size() * 3;
  recent_.push_front({*stored, cost});
  by_id_[id] = recent_.begin();
  used_ += cost;
  if (has_own_mapping(*(*stored)->object)) ++mapped_;
  trim();
  return std::move(*stored);
}

void HotObjects::trim() {
  while (recent_.size() > 1 &&
         (used_ > memory_ || recent_.size() > kMostEntries || mapped_ > most_mapped_)) {
    forget(std::prev(recent_.end()));
  }
}

void HotObjects::forget(std::list<Entry>::iterator entry) {
  const store::Object& object = *entry->stored->object;
  used_ -= entry->cost;
  if (has_own_mapping(object)) --mapped_;
  by_id_.erase(object.id());
  recent_.erase(entry);
}

void HotObjects::drop_removed() {
  for (auto entry = recent_.begin(); entry != recent_.end();) {
    const auto next = std::next(entry);
    if (entry->stored->object->is_removed()) forget(entry);
    entry = next;
  }
}

}  // namespace larder::node
