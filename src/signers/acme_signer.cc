#include "signers/acme_signer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "base/log.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "crypto/names.h"
#include "crypto/request.h"
#include "signers/kept_order.h"
#include "signers/renewal_info.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kFirstPoll{250};
constexpr milliseconds kLongestPoll{5000};
constexpr std::chrono::seconds kLongestAskedPoll{60};
constexpr std::chrono::seconds kAdviceTime{60};
constexpr std::chrono::seconds kLongestAskedWait = std::chrono::hours(24);

std::string_view name_of(AcmeProofKind kind) {
  return kind == AcmeProofKind::Http01 ? "http-01" : "tls-alpn-01";
}

Result<std::vector<AcmeIdentifier>> identifiers_of(const crypto::CertificateRequest& request) {
  const crypto::AlternativeNames names = request.alternative_names();
  if (!names.uris.empty() || !names.emails.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "the request has names other than DNS names and addresses; no ACME server signs "
                "them");
  }
  std::vector<AcmeIdentifier> list;
  for (const std::string& name : names.dns) {
    if (name.starts_with('*')) {
      return fail(ErrorCode::InvalidArgument,
                  name + ": a wildcard needs a proof by DNS, which is not here");
    }
    list.push_back({.is_address = false, .value = name});
  }
  for (const std::string& address : names.addresses) {
    list.push_back({.is_address = true, .value = address});
  }
  if (list.empty() || list.size() > kAcmeNamesLimit) {
    return fail(ErrorCode::InvalidArgument, "the request has no name, or more than 100");
  }
  return list;
}

// Servers write names in either case, and addresses in any of their forms.
bool is_same(const AcmeIdentifier& one, const AcmeIdentifier& other) {
  if (one.is_address != other.is_address) return false;
  if (!one.is_address) return base::to_lower(one.value) == base::to_lower(other.value);
  const auto address = crypto::parse_address(one.value);
  const auto other_address = crypto::parse_address(other.value);
  return address && other_address && *address == *other_address;
}

// The same order would fail the same way: what the server refuses, or nobody understands.
bool is_final(const base::Error& error) {
  return error.code == ErrorCode::PermissionDenied || error.code == ErrorCode::NotFound ||
         error.code == ErrorCode::InvalidArgument || error.code == ErrorCode::FailedPrecondition;
}

bool ends_at(const std::string& chain_pem, const std::string& common_name) {
  const auto chain = crypto::parse_certificates(chain_pem);
  if (!chain) return false;
  const std::string issuer = "," + chain->back().issuer() + ",";
  return issuer.find(",CN=" + common_name + ",") != std::string::npos;
}

}  // namespace

// One order from its beginning to the chain.
class AcmeSigner::Order {
 public:
  Order(AcmeSigner& signer, AcmeSession& session, base::SteadyTime deadline)
      : signer_(signer), session_(session), deadline_(deadline) {}

  Result<std::string> run(const crypto::CertificateRequest& request,
                          const std::vector<AcmeIdentifier>& identifiers) {
    const std::string digest = crypto::sha256_hex(request.to_der());
    const auto resumed = resume(digest);
    if (!resumed) return std::unexpected(resumed.error());
    if (!*resumed) LARDER_TRY(begin(identifiers, digest));
    if (order_.status == AcmeStatus::Pending) LARDER_TRY(authorize_all(identifiers));
    return finish(request);
  }

 private:
  Status authorize_all(const std::vector<AcmeIdentifier>& identifiers) {
    for (const std::string& url : order_.authorizations) LARDER_TRY(authorize(url, identifiers));
    return {};
  }

  Result<std::string> finish(const crypto::CertificateRequest& request) {
    LARDER_TRY(await_order({AcmeStatus::Pending}));
    if (order_.status == AcmeStatus::Ready) {
      const Json payload = {{"csr", base::to_base64url(base::as_bytes(request.to_der()))}};
      LARDER_TRY(take(session_.post(order_.finalize, payload.dump())));
    }
    LARDER_TRY(await_order({AcmeStatus::Processing, AcmeStatus::Ready, AcmeStatus::Pending}));
    if (order_.certificate.empty()) {
      return fail(ErrorCode::InvalidArgument, "the server did not say where the certificate is");
    }
    return fetch_chain();
  }

  // Whether an order that was begun for the same request goes on. One that is over, or that the
  // server does not know, is not asked for again.
  Result<bool> resume(const std::string& digest) {
    const std::string& file = signer_.settings_.order_file;
    const auto kept = read_kept_order(file);
    if (!kept) return false;
    if (is_usable(*kept, session_.account(), digest, signer_.clock_.wall())) {
      url_ = kept->url;
      const Status taken = take(session_.post(url_, ""));
      if (taken) {
        base::log_info("an order that was begun goes on", {});
        return true;
      }
      if (!is_final(taken.error())) return std::unexpected(taken.error());
    }
    forget_order(file);
    return false;
  }

  Status begin(const std::vector<AcmeIdentifier>& identifiers, const std::string& digest) {
    Json list = Json::array();
    for (const AcmeIdentifier& each : identifiers) {
      list.push_back({{"type", each.is_address ? "ip" : "dns"}, {"value", each.value}});
    }
    const std::string& new_order = session_.directory().new_order;
    Json payload = {{"identifiers", list}};
    const bool replaces =
        !signer_.settings_.replaces.empty() && !session_.directory().renewal_info.empty();
    if (replaces) payload["replaces"] = signer_.settings_.replaces;
    auto answer = session_.post(new_order, payload.dump());
    if (replaces && !answer && is_final(answer.error())) {
      // It may be replaced already, or not be known there: the order stands without it.
      base::log_info("an order is made without the certificate that it replaces",
                     {{"reason", answer.error().message}});
      payload.erase("replaces");
      answer = session_.post(new_order, payload.dump());
    }
    if (!answer) return base::with_context("the order is refused", answer.error());
    url_ = answer->field("Location");
    if (!is_acme_url(url_)) {
      return fail(ErrorCode::InvalidArgument, "the server did not say where the order is");
    }
    if (const Status kept =
            keep_order(signer_.settings_.order_file, {.url = url_,
                                                      .account = session_.account(),
                                                      .request = digest,
                                                      .made_at = signer_.clock_.wall()});
        !kept) {
      base::log_warning("an order cannot be kept: a restart would begin a new one",
                        {{"reason", kept.error().message}});
    }
    return take(answer);
  }

  Status take(const Result<client::HttpResponse>& answer) {
    if (!answer) return std::unexpected(answer.error());
    auto order = parse_acme_order(answer->body);
    if (!order) return base::with_context("the order", order.error());
    order_ = std::move(*order);
    if (order_.status == AcmeStatus::Invalid) {
      return fail(ErrorCode::PermissionDenied,
                  "the server gave the order up (" + order_.error.text() + ")");
    }
    return {};
  }

  // Asks until the order is in none of these states any more.
  Status await_order(std::initializer_list<AcmeStatus> passing) {
    milliseconds delay = kFirstPoll;
    while (std::ranges::find(passing, order_.status) != passing.end()) {
      LARDER_TRY(wait(delay));
      const auto answer = session_.post(url_, "");
      if (!answer && passes(answer.error())) continue;
      LARDER_TRY(take(answer));
    }
    return {};
  }

  // One lost answer does not lose the order.
  static bool passes(const base::Error& error) { return error.code == ErrorCode::Unavailable; }

  Status wait(milliseconds& delay) {
    milliseconds time = delay;
    if (const auto asked = session_.retry_after()) {
      time = std::max<milliseconds>(time, std::min(*asked, kLongestAskedPoll));
    }
    delay = std::min(delay * 2, kLongestPoll);
    return pause(time, "the server did not finish");
  }

  // Within the timeout; `late` is what did not come by then.
  Status pause(milliseconds time, const std::string& late) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - signer_.clock_.steady());
    if (left <= milliseconds(0)) {
      return fail(ErrorCode::DeadlineExceeded, late + " within the timeout");
    }
    if (!signer_.pause_(std::min(time, left))) {
      return fail(ErrorCode::Unavailable, "the node is stopping");
    }
    return {};
  }

  Status authorize(const std::string& url, const std::vector<AcmeIdentifier>& ordered) {
    auto authorization = read_authorization(url);
    if (!authorization) return std::unexpected(authorization.error());
    // What this host proves it proves to whoever asks: only for names that it asked for itself.
    const AcmeIdentifier identifier = authorization->identifier;
    if (std::ranges::none_of(
            ordered, [&](const AcmeIdentifier& each) { return is_same(each, identifier); })) {
      return fail(ErrorCode::InvalidArgument,
                  "the server wants a proof for " + identifier.value + ", which was not ordered");
    }
    if (authorization->status == AcmeStatus::Valid) return {};  // proved in an earlier order
    if (authorization->status != AcmeStatus::Pending) return refused(*authorization);
    const std::string_view kind = name_of(signer_.settings_.proof);
    const auto challenge = std::ranges::find(authorization->challenges, kind, &AcmeChallenge::type);
    if (challenge == authorization->challenges.end()) {
      std::string offered;
      for (const AcmeChallenge& each : authorization->challenges) offered += " " + each.type;
      return fail(ErrorCode::FailedPrecondition, "the server does not offer " + std::string(kind) +
                                                     " for " + authorization->identifier.value +
                                                     "; it offers" +
                                                     (offered.empty() ? " nothing" : offered));
    }
    const auto answer = session_.key_authorization(challenge->token);
    if (!answer) return std::unexpected(answer.error());
    const auto open = open_challenge(identifier, challenge->token, *answer);
    if (!open) return std::unexpected(open.error());
    if (!challenge->is_processing) {
      const auto told = session_.post(challenge->url, "{}");
      // One that was told before a restart may be over by now.
      if (!told && told.error().code != ErrorCode::PermissionDenied) {
        return base::with_context("the challenge for " + identifier.value, told.error());
      }
      if (!told) {
        authorization = read_authorization(url);
        if (!authorization || authorization->status == AcmeStatus::Pending) {
          return base::with_context("the challenge for " + identifier.value, told.error());
        }
      }
    }
    milliseconds delay = kFirstPoll;
    while (authorization->status == AcmeStatus::Pending ||
           authorization->status == AcmeStatus::Processing) {
      LARDER_TRY(wait(delay));
      auto read = read_authorization(url);
      if (!read && passes(read.error())) continue;
      if (!read) return std::unexpected(read.error());
      authorization = std::move(read);
    }
    return authorization->status == AcmeStatus::Valid ? Status() : refused(*authorization);
  }

  // Waits while another signer proves the same name.
  Result<std::shared_ptr<void>> open_challenge(const AcmeIdentifier& identifier,
                                               const std::string& token,
                                               const std::string& key_authorization) {
    milliseconds delay = kFirstPoll;
    for (;;) {
      auto open =
          signer_.responder_.open(signer_.settings_.proof, identifier, token, key_authorization);
      if (open || open.error().code != ErrorCode::AlreadyExists) return open;
      LARDER_TRY(pause(std::exchange(delay, std::min(delay * 2, kLongestPoll)),
                       open.error().message + " and did not end"));
    }
  }

  Result<AcmeAuthorization> read_authorization(const std::string& url) {
    const auto answer = session_.post(url, "");
    if (!answer) return std::unexpected(answer.error());
    auto authorization = parse_acme_authorization(answer->body);
    if (!authorization) return base::with_context("an authorization", authorization.error());
    return authorization;
  }

  static Status refused(const AcmeAuthorization& authorization) {
    std::string reason = "no reason given";
    for (const AcmeChallenge& challenge : authorization.challenges) {
      if (!challenge.error.type.empty()) reason = challenge.type + ", " + challenge.error.text();
    }
    return fail(ErrorCode::PermissionDenied, "the server could not be convinced that " +
                                                 authorization.identifier.value +
                                                 " is this host (" + reason + ")");
  }

  Result<std::string> fetch_chain() {
    auto answer = session_.post(order_.certificate, "");
    if (!answer) return std::unexpected(answer.error());
    const std::string& wanted = signer_.settings_.preferred_chain;
    if (wanted.empty() || ends_at(answer->body, wanted)) return std::move(answer->body);
    for (const std::string& url : alternate_links(answer->fields)) {
      auto other = session_.post(url, "");
      if (other && ends_at(other->body, wanted)) return std::move(other->body);
    }
    base::log_warning("the server offers no chain with the preferred issuer",
                      {{"preferred_chain", wanted}});
    return std::move(answer->body);
  }

  AcmeSigner& signer_;
  AcmeSession& session_;
  const base::SteadyTime deadline_;
  std::string url_;
  AcmeOrder order_;
};

AcmeSigner::AcmeSigner(AcmeSettings settings, client::HttpExchange exchange,
                       std::function<bool(std::chrono::milliseconds)> pause,
                       ChallengeResponder& responder, const base::Clock& clock)
    : settings_(std::move(settings)),
      exchange_(std::move(exchange)),
      pause_(std::move(pause)),
      responder_(responder),
      clock_(clock) {}

Result<std::string> AcmeSigner::sign(std::string_view request_pem) {
  const auto request = crypto::CertificateRequest::from_pem(request_pem);
  if (!request) return std::unexpected(request.error());
  const auto identifiers = identifiers_of(*request);
  if (!identifiers) return std::unexpected(identifiers.error());
  const base::SteadyTime deadline = clock_.steady() + settings_.timeout;
  AcmeSession session(settings_.server, exchange_, clock_, deadline);
  const auto chain = [&]() -> Result<std::string> {
    LARDER_TRY(session.open());
    Order order(*this, session, deadline);
    auto signed_chain = order.run(*request, *identifiers);
    if (!signed_chain) {
      if (is_final(signed_chain.error())) {
        forget_order(settings_.order_file);
      } else if (!session.is_rate_limited() && pause_(milliseconds(0))) {
        count_failure();
      }
    }
    return signed_chain;
  }();
  asked_to_wait_ =
      chain ? std::chrono::seconds(0)
            : std::min(session.retry_after().value_or(std::chrono::seconds(0)), kLongestAskedWait);
  return chain;
}

Result<certs::RenewalAdvice> AcmeSigner::advise(const crypto::Certificate& leaf) {
  certs::RenewalAdvice advice;
  const auto id = renewal_info_id(leaf);
  if (!id) return advice;
  AcmeSession session(settings_.server, exchange_, clock_, clock_.steady() + kAdviceTime);
  LARDER_TRY(session.read_directory());
  if (session.directory().renewal_info.empty()) return advice;
  const auto answer = session.get(renewal_info_url(session.directory().renewal_info, *id));
  if (!answer) return std::unexpected(answer.error());
  advice.look_again = until_next_look(session.retry_after());
  if (answer->status == 404) return advice;  // signed by somebody else
  if (answer->status != 200) {
    return fail(ErrorCode::Unavailable,
                "the server's renewal information: status " + std::to_string(answer->status));
  }
  const auto window = parse_renewal_info(answer->body);
  if (!window) return base::with_context("the server's renewal information", window.error());
  advice.window = *window;
  return advice;
}

// Whatever it was, an order that fails twice would otherwise stand in the way of a new one for a
// week.
void AcmeSigner::count_failure() const {
  auto kept = read_kept_order(settings_.order_file);
  if (!kept) return;
  if (!kept->has_failed) {
    kept->has_failed = true;
    const Status written = keep_order(settings_.order_file, *kept);
    if (written) return;
    base::log_warning("an order cannot be kept: the next attempt begins a new one",
                      {{"reason", written.error().message}});
  }
  forget_order(settings_.order_file);
}

void AcmeSigner::settle() {
  forget_order(settings_.order_file);
}

}  // namespace larder::signers
