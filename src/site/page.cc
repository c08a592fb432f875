#include "site/page.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace larder::site {
namespace {

// 'sha256-<base64>' of the text between the tags, as Content Security Policy names inline content.
std::string source_hash(std::string_view page, std::string_view open, std::string_view close) {
  const std::size_t begin = page.find(open) + open.size();
  const std::string_view content = page.substr(begin, page.find(close) - begin);
  std::string text = base::to_base64url(crypto::sha256(content));
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  return "'sha256-" + text + "='";  // 32 bytes always end in one "="
}

}  // namespace

server::Reply status_page() {
  static const std::string kPolicy =
      "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'; style-src " +
      source_hash(kStatusPage, "<style>", "</style>") + "; script-src " +
      source_hash(kStatusPage, "<script>", "</script>");
  server::Reply reply;
  reply.fields = {{"Content-Type", "text/html; charset=utf-8"},
                  {"Content-Security-Policy", kPolicy},
                  {"X-Content-Type-Options", "nosniff"},
                  {"Referrer-Policy", "no-referrer"},
                  {"Cache-Control", "no-store"}};
  reply.body = kStatusPage;
  return reply;
}

bool is_loopback_host(const server::RouteRequest& request) {
  if (request.field_count("Host") != 1) return false;
  std::string_view host = request.field("Host");
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view rest = host.substr(end + 1);
    return host.substr(0, end + 1) == "[::1]" && (rest.empty() || rest.front() == ':');
  }
  host = host.substr(0, host.find(':'));
  return host == "127.0.0.1" || base::equals_ignoring_case(host, "localhost");
}

}  // namespace larder::site
