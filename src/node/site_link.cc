#include "node/site_link.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "client/step_worker.h"
#include "node/back_off.h"
#include "node/site_steps.h"

namespace larder::node {

using base::Result;
using base::Status;
using std::chrono::milliseconds;

namespace {

constexpr std::chrono::seconds kPollWait{50};
constexpr milliseconds kReportInterval{2000};
constexpr milliseconds kIdle{60'000};  // steps that wait for an event look again this often

std::uint32_t random_number() {
  std::array<std::uint8_t, 4> bytes{};
  base::random_bytes(bytes);
  return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8U |
         static_cast<std::uint32_t>(bytes[2]) << 16U | static_cast<std::uint32_t>(bytes[3]) << 24U;
}

// How often one kind of step failed in a row, and when it runs next. One thread.
class Attempts {
 public:
  explicit Attempts(std::string_view what) : what_(what) {}

  // A node that is not joined waits for join() to wake it; that is no failure.
  milliseconds after(const Status& outcome, bool joined, milliseconds on_success,
                     bool quiet = false) {
    recovered_ = outcome.has_value() && failures_ > 0;
    if (outcome || !joined) {
      failures_ = 0;
      return joined ? on_success : kIdle;
    }
    if (failures_++ == 0 && !quiet) base::log_warning(what_, {{"reason", outcome.error().message}});
    return back_off(failures_, random_number());
  }
  // The last outcome was the first success after failures.
  bool recovered() const { return recovered_; }

 private:
  std::string_view what_;
  unsigned failures_ = 0;
  bool recovered_ = false;
};

}  // namespace

struct SiteLink::Impl {
  explicit Impl(std::unique_ptr<SiteSteps> owned) : steps(std::move(owned)) {}

  std::unique_ptr<SiteSteps> steps;
  Attempts change_attempts{"cannot follow the site's changes"};
  Attempts identity_attempts{"cannot renew this node's identity"};
  Attempts role_attempts{"cannot get a role certificate"};
  Attempts content_attempts{"cannot fetch content from the site"};
  Attempts report_attempts{"cannot report to the site"};
  std::atomic<bool> reported{false};
  std::atomic<bool> started{false};
  std::atomic<bool> stopping{false};
  std::mutex join_mutex;
  client::HttpClient join_client;

  client::StepWorker certificates{[this](const auto& exchange) {
    const auto identity =
        identity_attempts.after(steps->keep_identity(exchange), steps->joined(), kIdle, stopping);
    const auto role =
        role_attempts.after(steps->keep_role(exchange), steps->joined(), kIdle, stopping);
    return std::min(identity, role);
  }};
  client::StepWorker content{[this](const auto& exchange) {
    return content_attempts.after(steps->pull_content(exchange), steps->joined(), kIdle, stopping);
  }};
  client::StepWorker changes{[this](const auto& exchange) { return follow_changes(exchange); }};
  client::StepWorker report{[this](const auto& exchange) { return send_report(exchange); }};

  milliseconds follow_changes(const client::HttpExchange& exchange) {
    const auto changed = steps->follow_changes(exchange, kPollWait);
    if (changed && *changed) {
      certificates.wake();
      content.wake();
    }
    const auto outcome = changed ? Status() : Status(std::unexpected(changed.error()));
    const auto delay = change_attempts.after(outcome, steps->joined(), milliseconds(0), stopping);
    if (change_attempts.recovered()) wake_all();
    return delay;
  }

  milliseconds send_report(const client::HttpExchange& exchange) {
    const auto outcome = steps->report(exchange);
    // A site that went away without a word leaves the long poll hanging: it starts anew.
    if (reported.exchange(outcome.has_value()) && !outcome) changes.interrupt();
    const auto delay = report_attempts.after(outcome, steps->joined(), kReportInterval, stopping);
    if (report_attempts.recovered()) wake_all();
    return delay;
  }

  // The site is back: nobody sits out the rest of a long back-off.
  void wake_all() {
    for (auto* worker : {&changes, &report, &certificates, &content}) worker->wake();
  }

  void stop() {
    stopping = true;  // what fails from here on was ended by us
    steps->stop_noting();
    join_client.cancel();
    changes.stop();
    report.stop();
    certificates.stop();
    content.stop();
  }
};

SiteLink::SiteLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SiteLink::~SiteLink() {
  stop();
}

Result<std::unique_ptr<SiteLink>> SiteLink::open(const std::string& state_dir,
                                                 content::Library& library,
                                                 const base::Clock& clock,
                                                 SiteLinkCallbacks callbacks) {
  auto steps = SiteSteps::open(state_dir, library, clock, std::move(callbacks));
  if (!steps) return std::unexpected(steps.error());
  return std::unique_ptr<SiteLink>(new SiteLink(std::make_unique<Impl>(std::move(*steps))));
}

void SiteLink::start() {
  if (impl_->started.exchange(true)) return;
  impl_->steps->publish_stored();
  impl_->certificates.start();
  impl_->content.start();
  impl_->changes.start();
  impl_->report.start();
}

void SiteLink::stop() {
  impl_->stop();
}

Status SiteLink::join(std::string_view token) {
  const std::scoped_lock lock(impl_->join_mutex);
  const auto outcome = impl_->steps->join(
      [this](const client::HttpRequest& request) { return impl_->join_client.perform(request); },
      token);
  if (outcome) {
    for (auto* worker : {&impl_->changes, &impl_->report, &impl_->certificates, &impl_->content}) {
      worker->interrupt();
    }
  }
  return outcome;
}

std::shared_ptr<const SiteView> SiteLink::view() const {
  return impl_->steps->view();
}

std::shared_ptr<const std::string> SiteLink::revocation_list(std::string_view issuer) const {
  return impl_->steps->revocation_list(issuer);
}

SiteLinkStatus SiteLink::status() const {
  return impl_->steps->status();
}

std::string_view issuer_of_list(std::string_view path) {
  constexpr std::string_view kFolder = "/.larder/pki/";
  constexpr std::string_view kList = ".crl";
  if (!path.starts_with(kFolder) || !path.ends_with(kList)) return {};
  path.remove_prefix(kFolder.size());
  return path.size() > kList.size() ? path.substr(0, path.size() - kList.size())
                                    : std::string_view();
}

}  // namespace larder::node
