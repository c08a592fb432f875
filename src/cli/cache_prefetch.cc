#include "cli/cache_prefetch.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/encoding.h"
#include "base/file.h"
#include "cache/cache_status.h"
#include "cli/control.h"
#include "cli/output.h"
#include "client/http_client.h"
#include "node/settings.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint64_t kSlice = 1 << 20;
constexpr std::uint64_t kLongestPiece = 8 * kSlice;
constexpr std::uint64_t kListLimit = 64 << 20;
constexpr std::uint64_t kTrustLimit = 4 << 20;
constexpr int kAttempts = 5;  // of a piece that the node is too busy for
// Looks whether the last bytes are on the drive, which may take a moment.
constexpr int kLooks = 20;
constexpr std::chrono::milliseconds kBetweenLooks{100};

// Lets bytes through at a steady rate.
class Pace {
 public:
  explicit Pace(std::uint64_t rate) : rate_(rate), begin_(std::chrono::steady_clock::now()) {}
  void spend(std::uint64_t bytes) {
    if (rate_ == 0) return;
    spent_ += bytes;
    std::this_thread::sleep_until(begin_ + std::chrono::milliseconds(spent_ * 1000 / rate_));
  }
  // Half a second's worth, in whole slices.
  std::uint64_t piece() const {
    if (rate_ == 0) return kLongestPiece;
    return std::clamp(rate_ / 2 / kSlice * kSlice, kSlice, kLongestPiece);
  }

 private:
  std::uint64_t rate_;
  std::uint64_t spent_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;        // 0: not known yet
  std::uint64_t from_origin = 0;  // of `done`; the rest was there already
  bool was_there = false;         // its beginning, before
  bool is_stored = true;
  std::string why_not;  // stored, as the node said
};

// What the node itself said; caches between it and the origin stand before it.
std::string_view status_of(const client::HttpResponse& response) {
  return cache::nearest_cache_status(response.field("Cache-Status"));
}

bool says(const client::HttpResponse& response, std::string_view what) {
  return status_of(response).find(what) != std::string_view::npos;
}

// The text of detail="..." in it.
std::string detail_of(const client::HttpResponse& response) {
  const std::string_view status = status_of(response);
  constexpr std::string_view kMark = "detail=\"";
  const std::size_t at = status.find(kMark);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = status.substr(at + kMark.size());
  return std::string(rest.substr(0, rest.find('"')));
}

// How the node is called.
struct Place {
  std::string url;           // with the name that its certificate has, over HTTPS
  std::string connect_to{};  // empty: what the URL says
  std::string trust{};       // PEM; empty: the system's store
};

// Total length behind the slash of "bytes 0-99/1234".
std::uint64_t total_in(std::string_view content_range) {
  std::uint64_t total = 0;
  const std::size_t slash = content_range.find('/');
  if (slash == std::string_view::npos) return 0;
  const std::string_view digits = content_range.substr(slash + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), total);
  return total;
}

class Prefetcher {
 public:
  Prefetcher(Place node, std::uint64_t rate, bool json)
      : node_(std::move(node)), pace_(rate), json_(json), is_terminal_(::isatty(2) != 0) {}

  Result<Progress> fetch(const std::string& url, std::size_t number, std::size_t of) {
    Progress progress;
    const auto before = is_there(url, "bytes=0-0");
    if (!before) return std::unexpected(before.error());
    progress.was_there = *before;
    do {
      auto got = piece(url, progress);
      for (int attempt = 1;
           !got && got.error().code == ErrorCode::Unavailable && answered_ && attempt < kAttempts;
           ++attempt) {
        std::this_thread::sleep_for(std::chrono::seconds(1));
        got = piece(url, progress);
      }
      if (!got) return std::unexpected(got.error());
      if (progress.is_stored) show(url, number, of, progress);
    } while (progress.is_stored && progress.done < progress.total);
    if (!progress.is_stored || progress.total == 0) return progress;
    const std::string last = "bytes=" + std::to_string(progress.total - 1) + "-";
    auto there = is_there(url, last);
    for (int look = 1; there && !*there && look < kLooks; ++look) {
      std::this_thread::sleep_for(kBetweenLooks);
      there = is_there(url, last);
    }
    if (!there) return std::unexpected(there.error());
    progress.is_stored = *there;
    return progress;
  }
  // The node answered the last request.
  bool has_answered() const { return answered_; }
  void end_line() {
    if (is_drawn_) std::fputc('\n', stderr);
    is_drawn_ = false;
  }

 private:
  client::HttpRequest request_for(const std::string& url, const std::string& range) const {
    client::HttpRequest request;
    request.url = node_.url + "/";
    request.connect_to = node_.connect_to;
    request.trust = node_.trust;
    request.target = url;
    const std::size_t host = url.find("://") + 3;
    request.fields = {{"Host", url.substr(host, std::min(url.find('/', host), url.size()) - host)},
                      {"Range", range}};
    request.timeout = std::chrono::milliseconds(0);
    request.low_speed = 1;
    return request;
  }

  // Asks the node alone. What cannot be told so counts as not there.
  Result<bool> is_there(const std::string& url, const std::string& range) {
    client::HttpRequest request = request_for(url, range);
    request.fields.emplace_back("Cache-Control", "only-if-cached");
    request.on_body = [](std::span<const std::uint8_t>) -> base::Status { return {}; };
    answered_ = false;
    const auto response = http_.perform(request);
    if (!response) return std::unexpected(response.error());
    answered_ = true;
    return response->status < 300 && says(*response, "; hit");
  }

  base::Status piece(const std::string& url, Progress& progress) {
    client::HttpRequest request =
        request_for(url, "bytes=" + std::to_string(progress.done) + "-" +
                             std::to_string(progress.done + pace_.piece() - 1));
    std::uint64_t bytes = 0;
    // What is not stored is not worth its bytes. An answer without a length may still be.
    bool is_refused = false;
    request.on_head = [&](int status, const auto& fields) -> base::Status {
      client::HttpResponse head{.status = status, .fields = fields, .body = {}};
      const bool has_length = !head.field("Content-Length").empty();
      is_refused = (status == 200 || status == 206) && has_length && !says(head, "; hit") &&
                   !says(head, "; stored");
      if (!is_refused) return {};
      progress.why_not = detail_of(head);
      return fail(ErrorCode::FailedPrecondition, "not stored");
    };
    request.on_body = [&](std::span<const std::uint8_t> part) -> base::Status {
      bytes += part.size();
      return {};
    };
    answered_ = false;
    const auto response = http_.perform(request);
    if (is_refused) {
      answered_ = true;
      progress.is_stored = false;
      return {};
    }
    if (!response) return std::unexpected(response.error());
    answered_ = true;
    if (response->status == 416 && progress.done == 0) return {};  // an empty object
    if (response->status != 206 && response->status != 200) {
      return fail(response->status == 503 ? ErrorCode::Unavailable : ErrorCode::Internal,
                  "status " + std::to_string(response->status));
    }
    // What came while the pieces before were read came from the origin, too: one that serves no
    // ranges sends everything at once.
    const bool is_hit = progress.was_there && says(*response, "; hit");
    if (!is_hit) progress.from_origin += bytes;
    if (!says(*response, "; hit")) progress.why_not = detail_of(*response);
    progress.done = response->status == 200 ? bytes : progress.done + bytes;
    progress.total = response->status == 200 ? bytes : total_in(response->field("Content-Range"));
    if (progress.total == 0 || bytes == 0) progress.total = progress.done;
    if (!is_hit) pace_.spend(bytes);
    return {};
  }

  void show(const std::string& url, std::size_t number, std::size_t of, const Progress& progress) {
    if (json_) {
      print_line(nlohmann::json({{"event", "progress"},
                                 {"url", url},
                                 {"done", progress.done},
                                 {"total", progress.total}})
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else if (is_terminal_) {
      std::fprintf(stderr, "\r\033[K[%zu/%zu] %s of %s  %s", number, of,
                   base::format_byte_count(progress.done).c_str(),
                   base::format_byte_count(progress.total).c_str(), printable(url).c_str());
      is_drawn_ = true;
    }
  }

  const Place node_;
  Pace pace_;
  const bool json_;
  const bool is_terminal_;
  bool is_drawn_ = false;
  bool answered_ = false;
  client::HttpClient http_;
};

Result<Place> place_of_node(const std::string& config) {
  const auto settings = node::load_node_settings(config_path(config));
  if (!settings) return std::unexpected(settings.error());
  const bool over_tls = settings->http_listen.empty();
  const auto& listeners = over_tls ? settings->https_listen : settings->http_listen;
  if (listeners.empty())
    return fail(ErrorCode::FailedPrecondition, "the node has no http_listen or https_listen");
  base::ListenAddress at = listeners.front();
  // "All addresses" is none that can be called.
  if (at.address == "0.0.0.0") at.address = "127.0.0.1";
  if (at.address == "::") at.address = "::1";
  if (!over_tls) return Place{.url = "http://" + base::to_text(at)};
  if (settings->connection_names.empty())
    return fail(ErrorCode::FailedPrecondition, "the node has no connection_names");
  const std::string& name = settings->connection_names.front();
  Place place{.url = "https://" + (name.contains(':') ? "[" + name + "]" : name) + ":" +
                     std::to_string(at.port),
              .connect_to = at.address};
  for (const std::string& file : settings->client_trust) {
    auto pem = base::read_file(file, kTrustLimit);
    if (!pem) return std::unexpected(pem.error());
    place.trust += *pem + "\n";
  }
  return place;
}

Result<std::vector<std::string>> all_urls(const PrefetchOptions& options) {
  std::vector<std::string> urls = options.urls;
  if (!options.list.empty()) {
    std::string text;
    if (options.list == "-") {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
      auto file = base::read_file(options.list, kListLimit);
      if (!file) return std::unexpected(file.error());
      text = std::move(*file);
    }
    for (std::string& url : parse_url_list(text)) urls.push_back(std::move(url));
  }
  if (urls.empty()) return fail(ErrorCode::InvalidArgument, "give URLs, or a file with --list");
  for (const std::string& url : urls) {
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      return fail(ErrorCode::InvalidArgument, "\"" + url + "\" is no URL with http or https");
  }
  return urls;
}

void print_done(bool json, const std::string& url, const Result<Progress>& done) {
  const bool is_stored = done && done->is_stored;
  if (json) {
    nlohmann::json event = {{"event", is_stored ? "done"
                                      : done    ? "not-stored"
                                                : "failed"},
                            {"url", url}};
    if (done && !is_stored) event["reason"] = done->why_not;
    if (done) {
      event["bytes"] = done->done;
      event["from_origin"] = done->from_origin;
    } else {
      event["error"] = done.error().message;
    }
    print_line(event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (done && !is_stored) {
    std::fprintf(stderr, "%s  not stored%s%s\n", printable(url).c_str(),
                 done->why_not.empty() ? "" : ": ", printable(done->why_not).c_str());
  } else if (done) {
    print_line(printable(url) + "  " + base::format_byte_count(done->done) + "  " +
               (done->from_origin > 0
                    ? base::format_byte_count(done->from_origin) + " from the origin"
                    : "was there"));
  } else {
    std::fprintf(stderr, "%s  failed: %s\n", printable(url).c_str(),
                 printable(done.error().message).c_str());
  }
}

}  // namespace

std::vector<std::string> parse_url_list(std::string_view text) {
  std::vector<std::string> urls;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kSpace = " \t\r";
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    line.remove_suffix(line.size() - (line.find_last_not_of(kSpace) + 1));
    if (!line.empty() && !line.starts_with('#')) urls.emplace_back(line);
  }
  return urls;
}

int prefetch(const PrefetchOptions& options) {
  std::uint64_t rate = 0;
  if (!options.rate.empty()) {
    const auto bytes = base::parse_byte_count(options.rate);
    if (!bytes || *bytes == 0) {
      report({ErrorCode::InvalidArgument, "--rate: give bytes a second, like 10MB"}, "");
      return kWrongUsage;
    }
    rate = *bytes;
  }
  const auto urls = all_urls(options);
  if (!urls) return report(urls.error(), "cannot prefetch");
  auto node = place_of_node(options.config);
  if (!node) return report(node.error(), "cannot prefetch");
  Prefetcher prefetcher(std::move(*node), rate, options.json);
  std::size_t failed = 0;
  bool was_silent = false;
  for (std::size_t i = 0; i < urls->size(); ++i) {
    const auto done = prefetcher.fetch((*urls)[i], i + 1, urls->size());
    prefetcher.end_line();
    print_done(options.json, (*urls)[i], done);
    if (!done || !done->is_stored) ++failed;
    was_silent = was_silent || !prefetcher.has_answered();
  }
  if (failed == 0) return kOk;
  return report({ErrorCode::Unavailable, std::to_string(failed) + " of " +
                                             std::to_string(urls->size()) + " were not stored"},
                "",
                was_silent ? "is the node running?"
                           : "the line of each says why; `larder explain URL` says more");
}

}  // namespace larder::cli
