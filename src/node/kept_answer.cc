// The part of the request path that stores what was forwarded for one client alone, or tells why
// not.

#include "base/encoding.h"
#include "base/log.h"
#include "node/request_path.h"

namespace larder::node {

namespace {

// The longest that is kept although it was not filled, in bytes.
constexpr std::uint64_t kLongestKept = 1 << 20;

}  // namespace

std::optional<cache::StoredResponse> RequestPath::kept_as(Work& work,
                                                          const http::ResponseHead& answer,
                                                          std::uint64_t length, bool shared) const {
  const http::RequestHead& head = work.exchange.head();
  if (answer.status == 206 || length > kLongestKept) return std::nullopt;
  OpeningFacts facts = opening_facts(work);
  if (!shared) {
    // What was sent on behalf of one client: only where nothing but Authorization tells it from a
    // fill, or where the origin says that it stands for a GET.
    if (facts.policy.fill != http::Exchange::DeclaredFill || head.has(http::FieldName::Cookie) ||
        head.has(http::FieldName::Range) || answer.count(http::FieldName::ContentEncoding) > 0) {
      return std::nullopt;
    }
    if (head.method == http::Method::Post) {
      auto as_get =
          cache::describe_post_as_get(head, answer, address_of(work.target), facts.policy.fill);
      if (!as_get) return std::nullopt;
      facts.request = std::move(*as_get);
    }
  }
  if (is_outdated(work)) return std::nullopt;
  http::ResponseHead whole = answer;
  whole.content_length = length;
  whole.chunked = false;
  cache::StoreDecision decision = cache::decide_to_store(
      facts.key_text, facts.request, whole, {work.now, delivery_.clock.wall()}, facts.policy);
  if (!decision.store) return std::nullopt;
  complete_response(decision.response, facts);
  return std::move(decision.response);
}

void RequestPath::tell_why_not_stored(Work& work, const http::ResponseHead& answer,
                                      bool is_stream) const {
  if (cache::is_loop_answer(answer)) {
    work.status.detail = cache::kLoopDetail;  // for who waits at the node before this one
    return;
  }
  if (work.exchange.head().method != http::Method::Get || answer.status == 304) return;
  const OpeningFacts facts = opening_facts(work);
  const cache::StoreDecision decision = cache::decide_to_store(
      facts.key_text, facts.request, answer, {work.now, delivery_.clock.wall()}, facts.policy);
  std::string_view why = decision.reason;
  // What the request itself does not allow was said already.
  if (work.status.forwarded == cache::Forwarded::Bypass) {
    work.status.detail = why;
    return;
  }
  if (decision.store) {
    // Without a length it is known at its end.
    if (is_stream && !answer.content_length) return;
    if (is_outdated(work)) {
      why = "changed meanwhile";
    } else if (is_stream || work.not_taken) {
      why = "no drive took it";
    } else if (answer.status == 206) {
      why = "a part that nothing can be added to";
    } else {
      why = "an answer for one client";
    }
  }
  work.status.detail = why;
  work.exchange.outcome.reason = why;
  delivery_.store_refusals.note(work.target.key, {why, delivery_.clock.wall()});
}

// Whether what the work has asked for was purged or changed since, by others.
bool RequestPath::is_outdated(const Work& work) const {
  return outdating(work)();
}

std::function<bool()> RequestPath::outdating(const Work& work) const {
  return [&invalidations = delivery_.invalidations, was_outdated = work.was_outdated,
          url = work.url_key, name = work.target.key_text, origin = work.target.origin->name,
          since = work.own_change.value_or(work.began)] {
    return was_outdated || invalidations.since({.url = url, .name = name, .origin = origin}, since);
  };
}

net::Task<void> RequestPath::store_answer(Work& work, cache::StoredResponse response,
                                          std::string body) {
  base::Result<std::string> metadata = cache::serialize(response);
  if (!metadata) co_return;
  const base::Status stored = co_await delivery_.disk.run(
      [&store = delivery_.store, key = work.target.key, group = work.target.origin->name,
       metadata = std::move(*metadata), body = std::move(body),
       is_outdated = outdating(work)]() -> base::Status {
        const auto object = store.create(key, base::as_bytes(metadata), body.size(), group);
        if (!object) return std::unexpected(object.error());
        // A purge between the judgement and the creation did not find it.
        if (is_outdated()) {
          store.remove(**object);
          return base::fail(base::ErrorCode::FailedPrecondition, "changed meanwhile");
        }
        return body.empty() ? base::Status{} : store.write_slice(**object, 0, base::as_bytes(body));
      });
  if (!stored) base::log_debug("an answer was not stored", {{"reason", stored.error().message}});
}

}  // namespace larder::node
