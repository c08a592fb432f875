#include "node/request_path.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "cache/variant.h"
#include "http/conditional.h"
#include "http/forwarding.h"
#include "node/client_kind.h"
#include "node/first_slices.h"

namespace larder::node {

namespace {

using store::kSliceSize;

// Longest range that is answered without waiting, in bytes.
constexpr std::uint64_t kLongestAtOnce = 8 << 20;

// Why a request was refused that `upstream_rate` does not admit.
constexpr std::string_view kUpstreamRate = "upstream-rate";

// Content of these has no meaning (RFC 9110 sections 9.3.1, 9.3.2 and 9.3.8). An origin that does
// not read it takes it for the next request on its connection, whose answer another client would
// get.
bool has_no_use_for_body(http::Method method) {
  return method == http::Method::Get || method == http::Method::Head ||
         method == http::Method::Trace;
}

// A condition that only the origin may judge, and that does not hold for what is coming.
bool condition_fails(const http::RequestHead& head, const cache::StoredResponse& response,
                     base::WallTime now) {
  return response.status == 200 &&
         http::evaluate_preconditions(head, {response.etag(), response.last_modified()}, true,
                                      now) == http::Precondition::Failed;
}

// For the log: the host that the request is for, as the client named it.
std::string_view origin_host(const http::RequestHead& head) {
  // Where a parameter names the origin, Host is only this node.
  constexpr std::string_view kParameter = "cacheHostOrigin=";
  const std::size_t named = head.query.rfind(kParameter);
  if (named != std::string_view::npos) {
    const std::string_view host = head.query.substr(named + kParameter.size());
    return host.substr(0, std::min<std::size_t>(host.find('&'), 253));
  }
  return head.form == http::TargetForm::Absolute ? head.authority : head.host.value_or("-");
}

}  // namespace

// A hit that needs no wait: everything below runs on the loop thread without a lock held and
// without allocation in the usual case.
bool RequestPath::try_answer(server::Exchange& exchange, net::Outgoing& out) {
  const http::RequestHead& head = exchange.head();
  if (head.method != http::Method::Get && head.method != http::Method::Head) return false;
  if (is_for_challenge(head)) return false;
  RequestTarget& target = hit_target_;
  resolve_target(head, tls_, loop_->policy->hosts, delivery_.store.secret(), target);
  if (target.origin == nullptr) return false;
  std::shared_ptr<store::Object> object = delivery_.store.find_open(target.key);
  if (!object) return false;
  // Before its metadata is looked at: what is kept must not count as newer than it is.
  const std::uint64_t revision = object->revision();
  const std::shared_ptr<const StoredObject> stored = loop_->hot.get(std::move(object));
  if (!stored) return false;
  const base::WallTime now = delivery_.clock.wall();
  const cache::UseDecision use =
      cache::decide_to_use(&stored->response, target.key_text, head, target.policy, now);
  if (use.kind != cache::UseDecision::Kind::Serve) return false;
  const Selection selection = select(head, *stored, now);
  // Those have rules of their own, and are rare.
  if (selection.status == 412 || !selection.parts.empty() ||
      (selection.status > 200 && selection.status < 206)) {
    return false;
  }
  const bool has_body = head.method == http::Method::Get && selection.length > 0;
  if (has_body && stored->body.empty()) {
    if (selection.length > kLongestAtOnce ||
        !stored->object->is_ready(selection.first, selection.length)) {
      return false;
    }
  }
  loop_->name_request(exchange);
  AnswerFacts answer;
  answer.age = use.age;
  answer.cache_status.time_to_live = use.remaining;
  answer.request_id = {exchange.outcome.request_id.data(), exchange.outcome.request_id.size()};
  answer.appearance = target.appearance;
  answer.close = exchange.closing();
  answer.version_minor = head.version_minor;
  out.head = write_stored_head(head_buffer(), *stored, selection, answer);
  if (out.head.empty()) return false;
  if (has_body) {
    if (!stored->body.empty()) {
      out.memory = std::string_view(stored->body).substr(selection.first, selection.length);
    } else {
      out.file = stored->object->fd();
      out.file_offset = stored->object->file_offset_of(selection.first);
      out.file_length = selection.length;
      out.mapped = stored->object->window(selection.first, selection.length).data();
      out.mapped_failed = mapped_read_failed;
    }
    exchange.outcome.body_from_store = selection.length;
  }
  out.owner = stored;
  exchange.outcome.origin = target.origin->counted_at;
  exchange.outcome.status = selection.status;
  exchange.outcome.cache = "hit";
  exchange.outcome.reason = use.reason;
  if (!stored->body.empty()) remember(exchange, out, stored, revision, use, now);
  return true;
}

void RequestPath::remember(const server::Exchange& exchange, const net::Outgoing& out,
                           const std::shared_ptr<const StoredObject>& stored,
                           std::uint64_t revision, const cache::UseDecision& use,
                           base::WallTime now) {
  const http::RequestHead& head = exchange.head();
  // Secrets of clients are not kept.
  if (exchange.closing() || use.remaining <= std::chrono::seconds(1) ||
      head.has(http::FieldName::Authorization) || head.has(http::FieldName::Cookie)) {
    return;
  }
  RecentAnswer* const answer = recent_answers().admit(exchange.raw_head(), out.size());
  if (answer == nullptr) return;
  const std::string_view id(exchange.outcome.request_id.data(), exchange.outcome.request_id.size());
  answer->bytes.assign(out.head).append(out.memory);
  answer->request_id_at = answer->bytes.find(id);
  const std::chrono::microseconds age =
      stored->response.freshness.initial_age + (now - stored->response.response_time);
  answer->until = exchange.start() + std::chrono::seconds(1) -
                  (age - std::chrono::floor<std::chrono::seconds>(age));
  answer->stored = stored;
  answer->revision = revision;
  answer->body = out.memory.size();
  answer->status = exchange.outcome.status;
  answer->origin = exchange.outcome.origin;
  answer->reason = use.reason;
  loop_->write_line(exchange, tls_ ? "https" : "http", origin_host(head), out.size(), answer->line);
  if (answer->request_id_at == std::string::npos) answer->until = {};
}

std::string_view RequestPath::repeat(std::string_view received, base::SteadyTime now) {
  RecentAnswer* const answer = recent_answers().find(received, now);
  repeated_ = answer;
  if (answer == nullptr) return {};
  delivery_.store.note_use(*answer->stored->object);
  loop_->write_request_id(answer->bytes.data() + answer->request_id_at);
  return answer->bytes;
}

void RequestPath::repeated(const server::Peer& peer, base::SteadyTime start) {
  loop_->record_repeated(peer, *repeated_, start);
}

void RequestPath::partly_repeated(server::Exchange& exchange) {
  const RecentAnswer& answer = *repeated_;
  server::Outcome& outcome = exchange.outcome;
  outcome.status = answer.status;
  outcome.cache = "hit";
  outcome.reason = answer.reason;
  outcome.bytes = answer.bytes.size();
  outcome.body_from_store = answer.body;
  outcome.origin = answer.origin;
  answer.bytes.copy(outcome.request_id.data(), outcome.request_id.size(), answer.request_id_at);
}

std::string RequestPath::allowed_methods(const OriginSettings& origin) {
  std::string list;
  for (const std::string& method : origin.methods) {
    if (method == "*") return "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";  // and all others
    list += (list.empty() ? "" : ", ") + method;
  }
  return list;
}

net::Task<void> RequestPath::answer(server::Exchange& exchange) {
  Work work(exchange, loop_->policy);
  loop_->name_request(exchange);
  work.now = delivery_.clock.wall();
  work.began = delivery_.invalidations.now();
  work.asked = exchange.start();
  const http::RequestHead& head = exchange.head();
  if (head.has_body() && has_no_use_for_body(head.method)) {
    co_await refuse(work, 400, "a request with this method has no body");
    co_return;
  }
  if (is_for_challenge(head) && co_await answer_challenge(work)) co_return;
  resolve_target(head, tls_, work.policy->hosts, delivery_.store.secret(), work.target);

  const http::OriginChoice& choice = work.target.choice;
  if (choice.kind == http::OriginChoice::Kind::Refuse) {
    co_await refuse(work, choice.status, choice.reason,
                    choice.status == 405 ? "Allow: GET, HEAD\r\n" : "");
    co_return;
  }
  if (choice.kind == http::OriginChoice::Kind::Local) {
    co_await answer_locally(work);
    co_return;
  }
  exchange.outcome.origin = work.target.origin->counted_at;
  if (!work.target.origin->allows_method(head.method_text)) {
    co_await refuse(work, 405, "this origin does not take that method",
                    "Allow: " + allowed_methods(*work.target.origin) + "\r\n");
    co_return;
  }
  if (http::came_through(head, delivery_.via)) {
    co_await fail(work, {base::ErrorCode::Internal, "the request came back to this node: a loop"},
                  {}, cache::kLoopDetail);
    co_return;
  }
  complete_policy(work.target);
  work.url_text = work.target.key_text;
  work.url_key = work.target.key;
  if (head.method != http::Method::Get && head.method != http::Method::Head) {
    co_await pass(work, "method");
    co_return;
  }
  // A generation that changes at the origin before the first byte left here is asked for once more.
  for (work.attempt = 0; work.attempt < 3;) {
    const Answered answered = co_await answer_from_cache(work);
    if (answered == Answered::Yes) co_return;
    if (answered == Answered::TryAgain) ++work.attempt;
  }
  co_await fail(work, {base::ErrorCode::Unavailable, "the object keeps changing at its origin"});
}

net::Task<RequestPath::Answered> RequestPath::answer_from_cache(Work& work) {
  const http::RequestHead& head = work.exchange.head();
  work.status = {};
  work.must_validate = false;
  work.stands_in = false;
  work.fetches = false;
  work.fetched.clear();
  work.exchange.outcome.cache = "-";
  base::Result<std::shared_ptr<const StoredObject>> found = co_await look_up(work);
  if (!found) {
    co_await fail(work, found.error());
    co_return Answered::Yes;
  }
  std::shared_ptr<const StoredObject> stored = std::move(*found);
  const cache::UseDecision use =
      cache::decide_to_use(stored ? &stored->response : nullptr, work.target.key_text, head,
                           work.target.policy, work.now);
  using Kind = cache::UseDecision::Kind;
  if ((use.kind == Kind::Miss || use.kind == Kind::Unsatisfied) && co_await find_over_https(work)) {
    co_return co_await answer_from_cache(work);
  }
  work.exchange.outcome.reason = use.reason;
  work.only_if_cached = use.only_if_cached;
  switch (use.kind) {
    case Kind::Serve:
      work.exchange.outcome.cache = "hit";
      work.status.time_to_live = use.remaining;
      co_return co_await deliver(work, std::move(stored), std::nullopt);
    case Kind::Unsatisfied:
      co_await refuse_to_ask(work, use.unconfirmed ? stored.get() : nullptr);
      co_return Answered::Yes;
    case Kind::Pass:
      co_await pass(work, use.reason);
      co_return Answered::Yes;
    case Kind::ServeStaleWhileRevalidate:
      work.exchange.outcome.cache = "hit";
      work.status.time_to_live = use.remaining;
      revalidate_in_background(delivery_, {work.target.key, stored, shared_request(work),
                                           opening_facts(work, stored.get())});
      co_return co_await deliver(work, std::move(stored), std::nullopt);
    case Kind::Revalidate:
      work.status.forwarded = use.remaining > std::chrono::seconds(0) ? cache::Forwarded::Request
                                                                      : cache::Forwarded::Stale;
      work.must_validate = stored->response.freshness.must_revalidate ||
                           stored->response.freshness.always_revalidate;
      if (head.method == http::Method::Head) {
        work.head_of = std::move(stored);
        break;
      }
      co_return co_await open_and_deliver(work, std::move(stored));
    case Kind::Miss:
      work.status.forwarded = stored || work.target.key != work.url_key ? cache::Forwarded::VaryMiss
                                                                        : cache::Forwarded::UriMiss;
      if (head.method == http::Method::Head) break;
      co_return co_await open_and_deliver(work, nullptr);
  }
  co_await pass(work, work.head_of ? use.reason : "head-of-an-unknown-object");
  co_return Answered::Yes;
}

// Asks the origin, together with everybody else who wants the same object.
net::Task<RequestPath::Answered> RequestPath::open_and_deliver(
    Work& work, std::shared_ptr<const StoredObject> stale) {
  const http::RequestHead& head = work.exchange.head();
  const bool has_fallback =
      stale && cache::may_serve_on_error(stale->response, kServedOffline, work.now);
  if (!has_fallback &&
      delivery_.hit_for_miss.covers(work.target.key, head.has(http::FieldName::Range),
                                    std::chrono::steady_clock::now())) {
    work.learns_from_pass = true;
    co_await pass(work, "lately-not-shareable");
    co_return Answered::Yes;
  }
  work.exchange.outcome.cache = "miss";
  cache::Fill::Reader fill = delivery_.fills.open(work.target.key, work.target.policy.identity,
                                                  stale ? stale->object : nullptr);
  // What somebody else's fill brought between the look-up and here is not fetched once more.
  if (work.status.forwarded == cache::Forwarded::UriMiss && work.attempt == 0 &&
      delivery_.store.contains(work.target.key)) {
    co_return Answered::TryAgain;
  }
  if (stale && stale->object->is_removed() && work.attempt == 0) co_return Answered::TryAgain;
  cache::OriginRequest request = shared_request(work);
  if (stale) {
    for (const http::ResponseField& field : cache::validation_fields(stale->response)) {
      request.fields.emplace_back(field.name, field.value);
    }
  }
  const FirstSlices slices =
      first_slices(http::parse_earliest_range(head.last_field(http::FieldName::Range)));
  const bool leads =
      fill->open(request, slices.slices, judge_opening(opening_facts(work, stale.get()), delivery_),
                 slices.or_whole);
  work.status.collapsed = !leads;

  const base::Result<cache::Fill::Phase> phase = co_await fill->opened(first_byte_deadline(work));
  const bool failed = !phase || *phase == cache::Fill::Phase::Failed;
  if (failed) {
    // A head that still comes has nobody to go to.
    if (leads) fill->drop_pass();
    const base::Error error = phase ? fill->error() : phase.error();
    if (has_fallback) {
      work.exchange.outcome.cache = "hit";
      work.exchange.outcome.reason = "stale-origin-unreachable";
      work.stands_in = true;
      co_return co_await deliver(work, std::move(stale), std::nullopt);
    }
    // It had opened: others have lost what it brought, or it is another object by now.
    if (error.code == base::ErrorCode::DataLoss && fill->object()) co_return Answered::TryAgain;
    co_await fail(work, error);
    co_return Answered::Yes;
  }
  switch (*phase) {
    case cache::Fill::Phase::Open: {
      std::shared_ptr<const StoredObject> stored = loop_->hot.get(fill->object());
      if (!stored) {
        co_await fail(work, {base::ErrorCode::Internal, "the new object cannot be read"});
        co_return Answered::Yes;
      }
      if (!leads && !cache::matches_vary(stored->response, head, work.target.policy.fill)) {
        // By now it is known by what the answers differ.
        if (work.attempt < 2) co_return Answered::TryAgain;
        fill.leave();
        co_await pass(work, "another-variant-is-being-filled");
        co_return Answered::Yes;
      }
      if (leads) stored = for_first(std::move(stored), fill->head());
      work.fetches = true;
      work.fetched.add_all();
      co_return co_await deliver(work, std::move(stored), std::move(fill));
    }
    case cache::Fill::Phase::Streaming: {
      const std::shared_ptr<cache::SharedStream::Reader> reader = fill->stream()->join();
      if (!leads && !cache::matches_vary(fill->response(), head, work.target.policy.fill)) {
        if (work.attempt < 2) co_return Answered::TryAgain;
        co_await pass(work, "another-variant-is-being-filled");
      } else if (!leads && !may_join(work, *fill.operator->())) {
        co_await pass(work, "an-older-answer-is-coming");
      } else if (condition_fails(head, fill->response(), work.now)) {
        if (reader) reader->abandon();
        fill.leave();
        co_await pass(work, "condition-for-the-origin");
      } else if (!reader) {
        co_await pass(work, "too-long-to-be-stored");
      } else {
        if (!leads) {
          work.joined_age = cache::current_age(fill->response(), delivery_.clock.wall());
        }
        co_await deliver_pass(work, reader, true, reader.get());
      }
      co_return Answered::Yes;
    }
    case cache::Fill::Phase::NotModified: {
      if (!stale)
        co_return Answered::TryAgain;  // confirmed for somebody who had an object; we have none yet
      const std::shared_ptr<const StoredObject> fresh =
          co_await refresh_stored(delivery_, stale, cache::update_after_304, fill->head(),
                                  {work.now, delivery_.clock.wall()}, work.target.policy, leads);
      if (!fresh) co_return Answered::TryAgain;
      work.exchange.outcome.cache = "hit";
      work.exchange.outcome.reason = "revalidated";
      work.status.forward_status = 304;
      co_return co_await deliver(work, fresh, std::nullopt);
    }
    case cache::Fill::Phase::Unshared:
      co_return co_await answer_unshared(work, std::move(fill), leads, std::move(request.target),
                                         std::move(stale));
    case cache::Fill::Phase::Opening:
    case cache::Fill::Phase::Failed:
      break;
  }
  co_return Answered::TryAgain;
}

// RFC 9111 section 4: who comes in the middle of an answer gets it only where it could be served
// from the store, or has hardly begun. Delivery Optimization clients come back for what they were
// told is being filled.
bool RequestPath::may_join(const Work& work, const cache::Fill& stream) const {
  const http::RequestHead& head = work.exchange.head();
  if (stream.is_new(delivery_.clock.steady()) || is_delivery_optimization(head)) return true;
  const cache::StoredResponse response = stream.response();
  const cache::UseDecision use = cache::decide_to_use(&response, response.key, head,
                                                      work.target.policy, delivery_.clock.wall());
  return use.kind == cache::UseDecision::Kind::Serve;
}

net::Task<void> RequestPath::refuse(Work& work, int status, std::string_view reason,
                                    std::string_view lines, std::string_view detail) {
  work.exchange.outcome.status = status;
  work.exchange.outcome.cache = "refused";
  work.exchange.outcome.reason = "-";
  if (work.exchange.head().has_body()) work.exchange.close_connection();
  AnswerFacts answer = facts(work);
  answer.cache_status.forwarded = cache::Forwarded::Bypass;
  answer.cache_status.detail = detail;
  const std::string text = write_own_answer(status, reason, answer, lines);
  net::Outgoing out;
  out.head = text;
  co_await work.exchange.send(std::move(out));
}

// An origin that fails is never a 4xx of ours: that would keep Delivery Optimization clients away
// for 15 minutes.
net::Task<void> RequestPath::fail(Work& work, const base::Error& error, std::string_view lines,
                                  std::string_view detail) {
  if (work.head_sent) {
    work.exchange.outcome.cut();
    work.exchange.close_connection();
    co_return;
  }
  int status = 502;
  // Cut off from an origin that has to be asked (RFC 9111 section 5.2.2.2).
  const bool is_cut_off = error.code == base::ErrorCode::Unavailable && work.must_validate;
  const bool is_late = error.code == base::ErrorCode::DeadlineExceeded;
  if (is_late || is_cut_off) status = 504;
  if (error.code == base::ErrorCode::ResourceExhausted) status = 503;
  // That is what was configured, and no failure.
  const bool is_capped = cache::is_refused_by_cap(error);
  if (!is_capped) {
    base::log_warning("an origin could not be used",
                      {{"host", std::string(work.target.choice.authority.host())},
                       {"reason", error.message},
                       {"request", std::string(answer_id(work))}});
  }
  work.exchange.outcome.status = status;
  work.exchange.outcome.cache = is_capped ? "refused" : "error";
  work.exchange.outcome.reason = is_capped ? kUpstreamRate : base::name(error.code);
  AnswerFacts answer = facts(work);
  answer.cache_status.forwarded = cache::Forwarded::Miss;
  answer.cache_status.detail = is_capped         ? kUpstreamRate
                               : !detail.empty() ? detail
                               : is_late         ? "origin-timeout"
                                                 : "origin-failed";
  const std::string text =
      write_own_answer(status,
                       status == 503 ? "not now: try again later, or ask the origin"
                                     : "the origin cannot be used now",
                       answer, lines);
  net::Outgoing out;
  out.head = text;
  co_await work.exchange.send(std::move(out));
}

cache::OriginRequest RequestPath::shared_request(const Work& work,
                                                 const StoredObject* stored) const {
  const http::RequestHead& head = work.exchange.head();
  cache::OriginRequest request;
  request.host = stored != nullptr && !stored->response.host.empty()
                     ? std::string_view(stored->response.host)
                     : work.target.choice.authority.host();
  request.key = work.target.key;
  request.https = work.target.https;
  request.target = work.target.choice.path;
  if (work.target.choice.has_query) request.target += "?" + std::string(work.target.choice.query);
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (http::may_send_to_origin(head, head.fields[i], work.target.policy.fill)) {
      request.fields.emplace_back(head.fields[i].name, head.fields[i].value);
    }
  }
  request.fields.emplace_back("Via", http::via_to_origin(head, delivery_.via));
  request.serves_ranges = work.target.origin->is_profile;
  request.on_interim = work.interim.receiver(work.target.appearance);
  return request;
}

AnswerFacts RequestPath::facts(const Work& work) const {
  AnswerFacts answer;
  answer.date = server::http_date_now();
  answer.age = work.joined_age;
  answer.cache_status = work.status;
  answer.request_id = answer_id(work);
  answer.appearance = work.target.appearance;
  answer.close = work.exchange.closing();
  answer.version_minor = work.exchange.head().version_minor;
  answer.head_only = work.exchange.head().method == http::Method::Head;
  return answer;
}

void RequestPath::finished(const server::Exchange& exchange) {
  loop_->record(exchange, tls_ ? "https" : "http", origin_host(exchange.head()));
}

void RequestPath::refused(const server::Peer& peer, const server::Outcome& outcome,
                          base::SteadyTime start) {
  loop_->record_refused(peer, outcome, tls_ ? "https" : "http", start);
}

}  // namespace larder::node
