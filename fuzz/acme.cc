// What an ACME server answers: directory, order, authorization, renewal information, problem, and
// the fields beside them. Whatever parses is bounded, leads to https only, and holds nothing that a
// path, a field or a log must not hold.
#include <algorithm>
#include <cstdint>

#include "http/retry_after.h"
#include "require.h"
#include "signers/acme_messages.h"
#include "signers/renewal_info.h"

namespace {

using namespace larder::signers;

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

bool is_token(std::string_view text) {
  return !text.empty() && text.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-_") == std::string_view::npos;
}

void check(const AcmeProblem& problem) {
  require(problem.text().size() < 512 && is_plain(problem.text()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto directory = parse_acme_directory(text)) {
    for (const auto& url : {directory->new_nonce, directory->new_account, directory->new_order}) {
      require(is_acme_url(url) && url.starts_with("https://") && is_plain(url));
    }
    require(is_plain(directory->terms));
    require(directory->renewal_info.empty() || is_acme_url(directory->renewal_info));
  }
  if (const auto order = parse_acme_order(text)) {
    require(order->authorizations.size() <= kAcmeNamesLimit && is_acme_url(order->finalize));
    for (const auto& url : order->authorizations) require(is_acme_url(url));
    require(order->certificate.empty() || is_acme_url(order->certificate));
    check(order->error);
  }
  if (const auto authorization = parse_acme_authorization(text)) {
    require(is_plain(authorization->identifier.value));
    for (const auto& challenge : authorization->challenges) {
      require(is_token(challenge.token) && is_acme_url(challenge.url) && is_plain(challenge.type));
      check(challenge.error);
    }
  }
  if (const auto window = parse_renewal_info(text)) require(window->start < window->end);
  check(parse_acme_problem(text));
  if (is_acme_nonce(text)) require(is_token(text));
  const auto now = larder::base::from_unix_seconds(1'800'000'000);
  if (const auto wait = larder::http::parse_retry_after(text, now)) {
    require(wait->count() >= 0 && *wait <= std::chrono::hours(24 * 7));
  }
  const auto links = alternate_links({{"Link", std::string(text)}});
  require(links.size() <= 4);
  for (const auto& url : links) require(is_acme_url(url));
  return 0;
}
