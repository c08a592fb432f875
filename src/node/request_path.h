// The delivery path of a node, for one listener on one loop: read, route, admit, resolve, decide,
// (fill), deliver, record. docs/life_of_a_request.md follows it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cache/fill_table.h"
#include "cache/slice_set.h"
#include "node/answer_head.h"
#include "node/delivery.h"
#include "node/delivery_pace.h"
#include "node/interim_relay.h"
#include "node/recent_answers.h"
#include "node/request_target.h"
#include "node/revalidation.h"
#include "server/exchange.h"

namespace larder::node {

class RequestPath final : public server::Handler {
 public:
  // `delivery` outlives the handler.
  RequestPath(Delivery& delivery, std::shared_ptr<LoopState> loop, bool tls)
      : delivery_(delivery), loop_(std::move(loop)), tls_(tls) {}

  bool try_answer(server::Exchange& exchange, net::Outgoing& out) override;
  net::Task<void> answer(server::Exchange& exchange) override;
  std::string_view repeat(std::string_view received, base::SteadyTime now) override;
  void repeated(const server::Peer& peer, base::SteadyTime start) override;
  void partly_repeated(server::Exchange& exchange) override;
  void finished(const server::Exchange& exchange) override;
  void refused(const server::Peer& peer, const server::Outcome& outcome,
               base::SteadyTime start) override;

 private:
  // One request that needs waits. Lives in the coroutine that answers it.
  struct Work {
    Work(server::Exchange& of, std::shared_ptr<const Policy> in_force)
        : exchange(of), policy(std::move(in_force)), interim(of, net::Loop::current()) {}
    server::Exchange& exchange;
    const std::shared_ptr<const Policy> policy;  // `target` points into it
    InterimRelay interim;
    RequestTarget target;  // its key is a variant's once one was chosen
    std::string url_text;  // the URL's own key and its text
    store::Key url_key;
    std::uint64_t variant_epoch = 0;  // of what is stored under the URL's own key
    std::vector<cache::NominatedField> vary{};
    int attempt = 0;
    int turns = 0;                  // of others, whose requests were refused before this one's
    bool learns_from_pass = false;  // the last answer was not to be shared: is this one?
    base::WallTime now;
    Invalidations::Moment began = 0;                // before anything was looked up or asked for
    base::SteadyTime asked{};                       // the request was complete
    std::shared_ptr<const StoredObject> head_of{};  // a HEAD is forwarded that may tell of it
    // An unsafe request that has succeeded: when it invalidated its URL, and whether somebody else
    // had done so after it was sent.
    std::optional<Invalidations::Moment> own_change{};
    bool was_outdated = false;
    // What is stored must not be used before the origin has confirmed it.
    bool must_validate = false;
    bool not_taken = false;       // no drive took what a fill brought
    bool only_if_cached = false;  // nothing may be fetched for this request
    cache::CacheStatus status;
    // Of an answer that is passed on to several, when this one joined.
    std::chrono::seconds joined_age{0};
    DeliveryPace pace;
    bool head_sent = false;
    // A stale answer goes out because the origin failed: nothing was stored.
    bool stands_in = false;
    // Something is fetched for this request. Otherwise what a fill has in memory came before: a hit
    // that is still being stored.
    bool fetches = false;
    // What had not come when this request joined a fill: no hits, wherever they are read.
    cache::SliceSet fetched;
  };

  enum class Answered {
    Yes,
    TryAgain,     // what was found is gone or changed
    AskYourself,  // the origin refused the request of another client that all waited for
  };

  net::Task<Answered> answer_from_cache(Work& work);
  net::Task<bool> find_over_https(Work& work);
  net::Task<Answered> open_and_deliver(Work& work, std::shared_ptr<const StoredObject> stale);
  // Whether this node asks itself by the fill that the request has joined.
  net::Task<bool> waits_for_itself(const Work& work, cache::Fill& fill);
  net::Task<void> fail_as_loop(Work& work);
  bool may_join(const Work& work, const cache::Fill& stream) const;
  // What is stored for this request, or null; points work.target at the key that it has or gets.
  net::Task<base::Result<std::shared_ptr<const StoredObject>>> look_up(Work& work);
  net::Task<std::shared_ptr<const StoredObject>> find_variant(Work& work,
                                                              const StoredObject& first);
  // `stale`: what is asked about.
  OpeningFacts opening_facts(const Work& work, const StoredObject* stale = nullptr) const;
  // After an unsafe request succeeded (RFC 9111 section 4.4).
  net::Task<void> invalidate(Work& work, const http::ResponseHead& answer);
  net::Task<Answered> deliver(Work& work, std::shared_ptr<const StoredObject> stored,
                              std::optional<cache::Fill::Reader> fill);
  // The same for several ranges.
  net::Task<Answered> deliver_parts(Work& work, std::shared_ptr<const StoredObject> stored,
                                    const Selection& selection,
                                    std::optional<cache::Fill::Reader> fill);
  cache::Fill::Reader join_fill(Work& work, const StoredObject& stored,
                                std::span<const http::ByteRange> ranges);
  // Has the stored bytes that are sent first ready: nothing may be promised before. What was
  // answered instead, when they cannot be had.
  net::Task<std::optional<Answered>> prepare_first(Work& work, const StoredObject& stored,
                                                   http::ByteRange range);
  // Asks for the bytes and waits for the first of them: nothing may be promised before. What was
  // answered instead, when they cannot be had.
  net::Task<std::optional<Answered>> await_first(Work& work, const StoredObject& stored,
                                                 cache::Fill::Reader& fill, http::ByteRange range);
  AnswerFacts stored_facts(const Work& work, const StoredObject& stored) const;
  // Sends the bytes, those that are missing by `fill`, which is joined when there is none. False
  // when the answer had to be cut.
  net::Task<bool> deliver_range(Work& work, const StoredObject& stored,
                                std::optional<cache::Fill::Reader>& fill, http::ByteRange range);
  // These bytes of the object were sent.
  static void count_sent(Work& work, std::uint64_t offset, std::uint64_t count);
  net::Task<bool> deliver_stored(Work& work, const StoredObject& stored, std::uint64_t& at,
                                 std::uint64_t end);
  net::Task<bool> deliver_arriving(Work& work, cache::Fill::Reader& fill, std::uint64_t& at,
                                   std::uint64_t end);
  // An answer came that may not be shared. `target`: of this client's own request for it.
  net::Task<Answered> answer_unshared(Work& work, cache::Fill::Reader fill, bool leads,
                                      std::string target,
                                      std::shared_ptr<const StoredObject> stale);
  // Whether the answers to requests for this key may be shared, as far as this one tells.
  // `is_of_fill`: it is the answer to a fill's request, not to this client's own. True when answers
  // like it can be shared.
  bool learn_to_share(const Work& work, const http::ResponseHead& answer, bool is_of_fill);
  // Forwards for this client alone.
  net::Task<void> pass(Work& work, std::string_view reason);
  // `shared`: it was asked for everybody's sake.
  net::Task<void> deliver_pass(Work& work, std::shared_ptr<cache::ByteSource> source, bool shared,
                               cache::SharedStream::Reader* stream = nullptr);
  // What the answer is stored as although it was not filled; nothing when it is not to be stored.
  std::optional<cache::StoredResponse> kept_as(Work& work, const http::ResponseHead& answer,
                                               std::uint64_t length, bool shared) const;
  bool is_outdated(const Work& work) const;
  // The same question, for when the work may have gone; not after the node.
  std::function<bool()> outdating(const Work& work) const;
  net::Task<bool> await_wanted(Work& work, cache::ByteSource& source, std::uint64_t& skip,
                               std::string& bytes, std::string* before);
  net::Task<bool> collect(Work& work, cache::ByteSource& source, std::string& collected);
  // Tells the log, Cache-Status and `explain` why the answer that is passed on is not stored.
  void tell_why_not_stored(Work& work, const http::ResponseHead& answer, bool is_stream) const;
  net::Task<void> store_answer(Work& work, cache::StoredResponse response, std::string body);
  net::Task<base::Status> prepare(std::shared_ptr<store::Object> object, std::uint64_t offset,
                                  std::uint64_t length);
  net::Task<base::Result<std::shared_ptr<store::Object>>> find(const store::Key& key);

  net::Task<void> refuse(Work& work, int status, std::string_view reason,
                         std::string_view lines = {}, std::string_view detail = "refused");
  // only-if-cached: 504. `unconfirmed`: what is stored and may not be used, or null.
  net::Task<void> refuse_to_ask(Work& work, const StoredObject* unconfirmed);
  net::Task<void> fail(Work& work, const base::Error& error, std::string_view lines = {},
                       std::string_view detail = {});
  // Of an answer whose head was sent no more can be had.
  static void tell_cut(Work& work, std::string_view reason);
  // The origin answered with what passes: 503, with how long it asks to wait.
  net::Task<void> fail_for_now(Work& work, const http::ResponseHead& answer);
  static std::string allowed_methods(const OriginSettings& origin);  // for Allow
  // local_answer.cc
  net::Task<void> answer_locally(Work& work);
  // What an ACME server asks while a challenge is open comes before everything that a cache does.
  bool is_for_challenge(const http::RequestHead& head) const {
    return !tls_ && delivery_.challenges != nullptr && delivery_.challenges->any_open_for_http() &&
           head.path.starts_with("/.well-known/acme-challenge/");
  }
  net::Task<bool> answer_challenge(Work& work);

  // An answer may be served from a stale object this long when its origin cannot be asked.
  static constexpr std::chrono::hours kServedOffline{24};
  // One deadline for everything before the first byte: a Delivery Optimization client that waits 20
  // s avoids the node for all origins.
  static base::SteadyTime first_byte_deadline(const Work& work) {
    return work.asked + std::chrono::seconds(18);
  }
  // With `stored`, to the host that its generation came from: edges behind aliases may differ.
  cache::OriginRequest shared_request(const Work& work, const StoredObject* stored = nullptr) const;
  AnswerFacts facts(const Work& work) const;
  static std::string_view answer_id(const Work& work) {
    return {work.exchange.outcome.request_id.data(), work.exchange.outcome.request_id.size()};
  }

  Delivery& delivery_;
  std::shared_ptr<LoopState> loop_;
  const bool tls_;
  // Keeps a small answer of try_answer for requests that come in the same words.
  void remember(const server::Exchange& exchange, const net::Outgoing& out,
                const std::shared_ptr<const StoredObject>& stored, std::uint64_t revision,
                const cache::UseDecision& use, base::WallTime now);

  RecentAnswers& recent_answers() { return tls_ ? loop_->recent_https : loop_->recent_http; }

  RequestTarget hit_target_;                // of try_answer: its strings are reused
  const RecentAnswer* repeated_ = nullptr;  // of the last repeat()
};

}  // namespace larder::node
