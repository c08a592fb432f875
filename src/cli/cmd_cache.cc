#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/encoding.h"
#include "base/json.h"
#include "cli/cache_prefetch.h"
#include "cli/commands.h"
#include "cli/listing.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using nlohmann::json;

struct CacheOptions : CommonOptions {
  std::string url;
  std::string prefix;
  std::string origin;
  std::int64_t limit = 1000;
};

int report_cache(const CommonOptions& options, const base::Error& error, const char* what) {
  return report(error, what, control_advice(Role::Node, error, options.config));
}

std::uint64_t number(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}
std::string bytes(const json& object, const char* member) {
  return base::format_byte_count(number(object, member));
}

// Sizes as people read them.
json with_readable_sizes(json rows, std::initializer_list<const char*> members) {
  for (json& row : rows) {
    for (const char* member : members) {
      if (row.contains(member)) row[member] = bytes(row, member);
    }
  }
  return rows;
}

int stat(const CommonOptions& options) {
  auto control = Control::open(Role::Node, options.config);
  if (!control) return report_cache(options, control.error(), "cannot look at the cache");
  const auto cache = control->get("/api/v1/cache");
  if (!cache) return report_cache(options, cache.error(), "cannot look at the cache");
  if (options.json) {
    print_json(*cache);
    return kOk;
  }
  print_line("objects: " + std::to_string(number(*cache, "objects")) + " in " +
             std::to_string(number(*cache, "slices")) + " slices, " + bytes(*cache, "bytes"));
  print_line("on disk: " + bytes(*cache, "used") + " of " + bytes(*cache, "size") + ", pinned " +
             bytes(*cache, "pinned"));
  print_line("evicted since the start: " + bytes(*cache, "evicted_bytes") +
             "; wrong slices found: " + std::to_string(number(*cache, "lost_slices")));
  if (number(*cache, "purges_pending") > 0)
    print_line("purges that wait for their space to be freed, or for a drive: " +
               std::to_string(number(*cache, "purges_pending")));
  print_table({{"DRIVE", "path"},
               {"STATE", "state"},
               {"USED", "used"},
               {"LIMIT", "limit"},
               {"SIZE", "size"}},
              with_readable_sizes(cache->value("drives", json::array()), {"used", "limit", "size"}),
              "drives");
  json origins = with_readable_sizes(cache->value("origins", json::array()), {"used"});
  for (json& origin : origins) {
    if (number(origin, "quota") == 0) {
      origin.erase("quota");
    } else {
      origin["quota"] = bytes(origin, "quota");
    }
  }
  print_table({{"ORIGIN", "name"}, {"USED", "used"}, {"QUOTA", "quota"}}, origins, "origins");
  return kOk;
}

int list(const CacheOptions& options) {
  auto control = Control::open(Role::Node, options.config);
  if (!control) return report_cache(options, control.error(), "cannot list the cache");
  std::string filter;
  if (!options.origin.empty()) filter += "&origin=" + encode_segment(options.origin);
  if (!options.prefix.empty()) filter += "&prefix=" + encode_segment(options.prefix);
  json all = json::array();
  auto left = static_cast<std::uint64_t>(options.limit);
  std::string cursor = "0";
  bool is_complete = false;
  while (left > 0 && !is_complete) {
    const auto page = control->get("/api/v1/cache/objects?cursor=" + cursor + "&limit=" +
                                   std::to_string(std::min<std::uint64_t>(left, 500)) + filter);
    if (!page) return report_cache(options, page.error(), "cannot list the cache");
    for (const json& object : page->value("objects", json::array())) all.push_back(object);
    left = static_cast<std::uint64_t>(options.limit) -
           std::min<std::uint64_t>(static_cast<std::uint64_t>(options.limit), all.size());
    const json next = page->value("next", json());
    is_complete = !next.is_string();
    if (!is_complete) cursor = next.get<std::string>();
  }
  if (options.json) {
    print_json({{"objects", all}, {"complete", is_complete}});
    return kOk;
  }
  print_table({{"URL", "url", true},
               {"VARIANT", "variant"},
               {"ORIGIN", "origin"},
               {"LENGTH", "length"},
               {"STORED", "stored"},
               {"PINNED", "pinned"}},
              with_readable_sizes(all, {"length", "stored"}), "objects");
  if (!is_complete) print_line("(there are more: --limit, --origin, --prefix)");
  return kOk;
}

// {"url": ...} or one of the options that stand for it.
base::Result<json> chosen(const CacheOptions& options) {
  json body = json::object();
  if (!options.url.empty()) body["url"] = options.url;
  if (!options.prefix.empty()) body["prefix"] = options.prefix;
  if (!options.origin.empty()) body["origin"] = options.origin;
  if (body.size() != 1)
    return base::fail(ErrorCode::InvalidArgument, "give one: a URL, or an option instead");
  return body;
}

int purge_url(const CacheOptions& options) {
  auto control = Control::open(Role::Node, options.config);
  if (!control) return report_cache(options, control.error(), "cannot purge");
  const auto answer = control->send("POST", "/api/v1/cache/purge", {{"url", options.url}});
  if (!answer) return report_cache(options, answer.error(), "cannot purge");
  if (options.json) {
    print_json(*answer);
  } else {
    const bool is_waiting = answer->value("waiting", false);
    const std::string url = printable(options.url);
    if (number(*answer, "objects") > 0) {
      print_line("purged " + url + (is_waiting ? "; drives that are away or failing follow" : ""));
    } else {
      print_line("nothing was stored for " + url +
                 (is_waiting ? " on the drives that work; it is purged on the others, too" : ""));
    }
  }
  return kOk;
}

int change(const CacheOptions& options, const char* verb, const std::string& done) {
  const auto body = chosen(options);
  const std::string what = std::string("cannot ") + verb;
  if (!body) {
    report(body.error(), what);
    return kWrongUsage;
  }
  if (verb == std::string_view("purge") && body->contains("url")) return purge_url(options);
  const std::string& name = body->begin()->get_ref<const std::string&>();
  return send_change(Role::Node, options, "POST", std::string("/api/v1/cache/") + verb, *body, what,
                     done + " " + printable(name));
}

// Begins a pass over all stored bytes and shows how it goes on. kFailed when it found wrong ones,
// or could not look at a drive.
int verify(const CommonOptions& options) {
  auto control = Control::open(Role::Node, options.config);
  if (!control) return report_cache(options, control.error(), "cannot verify the cache");
  const auto started = control->send("POST", "/api/v1/cache/verify", json::object());
  if (!started) return report_cache(options, started.error(), "cannot verify the cache");
  const bool is_terminal = ::isatty(2) != 0;
  for (;;) {
    const auto cache = control->get("/api/v1/cache");
    if (!cache) return report_cache(options, cache.error(), "cannot verify the cache");
    json state = cache->value("verification", json::object());
    if (state.value("running", false)) {
      if (is_terminal && !options.json)
        std::fprintf(stderr, "\r\033[K%s of %s", bytes(state, "bytes").c_str(),
                     bytes(*cache, "bytes").c_str());
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      continue;
    }
    if (is_terminal && !options.json) std::fputc('\n', stderr);
    const std::uint64_t lost = number(state, "lost");
    const std::uint64_t skipped = number(state, "skipped");
    json missing = json::array();
    for (const json& drive : cache->value("drives", json::array())) {
      if (drive.value("state", "") == "missing") missing.push_back(drive.value("path", ""));
    }
    if (options.json) {
      state["missing_drives"] = missing;
      print_json(state);
    } else {
      print_line("verified " + std::to_string(number(state, "objects")) + " objects, " +
                 bytes(state, "bytes") + ": " +
                 (lost == 0 ? std::string("all right")
                            : std::to_string(lost) + " slices were wrong and were dropped"));
      if (skipped > 0) {
        print_line(
            "not verified, because their drive does not answer, cannot be read or is away: " +
            std::to_string(skipped) + " objects");
      }
      for (const json& path : missing) {
        print_line("not verified, because it is missing: the drive " +
                   printable(path.get<std::string>()));
      }
    }
    return lost == 0 && skipped == 0 && missing.empty() ? kOk : kFailed;
  }
}

void add_change(Command& cache, const char* verb, const char* text, const char* done,
                bool with_origin) {
  auto options = std::make_shared<CacheOptions>();
  Command& command = cache.command(verb, text);
  add_common_options(command, *options)
      .positional("URL", options->url, "The object's URL, as clients ask the origin.",
                  Need::Optional)
      .option("--prefix", options->prefix, "Everything whose URL begins so.");
  if (with_origin)
    command.option("--origin", options->origin, "Everything of the origin of that name.");
  command.example(std::string("larder cache ") + verb + " http://packages.example.org/a.deb")
      .example(std::string("larder cache ") + verb + " --prefix http://packages.example.org/dists/")
      .run([options, verb, done] { return change(*options, verb, done); });
}

}  // namespace

void add_cache_commands(Command& root) {
  Command& cache =
      root.command("cache", "What a running node has stored: look, purge, pin, prefetch, verify.");
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(cache.command("stat", "Show drives, origins and what they hold."), *options)
        .example("larder cache stat --json")
        .run([options] { return stat(*options); });
  }
  {
    auto options = std::make_shared<CacheOptions>();
    add_common_options(cache.command("list", "Show stored objects, in no order."), *options)
        .option("--origin", options->origin, "Only those of the origin of that name.")
        .option("--prefix", options->prefix, "Only those whose URL begins so.")
        .integer("--limit", options->limit, 1, 10'000'000, "Most objects shown; default 1000.")
        .example("larder cache list --prefix http://packages.example.org/ --json")
        .run([options] { return list(*options); });
  }
  add_change(cache, "purge",
             "Forget objects: the next request asks the origin. Takes effect at once.", "purged",
             true);
  add_change(cache, "pin", "Never evict objects, those that come later included.", "pinned", false);
  add_change(cache, "unpin", "Let pinned objects be evicted again.", "unpinned", false);
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(cache.command("pins", "Show what is pinned."), *options)
        .example("larder cache pins")
        .run([options] {
          return show_rows(Role::Node, *options, "/api/v1/cache/pins", "pins",
                           {{"URL", "url", true}, {"PREFIX", "prefix"}});
        });
  }
  {
    auto options = std::make_shared<PrefetchOptions>();
    add_common_options(cache.command("prefetch", "Fill the cache before clients ask."), *options)
        .positionals("URL", options->urls, "URLs, as clients ask the origin.", Need::Optional)
        .option("--list", options->list, "File with a URL per line; \"-\": standard input.")
        .option("--rate", options->rate,
                "Most bytes a second from origins, all together, like 10MB; default: no limit.")
        .integer("--parallel", options->parallel, 1, 32, "URLs at a time; default 4.")
        .example("larder cache prefetch --list monday.txt --rate 5MB")
        .run([options] { return prefetch(*options); });
  }
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(
        cache.command("verify",
                      "Compare all stored bytes with their checksums; exit code 1: "
                      "some were wrong, or a drive is missing, cannot be read or does not answer."),
        *options)
        .example("larder cache verify")
        .run([options] { return verify(*options); });
  }
}

}  // namespace larder::cli
