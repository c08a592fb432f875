// The part of the request path that forwards for one client alone.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "base/log.h"
#include "cache/withheld_fields.h"
#include "http/forwarding.h"
#include "http/retry_after.h"
#include "node/client_kind.h"
#include "node/request_path.h"

namespace larder::node {

namespace {

// A forwarded request's body is held in memory, in bytes.
constexpr std::size_t kForwardedBodyLimit = 8 << 20;
// An answer without a length is collected up to here, so that it can be given one.
constexpr std::size_t kCollectLimit = 1 << 20;
constexpr std::chrono::seconds kPatience{18};
// Clients before this one whose own signatures the origin refused, one after the other, and how
// long that may take.
constexpr int kMostTurns = 8;
constexpr std::chrono::seconds kTurns{5};
// Most answers without a length end so soon that they can be given one.
constexpr std::chrono::milliseconds kEndsAtOnce{100};
// A Delivery Optimization client waits so long for the length of an answer that came without.
constexpr std::chrono::seconds kLengthPatience{15};

constexpr std::string_view kTooLong = "too long to be stored without a length";

base::SteadyTime patience() {
  return std::chrono::steady_clock::now() + kPatience;
}

// Tokens that a site of Larder issues are for its own nodes, never for origins.
bool is_own_token(std::string_view authorization) {
  const std::size_t space = authorization.find(' ');
  const std::string_view scheme = authorization.substr(0, space);
  if (base::equals_ignoring_case(scheme, "DPoP")) return true;
  if (!base::equals_ignoring_case(scheme, "Bearer") || space == std::string_view::npos)
    return false;
  std::string_view token = authorization.substr(space + 1);
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos) return false;
  const auto payload = base::from_base64url(token.substr(first + 1, second - first - 1));
  if (!payload) return false;
  const auto claims = base::parse_json(*payload);
  if (!claims) return false;
  const auto audience = base::json_string(*claims, "aud");
  return audience && (*audience == "content" || *audience == "management-point");
}

// Methods that ask and do not change (RFC 9110 section 9.2.1); those that nobody knows may change.
bool is_safe(std::string_view method) {
  for (const std::string_view safe :
       {"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"}) {
    if (method == safe) return true;
  }
  return false;
}

// How many more servers an OPTIONS request may pass (RFC 9110 section 7.6.2).
std::optional<unsigned> hops_left(const http::RequestHead& head) {
  if (head.method != http::Method::Options) return std::nullopt;
  const std::string_view text = head.field(http::FieldName::MaxForwards);
  unsigned hops = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), hops);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return hops;
}

}  // namespace

net::Task<RequestPath::Answered> RequestPath::answer_unshared(
    Work& work, cache::Fill::Reader fill, bool leads, std::string target,
    std::shared_ptr<const StoredObject> stale) {
  const http::ResponseHead answer = fill->head();
  if (stale && http::is_trouble(answer.status) &&
      cache::may_serve_on_error(stale->response, kServedOffline, work.now)) {
    if (leads) fill->pass()->abandon();
    work.exchange.outcome.cache = "hit";
    work.exchange.outcome.reason = "stale-origin-failed";
    work.status.forward_status = answer.status;
    work.stands_in = true;
    co_return co_await deliver(work, std::move(stale), std::nullopt);
  }
  // A signature of theirs, perhaps, or the way by which their request had come here: one of us
  // leads now.
  const bool is_refused =
      (answer.status == 401 || answer.status == 403) && target != fill->target();
  if (!leads && (is_refused || cache::is_loop_answer(answer)) && work.turns < kMostTurns &&
      std::chrono::steady_clock::now() < work.asked + kTurns) {
    ++work.turns;
    co_return Answered::AskYourself;
  }
  if (!leads && answer.status >= 500) {
    // An origin in trouble is not asked once for each who waited.
    co_await fail(work, {base::ErrorCode::Unavailable,
                         "the origin answered " + std::to_string(answer.status)});
    co_return Answered::Yes;
  }
  if (!leads && http::is_passing_trouble(answer.status) && !work.target.policy.key_is_stripped) {
    // Nor is one that has just asked for fewer requests.
    co_await fail_for_now(work, answer);
    co_return Answered::Yes;
  }
  if (leads && stale) {
    co_await judge_stale(delivery_, std::move(stale), answer.status, work.target.policy);
  }
  const bool can_be_shared = learn_to_share(work, answer, true);
  work.not_taken = fill->was_not_taken();
  // It varies by what the leader alone has sent: one of us leads now.
  if (!leads && can_be_shared && answer.status == 200 && !work.not_taken &&
      !http::asks_more_than_fill(work.exchange.head(), work.target.policy.fill) &&
      work.turns < kMostTurns && std::chrono::steady_clock::now() < work.asked + kTurns) {
    ++work.turns;
    co_return Answered::AskYourself;
  }
  // What the fill left out may make another answer of it; what an origin in trouble says does not
  // depend on it.
  const bool is_answered =
      http::is_trouble(answer.status) ||
      !http::asks_more_than_fill(work.exchange.head(), work.target.policy.fill);
  if (leads && answer.status != 206 && is_answered) {
    work.exchange.outcome.cache = "pass";
    co_await deliver_pass(work, fill->pass(), true);
  } else {
    // An answer to another request, or slices that this client did not ask for.
    if (leads) fill->pass()->abandon();
    work.learns_from_pass = true;
    co_await pass(work, "answer-was-not-shareable");
  }
  co_return Answered::Yes;
}

// As a 4xx the origin's trouble would keep Delivery Optimization clients away for 15 minutes.
net::Task<void> RequestPath::fail_for_now(Work& work, const http::ResponseHead& answer) {
  const std::string lines = retry_after_line(answer, delivery_.clock.wall());
  co_await fail(
      work,
      {base::ErrorCode::ResourceExhausted, "the origin answered " + std::to_string(answer.status)},
      lines);
}

bool RequestPath::learn_to_share(const Work& work, const http::ResponseHead& answer,
                                 bool is_of_fill) {
  // What an origin in trouble says tells nothing; neither does an answer to what the request asked
  // for beside the key (what a client knows already, a precondition, a part beyond the end), or one
  // that may depend on a parameter that is not part of the key.
  const bool is_signed = work.target.policy.key_is_stripped && answer.status >= 400;
  const bool has_parts = answer.status == 206 && !answer.content_range;
  const bool is_of_request =
      answer.status == 304 || answer.status == 412 || answer.status == 416 || has_parts;
  if (is_signed || http::is_trouble(answer.status) || is_of_request) return false;
  // What this client was told tells nothing of what a fill would be.
  if (!is_of_fill && http::asks_more_than_fill(work.exchange.head(), work.target.policy.fill)) {
    return false;
  }
  OpeningFacts facts = opening_facts(work);
  if (is_of_fill) facts.request.has_cookie = false;  // none was sent
  const cache::Opening opening = judge_opening(std::move(facts), delivery_)(answer);
  const bool is_part = answer.status == 206;
  const bool can_be_added_to =
      opening.response.generation.kind != cache::GenerationKind::SingleResponse;
  if ((opening.storable && (!is_part || can_be_added_to)) || (opening.lacks_length && !is_part)) {
    delivery_.hit_for_miss.forget(work.target.key);
    return opening.storable;
  }
  delivery_.hit_for_miss.note(work.target.key,
                              is_part ? cache::HitForMiss::Of::Ranges : cache::HitForMiss::Of::All,
                              std::chrono::steady_clock::now());
  return false;
}

net::Task<void> RequestPath::pass(Work& work, std::string_view reason) {
  const http::RequestHead& head = work.exchange.head();
  work.exchange.outcome.cache = "pass";
  work.exchange.outcome.reason = reason;
  if (work.status.forwarded == cache::Forwarded::No) {
    const bool is_read = head.method == http::Method::Get || head.method == http::Method::Head;
    work.status.forwarded = is_read ? cache::Forwarded::Bypass : cache::Forwarded::Method;
  }
  cache::OriginRequest request;
  request.method = head.method_text;
  request.host = work.target.choice.authority.host();
  request.key = work.target.key;
  request.https = work.target.https;
  request.terms = work.policy;
  request.target = work.target.choice.path;
  if (work.target.choice.has_query) request.target += "?" + std::string(work.target.choice.query);
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const http::HeadField& field = head.fields[i];
    if (!http::may_send_to_origin(head, field, http::Exchange::Pass)) continue;
    if (field.id == http::FieldName::Authorization &&
        (work.target.origin->is_profile || is_own_token(field.value))) {
      continue;
    }
    if (field.id == http::FieldName::Range) continue;  // the last one counts, see below
    request.fields.emplace_back(field.name, field.value);
  }
  if (const std::string_view range = head.last_field(http::FieldName::Range); !range.empty()) {
    request.fields.emplace_back("Range", range);
  }
  request.fields.emplace_back("Via", http::via_to_origin(head, delivery_.via));
  if (const auto hops = hops_left(head)) {
    if (*hops == 0) {
      co_await refuse(work, 200, "this node is the last that may be asked",
                      "Allow: " + allowed_methods(*work.target.origin) + "\r\n");
      work.exchange.outcome.cache = "local";
      co_return;
    }
    request.fields.emplace_back("Max-Forwards", std::to_string(*hops - 1));
  }
  request.on_interim = work.interim.receiver(work.target.appearance);
  if (head.content_length.value_or(0) > kForwardedBodyLimit) {
    co_await refuse(work, 413, "the request's body cannot be forwarded");
    co_return;
  }
  BodyMemory::Share memory(delivery_.body_memory);
  if (head.has_body()) {
    std::array<char, 16 * 1024> buffer{};
    // Grows with what came: a length that is only announced takes no memory and no share of it.
    for (;;) {
      const base::Result<std::size_t> got = co_await work.exchange.read_body(buffer);
      if (!got || request.body.size() + *got > kForwardedBodyLimit) {
        const bool is_late = !got && got.error().code == base::ErrorCode::DeadlineExceeded;
        const int status = got ? 413 : is_late ? 408 : 400;
        co_await refuse(work, status, "the request's body cannot be forwarded");
        co_return;
      }
      if (*got == 0) break;
      if (!memory.take(*got)) {
        co_await refuse(work, 503, "too many requests with bodies are being forwarded, try again");
        co_return;
      }
      request.body.append(buffer.data(), *got);
    }
    work.asked = std::chrono::steady_clock::now();
  }
  co_await deliver_pass(work, cache::fetch_for_one(delivery_.origin, std::move(request)), false);
}

// `stream`: the same source, when its answer is stored by the fill.
net::Task<void> RequestPath::deliver_pass(Work& work, std::shared_ptr<cache::ByteSource> source,
                                          bool shared, cache::SharedStream::Reader* stream) {
  struct Abandon {
    cache::ByteSource& source;
    ~Abandon() { source.abandon(); }
  } abandon{*source};
  const http::RequestHead& request = work.exchange.head();
  base::Result<http::ResponseHead> answer = co_await source->head(first_byte_deadline(work));
  const std::shared_ptr<const StoredObject> head_of = std::move(work.head_of);
  if (head_of && (!answer || http::is_trouble(answer->status)) &&
      cache::may_serve_on_error(head_of->response, kServedOffline, work.now)) {
    work.exchange.outcome.cache = "hit";
    work.exchange.outcome.reason = answer ? "stale-origin-failed" : "stale-origin-unreachable";
    if (answer) work.status.forward_status = answer->status;
    work.stands_in = true;
    co_await deliver(work, head_of, std::nullopt);
    co_return;
  }
  if (!answer) {
    co_await fail(work, answer.error());
    co_return;
  }
  const bool is_anothers = stream != nullptr && work.status.collapsed;
  co_await work.interim.handed_on();
  if (is_anothers) cache::leave_out_for_others(*answer, work.target.policy);
  work.status.forward_status = answer->status;
  if (work.learns_from_pass) learn_to_share(work, *answer, false);
  if (http::is_passing_trouble(answer->status)) {
    co_await fail_for_now(work, *answer);
    co_return;
  }
  if (would_take_for_file(request, answer->status)) {
    co_await fail(work, {base::ErrorCode::Unavailable,
                         "the origin answered " + std::to_string(answer->status)});
    co_return;
  }
  if (answer->status == 304 && !request.has(http::FieldName::IfNoneMatch) &&
      !request.has(http::FieldName::IfModifiedSince)) {
    co_await fail(work, {base::ErrorCode::Unavailable, "the origin answered 304 to no condition"});
    co_return;
  }
  if (would_append_another_part(request, *answer)) {
    co_await fail(work, {base::ErrorCode::Unavailable, "the origin answered another range"});
    co_return;
  }
  const bool has_body =
      request.method != http::Method::Head && answer->status != 204 && answer->status != 304;
  std::optional<std::uint64_t> length = answer->content_length;
  std::string collected;
  if (has_body && !length && stream != nullptr) {
    // Most are short and end at once. Delivery Optimization clients need a length: without one a
    // broken transfer ends their agent. What they do not wait for is filled all the same.
    const bool needs_length = is_delivery_optimization(request);
    length = co_await stream->length(needs_length ? work.asked + kLengthPatience
                                                  : std::chrono::steady_clock::now() + kEndsAtOnce);
    if (!length && needs_length) {
      stream->comes_back();
      co_await fail(work, {base::ErrorCode::ResourceExhausted,
                           "the origin's answer has no length yet; the fill goes on"});
      co_return;
    }
  } else if (has_body && !length) {
    if (co_await collect(work, *source, collected)) {
      length = collected.size();
    } else if (is_delivery_optimization(request)) {
      // These clients need a length: without one a broken transfer ends their agent.
      co_await fail(work,
                    {base::ErrorCode::ResourceExhausted, "the origin's answer has no length"});
      co_return;
    }
  }
  if (!is_safe(request.method_text) && answer->status < 400) {
    co_await invalidate(work, *answer);
  }
  // Only of what a GET would bring does it tell (RFC 9111 section 4.3.5).
  if (head_of && answer->status == 200 &&
      http::pass_sends_as_fill(request, work.target.policy.fill)) {
    co_await refresh_stored(delivery_, head_of, cache::update_after_head, *answer,
                            {work.now, delivery_.clock.wall()}, work.target.policy, true);
  }
  std::optional<cache::StoredResponse> kept;
  std::string body;  // of what is kept
  if (stream == nullptr && (length || !has_body))
    kept = kept_as(work, *answer, has_body ? *length : 0, shared);
  if (kept && kept->length == 0) co_await store_answer(work, std::move(*kept), {});
  int status = answer->status;
  std::uint64_t skip = 0;
  std::uint64_t left = has_body ? length.value_or(UINT64_MAX) : 0;
  std::optional<http::ByteRange> cut;
  if (status == 200 && has_body && length && request.method == http::Method::Get &&
      request.has(http::FieldName::Range) && !request.has(http::FieldName::IfRange)) {
    // The origin does not serve ranges: the client gets its range all the same.
    const http::RangeAnswer range =
        http::resolve_range(http::parse_range(request.last_field(http::FieldName::Range)), *length);
    if (range.kind == http::RangeAnswer::Kind::Partial) {
      status = 206;
      cut = range.range;
      skip = range.range.first;
      left = range.range.length();
    } else if (range.kind == http::RangeAnswer::Kind::Unsatisfiable) {
      // The whole would be appended by a client that continues a file which was longer.
      status = 416;
      answer->content_range = {std::nullopt, *length};
      length = left = 0;
      kept.reset();
    }
  }
  const bool chunked = has_body && !length && request.version_minor >= 1;
  if (has_body && !length && !chunked) work.exchange.end_body_by_closing();

  const bool is_agent = is_delivery_optimization(request);
  std::string bytes = std::move(collected);
  // A Delivery Optimization client gives up where little comes for long: it is promised nothing
  // before there is something to send.
  if (is_agent && left > 0) {
    std::string* const before = kept && kept->length > 0 ? &body : nullptr;
    if (!co_await await_wanted(work, *source, skip, bytes, before)) co_return;
  }

  work.status.stored = kept.has_value() || (stream != nullptr && length && !answer->content_length);
  if (!work.status.stored) tell_why_not_stored(work, *answer, stream != nullptr);
  std::string buffer(kHeadSize, '\0');
  const std::string_view head = write_passed_head(buffer, *answer, {status, length, cut, chunked},
                                                  work.target.choice.authority.host(), facts(work));
  if (head.empty()) {
    co_await fail(work, {base::ErrorCode::DataLoss, "the origin's head is too long"});
    co_return;
  }
  work.exchange.outcome.status = status;
  work.head_sent = true;
  net::Outgoing out;
  out.head = head;
  if (!co_await work.exchange.send(std::move(out)) || left == 0) co_return;

  bool ended = false;
  work.pace.begin(std::chrono::steady_clock::now(), is_agent);
  while (left > 0 && !ended) {
    if (bytes.empty()) {
      base::Result<std::string> next =
          co_await source->read(is_agent ? work.pace.deadline() : patience());
      if (!next) {
        co_await fail(work, next.error());
        co_return;
      }
      bytes = std::move(*next);
      if (bytes.empty()) {
        ended = true;
        break;
      }
    }
    if (kept && kept->length > 0) {
      body += bytes;
      // Stored before the client has all of it, so that its next request finds it.
      if (body.size() == *length) co_await store_answer(work, std::move(*kept), std::move(body));
    }
    const std::size_t skipped = std::min<std::uint64_t>(skip, bytes.size());
    skip -= skipped;
    const std::string_view piece = std::string_view(bytes).substr(
        skipped, std::min<std::uint64_t>(left, bytes.size() - skipped));
    if (!piece.empty()) {
      char size_line[24];
      const int size_length = std::snprintf(size_line, sizeof size_line, "%zx\r\n", piece.size());
      net::Outgoing part;
      if (chunked) part.head = {size_line, static_cast<std::size_t>(size_length)};
      part.memory = piece;
      const std::uint64_t before = work.exchange.outcome.bytes + part.head.size();
      const bool sent = co_await work.exchange.send(std::move(part));
      const std::uint64_t after = work.exchange.outcome.bytes;
      work.exchange.outcome.body_from_origin += after - std::min(after, before);
      if (!sent) co_return;
      if (chunked) {
        net::Outgoing end;
        end.head = "\r\n";
        if (!co_await work.exchange.send(std::move(end))) co_return;
      }
      left -= piece.size();
      if (!work.pace.sent(piece.size(), std::chrono::steady_clock::now()) && left > 0) {
        tell_cut(work, DeliveryPace::kTooSlow);
        co_return;
      }
    }
    bytes.clear();
  }
  if (chunked && ended) {
    if (stream != nullptr && stream->is_passed_on()) {
      work.exchange.outcome.reason = kTooLong;
      delivery_.store_refusals.note(work.target.key, {kTooLong, delivery_.clock.wall()});
    }
    net::Outgoing end;
    end.head = "0\r\n\r\n";
    co_await work.exchange.send(std::move(end));
  } else if (left > 0 && length) {
    co_await fail(work, {base::ErrorCode::Unavailable, "the origin broke off"});
  }
}

// Reads on until `bytes` holds one behind the `skip` that are not wanted. Those go to `before`,
// when there is one. False: something else was answered.
net::Task<bool> RequestPath::await_wanted(Work& work, cache::ByteSource& source,
                                          std::uint64_t& skip, std::string& bytes,
                                          std::string* before) {
  const base::SteadyTime deadline = first_byte_deadline(work);
  while (bytes.size() <= skip) {
    if (before != nullptr) *before += bytes;
    skip -= bytes.size();
    base::Result<std::string> next = co_await source.read(deadline);
    if (next && !next->empty() && std::chrono::steady_clock::now() >= deadline) {
      next = base::fail(base::ErrorCode::DeadlineExceeded, "the range is too far behind");
    }
    if (!next || next->empty()) {
      co_await fail(work, next ? base::Error{base::ErrorCode::Unavailable, "the origin broke off"}
                               : next.error());
      co_return false;
    }
    bytes = std::move(*next);
  }
  co_return true;
}

// True when the whole body came within the limit, and soon; else `collected` is its beginning.
net::Task<bool> RequestPath::collect(Work& work, cache::ByteSource& source,
                                     std::string& collected) {
  const bool needs_length = is_delivery_optimization(work.exchange.head());
  const base::SteadyTime deadline =
      needs_length ? first_byte_deadline(work) : std::chrono::steady_clock::now() + kEndsAtOnce;
  while (collected.size() <= kCollectLimit) {
    const base::Result<std::string> bytes = co_await source.read(deadline);
    if (!bytes) {
      base::log_debug("an answer without a length did not end",
                      {{"host", std::string(work.target.choice.authority.host())}});
      co_return false;
    }
    if (bytes->empty()) co_return true;
    collected += *bytes;
  }
  co_return false;
}

}  // namespace larder::node
