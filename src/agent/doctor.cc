#include "agent/doctor.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "agent/doctor_findings.h"
#include "agent/doctor_revocation.h"
#include "agent/url.h"
#include "base/address.h"
#include "base/unique_fd.h"
#include "client/http_client.h"
#include "crypto/tls_probe.h"
#include "crypto/verify.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::chrono::seconds kConnectTimeout{3};  // as Delivery Optimization
constexpr std::chrono::seconds kHandshakeTimeout{10};
constexpr std::chrono::seconds kAnswerTimeout{20};
constexpr std::size_t kAddressesLimit = 8;
constexpr std::uint64_t kRange = 1 << 20;      // as Windows asks
constexpr std::uint64_t kTransfer = 32 << 20;  // bytes for the speed
constexpr std::uint64_t kHeadOnly = 64 << 10;  // of an answer that is not what was asked for

struct Resolved {
  std::string text;
  sockaddr_storage address{};
  socklen_t length = 0;
};

Result<std::vector<Resolved>> resolve(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return fail(ErrorCode::NotFound, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype([](addrinfo* list) { ::freeaddrinfo(list); })> owned(
      found);
  std::vector<Resolved> all;
  for (const addrinfo* next = found; next != nullptr && all.size() < kAddressesLimit;
       next = next->ai_next) {
    Resolved one;
    std::memcpy(&one.address, next->ai_addr, next->ai_addrlen);
    one.length = next->ai_addrlen;
    char text[NI_MAXHOST] = "";
    ::getnameinfo(next->ai_addr, next->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
    one.text = text;
    all.push_back(std::move(one));
  }
  return all;
}

// A place that accepted a connection, and what it showed.
struct Reached {
  std::string address;
  std::optional<Result<crypto::TlsShown>> shown;  // HTTPS only
};

// Connected, or why not.
Result<base::UniqueFd> connect_to(const Resolved& place) {
  base::UniqueFd fd(
      ::socket(place.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(ErrorCode::Unavailable, std::strerror(errno));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&place.address), place.length) != 0) {
    if (errno != EINPROGRESS) return fail(ErrorCode::Unavailable, std::strerror(errno));
    pollfd poll{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    const auto limit = std::chrono::milliseconds(kConnectTimeout).count();
    if (::poll(&poll, 1, static_cast<int>(limit)) == 0) {
      return fail(ErrorCode::DeadlineExceeded, "no answer within 3 s");
    }
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(ErrorCode::Unavailable, std::strerror(error));
  }
  return fd;
}

std::string without_brackets(const std::string& host) {
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

// One examination under way.
class Doctor {
 public:
  Doctor(const Examination& what, const base::Clock& clock, Url url, crypto::TrustStore trust)
      : what_(what), clock_(clock), url_(std::move(url)), trust_(std::move(trust)) {
    host_ = without_brackets(url_.host);
    if (url_.port.empty()) url_.port = url_.scheme == "https" ? "443" : "80";
    std::from_chars(url_.port.data(), url_.port.data() + url_.port.size(), port_);
    diagnosis_.target = url_.scheme + "://" + url_.host + ":" + url_.port;
  }

  Result<Diagnosis> run() {
    add(judge_proxy(what_.environment, url_.scheme, host_));
    const auto places = find_places();
    if (!places) return std::move(diagnosis_);
    const std::vector<Reached> reached = reach(*places);
    if (reached.empty()) return std::move(diagnosis_);
    if (url_.scheme == "https" && !look_at_tls(reached)) return std::move(diagnosis_);
    LARDER_TRY(read_object(reached.front().address));
    return std::move(diagnosis_);
  }

 private:
  void add(Finding finding) { diagnosis_.findings.push_back(std::move(finding)); }

  std::optional<std::vector<Resolved>> find_places() {
    const std::string& asked = what_.address.empty() ? host_ : what_.address;
    auto places = resolve(asked, url_.port);
    if (!places) {
      add(wrong("address", "\"" + asked + "\" has no address: " + places.error().message,
                "make the name known to the DNS servers of the clients, or let them connect by a "
                "name that is"));
      return std::nullopt;
    }
    std::string list;
    for (const Resolved& place : *places) list += (list.empty() ? "" : ", ") + place.text;
    add(what_.address.empty() ? well("address", asked + " is " + list)
                              : skipped("address", "connecting to " + list + " as told"));
    return std::move(*places);
  }

  const std::string& expected_name() const { return what_.name.empty() ? host_ : what_.name; }

  // The places that accept a connection. For HTTPS, each connection has its handshake at once: one
  // that waits or is closed without is, in the eyes of the node, a handshake that failed.
  std::vector<Reached> reach(std::span<const Resolved> places) {
    std::vector<Attempt> attempts;
    std::vector<Reached> reached;
    for (const Resolved& place : places) {
      const auto fd = connect_to(place);
      attempts.push_back({place.text, fd ? std::string() : fd.error().message});
      if (!fd) continue;
      Reached one{place.text, std::nullopt};
      if (url_.scheme == "https") {
        one.shown =
            crypto::probe_tls(fd->get(), expected_name(), clock_.steady() + kHandshakeTimeout);
      }
      reached.push_back(std::move(one));
    }
    add(judge_port(attempts, port_));
    return reached;
  }

  // The first place as a whole, of the others whether they speak TLS. False when there is nothing
  // behind the first to talk to.
  bool look_at_tls(std::span<const Reached> reached) {
    for (const Reached& one : reached) {
      if (*one.shown) continue;
      base::Error error = one.shown->error();
      if (reached.size() > 1) error.message = "at " + one.address + ": " + error.message;
      add(judge_handshake_failure(error));
    }
    const auto& shown = *reached.front().shown;
    if (!shown) return false;
    const std::string& name = expected_name();
    add(well("handshake", shown->version + ", " + shown->cipher));
    for (Finding& finding : judge_certificates(shown->chain, name, trust_, clock_.wall())) {
      add(std::move(finding));
    }
    add(judge_inspection(shown->chain.front(), what_.expected));
    const auto path =
        crypto::verify_chain_at_any_time(shown->chain.front(), std::span(shown->chain).subspan(1),
                                         trust_, crypto::ChainPurpose::Server);
    const std::vector<crypto::Certificate> nobody;
    for (Finding& finding : examine_revocation(shown->chain, shown->staple, path ? *path : nobody,
                                               what_.ask, clock_.wall())) {
      add(std::move(finding));
    }
    return true;
  }

  // The URL to read through the node; empty: there is none.
  Result<std::string> object_url() const {
    if (what_.object.empty()) return url_.target == "/" ? std::string() : url_.text();
    const auto origin = parse_url(what_.object);
    if (!origin) return base::with_context("the object", origin.error());
    auto through = through_cache(*origin, url_.host + ":" + url_.port);
    if (!through) return std::unexpected(through.error());
    through->scheme = url_.scheme;
    return through->text();
  }

  client::HttpRequest request_for(const std::string& url, const std::string& address) const {
    client::HttpRequest request;
    request.url = url;
    request.connect_to = address;
    request.timeout = kAnswerTimeout;
    // The certificate was judged already. What is read here is compared and thrown away, nothing
    // secret is sent, and what else is wrong should be seen too.
    request.pinned_fetch = true;
    return request;
  }

  Result<RangeRead> read(const std::string& url, const std::string& address, std::uint64_t first,
                         std::uint64_t last) {
    RangeRead range;
    range.first = first;
    range.last = last;
    client::HttpRequest request = request_for(url, address);
    request.fields.emplace_back("Range",
                                "bytes=" + std::to_string(first) + "-" + std::to_string(last));
    std::uint64_t taken = 0;
    request.on_head = [&](int status, const Fields& fields) -> base::Status {
      range.status = status;
      range.fields = fields;
      return {};
    };
    request.on_body = [&](std::span<const std::uint8_t> bytes) -> base::Status {
      taken += bytes.size();
      const std::uint64_t limit = range.status == 206 ? last - first + 1 : kHeadOnly;
      if (taken > limit) return fail(ErrorCode::ResourceExhausted, "more than was asked for");
      range.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return {};
    };
    const auto answer = client_.perform(request);
    if (!answer && range.status == 0) return std::unexpected(answer.error());
    if (!answer && range.status == 206) {
      return base::with_context("a range that had begun", answer.error());
    }
    return range;
  }

  base::Status read_object(const std::string& address) {
    const auto url = object_url();
    if (!url) return std::unexpected(url.error());
    const std::string plain = diagnosis_.target + "/";
    const auto whole = read(url->empty() ? plain : *url, address, 0, kRange - 1);
    if (!whole) {
      add(wrong("answer", whole.error().message,
                "look at the node's log; on the way, at what ends connections"));
      return {};
    }
    add(judge_clock(field(whole->fields, "Date"), clock_.wall()));
    if (url->empty()) {
      const char* const advice = "name an object with --object URL to have one read";
      for (const char* check : {"way", "range", "speed"}) add(skipped(check, advice));
      return {};
    }
    if (whole->status != 200 && whole->status != 206) {
      add(wrong("answer", "the object was answered with " + std::to_string(whole->status),
                "on the node, `larder explain` with the object's URL says why"));
      return {};
    }
    add(judge_way(whole->fields));
    read_ranges(*url, address, *whole);
    return {};
  }

  void read_ranges(const std::string& url, const std::string& address, const RangeRead& whole) {
    std::vector<RangeRead> parts;
    const auto total = total_of(whole);
    if (total && whole.body.size() >= 2) {
      const std::uint64_t half = whole.body.size() / 2;
      for (const auto& [first, last] :
           {std::pair{std::uint64_t{0}, half - 1}, std::pair{half, whole.body.size() - 1}}) {
        auto part = read(url, address, first, last);
        if (!part) {
          add(wrong("range", part.error().message, "look at what ends connections on the way"));
          return;
        }
        parts.push_back(std::move(*part));
      }
    }
    add(judge_ranges(whole, parts));
    if (total) measure(url, address, std::min(*total, kTransfer));
  }

  void measure(const std::string& url, const std::string& address, std::uint64_t size) {
    client::HttpRequest request = request_for(url, address);
    request.fields.emplace_back("Range", "bytes=0-" + std::to_string(size - 1));
    std::uint64_t taken = 0;
    request.on_body = [&](std::span<const std::uint8_t> bytes) -> base::Status {
      taken += bytes.size();
      return {};
    };
    const base::SteadyTime begin = clock_.steady();
    const auto answer = client_.perform(request);
    const auto time =
        std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady() - begin);
    // A slow line is a rate too, not a failure.
    if (!answer && answer.error().code != ErrorCode::DeadlineExceeded) {
      add(wrong("speed", answer.error().message, "look at what ends connections on the way"));
      return;
    }
    add(judge_speed(taken, time));
  }

  static std::string field(const Fields& fields, std::string_view name) {
    client::HttpResponse response;
    response.fields = fields;
    return std::string(response.field(name));
  }

  const Examination& what_;
  const base::Clock& clock_;
  Url url_;
  crypto::TrustStore trust_;
  std::string host_;
  std::uint16_t port_ = 0;
  client::HttpClient client_;
  Diagnosis diagnosis_;
};

}  // namespace

Result<Diagnosis> examine(const Examination& what, const base::Clock& clock) {
  auto url = parse_url(what.url);
  if (!url) return std::unexpected(url.error());
  if (!what.address.empty() && !base::is_address(what.address)) {
    return fail(ErrorCode::InvalidArgument, "\"" + what.address + "\" is no address");
  }
  auto trust = crypto::TrustStore::from_files(what.trust);
  if (!trust) return std::unexpected(trust.error());
  return Doctor(what, clock, std::move(*url), std::move(*trust)).run();
}

}  // namespace larder::agent
