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

// Why a request was refused that `upstream_rate` does not admit.
constexpr std::string_view kUpstreamRate = "upstream-rate";

// A fill that has not begun after so long may be waiting for the request that joined it. One that
// is sent to find out comes back soon where it does.
constexpr std::chrono::seconds kMayBeLoop{3};
constexpr std::chrono::seconds kLoopPatience{2};

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

}  // namespace

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
    co_await fail_as_loop(work);
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
  // It keeps changing, or a drive that is too small gives it up again and again: one answer for
  // this client alone is whole.
  if (work.only_if_cached) {
    co_await refuse_to_ask(work, nullptr);
  } else {
    co_await pass(work, "keeps-changing");
  }
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

  if (!leads && co_await waits_for_itself(work, *fill.operator->())) {
    fill.leave();
    co_await fail_as_loop(work);
    co_return Answered::Yes;
  }
  const base::Result<cache::Fill::Phase> phase = co_await fill->opened(first_byte_deadline(work));
  co_await work.interim.handed_on();
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
      std::string_view why_alone;
      if (!leads && !cache::matches_vary(fill->response(), head, work.target.policy.fill)) {
        if (work.attempt < 2) co_return Answered::TryAgain;
        why_alone = "another-variant-is-being-filled";
      } else if (!leads && !may_join(work, *fill.operator->())) {
        why_alone = "an-older-answer-is-coming";
      } else if (condition_fails(head, fill->response(), work.now)) {
        why_alone = "condition-for-the-origin";
      } else if (!reader) {
        why_alone = "too-long-to-be-stored";
      }
      if (!why_alone.empty()) {
        // Who does not read must not hold what others wait for, or nobody does.
        if (reader) reader->abandon();
        fill.leave();
        co_await pass(work, why_alone);
        co_return Answered::Yes;
      }
      if (!leads) work.joined_age = cache::current_age(fill->response(), delivery_.clock.wall());
      co_await deliver_pass(work, reader, true, reader.get());
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

// Nodes that ask each other for the same at the same time would each wait for the other's fill.
// Neither fill's request can come back while the other holds it; one that joins none does.
net::Task<bool> RequestPath::waits_for_itself(const Work& work, cache::Fill& fill) {
  if (!http::came_through_node(work.exchange.head())) co_return false;
  const base::SteadyTime suspicious = std::chrono::steady_clock::now() + kMayBeLoop;
  if (suspicious >= first_byte_deadline(work) || co_await fill.opened(suspicious) ||
      !fill.begin_loop_check()) {
    co_return false;
  }
  cache::OriginRequest request = shared_request(work);
  request.method = "HEAD";
  request.on_interim = nullptr;
  const auto check = cache::fetch_for_one(delivery_.origin, std::move(request));
  const auto answer = co_await check->head(std::chrono::steady_clock::now() + kLoopPatience);
  check->abandon();
  co_return answer.has_value() && cache::is_loop_answer(*answer);
}

net::Task<void> RequestPath::fail_as_loop(Work& work) {
  co_await fail(work, {base::ErrorCode::Internal, "the request came back to this node: a loop"}, {},
                cache::kLoopDetail);
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
    tell_cut(work, error.message);
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
  if (is_capped) {
    loop_->counters->add(Counter::UpstreamRefused);
  } else {
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

void RequestPath::tell_cut(Work& work, std::string_view reason) {
  // Of a client that has left nothing has to be told.
  if (work.exchange.outcome.ending == server::Ending::Complete) {
    base::log_warning("an answer was cut",
                      {{"host", std::string(work.target.choice.authority.host())},
                       {"reason", std::string(reason)},
                       {"request", std::string(answer_id(work))}});
  }
  work.exchange.outcome.cut();
  work.exchange.close_connection();
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
  request.terms = work.policy;
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

}  // namespace larder::node
