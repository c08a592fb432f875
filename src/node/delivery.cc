#include "node/delivery.h"

#include <algorithm>
#include <cstring>

#include "base/encoding.h"
#include "base/random.h"

namespace larder::node {

namespace {

// Of all loops together, beside the store's open objects: a process may have 32,768 mappings of
// objects.
constexpr std::uint64_t kMostMapped = 16384;

std::uint64_t share_of(const NodeSettings& settings, std::uint64_t all) {
  return all / static_cast<std::uint64_t>(std::max(1, settings.threads));
}

}  // namespace

// Four times a second: evicted objects are let go.
class LoopState::Sweep final : public net::Timed {
 public:
  Sweep(net::Loop& loop, LoopState& state) : state_(state) {
    arm();
    loop.watch(*this);
  }

 private:
  void arm() { deadline_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(250); }
  void expire() override {
    state_.hot.drop_removed();
    const base::SteadyTime now = std::chrono::steady_clock::now();
    state_.recent_http.drop_expired(now);
    state_.recent_https.drop_expired(now);
    state_.read_clocks();
    arm();
  }
  LoopState& state_;
};

LoopState::LoopState(net::Loop& loop, std::shared_ptr<const Policy> first_policy,
                     store::Store& store, std::shared_ptr<Counters> loop_counters,
                     RequestCounterSet& details, std::shared_ptr<server::AccessLog> log)
    : hot(share_of(first_policy->settings, first_policy->settings.hot_memory),
          share_of(first_policy->settings, kMostMapped), store),
      counters(std::move(loop_counters)),
      details_(details),
      loop_(loop),
      sweep_(std::make_unique<Sweep>(loop, *this)) {
  apply(std::move(first_policy), std::move(log));
  read_clocks();
  std::array<std::uint8_t, 8> prefix{};
  base::random_bytes(prefix);
  std::memcpy(request_prefix_.data(), base::to_hex(prefix).data(), request_prefix_.size());
}

LoopState::~LoopState() = default;

void LoopState::let_go() {
  hot.drop_removed();
  recent_http.drop_removed();
  recent_https.drop_removed();
}

void LoopState::apply(std::shared_ptr<const Policy> next, std::shared_ptr<server::AccessLog> log) {
  policy = std::move(next);
  recent_http.clear();
  recent_https.clear();
  if (log == log_file_) return;
  log_.reset();  // writes what it holds
  log_file_ = std::move(log);
  if (log_file_) log_ = std::make_unique<server::AccessLog::Buffer>(*log_file_, loop_);
}

void LoopState::read_clocks() {
  wall_offset_ = base::SystemClock().wall().time_since_epoch() -
                 std::chrono::floor<std::chrono::microseconds>(
                     std::chrono::steady_clock::now().time_since_epoch());
}

void LoopState::write_request_id(char* to) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::memcpy(to, request_prefix_.data(), request_prefix_.size());
  std::uint64_t number = request_number_++;
  for (std::size_t i = kRequestId; i-- > request_prefix_.size();) {
    to[i] = kDigits[number & 15];
    number >>= 4;
  }
}

namespace {

server::AccessRecord describe(const server::Outcome& outcome, std::uint64_t bytes) {
  server::AccessRecord record;
  record.status = outcome.status;
  record.bytes = bytes;
  record.cache = outcome.ending == server::Ending::Complete ? outcome.cache
                 : outcome.ending == server::Ending::Cut    ? "cut"
                                                            : "left";
  record.reason = outcome.reason;
  record.request_id = {outcome.request_id.data(), outcome.request_id.size()};
  record.from_store = outcome.body_from_store;
  record.from_origin = outcome.body_from_origin;
  return record;
}

server::AccessRecord describe(const server::Exchange& exchange, std::string_view scheme,
                              std::string_view host, std::uint64_t bytes,
                              server::AccessFormat format) {
  server::AccessRecord record = describe(exchange.outcome, bytes);
  record.client = exchange.peer().address;
  record.method = exchange.head().method_text;
  record.scheme = scheme;
  record.host = host;
  record.path = exchange.head().path;
  record.has_query = exchange.head().has_query;
  if (format == server::AccessFormat::Json) {
    record.range = exchange.head().last_field(http::FieldName::Range);
    record.user_agent = exchange.head().field(http::FieldName::UserAgent);
  }
  return record;
}

}  // namespace

void LoopState::write_line(const server::Exchange& exchange, std::string_view scheme,
                           std::string_view host, std::uint64_t bytes,
                           server::AccessLine& line) const {
  if (log_file_ == nullptr) return;
  const server::AccessFormat format = log_file_->format();
  server::write_access_line(describe(exchange, scheme, host, bytes, format), format, line);
}

base::WallTime LoopState::wall(base::SteadyTime time) const {
  return base::WallTime{wall_offset_ +
                        std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch())};
}

void LoopState::count_other(const server::Outcome& outcome) {
  if (outcome.cache == "refused") {
    counters->add(Counter::Refusals);
    details_.count_refusal(outcome.status);
  }
  if (outcome.cache == "error") {
    counters->add(Counter::Errors);
    details_.count_error(outcome.reason);
  }
}

void LoopState::count_ending(const server::Outcome& outcome) {
  if (outcome.ending == server::Ending::Cut) counters->add(Counter::Cut);
  if (outcome.ending == server::Ending::ClientLeft) counters->add(Counter::ClientLeft);
}

void LoopState::count_request(const server::Exchange& exchange, Kind kind, base::SteadyTime end) {
  const server::Outcome& outcome = exchange.outcome;
  RequestCounters& counts = counters->requests;
  const auto since = [&](base::SteadyTime time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time - exchange.start());
  };
  if (exchange.first_sent() == base::SteadyTime{} && kind == Kind::Hit) {
    counts.at_once.add(since(end));
  } else {
    const auto index = static_cast<std::size_t>(kind);
    const bool sent = exchange.first_sent() != base::SteadyTime{};
    counts.first_byte[index].add(since(sent ? exchange.first_sent() : end));
    counts.total[index].add(since(end));
  }
  counts.count_class(outcome.status);
  if (outcome.origin >= counts.origins.size()) return;
  OriginCounts& origin = counts.origins[outcome.origin];
  origin.requests.add();
  if (kind == Kind::Hit) origin.hits.add();
  if (outcome.cache == "error" || outcome.ending == server::Ending::Cut) origin.errors.add();
  origin.bytes_from_store.add(outcome.body_from_store);
  origin.bytes_from_origin.add(outcome.body_from_origin);
}

void LoopState::record(const server::Exchange& exchange, std::string_view scheme,
                       std::string_view host) {
  const server::Outcome& outcome = exchange.outcome;
  counters->add(Counter::Requests);
  counters->add(Counter::BytesTotal, outcome.bytes);
  counters->add(Counter::BytesHit, outcome.body_from_store);
  counters->add(Counter::BytesMiss, outcome.body_from_origin);
  const Kind kind = kind_of(outcome.cache);
  if (kind == Kind::Hit) counters->add(Counter::Hits);
  if (kind == Kind::Miss) counters->add(Counter::Misses);
  if (kind == Kind::Pass) counters->add(Counter::Passes);
  if (kind == Kind::Other) count_other(outcome);
  count_ending(outcome);
  const base::SteadyTime end = std::chrono::steady_clock::now();
  count_request(exchange, kind, end);
  if (log_ == nullptr) return;
  server::AccessRecord record =
      describe(exchange, scheme, host, outcome.bytes, log_file_->format());
  record.duration = std::chrono::duration_cast<std::chrono::microseconds>(end - exchange.start());
  log_->append(record, wall(end));
}

void LoopState::record_repeated(const server::Peer& peer, const RecentAnswer& answer,
                                base::SteadyTime start) {
  counters->add(Counter::Requests);
  counters->add(Counter::Hits);
  counters->add(Counter::BytesTotal, answer.bytes.size());
  counters->add(Counter::BytesHit, answer.body);
  const base::SteadyTime end = std::chrono::steady_clock::now();
  const auto duration = std::chrono::duration_cast<std::chrono::microseconds>(end - start);
  RequestCounters& counts = counters->requests;
  counts.at_once.add(duration);
  counts.count_class(answer.status);
  if (answer.origin < counts.origins.size()) {
    counts.origins[answer.origin].requests.add();
    counts.origins[answer.origin].hits.add();
    counts.origins[answer.origin].bytes_from_store.add(answer.body);
  }
  if (log_ == nullptr) return;
  log_->append(peer.address, answer.line, duration,
               std::string_view(answer.bytes).substr(answer.request_id_at, kRequestId), wall(end));
}

// Nothing of the request itself is written: it may be anything.
void LoopState::record_refused(const server::Peer& peer, const server::Outcome& outcome,
                               std::string_view scheme, base::SteadyTime start) {
  counters->add(Counter::Requests);
  counters->add(Counter::BytesTotal, outcome.bytes);
  count_other(outcome);
  count_ending(outcome);
  counters->requests.count_class(outcome.status);
  if (log_ == nullptr) return;
  const base::SteadyTime end = std::chrono::steady_clock::now();
  server::AccessRecord record = describe(outcome, outcome.bytes);
  record.client = peer.address;
  record.method = "-";
  record.scheme = scheme;
  record.host = "-";
  record.request_id = "-";
  record.duration = std::chrono::duration_cast<std::chrono::microseconds>(end - start);
  log_->append(record, wall(end));
}

std::shared_ptr<LoopState> Delivery::loop_state(net::Loop& loop) {
  const std::lock_guard lock(loops_mutex_);
  std::shared_ptr<LoopState>& state = loops_[&loop];
  if (!state) {
    const std::shared_ptr<const Policy> now = policy.get();
    state = std::make_shared<LoopState>(loop, now, store, counters.add_thread(), counters.requests,
                                        access_log_);
  }
  return state;
}

void Delivery::apply(std::shared_ptr<server::AccessLog> log) {
  const std::shared_ptr<const Policy> now = policy.get();
  const std::lock_guard lock(loops_mutex_);
  access_log_ = std::move(log);
  for (const auto& [loop, state] : loops_) {
    loop->post([state, now, file = access_log_] { state->apply(now, file); });
  }
}

void Delivery::let_go() {
  const std::lock_guard lock(loops_mutex_);
  for (const auto& [loop, state] : loops_) {
    // One on its way is enough.
    if (state->is_to_let_go.exchange(true)) continue;
    loop->post([state] {
      state->is_to_let_go = false;
      state->let_go();
    });
  }
}

std::shared_ptr<server::AccessLog> Delivery::access_log() const {
  const std::lock_guard lock(loops_mutex_);
  return access_log_;
}

}  // namespace larder::node
