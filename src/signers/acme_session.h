// Signed requests to one ACME server on behalf of one account (RFC 8555 section 6): directory,
// nonces, account. Blocks; one thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "client/exchange.h"
#include "client/http_client.h"
#include "crypto/key.h"
#include "signers/acme_messages.h"

namespace larder::signers {

struct AcmeServer {
  std::string directory;             // https URL
  std::string folder;                // of the account's files; made when missing, 0700
  std::vector<std::string> contact;  // "mailto:admin@example.org"
  bool accept_terms = false;
  std::string external_key_id;  // external account binding; empty: none
  std::string external_key;     // bytes; secret
  std::string trust;            // PEM; empty: the system's store
};

class AcmeSession {
 public:
  // `deadline` ends every exchange. `exchange` decides by the URL of each request, most of which
  // the server named, whether and how it leaves.
  AcmeSession(AcmeServer server, client::HttpExchange exchange, const base::Clock& clock,
              base::SteadyTime deadline);

  base::Status read_directory();
  // That, and makes key and account when there are none.
  base::Status open();
  // What anybody may ask, whatever the answer's status is.
  base::Result<client::HttpResponse> get(const std::string& url);

  const AcmeDirectory& directory() const { return directory_; }
  const std::string& account() const { return account_; }  // URL
  // token "." thumbprint of the account's key (RFC 8555 section 8.1).
  base::Result<std::string> key_authorization(std::string_view token) const;

  // A signed POST; an empty payload is POST-as-GET. The answer has a 2xx status. The error's
  // message has the server's reason.
  base::Result<client::HttpResponse> post(const std::string& url, std::string_view payload);

  // What the last answer that was an error, or the last one at all, said in Retry-After.
  std::optional<std::chrono::seconds> retry_after() const { return retry_after_; }
  // Whether the last request was refused because the server limits the rate.
  bool is_rate_limited() const { return is_rate_limited_; }

 private:
  enum class Proof { ByAccount, ByKey };
  base::Result<client::HttpResponse> post_once(const std::string& url, std::string_view payload,
                                               Proof proof);
  base::Result<client::HttpResponse> post_signed(const std::string& url, std::string_view payload,
                                                 Proof proof);
  base::Result<client::HttpResponse> perform(client::HttpRequest request);
  base::Result<std::string> take_nonce();
  void note(const client::HttpResponse& response);
  base::Status load_account();
  base::Status make_account();
  base::Result<std::string> external_binding() const;

  const AcmeServer server_;
  const client::HttpExchange exchange_;
  const base::Clock& clock_;
  const base::SteadyTime deadline_;
  AcmeDirectory directory_;
  std::optional<crypto::PrivateKey> key_;
  std::string account_;  // URL; the `kid`
  std::string nonce_;
  std::set<std::string, std::less<>> used_nonces_;
  std::optional<std::chrono::seconds> retry_after_;
  bool is_rate_limited_ = false;
};

}  // namespace larder::signers
