#include "node/renewal_turn.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "certs/renewal_target.h"

namespace larder::node {

using base::ErrorCode;
using base::fail;
using base::Result;
using certs::RenewalRecord;
using std::chrono::milliseconds;

namespace {

// The wall clock is looked at this often, because it may be set.
constexpr milliseconds kTick{5000};
// The files are looked at this often, because others may have changed them.
constexpr std::chrono::minutes kLookAgain{5};
// Signers that do not say anything for once.
constexpr std::chrono::hours kLookAfterFailure{1};
constexpr std::chrono::hours kLongestAdvice{24};
constexpr std::size_t kCommonNameLimit = 64;

Result<std::vector<crypto::Certificate>> chain_of(const certs::CertificateFacts& facts) {
  const auto text = base::read_file(facts.path, certs::kChainFileLimit);
  if (!text) return std::unexpected(text.error());
  auto chain = crypto::parse_certificates(*text);
  if (!chain) return base::with_context(facts.path, chain.error());
  return chain;
}

std::optional<certs::Lifetime> lifetime_of(const certs::CertificateFacts* facts,
                                           const NodeSettings& settings, base::WallTime now) {
  if (facts == nullptr) return std::nullopt;
  if (const auto chain = chain_of(*facts)) {
    return certs::lifetime_of(*chain, settings.client_trust, now);
  }
  return certs::lifetime_of(facts->not_before, facts->not_after, facts->id);
}

bool has_request(const certs::Inventory& inventory, const std::string& key_name) {
  return std::ranges::any_of(inventory.keys, [&](const certs::KeyFacts& key) {
    return key.name == key_name && !key.request_path.empty();
  });
}

certs::RequestOptions own_request(const std::string& key_name,
                                  const std::vector<std::string>& names) {
  certs::RequestOptions options;
  options.key_name = key_name;
  for (const std::string& name : names) {
    if (crypto::parse_address(name) || name.size() > kCommonNameLimit) continue;
    options.subject.common_name = name;
    break;
  }
  return options;
}

Result<crypto::Certificate> leaf_of(const certs::CertificateFacts& facts) {
  auto chain = chain_of(facts);
  if (!chain) return std::unexpected(chain.error());
  return std::move(chain->front());
}

std::string_view name_of(SignerType type) {
  return type == SignerType::Command ? "command" : "acme";
}

}  // namespace

RenewalTurn::RenewalTurn(const RenewalSurroundings& surroundings, std::string certificate,
                         const base::Clock& clock)
    : surroundings_(surroundings),
      certificate_(std::move(certificate)),
      clock_(clock),
      worker_([this](const client::HttpExchange& exchange) { return step(exchange); }) {
  facts_.certificate = certificate_;
  facts_.failures = record().attempts.failures;
  if (facts_.failures > 0) facts_.error = record().reason;
}

void RenewalTurn::wake() {
  {
    const std::lock_guard lock(mutex_);
    changed_ = true;
  }
  worker_.wake();
}

std::uint64_t RenewalTurn::ask() {
  std::uint64_t finished = 0;
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
    changed_ = true;
    finished = facts_.finished + (facts_.running ? 2 : 1);
  }
  worker_.wake();
  return finished;
}

RenewalFacts RenewalTurn::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

Result<certs::CertificateStore> RenewalTurn::open_store(const NodeSettings& settings) const {
  return certs::CertificateStore::open(
      {surroundings_.folder, settings.connection_names, settings.client_trust});
}

milliseconds RenewalTurn::step(const client::HttpExchange& exchange) {
  const auto settings = surroundings_.settings();
  const auto signer =
      std::ranges::find(settings->signers, certificate_, &SignerSettings::certificate);
  if (signer == settings->signers.end()) return kTick;  // about to be ended
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = std::exchange(changed_, false);
  }
  if (!changed && clock_.wall() < next_ && clock_.steady() < look_again_) return kTick;
  look_again_ = clock_.steady() + kLookAgain;
  const auto store = open_store(*settings);
  const auto inventory =
      store ? store->list() : Result<certs::Inventory>(std::unexpected(store.error()));
  if (!inventory) {
    base::log_error("a certificate cannot be renewed",
                    {{"certificate", certificate_}, {"reason", inventory.error().message}});
    next_ = clock_.wall() + kLookAgain;
    const std::lock_guard lock(mutex_);
    if (std::exchange(wanted_, false)) {
      facts_.error = inventory.error().message;
      ++facts_.finished;
    }
    return kTick;
  }
  const SigningThread thread{exchange, [this](milliseconds time) { return worker_.pause(time); }};
  next_ = look_after(*signer, *inventory, *settings, thread);
  return kTick;
}

base::WallTime RenewalTurn::look_after(const SignerSettings& signer,
                                       const certs::Inventory& inventory,
                                       const NodeSettings& settings, const SigningThread& thread) {
  const certs::RenewalTarget target = certs::renewal_target(inventory, signer.certificate);
  bool wished = false;
  {
    const std::lock_guard lock(mutex_);
    wished = std::exchange(wanted_, false);
  }
  if (!wished && target.current != nullptr && target.against.empty()) {
    look_for_advice(signer, *target.current, thread);
  }
  const base::WallTime now = clock_.wall();
  const auto decision =
      certs::decide_renewal(lifetime_of(target.current, settings, now), record().attempts, now,
                            suggested_for(target.current));
  if (!wished && (!decision.due || !target.against.empty())) {
    note_plan(signer, decision.at, target.against);
    if (!target.against.empty()) {
      const std::lock_guard lock(mutex_);
      facts_.failures = record().attempts.failures;  // they count no more
      return base::WallTime::max();
    }
    // Advice about another certificate, or from a signer that is gone, is not asked for again, so
    // its time would stay in the past.
    const auto& advice = record().advice;
    const bool is_followed = signer.type == SignerType::Acme && target.current != nullptr &&
                             advice && advice->certificate == target.current->id;
    return is_followed ? std::min(decision.at, advice->look_again) : decision.at;
  }
  base::log_info("a certificate is to be renewed",
                 {{"certificate", signer.certificate},
                  {"signer", std::string(name_of(signer.type))},
                  {"reason", wished ? "by command" : decision.reason}});
  {
    const std::lock_guard lock(mutex_);
    facts_.running = true;
  }
  attempt(signer, settings, thread, target.current, decision.emergency);
  {
    const std::lock_guard lock(mutex_);
    facts_.running = false;
    facts_.failures = record().attempts.failures;
    facts_.error = record().reason;
    ++facts_.finished;
  }
  if (record().attempts.failures > 0) surroundings_.failed();
  return clock_.wall();  // what there is now is looked at once more
}

std::optional<certs::RenewalWindow> RenewalTurn::suggested_for(
    const certs::CertificateFacts* current) {
  const auto& advice = record().advice;
  if (current == nullptr || !advice || advice->certificate != current->id) return std::nullopt;
  return advice->window;
}

void RenewalTurn::look_for_advice(const SignerSettings& signer,
                                  const certs::CertificateFacts& current,
                                  const SigningThread& thread) {
  if (signer.type != SignerType::Acme) return;
  RenewalRecord& kept = record();
  const base::WallTime now = clock_.wall();
  const bool is_known = kept.advice && kept.advice->certificate == current.id;
  // A look further away than any was planned before somebody set the clock back.
  if (is_known && now < kept.advice->look_again && kept.advice->look_again <= now + kLongestAdvice)
    return;
  const auto advice = [&]() -> Result<certs::RenewalAdvice> {
    const auto leaf = leaf_of(current);
    if (!leaf) return std::unexpected(leaf.error());
    auto made = surroundings_.make_signer(signer, thread, nullptr);
    if (!made) return std::unexpected(made.error());
    return (*made)->advise(*leaf);
  }();
  if (!advice && !thread.pause(milliseconds(0))) return;  // the node stops
  if (!is_known) {
    kept.advice = {.certificate = current.id, .window = {}, .look_again = now};
  }
  if (advice) {
    kept.advice->window = advice->window;
    kept.advice->look_again = now + advice->look_again;
  } else {
    // What was said before still counts.
    kept.advice->look_again = now + kLookAfterFailure;
    base::log_info("whoever signed a certificate does not say when to renew it",
                   {{"certificate", certificate_}, {"reason", advice.error().message}});
  }
  write_down();
}

void RenewalTurn::note_plan(const SignerSettings& signer, base::WallTime next,
                            const std::string& against) {
  RenewalRecord& plan = record();
  const RenewalRecord before = plan;
  plan.signer = name_of(signer.type);
  plan.next = std::chrono::floor<std::chrono::seconds>(next);
  if (plan.attempts.failures == 0 || !against.empty()) plan.reason = against;
  if (!against.empty()) plan.attempts.failures = 0;
  if (print(plan) == print(before)) return;
  write_down();
}

void RenewalTurn::attempt(const SignerSettings& signer, const NodeSettings& settings,
                          const SigningThread& thread, const certs::CertificateFacts* current,
                          bool emergency) {
  RenewalRecord& kept = record();
  const RenewalRecord earlier = kept;
  kept.signer = name_of(signer.type);
  kept.attempts.last = clock_.wall();
  std::chrono::seconds asked_to_wait{0};
  const auto renewed = [&]() -> Result<certs::ImportOutcome> {
    auto store = open_store(settings);
    if (!store) return std::unexpected(store.error());
    const auto before = store->list();
    if (!before) return std::unexpected(before.error());
    if (!has_request(*before, signer.certificate)) {
      const auto made = store->make_request(
          own_request(signer.certificate, settings.connection_names), clock_.wall(), thread.pause);
      if (!made) return base::with_context("cannot make a request", made.error());
    }
    const auto replaced = suggested_for(current)
                              ? leaf_of(*current)
                              : Result<crypto::Certificate>(fail(ErrorCode::NotFound, ""));
    auto made = surroundings_.make_signer(signer, thread, replaced ? &*replaced : nullptr);
    if (!made) return std::unexpected(made.error());
    LARDER_TRY(write_beginning());
    auto outcome = store->renew(signer.certificate, **made, clock_, thread.pause);
    asked_to_wait = outcome ? std::chrono::seconds(0) : (*made)->asked_to_wait();
    return outcome;
  }();
  if (!renewed && !thread.pause(milliseconds(0))) {  // the node stops: no failure
    kept = earlier;
    write_down();
    return;
  }
  kept.attempts.last = clock_.wall();
  kept.attempts.asked_to_wait = asked_to_wait;
  if (renewed) {
    kept.attempts.failures = 0;
    kept.reason.clear();
    if (const base::Status taken = surroundings_.take_over(); !taken) {
      base::log_error("the renewed certificate cannot be served",
                      {{"certificate", signer.certificate}, {"reason", taken.error().message}});
      kept.reason = taken.error().message;
    }
  } else {
    ++kept.attempts.failures;
    kept.reason = renewed.error().message;
    // The last tenth of its life is when somebody has to look.
    base::log_event(emergency ? base::LogLevel::Error : base::LogLevel::Warning,
                    "a certificate could not be renewed",
                    {{"certificate", signer.certificate},
                     {"failures", std::to_string(kept.attempts.failures)},
                     {"reason", kept.reason}});
  }
  const auto store = open_store(settings);
  const auto after = store ? store->list() : Result<certs::Inventory>(certs::Inventory{});
  const certs::CertificateFacts* const shown =
      after ? certs::renewal_target(*after, signer.certificate).current : nullptr;
  const base::WallTime now = clock_.wall();
  kept.next = certs::decide_renewal(lifetime_of(shown, settings, now), kept.attempts, now,
                                    suggested_for(shown))
                  .at;
  write_down();
}

RenewalRecord& RenewalTurn::record() {
  if (record_) return *record_;
  record_.emplace();
  // One that cannot be read is begun anew: an attempt too many does less harm than none.
  if (auto read = certs::read_renewal_record(surroundings_.folder, certificate_)) {
    record_ = std::move(*read);
    if (std::exchange(record_->is_running, false)) {
      ++record_->attempts.failures;
      record_->reason = "the node ended during the attempt";
    }
  }
  return *record_;
}

base::Status RenewalTurn::write_beginning() const {
  RenewalRecord begun = *record_;
  begun.is_running = true;
  if (const base::Status written =
          certs::write_renewal_record(surroundings_.folder, certificate_, begun);
      !written) {
    return base::with_context("the attempt cannot be written down, so nobody was asked to sign",
                              written.error());
  }
  return {};
}

void RenewalTurn::write_down() const {
  if (const base::Status written =
          certs::write_renewal_record(surroundings_.folder, certificate_, *record_);
      !written) {
    base::log_warning("what became of a renewal cannot be written",
                      {{"certificate", certificate_}, {"reason", written.error().message}});
  }
}

}  // namespace larder::node
