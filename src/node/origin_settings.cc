#include "node/origin_settings.h"

#include <algorithm>

#include "node/setting_texts.h"

namespace larder::node {
namespace {

using base::SettingsErrors;
using base::SettingsSection;

std::string shown(const std::string& text) {
  return text;
}

bool has_wildcard(const OriginSettings& origin) {
  return std::any_of(origin.hosts.begin(), origin.hosts.end(),
                     [](const std::string& host) { return host.starts_with('*'); });
}

bool lists(const std::vector<std::string>& hosts, const std::string& host) {
  return std::find(hosts.begin(), hosts.end(), host) != hosts.end();
}

void check_aliases(const OriginSettings& origin, int line, SettingsErrors& errors) {
  for (const HostAlias& alias : origin.aliases) {
    if (!lists(origin.hosts, alias.pattern))
      errors.add(line, "[[origin]] aliases: \"" + alias.pattern + "\" is not one of hosts");
    if (!lists(origin.hosts, alias.canonical))
      errors.add(line, "[[origin]] aliases: \"" + alias.canonical +
                           "\" is not one of hosts; an object is stored under one of them");
    for (const HostAlias& other : origin.aliases) {
      if (other.pattern == alias.canonical)
        errors.add(line, "[[origin]] aliases: \"" + alias.canonical +
                             "\" is an alias itself; name the last one of the chain");
      if (&other != &alias && other.pattern == alias.pattern)
        errors.add(line, "[[origin]] aliases: \"" + alias.pattern + "\" is given twice");
    }
  }
}

void check_origin(const OriginSettings& origin, int line, SettingsErrors& errors) {
  if (origin.hosts.empty()) errors.add(line, "[[origin]] hosts: empty; name at least one host");
  if (!origin.ignore_query.empty() && !origin.is_public)
    errors.add(
        line,
        "[[origin]] ignore_query: only for origins with public = true, because an answer to one "
        "client's signature is then given to all");
  if (!origin.allow_addresses.empty() && has_wildcard(origin) && !origin.url)
    errors.add(
        line,
        "[[origin]] allow_addresses: not with a wildcard host, unless url is set: a name below "
        "the suffix could lead anywhere inside these ranges");
  if (origin.url && origin.scheme != OriginScheme::Same &&
      origin.url->https != (origin.scheme == OriginScheme::Https))
    errors.add(line, "[[origin]] scheme: contradicts the scheme of url; leave one of them out");
  check_aliases(origin, line, errors);
}

SettingsSection<OriginSettings> make_origin_section() {
  SettingsSection<OriginSettings> s(
      "[[origin]]", "Hosts that the node may fetch from and cache. Everything else is refused.",
      base::Effect::Live);
  s.value("name", &OriginSettings::name, parse_name, shown,
          {.text = "Name in logs and metrics.",
           .limits = "a to z, 0 to 9, - and _, at most 63",
           .required = true});
  s.values("hosts", &OriginSettings::hosts, parse_host_pattern, shown,
           {.text = "Hosts as clients name them: exact, or \"*.suffix\" for all names below it.",
            .limits = "at least one",
            .required = true});
  s.values("aliases", &OriginSettings::aliases, parse_host_alias,
           [](const HostAlias& alias) { return to_text(alias); },
           {.text = "Hosts whose paths name the same objects as another one's: an object is stored "
                    "once, and fetched from the host that the first client named.",
            .limits = "\"alias = host\", both from hosts"});
  s.optional_value(
      "url", &OriginSettings::url, parse_origin_url,
      [](const OriginUrl& url) { return to_text(url); },
      {.text = "Where to fetch from, if not from the host itself. Its scheme wins over "
               "the client's: plain http:// here gives bytes that came over HTTP to HTTPS "
               "clients too.",
       .limits = "scheme://host[:port]"});
  s.choice<OriginScheme>(
      "scheme", &OriginSettings::scheme,
      {{"same", OriginScheme::Same}, {"http", OriginScheme::Http}, {"https", OriginScheme::Https}},
      {.text = "Scheme to the origin; \"same\": as the client asked."});
  s.values("allow_addresses", &OriginSettings::allow_addresses, base::parse_address_range,
           [](const base::AddressRange& range) { return base::to_text(range); },
           {.text = "Addresses that are not public, yet may be fetched from.",
            .limits = "CIDR; not with wildcard hosts unless url is set"});
  s.text("ca_file", &OriginSettings::ca_file,
         {.text = "PEM roots for this origin, and no others; empty: the system's store and "
                  "origin_ca_file. What stands in these files by now counts from a reload on."});
  s.values("methods", &OriginSettings::methods, parse_method, shown,
           {.text = "Methods that are forwarded; \"*\": all. Only GET and HEAD are cached.",
            .limits = "not CONNECT or TRACE"});
  s.boolean(
      "follow_redirects", &OriginSettings::follow_redirects,
      {.text = "Follow a redirect to an allowed host and give what is there, kept under the "
               "address that was asked for as long as each redirect allows; after one without a "
               "lifetime of its own, unless it is permanent (301, 308), the origin is asked again "
               "at each use. Other redirects go to the client, as all do when this is off."});
  s.texts("ignore_query", &OriginSettings::ignore_query,
          {.text = "Query parameters that are no part of the key.",
           .limits = "only with public = true"});
  s.boolean("sort_query", &OriginSettings::sort_query,
            {.text = "The same query parameters in another order name the same object."});
  s.boolean("normalize_path", &OriginSettings::normalize_path,
            {.text = "Spellings of a path that differ only in needless percent-encoding name one "
                     "object (RFC 9110 section 4.2.3); the origin is asked with the plain one. Not "
                     "where addresses are signed as they are written."});
  s.texts("vary_ignore", &OriginSettings::vary_ignore,
          {.text = "Request fields that choose no representation, although Vary names them.",
           .limits = "names of fields"});
  s.values("upstream_rate", &OriginSettings::upstream_rate, client::parse_rate_rule,
           client::to_text,
           {.text = "As in [node], for this origin alone.", .limits = "[days] [span] rate"});
  s.choice<cache::IdentityRule>(
      "validator", &OriginSettings::validator,
      {{"standard", cache::IdentityRule::Standard},
       {"length+last-modified", cache::IdentityRule::LengthAndLastModified}},
      {.text =
           "What proves that two answers are of one object, so that parts of it may be put "
           "together: a strong entity tag, else a Last-Modified that is old enough, with the "
           "length; or Last-Modified and length whatever the tag says, for networks whose edges "
           "give one file different tags."});
  s.bytes("quota", &OriginSettings::quota, 0, 1ULL << 50,
          {.text = "What its objects may take of the drives together; what was used least lately "
                   "goes first. 0: as much as there is.",
           .effect = base::Effect::Live});
  s.boolean("public", &OriginSettings::is_public,
            {.text = "What one client may see, all may see."});
  s.check(check_origin);
  return s;
}

}  // namespace

const SettingsSection<OriginSettings>& origin_section() {
  static const SettingsSection<OriginSettings> section = make_origin_section();
  return section;
}

std::vector<OriginAt> read_origins(const base::SettingsTable& file, SettingsErrors& errors) {
  std::vector<OriginAt> origins;
  for (const base::SettingsTableAt& found : base::find_tables(file, "origin", true, errors)) {
    OriginAt& made = origins.emplace_back(OriginSettings{}, found.line);
    origin_section().read(*found.table, found.line, made.origin, errors);
  }
  return origins;
}

void check_origins(const std::vector<OriginAt>& origins, SettingsErrors& errors) {
  for (std::size_t index = 0; index < origins.size(); ++index) {
    const auto& [origin, line] = origins[index];
    for (std::size_t other = 0; other < index; ++other) {
      const OriginSettings& earlier = origins[other].origin;
      if (!origin.name.empty() && origin.name == earlier.name)
        errors.add(line, "[[origin]] name: \"" + origin.name + "\" is given twice");
      for (const std::string& host : origin.hosts) {
        if (lists(earlier.hosts, host))
          errors.add(line,
                     "[[origin]] hosts: \"" + host + "\" belongs to \"" + earlier.name + "\" too");
      }
    }
  }
}

}  // namespace larder::node
