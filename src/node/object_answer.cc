// The part of the request path that sends stored and arriving bytes.

#include <algorithm>

#include "base/log.h"
#include "cache/stored_variants.h"
#include "node/client_kind.h"
#include "node/request_path.h"

namespace larder::node {

namespace {

using store::kSliceSize;

// Bytes handed to the socket at a time: bounds how long a slow reader holds an object.
constexpr std::uint64_t kWindow = 8 << 20;

cache::SliceRange slices_of(const http::ByteRange& range) {
  return {static_cast<std::uint32_t>(range.first / kSliceSize),
          static_cast<std::uint32_t>(range.last / kSliceSize)};
}

}  // namespace

// Asked twice: by then a drive that does not answer is known as such, and the object given up.
net::Task<base::Status> RequestPath::prepare(std::shared_ptr<store::Object> object,
                                             std::uint64_t offset, std::uint64_t length) {
  base::Status prepared;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (object->is_ready(offset, length)) co_return base::Status{};
    prepared = co_await delivery_.disk.run([&store = delivery_.store, object, offset, length] {
      return store.prepare(*object, offset, length);
    });
    if (prepared || prepared.error().code != base::ErrorCode::DeadlineExceeded) break;
  }
  co_return prepared;
}

net::Task<base::Result<std::shared_ptr<store::Object>>> RequestPath::find(const store::Key& key) {
  using Found = base::Result<std::shared_ptr<store::Object>>;
  if (std::shared_ptr<store::Object> object = delivery_.store.find_open(key)) co_return object;
  if (!delivery_.store.contains(key)) co_return nullptr;
  Found found = co_await delivery_.disk.run(
      [&store = delivery_.store, key]() -> Found { return store.find(key); });
  // What a drive holds that does not answer is of no use.
  if (!found && found.error().code == base::ErrorCode::DeadlineExceeded) co_return nullptr;
  co_return found;
}

// Head and body of an object. TryAgain when nothing was sent because its bytes cannot be had any
// more.
net::Task<RequestPath::Answered> RequestPath::deliver(Work& work,
                                                      std::shared_ptr<const StoredObject> stored,
                                                      std::optional<cache::Fill::Reader> fill) {
  const http::RequestHead& head = work.exchange.head();
  Selection selection = select(head, *stored, work.now);
  if (would_take_for_file(head, selection.status)) {
    co_await fail(work, {base::ErrorCode::Unavailable,
                         "the origin answered " + std::to_string(selection.status)});
    co_return Answered::Yes;
  }
  if (!selection.parts.empty()) {
    // Whether parts come by themselves, a fill under way knows better than the stored head.
    if (!fill && !can_send_parts(*stored, selection, false)) {
      fill.emplace(join_fill(work, *stored, selection.parts));
    }
    if (work.fetches && work.only_if_cached) {
      co_await refuse_to_ask(work, nullptr);
      co_return Answered::Yes;
    }
    const bool has_come = fill && !work.fetches;
    if (has_come || can_send_parts(*stored, selection, !fill || (*fill)->is_seekable())) {
      co_return co_await deliver_parts(work, std::move(stored), selection, std::move(fill));
    }
    selection = {200, 0, stored->object->length()};  // it is on its way
  }
  if (selection.status == 412 && work.only_if_cached) {
    co_await refuse_to_ask(work, stored.get());
    co_return Answered::Yes;
  }
  if (selection.status == 412) {
    work.status = {.forwarded = cache::Forwarded::Request};
    fill.reset();  // it would go on for nobody
    co_await pass(work, "condition-for-the-origin");
    co_return Answered::Yes;
  }
  work.exchange.outcome.status = selection.status;
  const bool has_body = head.method == http::Method::Get && selection.length > 0;
  const http::ByteRange range{selection.first, selection.first + selection.length - 1};
  if (has_body && !fill && !stored->object->has_range(range.first, range.length())) {
    fill.emplace(join_fill(work, *stored, {&range, 1}));
  }
  if (work.fetches && work.only_if_cached) {
    co_await refuse_to_ask(work, nullptr);
    co_return Answered::Yes;
  }
  if (has_body && fill) {
    (*fill)->add_missing(slices_of(range), work.fetched);
    if (const auto instead = co_await await_first(work, *stored, *fill, range)) co_return *instead;
  }
  if (has_body && !fill) {
    if (const auto instead = co_await prepare_first(work, *stored, range)) co_return *instead;
  }
  const std::string written(
      write_stored_head(head_buffer(), *stored, selection, stored_facts(work, *stored)));
  if (written.empty()) {
    co_await fail(work, {base::ErrorCode::DataLoss, "the stored head is too long"});
    co_return Answered::Yes;
  }
  net::Outgoing out;
  out.head = written;
  work.head_sent = true;
  if (!co_await work.exchange.send(std::move(out))) co_return Answered::Yes;
  if (has_body) co_await deliver_range(work, *stored, fill, range);
  co_return Answered::Yes;
}

// Who asks so may want to know whether it is there at all.
net::Task<void> RequestPath::refuse_to_ask(Work& work, const StoredObject* unconfirmed) {
  if (unconfirmed != nullptr &&
      is_here(*unconfirmed, select(work.exchange.head(), *unconfirmed, work.now))) {
    co_await refuse(work, 504,
                    "what is stored must be confirmed, and the request does not allow to ask the "
                    "origin",
                    {}, "stored, to be confirmed");
  } else {
    co_await refuse(work, 504,
                    "this is not stored, and the request does not allow to ask the origin");
  }
}

net::Task<RequestPath::Answered> RequestPath::deliver_parts(
    Work& work, std::shared_ptr<const StoredObject> stored, const Selection& selection,
    std::optional<cache::Fill::Reader> fill) {
  const std::vector<http::ByteRange>& parts = selection.parts;
  // A reader for each part that lacks something, so that all of them are fetched at once.
  std::vector<std::optional<cache::Fill::Reader>> fills(parts.size());
  std::optional<std::size_t> first_missing;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (stored->object->has_range(parts[i].first, parts[i].length())) continue;
    fills[i].emplace(fill ? std::move(*fill) : join_fill(work, *stored, {&parts[i], 1}));
    fill.reset();
    (*fills[i])->add_missing(slices_of(parts[i]), work.fetched);
    if (first_missing) {
      fills[i]->ask(shared_request(work, stored.get()), slices_of(parts[i]));
    } else {
      first_missing = i;
    }
  }
  fill.reset();  // it would go on to ask for the whole
  if (!fills.front()) {
    if (const auto instead = co_await prepare_first(work, *stored, parts.front())) {
      co_return *instead;
    }
  }
  if (first_missing) {
    const auto instead =
        co_await await_first(work, *stored, *fills[*first_missing], parts[*first_missing]);
    if (instead) co_return *instead;
  }
  const MultipartFrame frame = frame_parts(*stored, selection, answer_id(work));
  work.exchange.outcome.status = selection.status;
  std::string text(
      write_multipart_head(head_buffer(), *stored, frame, stored_facts(work, *stored)));
  if (text.empty()) {
    co_await fail(work, {base::ErrorCode::DataLoss, "the stored head is too long"});
    co_return Answered::Yes;
  }
  for (const std::optional<cache::Fill::Reader>& part : fills) {
    if (part) part->promise();
  }
  work.head_sent = true;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    text += frame.heads[i];
    net::Outgoing out;
    out.head = text;
    if (!co_await work.exchange.send(std::move(out))) co_return Answered::Yes;
    text.clear();
    if (!co_await deliver_range(work, *stored, fills[i], parts[i])) co_return Answered::Yes;
    fills[i].reset();
  }
  net::Outgoing out;
  out.head = frame.end;
  co_await work.exchange.send(std::move(out));
  co_return Answered::Yes;
}

cache::Fill::Reader RequestPath::join_fill(Work& work, const StoredObject& stored,
                                           std::span<const http::ByteRange> ranges) {
  cache::Fill::Reader fill = delivery_.fills.complete(work.target.key, stored.object,
                                                      stored.response, work.target.policy.identity);
  const bool has_come = std::ranges::all_of(
      ranges, [&](const http::ByteRange& range) { return fill->has(slices_of(range)); });
  if (has_come) return fill;
  work.fetches = true;
  if (work.status.forwarded == cache::Forwarded::No)
    work.status.forwarded = cache::Forwarded::Partial;
  work.exchange.outcome.cache = "miss";
  return fill;
}

net::Task<std::optional<RequestPath::Answered>> RequestPath::prepare_first(
    Work& work, const StoredObject& stored, http::ByteRange range) {
  const store::Object& object = *stored.object;
  const std::uint64_t length = std::min(range.length(), kWindow);
  const base::Status prepared = co_await prepare(stored.object, range.first, length);
  if (prepared) co_return std::nullopt;
  const bool is_lost = object.is_removed() || !object.has_range(range.first, length);
  if (is_lost) co_return Answered::TryAgain;
  co_await fail(work, prepared.error());
  co_return Answered::Yes;
}

net::Task<std::optional<RequestPath::Answered>> RequestPath::await_first(Work& work,
                                                                         const StoredObject& stored,
                                                                         cache::Fill::Reader& fill,
                                                                         http::ByteRange range) {
  fill.ask(shared_request(work, &stored), slices_of(range));
  const std::uint32_t index = slices_of(range).first;
  const auto first =
      co_await fill.slice(index, range.first - index * kSliceSize, first_byte_deadline(work));
  if (first) co_return std::nullopt;
  if (first.error().code == base::ErrorCode::FailedPrecondition) {
    fill.leave();
    co_await pass(work, "not-kept-or-much-later");
    co_return Answered::Yes;
  }
  if (first.error().code != base::ErrorCode::DataLoss) {
    co_await fail(work, first.error());
    co_return Answered::Yes;
  }
  co_await remove_with_variants(delivery_, stored.object);
  co_return Answered::TryAgain;
}

AnswerFacts RequestPath::stored_facts(const Work& work, const StoredObject& stored) const {
  AnswerFacts answer = facts(work);
  answer.age = std::max(std::chrono::seconds(0), cache::current_age(stored.response, work.now));
  if (work.status.forwarded != cache::Forwarded::No && !work.stands_in) {
    answer.cache_status.stored = !delivery_.fills.drives_refuse();
    if (!answer.cache_status.stored) answer.cache_status.detail = "the drives refuse what comes";
  }
  return answer;
}

net::Task<bool> RequestPath::deliver_range(Work& work, const StoredObject& stored,
                                           std::optional<cache::Fill::Reader>& fill,
                                           http::ByteRange range) {
  const bool is_agent = is_delivery_optimization(work.exchange.head());
  work.pace.begin(std::chrono::steady_clock::now(), is_agent);
  std::uint64_t at = range.first;
  const std::uint64_t end = range.last + 1;
  while (at < end) {
    const bool is_stored = stored.object->has_slice(static_cast<std::uint32_t>(at / kSliceSize));
    if (!is_stored && !fill) {
      work.fetches = true;
      fill.emplace(delivery_.fills.complete(work.target.key, stored.object, stored.response,
                                            work.target.policy.identity));
      (*fill)->add_missing(slices_of({at, range.last}), work.fetched);
      fill->ask(shared_request(work, &stored), slices_of({at, range.last}));
      fill->promise();
    }
    const bool going_on = is_stored ? co_await deliver_stored(work, stored, at, end)
                                    : co_await deliver_arriving(work, *fill, at, end);
    // How long stored bytes took is the client's affair.
    if (is_stored) work.pace.begin(std::chrono::steady_clock::now(), is_agent);
    if (!going_on) {
      work.exchange.outcome.cut();
      work.exchange.close_connection();
      co_return false;
    }
  }
  co_return true;
}

void RequestPath::count_sent(Work& work, std::uint64_t offset, std::uint64_t count) {
  const std::uint64_t fetched = work.fetched.bytes_in(offset, count);
  work.exchange.outcome.body_from_origin += fetched;
  work.exchange.outcome.body_from_store += count - fetched;
}

net::Task<bool> RequestPath::deliver_stored(Work& work, const StoredObject& stored,
                                            std::uint64_t& at, std::uint64_t end) {
  store::Object& object = *stored.object;
  std::uint64_t stop = at;
  while (stop < end && stop < at + kWindow &&
         object.has_slice(static_cast<std::uint32_t>(stop / kSliceSize))) {
    stop = std::min(end, (stop / kSliceSize + 1) * kSliceSize);
  }
  const std::uint64_t length = stop - at;
  if (const base::Status prepared = co_await prepare(stored.object, at, length); !prepared) {
    // What was dropped is fetched again; anything else cannot be repaired here.
    if (object.has_range(at, length)) {
      tell_cut(work, prepared.error().message);
      co_return false;
    }
    base::log_warning("stored bytes cannot be used", {{"reason", prepared.error().message}});
    for (std::uint32_t index = slices_of({at, stop - 1}).first;
         index <= slices_of({at, stop - 1}).second; ++index) {
      if (!object.has_slice(index)) work.fetched.add(index);
    }
    co_return true;
  }
  net::Outgoing out;
  out.file = object.fd();
  out.file_offset = object.file_offset_of(at);
  out.file_length = length;
  // Where a page was lost under the mapping, the file itself is read: it was just prepared so.
  if (!object.has_faulted()) {
    out.mapped = object.window(at, length).data();
    out.mapped_failed = mapped_read_failed;
  }
  out.owner = std::shared_ptr<const void>(stored.shared_from_this());
  const std::uint64_t before = work.exchange.outcome.bytes;
  const bool sent = co_await work.exchange.send(std::move(out));
  count_sent(work, at, work.exchange.outcome.bytes - before);
  at = stop;
  co_return sent;
}

net::Task<bool> RequestPath::deliver_arriving(Work& work, cache::Fill::Reader& fill,
                                              std::uint64_t& at, std::uint64_t end) {
  const auto index = static_cast<std::uint32_t>(at / kSliceSize);
  const std::uint64_t start = index * kSliceSize;
  const auto source = co_await fill.slice(index, at - start, work.pace.deadline());
  if (!source) {
    tell_cut(work, source.error().message);
    co_return false;
  }
  const std::shared_ptr<cache::SliceBuffer> buffer = *source;
  if (!buffer) co_return true;  // stored meanwhile
  const std::uint64_t stop = std::min(end, start + buffer->length);
  while (at < stop) {
    const std::uint64_t filled = buffer->filled.load(std::memory_order_acquire);
    if (start + filled <= at) {
      if (co_await fill->progress(*buffer, at - start, work.pace.deadline())) continue;
      // Nobody feeds it any more: the next round starts another fetch.
      if (std::chrono::steady_clock::now() < work.pace.deadline()) co_return true;
      tell_cut(work, "the origin stalled");
      co_return false;
    }
    net::Outgoing out;
    const std::uint64_t count = std::min(start + filled, stop) - at;
    out.memory = {reinterpret_cast<const char*>(buffer->bytes.get()) + (at - start), count};
    out.owner = buffer;
    const std::uint64_t before = work.exchange.outcome.bytes;
    const bool sent = co_await work.exchange.send(std::move(out));
    count_sent(work, at, work.exchange.outcome.bytes - before);
    if (!sent) co_return false;
    at += count;
    if (!work.pace.sent(count, std::chrono::steady_clock::now()) && at < end) {
      tell_cut(work, DeliveryPace::kTooSlow);
      co_return false;
    }
  }
  co_return true;
}

}  // namespace larder::node
