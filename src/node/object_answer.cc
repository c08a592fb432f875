// The part of the request path that sends stored and arriving bytes.

#include <algorithm>

#include "base/log.h"
#include "node/client_kind.h"
#include "node/request_path.h"

namespace larder::node {

namespace {

using store::kSliceSize;

// Bytes handed to the socket at a time: bounds how long a slow reader holds an object.
constexpr std::uint64_t kWindow = 8 << 20;

}  // namespace

net::Task<base::Status> RequestPath::prepare(store::Object& object, std::uint64_t offset,
                                             std::uint64_t length) {
  if (object.is_ready(offset, length)) co_return base::Status{};
  store::Store& store = delivery_.store;
  co_return co_await delivery_.disk.run(
      [&]() -> base::Status { return store.prepare(object, offset, length); });
}

net::Task<base::Result<std::shared_ptr<store::Object>>> RequestPath::find(const store::Key& key) {
  if (std::shared_ptr<store::Object> object = delivery_.store.find_open(key)) co_return object;
  if (!delivery_.store.contains(key)) co_return nullptr;
  store::Store& store = delivery_.store;
  co_return co_await delivery_.disk.run(
      [&]() -> base::Result<std::shared_ptr<store::Object>> { return store.find(key); });
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
    if (std::all_of(selection.parts.begin(), selection.parts.end(), [&](const auto& part) {
          return stored->object->has_range(part.first, part.length());
        })) {
      co_await deliver_parts(work, *stored, selection);
      co_return Answered::Yes;
    }
    // Nobody waits for the gaps between parts: the whole is on its way.
    selection = {200, 0, stored->object->length()};
  }
  if (selection.status == 412) {
    work.status = {.forwarded = cache::Forwarded::Request};
    co_await pass(work, "condition-for-the-origin");
    co_return Answered::Yes;
  }
  work.exchange.outcome.status = selection.status;
  std::uint64_t at = selection.first;
  const std::uint64_t end =
      head.method == http::Method::Get ? selection.first + selection.length : selection.first;
  if (at < end && !fill && !stored->object->has_range(at, end - at)) {
    fill.emplace(delivery_.fills.acquire(work.target.key, stored->object, &stored->response,
                                         work.target.policy.identity));
    if (work.status.forwarded == cache::Forwarded::No)
      work.status.forwarded = cache::Forwarded::Partial;
    work.exchange.outcome.cache = "miss";
  }
  // The first missing slice must be on its way before the head promises anything.
  if (at < end && fill) {
    const auto index = static_cast<std::uint32_t>(at / kSliceSize);
    const auto last = static_cast<std::uint32_t>((end - 1) / kSliceSize);
    fill->ask(shared_request(work, stored.get()), {index, last});
    const auto first =
        co_await fill->slice(index, at - index * kSliceSize, first_byte_deadline(work));
    if (!first) {
      if (first.error().code == base::ErrorCode::DataLoss) {
        store::Store& store = delivery_.store;
        co_await delivery_.disk.run([&]() -> base::Status {
          store.remove(*stored->object);
          return {};
        });
        co_return Answered::TryAgain;
      }
      co_await fail(work, first.error());
      co_return Answered::Yes;
    }
  }
  if (at < end && !fill) {
    // An overloaded drive is told before anything is promised.
    const std::uint64_t length = std::min(end - at, kWindow);
    const base::Status prepared = co_await prepare(*stored->object, at, length);
    if (!prepared && prepared.error().code == base::ErrorCode::ResourceExhausted) {
      co_await fail(work, prepared.error());
      co_return Answered::Yes;
    }
  }
  AnswerFacts answer = facts(work);
  answer.age = std::max(std::chrono::seconds(0), cache::current_age(stored->response, work.now));
  if (work.status.forwarded != cache::Forwarded::No) {
    answer.cache_status.stored = !delivery_.fills.drives_refuse();
    if (!answer.cache_status.stored) answer.cache_status.detail = "the drives refuse what comes";
  }
  const std::string written(write_stored_head(head_buffer(), *stored, selection, answer));
  if (written.empty()) {
    co_await fail(work, {base::ErrorCode::DataLoss, "the stored head is too long"});
    co_return Answered::Yes;
  }
  net::Outgoing out;
  out.head = written;
  work.head_sent = true;
  if (!co_await work.exchange.send(std::move(out))) co_return Answered::Yes;
  work.pace.begin(std::chrono::steady_clock::now(), is_delivery_optimization(head));
  while (at < end) {
    const bool is_stored = stored->object->has_slice(static_cast<std::uint32_t>(at / kSliceSize));
    if (!is_stored && !fill) {
      fill.emplace(delivery_.fills.acquire(work.target.key, stored->object, &stored->response,
                                           work.target.policy.identity));
      fill->ask(shared_request(work, stored.get()),
                {static_cast<std::uint32_t>(at / kSliceSize),
                 static_cast<std::uint32_t>((end - 1) / kSliceSize)});
    }
    const bool going_on = is_stored ? co_await deliver_stored(work, *stored, at, end)
                                    : co_await deliver_arriving(work, *fill, at, end);
    // How long stored bytes took is the client's affair.
    if (is_stored)
      work.pace.begin(std::chrono::steady_clock::now(), is_delivery_optimization(head));
    if (!going_on) {
      work.exchange.outcome.complete = false;
      work.exchange.close_connection();
      co_return Answered::Yes;
    }
  }
  co_return Answered::Yes;
}

net::Task<void> RequestPath::deliver_parts(Work& work, const StoredObject& stored,
                                           const Selection& selection) {
  const MultipartFrame frame = frame_parts(stored, selection, answer_id(work));
  AnswerFacts answer = facts(work);
  answer.age = std::max(std::chrono::seconds(0), cache::current_age(stored.response, work.now));
  work.exchange.outcome.status = selection.status;
  std::string text(write_multipart_head(head_buffer(), stored, frame, answer));
  if (text.empty()) {
    co_await fail(work, {base::ErrorCode::DataLoss, "the stored head is too long"});
    co_return;
  }
  work.head_sent = true;
  const auto cut = [&work] {
    work.exchange.outcome.complete = false;
    work.exchange.close_connection();
  };
  for (std::size_t i = 0; i < selection.parts.size(); ++i) {
    text += frame.heads[i];
    net::Outgoing out;
    out.head = text;
    if (!co_await work.exchange.send(std::move(out))) co_return;
    text.clear();
    std::uint64_t at = selection.parts[i].first;
    const std::uint64_t end = selection.parts[i].last + 1;
    while (at < end) {
      const auto slice = static_cast<std::uint32_t>(at / kSliceSize);
      if (!stored.object->has_slice(slice) || !co_await deliver_stored(work, stored, at, end)) {
        cut();
        co_return;
      }
    }
  }
  net::Outgoing out;
  out.head = frame.end;
  co_await work.exchange.send(std::move(out));
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
  if (const base::Status prepared = co_await prepare(object, at, length); !prepared) {
    base::log_warning("stored bytes cannot be used", {{"reason", prepared.error().message}});
    // A slice that was dropped is fetched again; anything else cannot be repaired here.
    co_return !object.has_slice(static_cast<std::uint32_t>(at / kSliceSize));
  }
  net::Outgoing out;
  out.file = object.fd();
  out.file_offset = object.file_offset_of(at);
  out.file_length = length;
  out.mapped = object.window(at, length).data();
  out.mapped_failed = mapped_read_failed;
  out.owner = std::shared_ptr<const void>(stored.shared_from_this());
  if (!co_await work.exchange.send(std::move(out))) co_return false;
  (work.filled_now ? work.exchange.outcome.body_from_origin
                   : work.exchange.outcome.body_from_store) += length;
  at = stop;
  co_return true;
}

net::Task<bool> RequestPath::deliver_arriving(Work& work, cache::Fill::Reader& fill,
                                              std::uint64_t& at, std::uint64_t end) {
  const auto index = static_cast<std::uint32_t>(at / kSliceSize);
  const std::uint64_t start = index * kSliceSize;
  const auto source = co_await fill.slice(index, at - start, work.pace.deadline());
  if (!source) {
    base::log_warning("an answer was cut", {{"reason", source.error().message}});
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
      co_return std::chrono::steady_clock::now() < work.pace.deadline();
    }
    net::Outgoing out;
    const std::uint64_t count = std::min(start + filled, stop) - at;
    out.memory = {reinterpret_cast<const char*>(buffer->bytes.get()) + (at - start), count};
    out.owner = buffer;
    if (!co_await work.exchange.send(std::move(out))) co_return false;
    work.exchange.outcome.body_from_origin += count;
    at += count;
    if (!work.pace.sent(count, std::chrono::steady_clock::now()) && at < end) {
      base::log_warning("an answer was cut",
                        {{"reason", "the origin is too slow for this client"}});
      co_return false;
    }
  }
  co_return true;
}

}  // namespace larder::node
