#include "agent/doctor_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/encoding.h"
#include "http/date.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using crypto::Certificate;

namespace {

constexpr std::chrono::days kSoon{30};
constexpr std::chrono::seconds kClockTolerance{60};  // as for tokens
// Delivery Optimization leaves a source below the first; the second is what a node admits fills at.
constexpr double kLeastRate = 4000;
constexpr double kSlowRate = 65536;

std::string trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

std::vector<std::string> items_of(std::string_view list) {
  std::vector<std::string> items;
  while (true) {
    const auto comma = list.find(',');
    if (auto item = trim(list.substr(0, comma)); !item.empty()) items.push_back(std::move(item));
    if (comma == std::string_view::npos) return items;
    list.remove_prefix(comma + 1);
  }
}

std::string value_of(const std::map<std::string, std::string>& environment,
                     const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

bool is_exempt(std::string_view no_proxy, std::string_view host) {
  return std::ranges::any_of(items_of(no_proxy), [&](std::string_view item) {
    if (item == "*") return true;
    if (item.starts_with('*')) item.remove_prefix(1);
    if (item.starts_with('.')) item.remove_prefix(1);
    const std::string suffix = base::to_lower(item);
    return host == suffix || (host.size() > suffix.size() && host.ends_with(suffix) &&
                              !suffix.empty() && host[host.size() - suffix.size() - 1] == '.');
  });
}

std::string lower_field(const Fields& fields, std::string_view name) {
  std::string all;  // RFC 9110 section 5.3: several lines are one list
  for (const auto& [key, value] : fields) {
    if (!base::equals_ignoring_case(key, name)) continue;
    if (!all.empty()) all += ", ";
    all += value;
  }
  return base::to_lower(all);
}

// The path that was sent, from the leaf up, by who could have issued whom.
std::vector<Certificate> path_of(std::span<const Certificate> chain) {
  std::vector<Certificate> path{chain.front()};
  while (!path.back().is_self_signed() && path.size() < chain.size()) {
    const auto issuer = std::ranges::find_if(
        chain, [&](const Certificate& other) { return other.is_issuer_of(path.back()); });
    if (issuer == chain.end() || *issuer == path.back()) break;
    path.push_back(*issuer);
  }
  return path;
}

Finding judge_chain(std::span<const Certificate> chain, const crypto::TrustStore& trust) {
  // Dates have a finding of their own.
  const auto status = crypto::verify_chain_at_any_time(chain.front(), chain.subspan(1), trust,
                                                       crypto::ChainPurpose::Server);
  if (status) return well("chain", "leads to a root that this client trusts");
  if (status.error().code != ErrorCode::NotFound) {
    return wrong("chain", status.error().message, "import a certificate with a sound chain");
  }
  const std::vector<Certificate> path = path_of(chain);
  const Certificate& top = path.back();
  if (top.is_self_signed()) {
    return wrong("chain",
                 fmt::format("ends at \"{}\", which this client does not trust", top.subject()),
                 "put that root into the clients' trust store (here: --trust FILE), or import a "
                 "certificate of a CA that they trust");
  }
  if (path.size() == 1) {
    return wrong("chain",
                 fmt::format("the intermediate certificate \"{}\" is missing: the server sends "
                             "only its own, and this client does not have it",
                             top.issuer()),
                 "import the certificate again together with its intermediates in one file; if it "
                 "is a root, put it into the clients' trust store");
  }
  return wrong("chain",
               fmt::format("stops at \"{}\": its issuer \"{}\" is neither sent nor trusted here",
                           top.subject(), top.issuer()),
               "if that is a root, put it into the clients' trust store (here: --trust FILE); if "
               "it is an intermediate, import the certificate again together with it");
}

Finding judge_dates(std::span<const Certificate> chain, base::WallTime now) {
  for (const Certificate& certificate : chain) {
    const std::string which = "\"" + certificate.subject() + "\"";
    if (certificate.not_after() < now) {
      return wrong("dates",
                   which + " expired on " + base::to_rfc3339(certificate.not_after()) +
                       "; here it is " + base::to_rfc3339(now),
                   "have the request signed again and import the result");
    }
    if (certificate.not_before() > now) {
      return wrong("dates",
                   which + " is valid only from " + base::to_rfc3339(certificate.not_before()) +
                       "; here it is " + base::to_rfc3339(now),
                   "look at this client's clock, then at the CA's");
    }
  }
  const Certificate& first = *std::ranges::min_element(chain, {}, &Certificate::not_after);
  const auto left = std::chrono::floor<std::chrono::days>(first.not_after() - now);
  const std::string until = fmt::format("valid until {}, {} days left",
                                        base::to_rfc3339(first.not_after()), left.count());
  if (left < kSoon && first.not_after() < chain.front().not_after()) {
    return doubtful(
        "dates", fmt::format("the intermediate certificate \"{}\" is {}", first.subject(), until),
        "ask the CA for what follows it, and import the certificate again together "
        "with that");
  }
  if (left < kSoon) {
    return doubtful("dates", until, "have the request signed again and import the result");
  }
  return well("dates", until);
}

std::string all_names(const Certificate& leaf) {
  std::string all;
  for (const auto& list : {leaf.dns_names(), leaf.addresses()}) {
    for (const std::string& each : list) all += (all.empty() ? "" : ", ") + each;
  }
  return all.empty() ? "no name at all" : all;
}

// Devices that open TLS sign what they show with a CA of their own; these say so in its name.
constexpr std::array kInspectors = {
    "zscaler",   "netskope",   "fortinet",  "fortigate",      "palo alto",   "sophos",  "blue coat",
    "mcafee",    "forcepoint", "barracuda", "cisco umbrella", "check point", "squid",   "mitmproxy",
    "kaspersky", "untangle",   "websense",  "watchguard",     "sonicwall",   "bluecoat"};

}  // namespace

std::string_view name(Finding::Verdict verdict) {
  switch (verdict) {
    case Finding::Verdict::Ok:
      return "ok";
    case Finding::Verdict::Warning:
      return "warning";
    case Finding::Verdict::Wrong:
      return "wrong";
    case Finding::Verdict::Skipped:
      return "skipped";
  }
  return "wrong";
}

bool Diagnosis::is_well() const {
  return std::ranges::none_of(
      findings, [](const Finding& one) { return one.verdict == Finding::Verdict::Wrong; });
}

Finding well(std::string check, std::string text) {
  return {std::move(check), Finding::Verdict::Ok, std::move(text), {}};
}
Finding doubtful(std::string check, std::string text, std::string fix) {
  return {std::move(check), Finding::Verdict::Warning, std::move(text), std::move(fix)};
}
Finding wrong(std::string check, std::string text, std::string fix) {
  return {std::move(check), Finding::Verdict::Wrong, std::move(text), std::move(fix)};
}
Finding skipped(std::string check, std::string text) {
  return {std::move(check), Finding::Verdict::Skipped, std::move(text), {}};
}

std::string proxy_for(const std::map<std::string, std::string>& environment,
                      std::string_view scheme, std::string_view host) {
  const auto either = [&](const std::string& upper) {
    std::string value = value_of(environment, base::to_lower(upper));
    return value.empty() ? value_of(environment, upper) : value;
  };
  if (is_exempt(either("NO_PROXY"), host)) return {};
  // HTTP_PROXY in capitals is what a CGI program gets from its client: programs do not read it.
  std::string proxy =
      scheme == "https" ? either("HTTPS_PROXY") : value_of(environment, "http_proxy");
  return proxy.empty() ? either("ALL_PROXY") : proxy;
}

Finding judge_proxy(const std::map<std::string, std::string>& environment, std::string_view scheme,
                    std::string_view host) {
  std::string proxy = proxy_for(environment, scheme, host);
  if (proxy.empty()) return well("proxy", "none in the environment");
  // A proxy's address may hold a password.
  if (const auto at = proxy.rfind('@'); at != std::string::npos) proxy.erase(0, at + 1);
  return wrong(
      "proxy",
      fmt::format("programs with this environment ask {} for {}, not the node", proxy, host),
      fmt::format("add {} to no_proxy, or to the exceptions of the client's proxy settings", host));
}

Finding judge_port(std::span<const Attempt> attempts, std::uint16_t port) {
  std::string failed;
  std::string good;
  for (const Attempt& attempt : attempts) {
    std::string& list = attempt.failure.empty() ? good : failed;
    list += (list.empty() ? "" : "; ") + attempt.address;
    if (!attempt.failure.empty()) list += ": " + attempt.failure;
  }
  if (failed.empty()) return well("port", fmt::format("{} is open at {}", port, good));
  if (!good.empty()) {
    return wrong("port", fmt::format("{} is open at {}, but not at {}", port, good, failed),
                 "clients may try that address first: let the name lead to addresses that the "
                 "node listens on");
  }
  return wrong("port", fmt::format("{} cannot be reached: {}", port, failed),
               "is the node running, does it listen there (`larder node status`), and do firewalls "
               "between it and here let the port through? Delivery Optimization avoids a node with "
               "a closed port for 15 minutes, for HTTP too");
}

Finding judge_handshake_failure(const base::Error& failure) {
  const std::string& text = failure.message;
  const auto says = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  std::string fix = "look at the node's log for the same moment";
  if (says("alert handshake failure")) {
    fix = "the node has no certificate, or HTTPS is disabled: `larder cert list` on the node";
  } else if (says("wrong version number") || says("packet length") || says("http request")) {
    fix = "what listens there speaks no TLS: is the port right, is something else listening?";
  } else if (says("closed") || says("does not end") || says("unexpected eof")) {
    fix = "a firewall or a device between here and the node may end TLS connections";
  }
  return wrong("handshake", text, std::move(fix));
}

std::vector<Finding> judge_certificates(std::span<const Certificate> chain, const std::string& name,
                                        const crypto::TrustStore& trust, base::WallTime now) {
  const Certificate& leaf = chain.front();
  std::vector<Finding> findings{judge_chain(chain, trust), judge_dates(chain, now)};
  if (leaf.covers(name)) {
    findings.push_back(well("name", "the certificate covers " + name));
  } else {
    findings.push_back(wrong(
        "name", fmt::format("the certificate covers {}, not {}", all_names(leaf), name),
        "request a certificate with that name (or address) among its alternative names, or let "
        "clients connect by one that it covers"));
  }
  if (!leaf.has_server_auth()) {
    findings.push_back(wrong("usage", "the certificate is not for TLS servers (serverAuth)",
                             "have the request signed with a template for web servers"));
  } else if (leaf.is_ca()) {
    findings.push_back(wrong("usage", "the certificate is that of a CA",
                             "have the request signed with a template for web servers"));
  } else {
    findings.push_back(well("usage", "the certificate is for TLS servers"));
  }
  return findings;
}

Finding judge_inspection(const Certificate& leaf, std::span<const std::string> expected) {
  const std::string issuer = base::to_lower(leaf.issuer());
  const auto known = std::ranges::find_if(
      kInspectors, [&](std::string_view product) { return issuer.contains(product); });
  constexpr const char* kFix =
      "exempt the node from TLS inspection between it and its clients: they refuse what the "
      "inspection shows, or the cache is bypassed";
  if (!expected.empty() && std::ranges::find(expected, leaf.sha256_hex()) == expected.end()) {
    return wrong("inspection",
                 fmt::format("the certificate, issued by \"{}\", is not the one that the node "
                             "shows: something between opens TLS, or another machine answers",
                             leaf.issuer()),
                 kFix);
  }
  if (known != kInspectors.end()) {
    return wrong(
        "inspection",
        fmt::format("the certificate's issuer \"{}\" is a product that opens TLS", leaf.issuer()),
        kFix);
  }
  if (expected.empty()) {
    return skipped("inspection", fmt::format("the certificate was issued by \"{}\"; run this on "
                                             "the node to compare with what the node shows",
                                             leaf.issuer()));
  }
  return well("inspection", "the certificate is the one that the node shows");
}

Finding judge_way(const Fields& fields) {
  const std::string via = lower_field(fields, "Via");
  const std::vector<std::string> hops = items_of(via);
  if (!hops.empty() && !hops.back().ends_with(" larder")) {
    return wrong("way", "\"" + hops.back() + "\" passed the answer on after the node (Via)",
                 "let clients reach the node without that proxy: it may cut ranges and it adds a "
                 "copy of its own");
  }
  if (!lower_field(fields, "Cache-Status").contains("larder") && hops.empty()) {
    return wrong("way",
                 "the answer does not come from a Larder node: it has no Cache-Status of one",
                 "is the address right, and is nothing else listening or answering in between?");
  }
  return well("way",
              "the answer is a Larder node's, and no proxy on the way has named itself (Via); one "
              "that stays silent cannot be seen here");
}

Finding judge_clock(std::string_view date, base::WallTime now) {
  if (date.empty()) return doubtful("clock", "the answer has no Date", "what answers there?");
  const auto theirs = http::parse_date(date, now);
  if (!theirs) {
    return doubtful("clock", "the answer's Date is none: " + std::string(date),
                    "what answers there?");
  }
  const auto ahead = std::chrono::duration_cast<std::chrono::seconds>(*theirs - now);
  if (std::chrono::abs(ahead) <= kClockTolerance) {
    return well("clock", "the node's and this client's agree");
  }
  return wrong("clock",
               fmt::format("the node's clock is {} s {} of this client's", std::abs(ahead.count()),
                           ahead.count() > 0 ? "ahead" : "behind"),
               "let both follow a time server: certificates and tokens are refused by clocks that "
               "are wrong");
}

base::Result<std::uint64_t> total_of(const RangeRead& read) {
  if (read.status == 200) {
    return fail(ErrorCode::FailedPrecondition,
                "a request for a range was answered with 200 and everything: something between "
                "takes ranges away, or the object cannot be read in parts");
  }
  if (read.status != 206) {
    return fail(ErrorCode::FailedPrecondition,
                fmt::format("a request for a range was answered with {}", read.status));
  }
  const std::string range = lower_field(read.fields, "Content-Range");
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  const auto number = [&](std::string_view text, std::uint64_t& value) {
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    return end.ec == std::errc() && end.ptr == text.data() + text.size();
  };
  const auto dash = range.find('-');
  const auto slash = range.find('/');
  if (!range.starts_with("bytes ") || dash == std::string::npos || slash == std::string::npos ||
      dash > slash || !number(std::string_view(range).substr(6, dash - 6), first) ||
      !number(std::string_view(range).substr(dash + 1, slash - dash - 1), last) ||
      !number(std::string_view(range).substr(slash + 1), total)) {
    return fail(ErrorCode::FailedPrecondition,
                "the answer's Content-Range is none: \"" + range + "\"");
  }
  if (total == 0 || first != read.first || last != std::min(read.last, total - 1)) {
    return fail(
        ErrorCode::FailedPrecondition,
        fmt::format("bytes {}-{} were asked for, and \"{}\" came", read.first, read.last, range));
  }
  if (read.body.size() != last - first + 1) {
    return fail(ErrorCode::FailedPrecondition,
                fmt::format("\"{}\" came with {} bytes", range, read.body.size()));
  }
  return total;
}

Finding judge_ranges(const RangeRead& whole, std::span<const RangeRead> parts) {
  constexpr const char* kFix =
      "let ranges through between clients and the node (`max_ranges`, caches, inspection); on the "
      "node `larder explain URL --header \"Range: bytes=0-99\"` says what it would answer";
  const auto total = total_of(whole);
  if (!total) return wrong("range", total.error().message, kFix);
  std::string joined;
  for (const RangeRead& part : parts) {
    const auto same = total_of(part);
    if (!same) return wrong("range", same.error().message, kFix);
    if (*same != *total) {
      return wrong("range", fmt::format("the object has {} bytes, then {}", *total, *same), kFix);
    }
    joined += part.body;
  }
  if (!parts.empty() && joined != whole.body) {
    return wrong("range", "the same bytes, read twice, differ",
                 "on the node `larder cache verify`; if it finds nothing, something between "
                 "changes answers");
  }
  return well("range", fmt::format("206 with {} of {} bytes, the same when read again in parts",
                                   whole.body.size(), *total));
}

Finding judge_speed(std::uint64_t bytes, std::chrono::microseconds time) {
  const double seconds = std::max(static_cast<double>(time.count()) / 1e6, 1e-6);
  const double rate = static_cast<double>(bytes) / seconds;
  const std::string text =
      fmt::format("{} bytes in {:.2f} s: {:.2f} MB/s", bytes, seconds, rate / 1e6);
  if (rate < kLeastRate) {
    return wrong("speed",
                 text + "; Delivery Optimization leaves a source below 4000 bytes a second",
                 "look at the line, at the node's `client_rate_limit`, and, for what is not stored "
                 "yet, at its way to the origin");
  }
  if (rate < kSlowRate) {
    return doubtful("speed", text, "look at the line and at the node's limits");
  }
  return well("speed", text);
}

}  // namespace larder::agent
