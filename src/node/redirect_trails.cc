#include "node/redirect_trails.h"

#include <algorithm>

namespace larder::node {

namespace {

constexpr std::size_t kLongestText = 512;

}  // namespace

void RedirectTrails::note(const store::Key& key, const RedirectTrail& trail) {
  const std::lock_guard lock(mutex_);
  if (trail.hops.empty()) {
    latest_.forget(key);
  } else {
    latest_.touch(key) = trail;
  }
}

std::optional<RedirectTrail> RedirectTrails::find(const store::Key& key) const {
  const std::lock_guard lock(mutex_);
  const RedirectTrail* found = latest_.find(key);
  if (found == nullptr) return std::nullopt;
  return *found;
}

std::string redirect_text(bool https, std::string_view authority, std::string_view target) {
  std::string text = https ? "https://" : "http://";
  const std::size_t query = target.find('?');
  text.append(authority).append(target.substr(0, query));
  const std::string_view end = text.size() > kLongestText        ? "..."
                               : query != std::string_view::npos ? "?..."
                                                                 : "";
  text.resize(std::min(text.size(), kLongestText));
  return text.append(end);
}

}  // namespace larder::node
