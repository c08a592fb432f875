// What is done around a stored object and its origin's answer: judging what opens a new generation,
// and writing back what a 304 or a HEAD has told.
#pragma once

#include <memory>
#include <string>

#include "cache/fill.h"
#include "cache/freshness.h"
#include "net/task.h"
#include "node/delivery.h"
#include "node/stored_object.h"

namespace larder::node {

// Everything that the caching rules need of a request when the head of its answer comes, on the
// origin thread and after the request may be gone.
struct OpeningFacts {
  std::string key_text;
  std::string host;    // as the client named the origin
  std::string origin;  // name of its table, whose quota counts
  cache::FillRequest request;
  cache::StorePolicy policy;
  base::WallTime sent;
  Invalidations::Moment began = 0;  // before it was sent
  store::Key url_key;
  // What is stored may stand in for an error by its own stale-if-error: none takes its place.
  bool outlasts_errors = false;
  bool is_variant = false;  // under a variant's key
  // Of the object that the new one replaces: its further variants stay reachable when the new one
  // varies by the same fields.
  std::uint64_t variant_epoch = 0;
  std::vector<cache::NominatedField> vary;

  StoredPlace place() const { return {.url = url_key, .name = key_text, .origin = origin}; }
};
// Adds what decide_to_store cannot know: host and variant number.
void complete_response(cache::StoredResponse& response, const OpeningFacts& facts);
// `delivery` outlives the judge.
cache::OpeningJudge judge_opening(OpeningFacts facts, const Delivery& delivery);

using Update = cache::Refreshed (*)(cache::StoredResponse&, const http::ResponseHead&,
                                    cache::ExchangeTimes, const cache::StorePolicy&);

// On a disk thread (stored_variants.h); an error means that it may still be there.
net::Task<base::Status> remove_with_variants(Delivery& delivery,
                                             std::shared_ptr<store::Object> object);

// The stored object with what an answer about it has told; null when it can no longer be used.
// `write_back`: the store is changed too.
net::Task<std::shared_ptr<const StoredObject>> refresh_stored(
    Delivery& delivery, std::shared_ptr<const StoredObject> stale, Update update,
    http::ResponseHead head, cache::ExchangeTimes times, cache::StorePolicy policy,
    bool write_back);

// After an answer that is not stored in its place: forgets the object when that takes it away.
net::Task<void> judge_stale(Delivery& delivery, std::shared_ptr<const StoredObject> stale,
                            int status, const cache::StorePolicy& policy);

// Asks the origin about a stale object that was just served (RFC 5861 section 3), once per object
// at a time (RevalidationsUnderWay): one conditional request, for the first slice only
// where parts can be combined. Everything is copied; nobody waits for it.
struct BackgroundWork {
  store::Key key;
  std::shared_ptr<const StoredObject> stale;
  cache::OriginRequest request;  // of the client, without conditions
  OpeningFacts facts;
};
void revalidate_in_background(Delivery& delivery, BackgroundWork work);

}  // namespace larder::node
