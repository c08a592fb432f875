#include "node/content_path.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/encoding.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "http/conditional.h"
#include "http/head_writer.h"
#include "http/range.h"
#include "node/answer_head.h"

namespace larder::node {

namespace {

// Bytes read ahead and sent at a time.
constexpr std::uint64_t kWindow = 8 << 20;

// "/content/<package>/<version>/<file>" in its parts; empty ones when it is something else.
struct ContentName {
  std::string_view package;
  std::string_view version;
  std::string_view file;
};

ContentName split_content_path(std::string_view path) {
  constexpr std::string_view kPrefix = "/content/";
  ContentName name;
  if (!path.starts_with(kPrefix)) return name;
  path.remove_prefix(kPrefix.size());
  const std::size_t first = path.find('/');
  const std::size_t second = first == std::string_view::npos ? first : path.find('/', first + 1);
  if (second == std::string_view::npos) return name;
  name.package = path.substr(0, first);
  name.version = path.substr(first + 1, second - first - 1);
  name.file = path.substr(second + 1);
  return name;
}

std::string_view bearer_token(const http::RequestHead& head) {
  constexpr std::string_view kScheme = "bearer ";
  if (head.count(http::FieldName::Authorization) != 1) return {};
  const std::string_view value = head.field(http::FieldName::Authorization);
  if (!base::equals_ignoring_case(value.substr(0, kScheme.size()), kScheme)) return {};
  return value.substr(kScheme.size());
}

}  // namespace

net::Task<void> ContentPath::answer(server::Exchange& exchange) {
  loop_->name_request(exchange);
  exchange.outcome.cache = "content";
  const http::RequestHead& head = exchange.head();
  const std::shared_ptr<const SiteView> view = view_();
  const std::string certificate =
      exchange.peer().client_certificate.empty()
          ? std::string()
          : std::string(base::as_text(crypto::sha256(exchange.peer().client_certificate)));
  const ContentAccess access =
      authorizer_.authorize(view.get(), bearer_token(head), certificate, delivery_.clock.wall());
  if (!access.allowed()) {
    loop_->counters->add(Counter::ContentDenied);
    co_await challenge(exchange, access, view.get());
    co_return;
  }
  if (head.method != http::Method::Get && head.method != http::Method::Head) {
    co_await say(exchange, 405, "content is only read here", "Allow: GET, HEAD\r\n");
    co_return;
  }
  const ContentName name = split_content_path(head.path);
  const SitePackage* package = view->find_package(name.package, name.version);
  const content::ManifestFile* file =
      package == nullptr ? nullptr : package->manifest.find(name.file);
  if (file == nullptr) {
    co_await say(exchange, 404, "the site has published no such file");
    co_return;
  }
  auto opened = co_await delivery_.disk.run(
      [&library = library_,
       hash = file->sha256]() -> base::Result<std::optional<content::OpenFile>> {
        return library.open_file(hash);
      });
  if (!opened || !*opened) {
    co_await say(exchange, 503, "this node has not fetched the file yet; ask the next source",
                 "Retry-After: 5\r\n");
    co_return;
  }
  co_await deliver(exchange, std::move(**opened), "\"" + file->sha256 + "\"");
}

net::Task<void> ContentPath::deliver(server::Exchange& exchange, content::OpenFile file,
                                     std::string etag) {
  const http::RequestHead& head = exchange.head();
  const base::WallTime now = delivery_.clock.wall();
  int status = 200;
  http::ByteRange range{0, file.size == 0 ? 0 : file.size - 1};
  std::uint64_t length = file.size;
  const http::Precondition condition = http::evaluate_preconditions(head, {etag, {}}, true, now);
  if (condition != http::Precondition::Pass) {
    status = condition == http::Precondition::Failed ? 412 : 304;
    length = 0;
  } else if (head.method == http::Method::Get && head.has(http::FieldName::Range)) {
    if (!head.has(http::FieldName::IfRange) || head.field(http::FieldName::IfRange) == etag) {
      const http::RangeAnswer answer = http::resolve_range(
          http::parse_range(head.last_field(http::FieldName::Range)), file.size);
      if (answer.kind == http::RangeAnswer::Kind::Partial) {
        status = 206;
        range = answer.range;
        length = range.length();
      } else if (answer.kind == http::RangeAnswer::Kind::Unsatisfiable) {
        status = 416;
        length = 0;
      }
    }
  }
  std::array<char, 2048> buffer{};
  http::HeadWriter writer(buffer);
  writer.status(status);
  writer.field("Date", server::http_date_now());
  writer.field("Content-Type", "application/octet-stream");
  writer.field("ETag", etag);
  if (status == 206) writer.content_range(range, file.size);
  if (status == 416) writer.unsatisfied_range(file.size);
  if (status != 304) writer.field("Content-Length", length);
  writer.field("Accept-Ranges", "bytes");
  writer.field("Cache-Control", "private, no-transform");
  writer.field("X-Content-Type-Options", "nosniff");
  writer.field("X-Request-Id", std::string_view(exchange.outcome.request_id.data(),
                                                exchange.outcome.request_id.size()));
  if (exchange.closing()) writer.field("Connection", "close");
  if (!writer.finish()) co_return;
  exchange.outcome.status = status;
  net::Outgoing out;
  out.head = writer.text();
  auto owned = std::make_shared<content::OpenFile>(std::move(file));
  if (!co_await exchange.send(std::move(out))) co_return;
  std::uint64_t at = range.first;
  std::uint64_t left = head.method == http::Method::Get ? length : 0;
  while (left > 0) {
    const std::uint64_t window = std::min(left, kWindow);
    // Cold pages are read on a disk thread, not under the loop.
    const base::Status read = co_await delivery_.disk.run([owned, at, window]() -> base::Status {
      if (::readahead(owned->fd.get(), static_cast<off64_t>(at), window) == 0) return {};
      return base::fail_errno("cannot read content", errno);
    });
    net::Outgoing part;
    part.file = owned->fd.get();
    part.file_offset = at;
    part.file_length = window;
    part.owner = owned;
    if (!read || !co_await exchange.send(std::move(part))) {
      exchange.outcome.cut();
      exchange.close_connection();
      co_return;
    }
    loop_->counters->add(Counter::BytesContent, window);
    at += window;
    left -= window;
  }
}

// Says what is missing and where to get it (RFC 6750 section 3).
net::Task<void> ContentPath::challenge(server::Exchange& exchange, const ContentAccess& access,
                                       const SiteView* view) {
  if (access.reason == ContentAccess::Reason::NoView) {
    co_await say(exchange, 503, "this node has no word of its site yet", "Retry-After: 5\r\n");
    co_return;
  }
  std::string lines = "WWW-Authenticate: Bearer realm=\"larder\"";
  if (const std::string_view error = access.oauth_error(); !error.empty()) {
    lines += ", error=\"" + std::string(error) + "\", error_description=\"" +
             std::string(access.description()) + "\"";
  }
  if (view != nullptr) lines += ", authorization_uri=\"" + view->issuer + "/oauth2/token\"";
  lines += "\r\n";
  const bool denied = access.reason == ContentAccess::Reason::Denied;
  co_await say(
      exchange, denied ? 403 : 401,
      std::string(access.description()) +
          (denied ? ""
                  : " Register the device with 'larder client register' and use 'larder get'."),
      lines);
}

net::Task<void> ContentPath::say(server::Exchange& exchange, int status, std::string line,
                                 std::string lines) {
  exchange.outcome.status = status;
  if (status >= 400) exchange.outcome.cache = status >= 500 ? "error" : "refused";
  if (exchange.head().has_body()) exchange.close_connection();
  AnswerFacts facts;
  facts.date = server::http_date_now();
  facts.cache_status.forwarded = cache::Forwarded::Bypass;
  facts.request_id = {exchange.outcome.request_id.data(), exchange.outcome.request_id.size()};
  facts.close = exchange.closing();
  facts.version_minor = exchange.head().version_minor;
  facts.head_only = exchange.head().method == http::Method::Head;
  const std::string text = write_own_answer(status, line, facts, lines);
  net::Outgoing out;
  out.head = text;
  co_await exchange.send(std::move(out));
}

void ContentPath::finished(const server::Exchange& exchange) {
  loop_->record(exchange, "https", exchange.head().host.value_or("-"));
}

void ContentPath::refused(const server::Peer& peer, const server::Outcome& outcome,
                          base::SteadyTime start) {
  loop_->record_refused(peer, outcome, "https", start);
}

}  // namespace larder::node
