#include "net/tls_challenges.h"

#include "net/tls_context.h"

namespace larder::net {

base::Status TlsChallenges::open(const std::string& server_name, const std::string& certificate_pem,
                                 const std::string& key_pem) {
  TlsContext::Settings settings;
  settings.identities.push_back({.chain_pem = certificate_pem, .key_pem = key_pem});
  settings.answers_challenge = true;
  auto context = TlsContext::create(settings);
  if (!context) return std::unexpected(context.error());
  const std::lock_guard lock(mutex_);
  if (!contexts_.try_emplace(server_name, std::move(*context)).second) {
    return base::fail(base::ErrorCode::AlreadyExists,
                      "another challenge is open for " + server_name);
  }
  count_ = contexts_.size();
  return {};
}

void TlsChallenges::close(const std::string& server_name) {
  const std::lock_guard lock(mutex_);
  contexts_.erase(server_name);
  count_ = contexts_.size();
}

std::shared_ptr<const TlsContext> TlsChallenges::find(std::string_view server_name) const {
  const std::lock_guard lock(mutex_);
  const auto found = contexts_.find(server_name);
  return found == contexts_.end() ? nullptr : found->second;
}

}  // namespace larder::net
