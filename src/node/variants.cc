// The part of the request path that finds what is stored for a request, among several
// representations of one URL, and that forgets what an unsafe request has changed.

#include <algorithm>

#include "base/encoding.h"
#include "cache/stored_variants.h"
#include "cache/variant.h"
#include "node/request_path.h"
#include "store/siphash.h"

namespace larder::node {

net::Task<base::Result<std::shared_ptr<const StoredObject>>> RequestPath::look_up(Work& work) {
  work.target.key_text = work.url_text;
  work.target.key = work.url_key;
  work.variant_epoch = 0;
  work.vary.clear();
  base::Result<std::shared_ptr<store::Object>> found = co_await find(work.url_key);
  if (!found) co_return std::unexpected(found.error());
  std::shared_ptr<const StoredObject> stored;
  if (*found) stored = loop_->hot.get(std::move(*found));
  if (!stored || stored->response.vary.empty() || stored->response.key != work.url_text) {
    co_return stored;
  }
  work.variant_epoch = stored->response.variant_epoch;
  work.vary = stored->response.vary;
  const http::RequestHead& head = work.exchange.head();
  const http::Exchange fill = work.target.policy.fill;
  if (work.variant_epoch == 0 || cache::varies_by_who_asks(stored->response, head) ||
      cache::matches_vary(stored->response, head, fill)) {
    co_return stored;
  }
  co_return co_await find_variant(work, *stored);
}

net::Task<std::shared_ptr<const StoredObject>> RequestPath::find_variant(
    Work& work, const StoredObject& first) {
  const http::RequestHead& head = work.exchange.head();
  const http::Exchange fill = work.target.policy.fill;
  const unsigned start = cache::first_variant_slot(first.response, head, fill);
  const auto point_at = [&](unsigned slot) {
    work.target.key_text = cache::variant_key(work.url_text, work.variant_epoch, slot);
    work.target.key =
        store::siphash_128(delivery_.store.secret(), base::as_bytes(work.target.key_text));
  };
  std::optional<unsigned> empty;
  for (unsigned i = 0; i < cache::kVariantSlots; ++i) {
    const unsigned slot = (start + i) % cache::kVariantSlots;
    point_at(slot);
    if (!delivery_.store.contains(work.target.key)) {
      if (!empty) empty = slot;
      continue;
    }
    base::Result<std::shared_ptr<store::Object>> found = co_await find(work.target.key);
    if (!found || !*found) continue;
    std::shared_ptr<const StoredObject> stored = loop_->hot.get(std::move(*found));
    if (stored && stored->response.key == work.target.key_text &&
        cache::matches_vary(stored->response, head, fill)) {
      co_return stored;
    }
  }
  point_at(empty.value_or(start));
  co_return nullptr;
}

// What came over verified TLS may answer a plain request too, never the other way round. True when
// there is such an answer: the request is for it from then on.
net::Task<bool> RequestPath::find_over_https(Work& work) {
  if (!may_come_over_https(work.target)) co_return false;
  const std::string url_text = work.url_text;
  const store::Key url_key = work.url_key;
  set_scheme(work.target, true, delivery_.store.secret());
  work.url_text = work.target.key_text;
  work.url_key = work.target.key;
  const auto found = co_await look_up(work);
  const StoredObject* stored = found ? found->get() : nullptr;
  const cache::UseDecision use =
      cache::decide_to_use(stored != nullptr ? &stored->response : nullptr, work.target.key_text,
                           work.exchange.head(), work.target.policy, work.now);
  if (use.kind == cache::UseDecision::Kind::Serve) co_return true;
  set_scheme(work.target, false, delivery_.store.secret());
  work.url_text = url_text;
  work.url_key = url_key;
  // The place among the variants of the plain URL again.
  co_await look_up(work);
  co_return false;
}

OpeningFacts RequestPath::opening_facts(const Work& work, const StoredObject* stale) const {
  OpeningFacts facts;
  facts.key_text = work.target.key_text;
  facts.host = work.target.choice.authority.host();
  facts.origin = work.target.origin->name;
  facts.request = cache::describe_fill(work.exchange.head(), work.target.policy.fill);
  facts.policy = work.target.policy;
  facts.sent = work.now;
  facts.began = work.began;
  facts.url_key = work.url_key;
  facts.outlasts_errors =
      stale != nullptr && stale->response.freshness.stale_if_error > std::chrono::seconds(0) &&
      cache::may_serve_on_error(stale->response, std::chrono::seconds(0), work.now);
  facts.is_variant = work.target.key != work.url_key;
  facts.variant_epoch = work.variant_epoch;
  facts.vary = work.vary;
  return facts;
}

net::Task<void> RequestPath::invalidate(Work& work, const http::ResponseHead& answer) {
  const http::HttpAddress base = address_of(work.target);
  const std::array<std::uint8_t, 16>& secret = delivery_.store.secret();
  std::vector<std::string> targets = {base.target};
  for (const http::FieldName name : {http::FieldName::Location, http::FieldName::ContentLocation}) {
    if (answer.count(name) != 1) continue;
    if (const auto target = http::resolve_same_origin(base, answer.field(name))) {
      targets.push_back(*target);
    }
  }
  // What came over either scheme: it may answer the same requests.
  std::vector<store::Key> keys;
  for (const std::string& target : targets) {
    for (const bool https : {false, true}) {
      keys.push_back(key_of_target(work.target, https, target, secret));
    }
  }
  work.was_outdated = is_outdated(work);
  work.own_change = delivery_.invalidations.note(keys);
  store::Store& store = delivery_.store;
  const base::Status removed = co_await delivery_.disk.run([&store, keys]() -> base::Status {
    for (const store::Key& own : keys) {
      for (const store::Key& key : cache::keys_of_url(store, own)) store.remove(key);
    }
    return {};
  });
  // A full queue must not leave what is known to be outdated: a record of some bytes is written
  // here instead. Further variants are then not found any more, and evicted some time.
  if (!removed) {
    for (const store::Key& key : keys) store.remove(key);
  }
}

}  // namespace larder::node
