#include "signers/acme_session.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "crypto/jws.h"
#include "http/retry_after.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;
using client::HttpResponse;
using std::chrono::milliseconds;

namespace {

constexpr int kNonceAttempts = 20;
constexpr std::size_t kUsedNoncesLimit = 10'000;
constexpr milliseconds kConnectTimeout{10'000};
constexpr milliseconds kExchangeTimeout{60'000};
constexpr std::int64_t kFormat = 1;  // stored on disk
constexpr std::uint64_t kAccountFileLimit = 16 << 10;

ErrorCode code_of(int status) {
  if (status == 429) return ErrorCode::ResourceExhausted;
  if (status >= 500) return ErrorCode::Unavailable;
  return ErrorCode::PermissionDenied;
}

// RFC 8555 section 6.2: the flattened form.
std::string flattened(const std::string& compact) {
  const auto first = compact.find('.');
  const auto second = compact.find('.', first + 1);
  return Json{{"protected", compact.substr(0, first)},
              {"payload", compact.substr(first + 1, second - first - 1)},
              {"signature", compact.substr(second + 1)}}
      .dump();
}

// Without the query: some servers put secrets there.
std::string public_url(const std::string& url) {
  return url.substr(0, url.find_first_of("?#"));
}

}  // namespace

AcmeSession::AcmeSession(AcmeServer server, client::HttpExchange exchange, const base::Clock& clock,
                         base::SteadyTime deadline)
    : server_(std::move(server)),
      exchange_(std::move(exchange)),
      clock_(clock),
      deadline_(deadline) {}

Result<HttpResponse> AcmeSession::get(const std::string& url) {
  client::HttpRequest request;
  request.url = url;
  return perform(std::move(request));
}

Status AcmeSession::read_directory() {
  const auto answer = get(server_.directory);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status != 200) {
    return fail(code_of(answer->status), public_url(server_.directory) + " answered " +
                                             std::to_string(answer->status) + " (" +
                                             parse_acme_problem(answer->body).text() + ")");
  }
  auto directory = parse_acme_directory(answer->body);
  if (!directory) return base::with_context("the server's directory", directory.error());
  directory_ = std::move(*directory);
  return {};
}

Status AcmeSession::open() {
  LARDER_TRY(read_directory());
  LARDER_TRY(base::make_directories(server_.folder, 0700));
  auto key =
      crypto::load_or_create_key(server_.folder + "/account.key", crypto::KeyAlgorithm::EcP256);
  if (!key) return std::unexpected(key.error());
  key_ = std::move(*key);
  LARDER_TRY(load_account());
  return account_.empty() ? make_account() : Status();
}

Status AcmeSession::load_account() {
  const std::string path = server_.folder + "/account.json";
  const auto text = base::read_file(path, kAccountFileLimit);
  if (!text) return {};  // not made yet, or as good as that: making it again finds it
  const auto json = base::parse_json(*text);
  const auto format = json ? base::json_integer(*json, "format") : Result<std::int64_t>(0);
  const auto directory =
      json ? base::json_string_or(*json, "directory", "") : Result<std::string>("");
  const auto account = json ? base::json_string_or(*json, "account", "") : Result<std::string>("");
  if (format && *format == kFormat && directory && *directory == server_.directory && account &&
      is_acme_url(*account)) {
    account_ = *account;
  }
  return {};
}

Result<std::string> AcmeSession::external_binding() const {
  const auto jwk = key_->public_key().to_jwk();
  if (!jwk) return std::unexpected(jwk.error());
  crypto::JwsHeader header;
  header.key_id = server_.external_key_id;
  header.url = directory_.new_account;
  return crypto::sign_jws_hmac(header, *jwk, server_.external_key);
}

Status AcmeSession::make_account() {
  if (!directory_.terms.empty() && !server_.accept_terms) {
    return fail(ErrorCode::FailedPrecondition, "the server wants its terms to be accepted, " +
                                                   directory_.terms +
                                                   "; read them and set accept_terms = true");
  }
  Json payload = {{"termsOfServiceAgreed", server_.accept_terms}};
  if (!server_.contact.empty()) payload["contact"] = server_.contact;
  if (!server_.external_key_id.empty()) {
    const auto binding = external_binding();
    if (!binding) return std::unexpected(binding.error());
    payload["externalAccountBinding"] = Json::parse(flattened(*binding), nullptr, false);
  } else if (directory_.needs_external_account) {
    return fail(ErrorCode::FailedPrecondition,
                "the server wants an account that was made elsewhere; set external_key_id and "
                "external_key_file");
  }
  const auto answer = post_signed(directory_.new_account, payload.dump(), Proof::ByKey);
  if (!answer) return base::with_context("cannot make an account", answer.error());
  const std::string account(answer->field("Location"));
  if (!is_acme_url(account)) {
    return fail(ErrorCode::InvalidArgument, "the server did not say where the account is");
  }
  account_ = account;
  base::log_info("an account at an ACME server is in use",
                 {{"server", public_url(server_.directory)}, {"account", public_url(account_)}});
  const Json file = {{"format", kFormat}, {"directory", server_.directory}, {"account", account_}};
  return base::write_file_atomically(server_.folder + "/account.json", file.dump(2) + "\n", 0600);
}

Result<std::string> AcmeSession::key_authorization(std::string_view token) const {
  const auto thumbprint = key_->public_key().thumbprint();
  if (!thumbprint) return std::unexpected(thumbprint.error());
  return std::string(token) + "." + *thumbprint;
}

Result<HttpResponse> AcmeSession::perform(client::HttpRequest request) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - clock_.steady());
  if (left <= milliseconds(0)) {
    return fail(ErrorCode::DeadlineExceeded, "the attempt took longer than its timeout");
  }
  request.trust = server_.trust;
  request.connect_timeout = std::min(kConnectTimeout, left);
  request.timeout = std::min(kExchangeTimeout, left);
  request.body_limit = kAcmeAnswerLimit;
  is_rate_limited_ = false;
  auto answer = exchange_(request);
  if (answer) note(*answer);
  return answer;
}

void AcmeSession::note(const HttpResponse& response) {
  const std::string_view fresh = response.field("Replay-Nonce");
  // One that was used is worth nothing, whoever sends it again.
  if (is_acme_nonce(fresh) && !used_nonces_.contains(fresh)) nonce_ = fresh;
  const std::string_view wait = response.field("Retry-After");
  retry_after_ = http::parse_retry_after(wait, clock_.wall());
  is_rate_limited_ = response.status == 429;
}

Result<std::string> AcmeSession::take_nonce() {
  if (nonce_.empty()) {
    client::HttpRequest request;
    request.method = "HEAD";
    request.url = directory_.new_nonce;
    const auto answer = perform(std::move(request));
    if (!answer) return std::unexpected(answer.error());
  }
  if (nonce_.empty() || used_nonces_.size() >= kUsedNoncesLimit) {
    return fail(ErrorCode::Unavailable, "the server gives no fresh nonce");
  }
  used_nonces_.insert(nonce_);
  return std::exchange(nonce_, {});
}

Result<HttpResponse> AcmeSession::post_once(const std::string& url, std::string_view payload,
                                            Proof proof) {
  const auto nonce = take_nonce();
  if (!nonce) return std::unexpected(nonce.error());
  crypto::JwsHeader header;
  header.nonce = *nonce;
  header.url = url;
  if (proof == Proof::ByAccount) {
    header.key_id = account_;
  } else {
    header.embed_key = true;
  }
  const auto compact = crypto::sign_jws(header, payload, *key_);
  if (!compact) return std::unexpected(compact.error());
  client::HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.fields = {{"Content-Type", "application/jose+json"}};
  request.body = flattened(*compact);
  return perform(std::move(request));
}

Result<HttpResponse> AcmeSession::post_signed(const std::string& url, std::string_view payload,
                                              Proof proof) {
  for (int attempt = 0; attempt < kNonceAttempts; ++attempt) {
    auto answer = post_once(url, payload, proof);
    if (!answer) return answer;
    if (answer->status >= 200 && answer->status < 300) return answer;
    const AcmeProblem problem = parse_acme_problem(answer->body);
    if (problem.type == "badNonce") continue;
    if (problem.type == "accountDoesNotExist" && proof == Proof::ByAccount) {
      return fail(ErrorCode::NotFound, problem.text());
    }
    if (problem.type == "rateLimited") is_rate_limited_ = true;
    return fail(is_rate_limited_ ? ErrorCode::ResourceExhausted : code_of(answer->status),
                public_url(url) + " answered " + std::to_string(answer->status) + " (" +
                    problem.text() + ")");
  }
  return fail(ErrorCode::Unavailable, public_url(url) + " refused 20 nonces, one after the other");
}

Result<HttpResponse> AcmeSession::post(const std::string& url, std::string_view payload) {
  auto answer = post_signed(url, payload, Proof::ByAccount);
  if (answer || answer.error().code != ErrorCode::NotFound) return answer;
  // The server has lost the account: servers for tests do at each start.
  LARDER_TRY(make_account());
  return post_signed(url, payload, Proof::ByAccount);
}

}  // namespace larder::signers
