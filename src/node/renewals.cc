#include "node/renewals.h"

#include <algorithm>
#include <utility>

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
constexpr std::size_t kCommonNameLimit = 64;

std::optional<certs::Lifetime> lifetime_of(const certs::CertificateFacts* facts) {
  if (facts == nullptr) return std::nullopt;
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

std::string_view name_of(SignerType type) {
  return type == SignerType::Command ? "command" : "acme";
}

}  // namespace

Renewals::Renewals(RenewalSurroundings surroundings, const base::Clock& clock)
    : surroundings_(std::move(surroundings)),
      clock_(clock),
      worker_([this](const client::HttpExchange& exchange) { return step(exchange); }) {}

void Renewals::wake() {
  {
    const std::lock_guard lock(mutex_);
    changed_ = true;
  }
  worker_.wake();
}

Result<std::uint64_t> Renewals::ask(const std::string& certificate) {
  const auto settings = surroundings_.settings();
  const bool known = std::ranges::any_of(settings->signers, [&](const SignerSettings& signer) {
    return signer.certificate == certificate;
  });
  if (!known) {
    return fail(ErrorCode::NotFound,
                "no signer is configured for " + certificate +
                    "; add a [[node.signer]] table, or have the request signed and import the "
                    "result");
  }
  std::uint64_t finished = 0;
  {
    const std::lock_guard lock(mutex_);
    wanted_[certificate] = true;
    changed_ = true;
    const Facts& facts = facts_[certificate];
    finished = facts.finished + (facts.running ? 2 : 1);
  }
  worker_.wake();
  return finished;
}

std::vector<Renewals::Facts> Renewals::facts() const {
  const std::lock_guard lock(mutex_);
  std::vector<Facts> list;
  for (const auto& [certificate, facts] : facts_) {
    list.push_back(facts);
    list.back().certificate = certificate;
  }
  return list;
}

bool Renewals::take_wish(const std::string& certificate) {
  const std::lock_guard lock(mutex_);
  return std::exchange(wanted_[certificate], false);
}

Result<certs::CertificateStore> Renewals::open_store(const NodeSettings& settings) const {
  return certs::CertificateStore::open(
      {surroundings_.folder, settings.connection_names, settings.client_trust});
}

milliseconds Renewals::step(const client::HttpExchange& exchange) {
  const auto settings = surroundings_.settings();
  const auto is_gone = [&](const auto& entry) {
    return std::ranges::none_of(settings->signers, [&](const SignerSettings& signer) {
      return signer.certificate == entry.first;
    });
  };
  std::erase_if(records_, is_gone);
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = std::exchange(changed_, false);
    std::erase_if(facts_, is_gone);
  }
  if (settings->signers.empty()) return kTick;
  if (!changed && clock_.wall() < next_ && clock_.steady() < look_again_) return kTick;
  look_again_ = clock_.steady() + kLookAgain;
  const auto store = open_store(*settings);
  const auto inventory =
      store ? store->list() : Result<certs::Inventory>(std::unexpected(store.error()));
  if (!inventory) {
    base::log_error("certificates cannot be renewed", {{"reason", inventory.error().message}});
    next_ = clock_.wall() + kLookAgain;
    return kTick;
  }
  const SigningThread thread{exchange, [this](milliseconds time) { return worker_.pause(time); }};
  base::WallTime next = base::WallTime::max();
  for (const SignerSettings& signer : settings->signers) {
    if (!worker_.pause(milliseconds(0))) break;
    next = std::min(next, look_after(signer, *inventory, *settings, thread));
  }
  next_ = next;
  return kTick;
}

base::WallTime Renewals::look_after(const SignerSettings& signer, const certs::Inventory& inventory,
                                    const NodeSettings& settings, const SigningThread& thread) {
  const certs::RenewalTarget target = certs::renewal_target(inventory, signer.certificate);
  RenewalRecord& record = record_of(signer.certificate);
  auto decision =
      certs::decide_renewal(lifetime_of(target.current), record.attempts, clock_.wall());
  const bool wished = take_wish(signer.certificate);
  if (!wished && (!decision.due || !target.against.empty())) {
    note_plan(signer, decision.at, target.against, record);
    return target.against.empty() ? decision.at : base::WallTime::max();
  }
  base::log_info("a certificate is to be renewed",
                 {{"certificate", signer.certificate},
                  {"signer", std::string(name_of(signer.type))},
                  {"reason", wished ? "by command" : decision.reason}});
  {
    const std::lock_guard lock(mutex_);
    facts_[signer.certificate].running = true;
  }
  attempt(signer, settings, thread, record, decision.emergency);
  {
    const std::lock_guard lock(mutex_);
    Facts& facts = facts_[signer.certificate];
    facts.running = false;
    facts.failures = record.attempts.failures;
    facts.error = record.reason;
    ++facts.finished;
  }
  return record.next;
}

void Renewals::note_plan(const SignerSettings& signer, base::WallTime next,
                         const std::string& against, RenewalRecord& record) const {
  const RenewalRecord before = record;
  record.signer = name_of(signer.type);
  record.next = std::chrono::floor<std::chrono::seconds>(next);
  if (record.attempts.failures == 0 || !against.empty()) record.reason = against;
  if (!against.empty()) record.attempts.failures = 0;
  if (print(record) == print(before)) return;
  write_down(signer.certificate, record);
}

void Renewals::attempt(const SignerSettings& signer, const NodeSettings& settings,
                       const SigningThread& thread, RenewalRecord& record, bool emergency) {
  const RenewalRecord earlier = record;
  record.signer = name_of(signer.type);
  record.attempts.last = clock_.wall();
  std::chrono::seconds asked_to_wait{0};
  const auto renewed = [&]() -> Result<certs::ImportOutcome> {
    auto store = open_store(settings);
    if (!store) return std::unexpected(store.error());
    const auto before = store->list();
    if (!before) return std::unexpected(before.error());
    if (!has_request(*before, signer.certificate)) {
      const auto made = store->make_request(
          own_request(signer.certificate, settings.connection_names), clock_.wall());
      if (!made) return base::with_context("cannot make a request", made.error());
    }
    auto made = surroundings_.make_signer(signer, thread);
    if (!made) return std::unexpected(made.error());
    LARDER_TRY(write_beginning(signer.certificate, record));
    auto outcome = store->renew(signer.certificate, **made, clock_);
    asked_to_wait = outcome ? std::chrono::seconds(0) : (*made)->asked_to_wait();
    return outcome;
  }();
  if (!renewed && !thread.pause(milliseconds(0))) {  // the node stops: no failure
    record = earlier;
    write_down(signer.certificate, record);
    return;
  }
  record.attempts.last = clock_.wall();
  record.attempts.asked_to_wait = asked_to_wait;
  std::optional<certs::Lifetime> lifetime;
  if (renewed) {
    record.attempts.failures = 0;
    record.reason.clear();
    if (const base::Status taken = surroundings_.take_over(); !taken) {
      base::log_error("the renewed certificate cannot be served",
                      {{"certificate", signer.certificate}, {"reason", taken.error().message}});
      record.reason = taken.error().message;
    }
  } else {
    ++record.attempts.failures;
    record.reason = renewed.error().message;
    // The last tenth of its life is when somebody has to look.
    base::log_event(emergency ? base::LogLevel::Error : base::LogLevel::Warning,
                    "a certificate could not be renewed",
                    {{"certificate", signer.certificate},
                     {"failures", std::to_string(record.attempts.failures)},
                     {"reason", record.reason}});
  }
  if (const auto store = open_store(settings)) {
    if (const auto after = store->list()) {
      lifetime = lifetime_of(certs::renewal_target(*after, signer.certificate).current);
    }
  }
  record.next = certs::decide_renewal(lifetime, record.attempts, clock_.wall()).at;
  write_down(signer.certificate, record);
}

RenewalRecord& Renewals::record_of(const std::string& certificate) {
  const auto [known, is_new] = records_.try_emplace(certificate);
  if (!is_new) return known->second;
  // One that cannot be read is begun anew: an attempt too many does less harm than none.
  if (auto read = certs::read_renewal_record(surroundings_.folder, certificate)) {
    RenewalRecord& record = known->second = std::move(*read);
    if (std::exchange(record.is_running, false)) {
      ++record.attempts.failures;
      record.reason = "the node ended during the attempt";
    }
  }
  return known->second;
}

base::Status Renewals::write_beginning(const std::string& certificate, RenewalRecord record) const {
  record.is_running = true;
  if (const base::Status written =
          certs::write_renewal_record(surroundings_.folder, certificate, record);
      !written) {
    return base::with_context("the attempt cannot be written down, so nobody was asked to sign",
                              written.error());
  }
  return {};
}

void Renewals::write_down(const std::string& certificate, const RenewalRecord& record) const {
  if (const base::Status written =
          certs::write_renewal_record(surroundings_.folder, certificate, record);
      !written) {
    base::log_warning("what became of a renewal cannot be written",
                      {{"reason", written.error().message}});
  }
}

}  // namespace larder::node
