// The routes of the control socket for what is stored: facts, lists, purges, pins, verification.
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "cache/stored_variants.h"
#include "http/request_head.h"
#include "node/node_parts.h"
#include "node/request_target.h"

namespace larder::node {

namespace {

using base::Error;
using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

constexpr std::size_t kLongestUrl = 4096;

server::Reply refused(const Error& error) {
  const int code = error.code == ErrorCode::InvalidArgument     ? 400
                   : error.code == ErrorCode::NotFound          ? 404
                   : error.code == ErrorCode::AlreadyExists     ? 409
                   : error.code == ErrorCode::ResourceExhausted ? 507
                   : error.code == ErrorCode::Unavailable       ? 503
                                                                : 500;
  return server::problem_reply(code, "failed", error.message);
}

// What the URL is stored under: over HTTP, over HTTPS.
struct UrlKeys {
  std::array<std::string, 2> names;
  std::array<store::Key, 2> keys;
};

// As a request for that URL would be resolved, so that aliases and ignored parameters count.
Result<UrlKeys> resolve_url(const Node::Parts& parts, const std::string& url) {
  const std::size_t scheme_end = url.find("://");
  if (url.size() > kLongestUrl || scheme_end == std::string::npos) {
    return fail(ErrorCode::InvalidArgument,
                "\"" + url.substr(0, 100) + "\" is no URL like http://packages.example.org/file");
  }
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f)
      return fail(ErrorCode::InvalidArgument, "the URL has a space or a control character");
  }
  const std::size_t path = url.find('/', scheme_end + 3);
  const std::string whole = path == std::string::npos ? url + "/" : url;
  const std::string host = url.substr(scheme_end + 3, path - (scheme_end + 3));
  const std::string text = "GET " + whole + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
  http::RequestHead head;
  if (http::parse_request_head(text, head).state != http::HeadParse::State::Complete) {
    return fail(ErrorCode::InvalidArgument, "the URL is malformed");
  }
  RequestTarget target;
  const std::shared_ptr<const Policy> policy = parts.policy.get();
  resolve_target(head, false, policy->hosts, parts.store->secret(), target);
  if (target.choice.kind != http::OriginChoice::Kind::Origin) {
    return fail(ErrorCode::InvalidArgument, target.choice.reason.empty()
                                                ? "that host is the node itself"
                                                : std::string(target.choice.reason));
  }
  UrlKeys found;
  for (const bool https : {false, true}) {
    set_scheme(target, https, parts.store->secret());
    found.names[https ? 1 : 0] = target.key_text;
    found.keys[https ? 1 : 0] = target.key;
  }
  return found;
}

// "http\nhost\n/path" as a URL; what follows another line end tells variants of it apart.
std::string url_of(std::string_view name) {
  const std::size_t scheme = name.find('\n');
  const std::size_t host = scheme == std::string_view::npos ? scheme : name.find('\n', scheme + 1);
  if (host == std::string_view::npos) return std::string(name);
  return std::string(name.substr(0, scheme)) + "://" +
         std::string(name.substr(scheme + 1, host - scheme - 1)) +
         std::string(name.substr(host + 1, name.find('\n', host + 1) - host - 1));
}

// The place of a variant that is not kept under the URL's own key; null for that one.
Json variant_of(std::string_view name) {
  constexpr std::string_view kMark = "\nvariant ";
  const std::size_t mark = name.find(kMark);
  if (mark == std::string_view::npos) return {};
  const std::string_view slot = name.substr(name.rfind(' ') + 1);
  unsigned number = 0;
  std::from_chars(slot.data(), slot.data() + slot.size(), number);
  return number + 1;
}

std::string_view name(store::DriveState state) {
  switch (state) {
    case store::DriveState::Good:
      return "good";
    case store::DriveState::Short:
      return "short";
    case store::DriveState::Failing:
      return "failing";
    case store::DriveState::Missing:
      return "missing";
  }
  return "good";
}

Json describe(const store::ScrubStatistics& scrub) {
  return {{"running", scrub.is_running},
          {"passes", scrub.passes},
          {"objects", scrub.objects},
          {"bytes", scrub.bytes},
          {"lost", scrub.lost},
          {"skipped", scrub.skipped},
          {"checked_bytes", scrub.checked_bytes},
          {"finished_at", scrub.finished_at > 0
                              ? Json(base::to_rfc3339(base::from_unix_seconds(scrub.finished_at)))
                              : Json()}};
}

Json describe(const store::Statistics& cache) {
  Json drives = Json::array();
  for (const store::DriveStatistics& drive : cache.drives) {
    drives.push_back({{"path", drive.path},
                      {"state", name(drive.state)},
                      {"size", drive.size},
                      {"limit", drive.limit},
                      {"used", drive.used},
                      {"journal", drive.journal},
                      {"write_errors", drive.write_errors},
                      {"read_errors", drive.read_errors}});
  }
  Json origins = Json::array();
  for (const store::GroupStatistics& group : cache.groups) {
    origins.push_back({{"name", group.name}, {"used", group.used}, {"quota", group.quota}});
  }
  return {{"objects", cache.objects},
          {"slices", cache.slices},
          {"bytes", cache.bytes},
          {"size", cache.size},
          {"used", cache.used},
          {"pinned", cache.pinned},
          {"purges_pending", cache.purges},
          {"evicted_objects", cache.evicted_objects},
          {"evicted_bytes", cache.evicted_bytes},
          {"lost_slices", cache.lost_slices},
          {"verification", describe(cache.scrub)},
          {"drives", std::move(drives)},
          {"origins", std::move(origins)}};
}

Result<std::uint64_t> number_in(const server::RouteRequest& request, const std::string& name,
                                std::uint64_t fallback) {
  const auto given = request.query.find(name);
  if (given == request.query.end()) return fallback;
  std::uint64_t value = 0;
  const char* end = given->second.data() + given->second.size();
  const auto [stop, error] = std::from_chars(given->second.data(), end, value);
  if (error != std::errc() || stop != end)
    return fail(ErrorCode::InvalidArgument, name + " is no number");
  return value;
}

Result<Json> list(const Node::Parts& parts, const server::RouteRequest& request) {
  store::ListQuery query;
  const auto cursor = number_in(request, "cursor", 0);
  if (!cursor) return std::unexpected(cursor.error());
  const auto limit = number_in(request, "limit", 100);
  if (!limit) return std::unexpected(limit.error());
  query.cursor = *cursor;
  query.limit = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(*limit, 1, 500));
  if (const auto origin = request.query.find("origin"); origin != request.query.end())
    query.group = origin->second;
  if (const auto prefix = request.query.find("prefix"); prefix != request.query.end()) {
    const auto keys = resolve_url(parts, prefix->second);
    if (!keys) return std::unexpected(keys.error());
    const std::string_view scheme = std::string_view(prefix->second).substr(0, 6);
    query.prefix = keys->names[base::equals_ignoring_case(scheme, "https:") ? 1 : 0];
  }
  const store::ListPage page = parts.store->list(query);
  Json objects = Json::array();
  for (const store::ListItem& item : page.items) {
    objects.push_back({{"url", url_of(item.name)},
                       {"variant", variant_of(item.name)},
                       {"origin", item.group},
                       {"length", item.length},
                       {"stored", item.stored},
                       {"pinned", item.is_pinned},
                       {"drive", item.drive}});
  }
  return Json{{"objects", std::move(objects)},
              {"next", page.next > 0 ? Json(std::to_string(page.next)) : Json()}};
}

// Exactly one of the members that `allowed` names, which are texts.
Result<std::pair<std::string, std::string>> only_member(
    const server::RouteRequest& request, std::initializer_list<const char*> allowed) {
  const auto body = base::parse_json(request.body);
  if (!body) return std::unexpected(body.error());
  std::pair<std::string, std::string> found;
  std::string names;
  for (const char* member : allowed) {
    names += (names.empty() ? "" : ", ") + std::string(member);
    if (!body->is_object() || !body->contains(member)) continue;
    const auto text = base::json_string(*body, member);
    if (!text) return std::unexpected(text.error());
    if (!found.first.empty() || text->empty())
      return fail(ErrorCode::InvalidArgument, "give one of " + names);
    found = {member, *text};
  }
  if (found.first.empty()) return fail(ErrorCode::InvalidArgument, "give one of " + names);
  return found;
}

Result<Json> purge(const Node::Parts& parts, const server::RouteRequest& request) {
  const auto what = only_member(request, {"url", "prefix", "origin"});
  if (!what) return std::unexpected(what.error());
  // What is on its way is purged, too: it was asked for before. Noted first, so that what the store
  // does not find yet is found outdated when it comes.
  Invalidations& invalidations = parts.delivery->invalidations;
  if (what->first == "origin") {
    invalidations.note_origin(what->second);
    LARDER_TRY(parts.store->purge_group(what->second));
    return Json::object();
  }
  const auto keys = resolve_url(parts, what->second);
  if (!keys) return std::unexpected(keys.error());
  std::uint64_t found = 0;
  bool is_waiting = false;
  // Of both schemes, whatever becomes of the first.
  base::Status failed;
  for (std::size_t i = 0; i < keys->keys.size(); ++i) {
    if (what->first == "prefix") {
      invalidations.note_prefix(keys->names[i]);
      if (base::Status purged = parts.store->purge_prefix(keys->names[i]); !purged) {
        failed = std::move(purged);
      }
    } else {
      invalidations.note({&keys->keys[i], 1});
      const auto purged =
          parts.store->purge_name(keys->names[i], cache::keys_of_url(*parts.store, keys->keys[i]));
      if (!purged) {
        failed = std::unexpected(purged.error());
        continue;
      }
      found += purged->objects;
      is_waiting = is_waiting || purged->is_waiting;
    }
  }
  if (!failed) return std::unexpected(failed.error());
  Json answer = Json::object();
  if (what->first == "url") {
    answer["objects"] = found;
    answer["waiting"] = is_waiting;  // for drives that are away or failing
  }
  return answer;
}

Result<Json> change_pin(const Node::Parts& parts, const server::RouteRequest& request, bool pin) {
  const auto what = only_member(request, {"url", "prefix"});
  if (!what) return std::unexpected(what.error());
  const auto keys = resolve_url(parts, what->second);
  if (!keys) return std::unexpected(keys.error());
  const bool is_prefix = what->first == "prefix";
  // Both schemes: that there was nothing to do is refused only where it is so for both.
  base::Status idle;
  bool is_done = false;
  for (std::size_t i = 0; i < keys->names.size(); ++i) {
    const store::PinOrder order{.text = keys->names[i], .is_prefix = is_prefix};
    const std::vector<store::Key> of_url =
        is_prefix ? std::vector<store::Key>() : std::vector{keys->keys[i]};
    const base::Status one =
        pin ? parts.store->pin(order, of_url) : parts.store->unpin(order, of_url);
    if (one) {
      is_done = true;
    } else if (one.error().code == base::ErrorCode::AlreadyExists ||
               one.error().code == base::ErrorCode::NotFound) {
      idle = one;
    } else {
      return std::unexpected(one.error());
    }
  }
  if (!is_done) return std::unexpected(idle.error());
  return Json::object();
}

Json pins(const Node::Parts& parts) {
  Json all = Json::array();
  for (const store::PinOrder& order : parts.store->pins()) {
    all.push_back({{"url", url_of(order.text)}, {"prefix", order.is_prefix}});
  }
  return Json{{"pins", std::move(all)}};
}

server::Reply reply_of(const Result<Json>& answer) {
  return answer ? server::json_reply(
                      answer->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
                : refused(answer.error());
}

}  // namespace

void add_cache_routes(Node::Parts& parts) {
  server::Router& router = parts.control_router;
  router.add("GET", "/api/v1/cache", [&parts](const server::RouteRequest&) {
    return reply_of(describe(parts.store->statistics()));
  });
  router.add("GET", "/api/v1/cache/objects", [&parts](const server::RouteRequest& request) {
    return reply_of(list(parts, request));
  });
  router.add("POST", "/api/v1/cache/purge", [&parts](const server::RouteRequest& request) {
    return reply_of(purge(parts, request));
  });
  router.add("GET", "/api/v1/cache/pins",
             [&parts](const server::RouteRequest&) { return reply_of(pins(parts)); });
  router.add("POST", "/api/v1/cache/pin", [&parts](const server::RouteRequest& request) {
    return reply_of(change_pin(parts, request, true));
  });
  router.add("POST", "/api/v1/cache/unpin", [&parts](const server::RouteRequest& request) {
    return reply_of(change_pin(parts, request, false));
  });
  router.add("POST", "/api/v1/cache/verify", [&parts](const server::RouteRequest&) {
    return reply_of(Json{{"started", parts.store->start_scrub()}});
  });
}

Json drive_troubles(const store::Statistics& cache) {
  Json troubles = Json::array();
  for (const store::DriveStatistics& drive : cache.drives) {
    if (drive.state == store::DriveState::Good) continue;
    troubles.push_back({{"path", drive.path},
                        {"state", name(drive.state)},
                        {"size", drive.size},
                        {"limit", drive.limit}});
  }
  return troubles;
}

void add_cache_gauges(const store::Statistics& cache, std::vector<Gauge>& gauges) {
  const auto add = [&](const char* gauge, const char* help, std::uint64_t value,
                       bool is_counter = false, std::string labels = "") {
    gauges.push_back({gauge, help, static_cast<double>(value), is_counter, std::move(labels)});
  };
  using Drive = store::DriveStatistics;
  const auto of_drives = [&](const char* gauge, const char* help, bool is_counter,
                             std::uint64_t (*value)(const Drive&)) {
    for (const Drive& drive : cache.drives)
      add(gauge, help, value(drive), is_counter, "{drive=\"" + label_text(drive.path) + "\"}");
  };
  of_drives("larder_drive_size_bytes", "Bytes the drive may use", false,
            [](const Drive& drive) { return drive.size; });
  of_drives("larder_drive_limit_bytes",
            "Bytes the drive may use now: its size, or what its file system gives", false,
            [](const Drive& drive) { return drive.limit; });
  of_drives("larder_drive_short", "1 when the file system gives the drive less than its size",
            false, [](const Drive& drive) -> std::uint64_t {
              return drive.state == store::DriveState::Short ? 1 : 0;
            });
  of_drives("larder_drive_used_bytes", "Bytes used on the drive, journal included", false,
            [](const Drive& drive) { return drive.used; });
  of_drives("larder_drive_failing", "1 when the drive is broken and takes no new objects", false,
            [](const Drive& drive) -> std::uint64_t {
              return drive.state == store::DriveState::Failing ? 1 : 0;
            });
  of_drives("larder_drive_missing", "1 when the drive could not be opened at start, or is gone",
            false, [](const Drive& drive) -> std::uint64_t {
              return drive.state == store::DriveState::Missing ? 1 : 0;
            });
  of_drives("larder_drive_read_errors_total", "Reads that failed", true,
            [](const Drive& drive) { return drive.read_errors; });
  of_drives("larder_drive_not_evictable_total",
            "Objects and slices that were not stored because all that could go for them is pinned",
            true, [](const Drive& drive) { return drive.not_evictable; });
  for (const store::GroupStatistics& group : cache.groups) {
    add("larder_origin_stored_bytes", "Bytes on disk of an origin's objects", group.used, false,
        "{origin=\"" + label_text(group.name) + "\"}");
  }
  for (const store::GroupStatistics& group : cache.groups) {
    if (group.quota == 0) continue;
    add("larder_origin_quota_bytes", "What the origin's objects may take", group.quota, false,
        "{origin=\"" + label_text(group.name) + "\"}");
  }
  add("larder_cache_pinned_bytes", "Bytes that are never evicted", cache.pinned);
  add("larder_cache_purges_pending", "Purges that wait for their space to be freed, or for a drive",
      cache.purges);
  add("larder_scrub_checked_bytes_total", "Stored bytes compared with their checksums",
      cache.scrub.checked_bytes, true);
  add("larder_scrub_passes_total", "Whole passes of the scrub", cache.scrub.passes, true);
}

}  // namespace larder::node
