#include "cli/cache_prefetch.h"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>
#include <thread>
#include <unordered_set>

#include "base/encoding.h"
#include "base/file.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/prefetch_fetcher.h"
#include "cli/prefetch_run.h"
#include "node/settings.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint64_t kListLimit = 64 << 20;
constexpr std::uint64_t kTrustLimit = 4 << 20;
constexpr std::size_t kShown = 200;           // bytes of what is no URL
constexpr std::size_t kWrongLinesShown = 10;  // of a list

Result<NodePlace> place_of_node(const std::string& config) {
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
  if (!over_tls) return NodePlace{.url = "http://" + base::to_text(at)};
  if (settings->connection_names.empty())
    return fail(ErrorCode::FailedPrecondition, "the node has no connection_names");
  const std::string& name = settings->connection_names.front();
  NodePlace place{.url = "https://" + (name.contains(':') ? "[" + name + "]" : name) + ":" +
                         std::to_string(at.port),
                  .connect_to = at.address};
  for (const std::string& file : settings->client_trust) {
    auto pem = base::read_file(file, kTrustLimit);
    if (!pem) return std::unexpected(pem.error());
    place.trust += *pem + "\n";
  }
  return place;
}

// The scheme in lower case: it is the same in any.
Result<std::string> as_url(std::string_view text) {
  const std::size_t end = text.find("://");
  const std::string scheme = base::to_lower(text.substr(0, std::min(end, text.size())));
  if (end == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return fail(ErrorCode::InvalidArgument,
                "\"" + printable(text.substr(0, kShown)) + "\" is no URL with http or https");
  }
  return scheme + std::string(text.substr(end));
}

Result<std::vector<std::string>> all_urls(const PrefetchOptions& options) {
  std::vector<std::string> urls;
  for (const std::string& given : options.urls) {
    auto url = as_url(given);
    if (!url) return std::unexpected(url.error());
    urls.push_back(std::move(*url));
  }
  if (!options.list.empty()) {
    std::string text;
    if (options.list == "-") {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
      auto file = base::read_file(options.list, kListLimit);
      if (!file) return std::unexpected(file.error());
      text = std::move(*file);
    }
    auto listed = parse_url_list(text, options.list == "-" ? "standard input" : options.list);
    if (!listed) return std::unexpected(listed.error());
    for (std::string& url : *listed) urls.push_back(std::move(url));
  }
  if (urls.empty()) return fail(ErrorCode::InvalidArgument, "give URLs, or a file with --list");
  std::unordered_set<std::string> seen;
  std::erase_if(urls, [&](const std::string& url) { return !seen.insert(url).second; });
  return urls;
}

}  // namespace

Result<std::vector<std::string>> parse_url_list(std::string_view text, const std::string& name) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<std::string> urls;
  std::string wrong;
  std::size_t wrong_lines = 0;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kSpace = " \t\r";
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    line.remove_suffix(line.size() - (line.find_last_not_of(kSpace) + 1));
    if (line.empty() || line.starts_with('#')) continue;
    auto url = as_url(line);
    if (url) {
      urls.push_back(std::move(*url));
    } else if (++wrong_lines <= kWrongLinesShown) {
      wrong += (wrong.empty() ? "" : "\n") + name + ":" + std::to_string(number) + ": " +
               url.error().message;
    }
  }
  if (wrong_lines > kWrongLinesShown) {
    wrong += "\n" + name + ": " + std::to_string(wrong_lines - kWrongLinesShown) + " more lines";
  }
  if (wrong_lines > 0) return fail(ErrorCode::InvalidArgument, wrong);
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
  auto urls = all_urls(options);
  if (!urls) {
    const bool is_list = urls.error().message.find('\n') != std::string::npos;
    return report(urls.error(), is_list ? "" : "cannot prefetch");
  }
  const auto node = place_of_node(options.config);
  if (!node) return report(node.error(), "cannot prefetch");
  Prefetch::catch_interrupts();
  Prefetch prefetch(std::move(*urls), rate, options.json);
  std::vector<std::jthread> threads;
  const auto parallel =
      std::min<std::size_t>(static_cast<std::size_t>(options.parallel), prefetch.size());
  // All of them are there before the report looks whether anybody still fetches.
  std::vector<std::unique_ptr<PrefetchFetcher>> fetchers(parallel);
  for (auto& fetcher : fetchers) fetcher = std::make_unique<PrefetchFetcher>(*node, prefetch);
  for (auto& fetcher : fetchers) {
    threads.emplace_back([own = std::move(fetcher)] { own->run(); });
  }
  const std::size_t stored = prefetch.report_all();
  threads.clear();
  const PrefetchEnd end = prefetch.ended();
  const std::string of = " of " + std::to_string(prefetch.size());
  if (!end.why.empty()) {
    return report(
        {ErrorCode::Unavailable, end.why + ": " + std::to_string(stored) + of + " are stored"}, "",
        end.next);
  }
  if (stored == prefetch.size()) return kOk;
  return report(
      {ErrorCode::Unavailable, std::to_string(prefetch.size() - stored) + of + " were not stored"},
      "", "the line of each says why; `larder explain URL` says more");
}

}  // namespace larder::cli
