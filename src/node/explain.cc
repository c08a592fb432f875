#include "node/explain.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/encoding.h"
#include "base/json.h"
#include "cache/freshness.h"
#include "cache/variant.h"
#include "http/characters.h"
#include "node/answer_head.h"
#include "node/request_target.h"
#include "node/setting_texts.h"
#include "store/siphash.h"

namespace larder::node {

namespace {

using base::Json;
using std::chrono::seconds;
using Kind = cache::UseDecision::Kind;

std::string text_of(seconds duration) {
  return std::to_string(duration.count()) + " s";
}

// "http" and what follows "://"; nothing for other schemes.
std::optional<std::pair<bool, std::string>> split_scheme(const std::string& url) {
  const std::size_t end = url.find("://");
  if (end == std::string::npos) return std::nullopt;
  const std::string scheme = base::to_lower(url.substr(0, end));
  if (scheme != "http" && scheme != "https") return std::nullopt;
  return std::pair{scheme == "https", url.substr(end + 3)};
}

bool is_clean(std::string_view text) {
  return http::all_of_class(text, http::kFieldValue);
}

// The request as a client would send it to the node.
base::Result<std::string> write_request(const ExplainRequest& request, std::string_view rest) {
  rest = rest.substr(0, rest.find('#'));
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string target(rest.substr(end));
  if (!target.starts_with('/')) target.insert(0, "/");
  std::string text = request.method + " " + target + " HTTP/1.1\r\nHost: ";
  text += rest.substr(0, end);
  text += "\r\n";
  for (const auto& [name, value] : request.fields) {
    if (!http::is_token(name) || !is_clean(value)) {
      return base::fail(base::ErrorCode::InvalidArgument, "a field is \"Name: value\" on one line");
    }
    text += name + ": " + value + "\r\n";
  }
  return text + "\r\n";
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::Serve:
      return "serve";
    case Kind::ServeStaleWhileRevalidate:
      return "serve-stale-while-revalidate";
    case Kind::Revalidate:
      return "revalidate";
    case Kind::Miss:
      return "miss";
    case Kind::Pass:
      return "pass";
    case Kind::Unsatisfied:
      return "unsatisfied";
  }
  return "miss";
}

std::string_view generation_text(cache::GenerationKind kind) {
  switch (kind) {
    case cache::GenerationKind::StrongEtag:
      return "parts are joined under its strong entity tag";
    case cache::GenerationKind::LastModified:
      return "parts are joined under its Last-Modified and length";
    case cache::GenerationKind::SingleResponse:
      break;
  }
  return "one response: nothing proves that further parts belong to it";
}

// One explanation on its way: facts for programs and steps for people.
class Explanation {
 public:
  Explanation(Delivery& delivery, const http::RequestHead& head, bool tls)
      : delivery_(delivery),
        policy_(delivery.policy.get()),
        head_(head),
        now_(delivery.clock.wall()) {
    resolve_target(head, tls, policy_->hosts, delivery.store.secret(), target_);
    out_["method"] = std::string(head.method_text);
    out_["client_tls"] = tls;
    out_["steps"] = Json::array();
  }

  std::string run() {
    if (explain_target()) explain_cache();
    return out_.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  struct Found {
    std::shared_ptr<store::Object> object;
    cache::StoredResponse response;
  };

  void step(const char* name, std::string text) {
    out_["steps"].push_back({{"step", name}, {"text", std::move(text)}});
  }
  void decide(std::string_view kind, std::string_view reason, std::string text) {
    out_["decision"] = {{"kind", std::string(kind)}, {"reason", std::string(reason)}};
    step("decision", std::move(text));
  }

  bool explain_target();
  void explain_cache();
  std::optional<Found> load(const store::Key& key, std::string_view text);
  std::optional<Found> look_up();
  void explain_redirects();
  void explain_stored(const std::optional<Found>& found);
  void explain_freshness(const cache::StoredResponse& stored);
  void explain_decision(const std::optional<Found>& found, const cache::UseDecision& use);
  void explain_answer(const Found& found, bool only_if_cached);
  std::string fetch_text() const;
  bool is_capped() const;

  Delivery& delivery_;
  const std::shared_ptr<const Policy> policy_;  // target_ points into it
  const http::RequestHead& head_;
  const base::WallTime now_;
  RequestTarget target_;
  Json out_ = Json::object();
};

bool Explanation::explain_target() {
  const http::OriginChoice& choice = target_.choice;
  if (choice.kind == http::OriginChoice::Kind::Refuse) {
    decide("refuse", choice.reason,
           "refused with " + std::to_string(choice.status) + ": " + std::string(choice.reason));
    return false;
  }
  if (choice.kind == http::OriginChoice::Kind::Local) {
    decide("local", "a path of the node itself", "answered by the node itself, not by the cache");
    return false;
  }
  const OriginSettings& origin = *target_.origin;
  const std::string host(choice.authority.host());
  step("target", "the origin is " + host + ", named by " + std::string(http::name(choice.form)));
  std::string text = origin.is_profile ? "profile " : "[[origin]] ";
  text += origin.name + ": bytes come over " + (target_.https ? "verified HTTPS" : "HTTP");
  if (origin.url) text += " from " + to_text(*origin.url);
  if (target_.canonical != host) text += ", kept as " + std::string(target_.canonical);
  if (origin.follow_redirects) {
    text += "; its redirects are followed, as long as they lead to hosts that are allowed here";
  }
  step("origin", std::move(text));
  out_["origin"] = {{"name", origin.name},
                    {"host", host},
                    {"form", std::string(http::name(choice.form))},
                    {"is_profile", origin.is_profile},
                    {"https", target_.https},
                    {"follows_redirects", origin.follow_redirects}};
  if (!origin.allows_method(head_.method_text)) {
    decide("refuse", "method",
           "refused with 405: the table's methods do not allow " + std::string(head_.method_text));
    return false;
  }
  return true;
}

std::optional<Explanation::Found> Explanation::load(const store::Key& key, std::string_view text) {
  std::shared_ptr<store::Object> object = delivery_.store.find(key);
  if (!object) return std::nullopt;
  auto response = cache::parse_stored_response(base::as_bytes(*object->metadata()));
  if (!response || response->key != text) return std::nullopt;
  return Found{.object = std::move(object), .response = std::move(*response)};
}

// As RequestPath::look_up, here on a thread that may block.
std::optional<Explanation::Found> Explanation::look_up() {
  std::optional<Found> first = load(target_.key, target_.key_text);
  if (!first || first->response.vary.empty() || first->response.variant_epoch == 0 ||
      cache::varies_by_who_asks(first->response, head_) ||
      cache::matches_vary(first->response, head_, target_.policy.fill)) {
    return first;
  }
  const unsigned start = cache::first_variant_slot(first->response, head_, target_.policy.fill);
  for (unsigned i = 0; i < cache::kVariantSlots; ++i) {
    const unsigned slot = (start + i) % cache::kVariantSlots;
    std::string text = cache::variant_key(target_.key_text, first->response.variant_epoch, slot);
    const store::Key key = store::siphash_128(delivery_.store.secret(), base::as_bytes(text));
    std::optional<Found> found = load(key, text);
    if (!found || !cache::matches_vary(found->response, head_, target_.policy.fill)) continue;
    step("variant",
         "what is stored under the URL's own key is another variant; this one has place " +
             std::to_string(slot + 1) + " of " + std::to_string(cache::kVariantSlots));
    target_.key = key;
    target_.key_text = std::move(text);
    return found;
  }
  step("variant",
       "what is stored was chosen by other request fields, and so were all other variants");
  return std::nullopt;
}

void Explanation::explain_cache() {
  complete_policy(target_);
  if (head_.method != http::Method::Get && head_.method != http::Method::Head) {
    decide("pass", "method",
           "forwarded for this client alone; when it succeeds, what is stored for the URL goes");
    return;
  }
  std::optional<Found> found = look_up();
  const auto judge = [&] {
    return cache::decide_to_use(found ? &found->response : nullptr, target_.key_text, head_,
                                target_.policy, now_);
  };
  cache::UseDecision use = judge();
  if ((use.kind == Kind::Miss || use.kind == Kind::Unsatisfied) && may_come_over_https(target_)) {
    set_scheme(target_, true, delivery_.store.secret());
    std::optional<Found> secure = look_up();
    std::swap(found, secure);
    const cache::UseDecision other = judge();
    if (other.kind == Kind::Serve) {
      use = other;
      step("scheme", "what came over HTTPS answers a plain request too");
    } else {
      set_scheme(target_, false, delivery_.store.secret());
      std::swap(found, secure);
    }
  }
  std::string shown = target_.key_text;
  std::replace(shown.begin(), shown.end(), '\n', ' ');
  out_["key"] = shown;
  step("key", shown + (target_.policy.key_is_stripped
                           ? "; parameters were left out, so only successes are shared"
                           : ""));
  if (target_.origin->follow_redirects) explain_redirects();
  explain_stored(found);
  if (found) explain_freshness(found->response);
  explain_decision(found, use);
}

void Explanation::explain_redirects() {
  out_["redirects"] = nullptr;
  const auto trail =
      delivery_.redirects == nullptr ? std::nullopt : delivery_.redirects->find(target_.key);
  if (!trail) return;
  Json hops = Json::array();
  for (const RedirectHop& hop : trail->hops) {
    hops.push_back({{"status", hop.status},
                    {"to", hop.to},
                    {"followed", hop.is_followed},
                    {"reason", std::string(hop.reason)}});
    std::string text = std::to_string(hop.status) + " to ";
    text += hop.to.empty() ? "no place that can be asked" : hop.to;
    text += hop.is_followed ? ": followed, because " : ": the client's to follow, because ";
    step("redirect", text + std::string(hop.reason));
  }
  out_["redirects"] = {{"at", base::to_rfc3339(trail->at)}, {"hops", hops}, {"failure", nullptr}};
  if (trail->failure.empty()) return;
  out_["redirects"]["failure"] = trail->failure;
  step("redirect", "refused behind that: " + trail->failure);
}

void Explanation::explain_stored(const std::optional<Found>& found) {
  if (!found) {
    out_["stored"] = nullptr;
    out_["not_stored"] = nullptr;
    const auto refusal = delivery_.store_refusals.find(target_.key);
    if (!refusal) {
      step("stored", "nothing");
      return;
    }
    out_["not_stored"] = {{"reason", std::string(refusal->reason)},
                          {"at", base::to_rfc3339(refusal->at)}};
    step("stored", "nothing: the answer of " + base::to_rfc3339(refusal->at) +
                       " was not stored, because of: " + std::string(refusal->reason));
    return;
  }
  const store::Object& object = *found->object;
  const cache::StoredResponse& response = found->response;
  std::uint32_t slices = 0;
  for (std::uint32_t i = 0; i < object.slice_count(); ++i) slices += object.has_slice(i) ? 1 : 0;
  Json vary = Json::array();
  for (const cache::NominatedField& field : response.vary) vary.push_back(field.name);
  out_["stored"] = {{"status", response.status},
                    {"generation", object.id()},
                    {"length", object.length()},
                    {"slices", object.slice_count()},
                    {"slices_stored", slices},
                    {"stored_at", base::to_rfc3339(response.response_time)},
                    {"etag", std::string(response.etag())},
                    {"last_modified", std::string(response.last_modified())},
                    {"vary", vary}};
  std::string text =
      "a " + std::to_string(response.status) + " of " + std::to_string(object.length()) +
      " bytes, " + std::to_string(slices) + " of " + std::to_string(object.slice_count()) +
      " slices here, from " + base::to_rfc3339(response.response_time) + ", generation " +
      std::to_string(object.id()) + "; " + std::string(generation_text(response.generation.kind));
  if (!vary.empty()) {
    text += "; varies by";
    for (const cache::NominatedField& field : response.vary) text += " " + field.name;
  }
  step("stored", std::move(text));
}

void Explanation::explain_freshness(const cache::StoredResponse& stored) {
  const seconds age = cache::current_age(stored, now_);
  const auto initial = std::chrono::floor<seconds>(stored.freshness.initial_age);
  const seconds lifetime = stored.freshness.lifetime;
  const std::string source(cache::lifetime_source(stored, target_.policy));
  out_["freshness"] = {{"lifetime", lifetime.count()},
                       {"source", source},
                       {"age", age.count()},
                       {"age_when_stored", initial.count()},
                       {"remaining", (lifetime - age).count()}};
  std::string text = "lifetime " + text_of(lifetime) + " by " + source + ", age " + text_of(age) +
                     " (" + text_of(initial) + " when it came, " + text_of(age - initial) +
                     " here): ";
  text += age < lifetime ? "fresh for " + text_of(lifetime - age)
                         : "stale for " + text_of(age - lifetime);
  if (stored.freshness.always_revalidate) text += "; no-cache: asked about at every use";
  if (stored.freshness.must_revalidate) text += "; must not be served stale";
  step("freshness", std::move(text));
}

std::string Explanation::fetch_text() const {
  return std::string(target_.https ? "https" : "http") + "://" +
         std::string(target_.choice.authority.host()) + std::string(target_.choice.path);
}

// Whether a further download from this origin would be refused now.
bool Explanation::is_capped() const {
  return !delivery_.origin.has_room(std::string(target_.choice.authority.host()));
}

void Explanation::explain_decision(const std::optional<Found>& found,
                                   const cache::UseDecision& use) {
  const std::string reason(use.reason);
  const bool is_head = head_.method == http::Method::Head;
  const auto is = [&](const std::string& text) { decide(kind_name(use.kind), reason, text); };
  // For what has to come from the origin.
  const auto comes = [&](const std::string& text) {
    if (!is_capped()) return is(text);
    decide(kind_name(use.kind), "upstream-rate",
           "503, because upstream_rate admits no further download from this origin now, unless it "
           "is under way already; else " +
               text);
  };
  switch (use.kind) {
    case Kind::Serve:
      is("answered from the cache, because it is " + reason);
      return explain_answer(*found, use.only_if_cached);
    case Kind::ServeStaleWhileRevalidate:
      is("answered from the cache although stale, and revalidated behind the answer: " + reason);
      return explain_answer(*found, use.only_if_cached);
    case Kind::Revalidate: {
      std::string text;
      if (is_head) {
        text = "forwarded as a HEAD, because of: " + reason +
               "; a 200 renews what is stored, or removes it where it tells of something else";
      } else {
        text = "the origin is asked first, because of: " + reason + "; ";
        const auto fields = cache::validation_fields(found->response);
        for (const auto& field : fields) text += field.name + " " + field.value + "; ";
        text += fields.empty() ? "nothing can be validated, so it is fetched anew"
                               : "after a 304 what is stored is served";
      }
      if (is_capped()) {
        text +=
            "; but upstream_rate admits no download now: what is stored is served where it may "
            "be, else 503";
      }
      return is(text);
    }
    case Kind::Miss:
      if (is_head) {
        return comes("forwarded as a HEAD, because of: " + reason + "; nothing is stored of it");
      }
      if (delivery_.hit_for_miss.covers(target_.key, head_.has(http::FieldName::Range),
                                        std::chrono::steady_clock::now())) {
        return comes("forwarded for this client alone: the last answer was not to be shared");
      }
      return comes("fetched from " + fetch_text() + ", because of: " + reason +
                   "; stored when its answer allows");
    case Kind::Pass:
      return comes("forwarded for this client alone, because of: " + reason);
    case Kind::Unsatisfied:
      return is("504, because of: " + reason);
  }
}

void Explanation::explain_answer(const Found& found, bool only_if_cached) {
  StoredObject stored;
  stored.object = found.object;
  stored.response = found.response;
  Selection selection = select(head_, stored, now_);
  if (!can_send_parts(stored, selection, true)) selection = {200, 0, stored.object->length()};
  const bool has_parts = !selection.parts.empty();
  std::vector<http::ByteRange> parts = selection.parts;
  if (!has_parts && selection.length > 0) {
    parts.push_back({selection.first, selection.first + selection.length - 1});
  }
  std::uint64_t length = 0;
  bool is_here = true;
  for (const http::ByteRange& part : parts) {
    length += part.length();
    is_here = is_here && found.object->has_range(part.first, part.length());
  }
  if (!is_here && only_if_cached && head_.method != http::Method::Head) {
    out_["answer"] = {{"status", 504}, {"first", 0}, {"length", 0}};
    step("answer", "504: slices are missing, and the request does not allow to fetch them");
    return;
  }
  const std::uint64_t first = parts.empty() ? selection.first : parts.front().first;
  out_["answer"] = {{"status", selection.status}, {"first", first}, {"length", length}};
  if (has_parts) out_["answer"]["parts"] = parts.size();
  if (selection.status == 412) {
    step("answer", "a condition that is for the origin does not hold here: forwarded to it");
    return;
  }
  std::string text = std::to_string(selection.status);
  if (head_.method == http::Method::Head) {
    text += " without a body";
  } else {
    text += ", " + std::to_string(length) + " bytes ";
    text += has_parts ? "in " + std::to_string(parts.size()) + " parts"
                      : "from " + std::to_string(first) + " on";
    if (!is_here) text += "; slices that are missing are fetched from " + fetch_text();
    if (!is_here && is_capped()) {
      text += ", but upstream_rate admits no further download now: 503, unless it is under way";
    }
  }
  step("answer", std::move(text));
}

}  // namespace

base::Result<std::string> explain(Delivery& delivery, const ExplainRequest& request) {
  const auto split = split_scheme(request.url);
  if (!split || !http::is_token(request.method)) {
    return base::fail(base::ErrorCode::InvalidArgument,
                      "an absolute URL is needed: http://host/path or https://host/path");
  }
  const base::Result<std::string> text = write_request(request, split->second);
  if (!text) return std::unexpected(text.error());
  const auto head = std::make_unique<http::RequestHead>();
  const http::HeadParse parsed = http::parse_request_head(*text, *head);
  if (parsed.state != http::HeadParse::State::Complete || parsed.consumed != text->size()) {
    return base::fail(base::ErrorCode::InvalidArgument,
                      "this is no request that a node takes: " +
                          std::string(parsed.reason.empty() ? "incomplete" : parsed.reason));
  }
  return Explanation(delivery, *head, split->first).run();
}

}  // namespace larder::node
