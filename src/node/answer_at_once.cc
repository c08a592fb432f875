// The part of the request path that answers hits without waiting for anything, and that tells the
// counters and the log of every answer.

#include <algorithm>

#include "node/request_path.h"

namespace larder::node {

namespace {

// Longest range that is answered without waiting, in bytes.
constexpr std::uint64_t kLongestAtOnce = 8 << 20;

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

void RequestPath::finished(const server::Exchange& exchange) {
  loop_->record(exchange, tls_ ? "https" : "http", origin_host(exchange.head()));
}

void RequestPath::refused(const server::Peer& peer, const server::Outcome& outcome,
                          base::SteadyTime start) {
  loop_->record_refused(peer, outcome, tls_ ? "https" : "http", start);
}

}  // namespace larder::node
