#include "node/revalidation.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "base/random.h"
#include "cache/stored_variants.h"
#include "http/retry_after.h"

namespace larder::node {

namespace {

// How long the answer to a background request is waited for.
constexpr std::chrono::seconds kBackgroundPatience{30};
// The same for the end of one that is kept as a whole or not at all.
constexpr std::chrono::minutes kWholePatience{10};

bool same_names(const std::vector<cache::NominatedField>& a,
                const std::vector<cache::NominatedField>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.name == y.name; });
}

net::Task<void> revalidate(Delivery& delivery, BackgroundWork work) {
  cache::Fill::Reader fill =
      delivery.fills.open(work.key, work.facts.policy.identity, work.stale->object);
  const base::WallTime sent = work.facts.sent;
  const cache::StorePolicy policy = work.facts.policy;
  for (const http::ResponseField& field : cache::validation_fields(work.stale->response)) {
    work.request.fields.emplace_back(field.name, field.value);
  }
  std::optional<std::pair<std::uint32_t, std::uint32_t>> slices;
  if (work.stale->response.generation.kind != cache::GenerationKind::SingleResponse) {
    slices = {0, 0};
  }
  const cache::OriginRequest request = work.request;
  const bool leads =
      fill->open(std::move(work.request), slices, judge_opening(std::move(work.facts), delivery));
  if (leads) {
    const base::Result<cache::Fill::Phase> phase =
        co_await fill->opened(std::chrono::steady_clock::now() + kBackgroundPatience);
    if (phase && *phase == cache::Fill::Phase::NotModified) {
      co_await refresh_stored(delivery, std::move(work.stale), cache::update_after_304,
                              fill->head(), {sent, delivery.clock.wall()}, policy, true);
    } else if (!phase || *phase != cache::Fill::Phase::Open) {
      const bool is_answered = phase && *phase == cache::Fill::Phase::Unshared;
      const int status = is_answered ? fill->head().status : 0;
      // Nobody reads an answer that is not for the store.
      fill->drop_pass();
      if (is_answered) co_await judge_stale(delivery, std::move(work.stale), status, policy);
    } else if (fill->response().generation.kind == cache::GenerationKind::SingleResponse) {
      // It has taken the place of what was stored, and nothing can be added to a part of it.
      const std::uint32_t last = fill->object()->slice_count() - 1;
      fill.ask(request, {0, last});
      fill.promise();  // a reader without one does not wait for what comes much later
      const auto ended =
          co_await fill.slice(last, 0, std::chrono::steady_clock::now() + kWholePatience);
      if (!ended) base::log_debug("a new answer was not kept", {{"reason", ended.error().message}});
    }
  }
  delivery.revalidations.end(work.key);
}

}  // namespace

void complete_response(cache::StoredResponse& response, const OpeningFacts& facts) {
  response.host = facts.host;
  if (facts.is_variant || response.vary.empty()) return;
  if (facts.variant_epoch != 0 && same_names(response.vary, facts.vary)) {
    response.variant_epoch = facts.variant_epoch;
    return;
  }
  std::array<std::uint8_t, 8> random{};
  base::random_bytes(random);
  for (const std::uint8_t byte : random) {
    response.variant_epoch = response.variant_epoch << 8 | byte;
  }
  response.variant_epoch |= 1;  // 0 means none
}

cache::OpeningJudge judge_opening(OpeningFacts opening_facts, const Delivery& delivery) {
  const auto shared = std::make_shared<const OpeningFacts>(std::move(opening_facts));
  return [shared, &delivery](const http::ResponseHead& head) {
    const OpeningFacts& facts = *shared;
    cache::Opening opening;
    cache::StoreDecision decision = cache::decide_to_store(
        facts.key_text, facts.request, head, {facts.sent, delivery.clock.wall()}, facts.policy);
    opening.reason = decision.reason;
    if (!decision.store) return opening;
    if (facts.outlasts_errors && http::is_trouble(head.status)) {
      opening.reason = "an error for which a stored answer stands in";
      return opening;
    }
    opening.is_outdated = [shared, &delivery] {
      return delivery.invalidations.since(shared->place(), shared->began);
    };
    if (opening.is_outdated()) {
      opening.reason = "changed meanwhile";
      return opening;
    }
    complete_response(decision.response, facts);
    const base::Result<std::string> metadata = cache::serialize(decision.response);
    opening.storable = metadata && decision.response.length.value_or(0) > 0;
    opening.lacks_length = metadata && !decision.response.length && head.status != 204;
    if (!opening.storable) opening.reason = "length-unknown";
    if (opening.storable) opening.metadata = *metadata;
    opening.group = facts.origin;
    opening.response = std::move(decision.response);
    return opening;
  };
}

net::Task<base::Status> remove_with_variants(Delivery& delivery,
                                             std::shared_ptr<store::Object> object) {
  co_return co_await delivery.disk.run([&store = delivery.store, object]() -> base::Status {
    cache::remove_with_variants(store, *object);
    return {};
  });
}

net::Task<std::shared_ptr<const StoredObject>> refresh_stored(
    Delivery& delivery, std::shared_ptr<const StoredObject> stale, Update update,
    http::ResponseHead head, cache::ExchangeTimes times, cache::StorePolicy policy,
    bool write_back) {
  auto fresh = std::make_shared<StoredObject>(*stale);
  const cache::Refreshed refreshed = update(fresh->response, head, times, policy);
  const std::shared_ptr<store::Object> object = stale->object;
  if (refreshed == cache::Refreshed::NotThis || refreshed == cache::Refreshed::Drop) {
    if (write_back) co_await remove_with_variants(delivery, object);
    if (refreshed == cache::Refreshed::NotThis) co_return nullptr;
    rewrite_lines(*fresh);
    co_return fresh;
  }
  rewrite_lines(*fresh);
  if (write_back) {
    base::Result<std::string> metadata = cache::serialize(fresh->response);
    const base::Status written = co_await delivery.disk.run(
        [&store = delivery.store, object, metadata = std::move(metadata)]() -> base::Status {
          const base::Status updated =
              metadata ? store.update_metadata(*object, base::as_bytes(*metadata))
                       : std::unexpected(metadata.error());
          // Metadata that cannot be renewed would be asked about for ever: the next request fetches
          // anew.
          if (!updated) cache::remove_with_variants(store, *object);
          return updated;
        });
    if (!written) base::log_debug("metadata not updated", {{"reason", written.error().message}});
  }
  co_return fresh;
}

net::Task<void> judge_stale(Delivery& delivery, std::shared_ptr<const StoredObject> stale,
                            int status, const cache::StorePolicy& policy) {
  if (!cache::takes_away(status, policy)) co_return;
  const base::Status removed = co_await remove_with_variants(delivery, stale->object);
  // A full queue must not leave what the origin took away: a record of some bytes is written here.
  if (!removed) delivery.store.remove(*stale->object);
}

void revalidate_in_background(Delivery& delivery, BackgroundWork work) {
  work.facts.request.method = http::Method::Get;  // also behind a HEAD
  if (!delivery.revalidations.begin(work.key)) return;
  net::Loop::current().spawn(revalidate(delivery, std::move(work)));
}

}  // namespace larder::node
