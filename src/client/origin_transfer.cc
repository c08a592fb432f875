#include "client/origin_transfer.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "client/address_policy.h"
#include "http/characters.h"

namespace larder::client {

namespace {

constexpr std::size_t kMostHops = 5;
// A redirect's body is read up to here, so that its connection can be used again.
constexpr std::size_t kMostDiscarded = 64 * 1024;
// How long libcurl may keep what it read in a file of roots. The system's changes without a reload.
constexpr long kTrustAge = 10 * 60;  // seconds

std::string bracketed(const std::string& host) {
  const bool bare_ipv6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return bare_ipv6 ? "[" + host + "]" : host;
}

std::uint16_t usual_port(bool https) {
  return https ? 443 : 80;
}

std::string authority_of(const OriginFetch& fetch) {
  const bool usual = fetch.port == 0 || fetch.port == usual_port(fetch.https);
  return bracketed(fetch.host) +
         (usual || fetch.connect_to ? "" : ":" + std::to_string(fetch.port));
}

std::string url_of(const OriginFetch& fetch) {
  return (fetch.https ? "https://" : "http://") + authority_of(fetch) + fetch.target;
}

// What a proxy says for itself is no answer of the origin: as a 4xx it would keep Delivery
// Optimization clients away for 15 minutes.
bool is_of_the_proxy(const http::ResponseHead& head) {
  return head.status == 407 || !head.field("X-Squid-Error").empty() ||
         (head.status >= 400 && head.field("Server").starts_with("tinyproxy/"));
}

base::ErrorCode kind_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return base::ErrorCode::DeadlineExceeded;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return base::ErrorCode::Unauthenticated;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return base::ErrorCode::DataLoss;
    default:
      return base::ErrorCode::Unavailable;
  }
}

// libcurl keeps roots, and connections that were verified by them, by the name of their file,
// whatever stands in it by now. So a file that may have changed gets another name, by "./" and "/"
// before its last part: the digits of how often that was.
std::string named_anew(std::string path, unsigned changes) {
  const std::size_t last = path.rfind('/') + 1;  // 0 without one
  for (; changes > 0; changes /= 2) path.insert(last, changes % 2 == 1 ? "./" : "/");
  return path;
}

bool asks_for_parts(const OriginFetch& fetch) {
  return std::ranges::any_of(fetch.fields, [](const auto& field) {
    return http::same_ignoring_case(field.first, "range") &&
           field.second.find(',') != std::string::npos;
  });
}

}  // namespace

struct TransferCallbacks {
  static int resolve(void* /*resolver*/, void* /*reserved*/, void* context) {
    static_cast<Transfer*>(context)->has_begun_ = true;
    return 0;
  }

  static curl_socket_t open_socket(void* context, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(context);
    transfer.has_begun_ = true;
    // A proxy is the administrator's own choice, and resolves the origin's name itself.
    if (!transfer.uses_proxy()) {
      if (base::Status good =
              judge_address(address_text(address->addr), port_of(address->addr),
                            transfer.fetch_.addresses, transfer.shared_.settings->own_ports);
          !good) {
        transfer.refused_address_ = std::move(good);
        return CURL_SOCKET_BAD;
      }
    }
    const int socket =
        ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (socket >= 0) transfer.opened_.push_back(socket);
    return socket;
  }

  static int close_socket(void* context, curl_socket_t socket) {
    static_cast<OpenConnections*>(context)->forget(socket);
    return ::close(socket);
  }

  // Before the request goes out. Bytes that wait on a connection between two requests belong to no
  // answer: read as the next one, they would be another object's (RFC 9112 section 9.3).
  static int check_connection(void* context, char* address, char* own_address, int port,
                              int own_port) {
    auto& transfer = *static_cast<Transfer*>(context);
    transfer.has_begun_ = true;
    const std::string name = std::string(own_address) + " " + std::to_string(own_port) + " " +
                             address + " " + std::to_string(port);
    const int socket = transfer.shared_.connections.find(name);
    if (socket < 0) {  // new
      for (const int opened : transfer.opened_)
        transfer.shared_.connections.add(opened, own_port, name);
      return CURL_PREREQFUNC_OK;
    }
    char byte = 0;
    if (::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) return CURL_PREREQFUNC_OK;
    transfer.is_spoilt_ = true;
    return CURL_PREREQFUNC_ABORT;
  }

  static std::size_t receive_head(char* bytes, std::size_t size, std::size_t count, void* context) {
    auto& transfer = *static_cast<Transfer*>(context);
    const std::size_t length = size * count;
    if (transfer.head_done_) return length;  // trailers are of no use to us
    if (const base::Status taken = transfer.head_.add_line({bytes, length}); !taken) {
      transfer.failure = base::fail(base::ErrorCode::DataLoss, taken.error().message);
      return 0;
    }
    if (const auto interim = transfer.head_.take_interim()) transfer.sink->on_interim(*interim);
    if (!transfer.head_.is_complete()) return length;
    transfer.head_done_ = true;
    http::ResponseHead head = transfer.head_.take();
    if (transfer.uses_proxy() && is_of_the_proxy(head)) {
      transfer.failure = base::fail(base::ErrorCode::Unavailable,
                                    "the proxy answered " + std::to_string(head.status));
      return 0;
    }
    if (transfer.take_redirect(head)) return length;
    if (!transfer.failure) return 0;
    if (!transfer.sink->on_head(head)) {
      transfer.failure = base::fail(base::ErrorCode::FailedPrecondition, "not wanted");
      return 0;
    }
    return length;
  }

  static std::size_t receive_body(char* bytes, std::size_t size, std::size_t count, void* context) {
    auto& transfer = *static_cast<Transfer*>(context);
    const std::size_t length = size * count;
    if (!transfer.failure) return 0;  // ended by us already
    if (transfer.next_) {
      transfer.discarded_ += length;
      return transfer.discarded_ <= kMostDiscarded ? length : 0;
    }
    if (!transfer.may_receive()) return CURL_WRITEFUNC_PAUSE;
    switch (transfer.sink->on_body({reinterpret_cast<const std::uint8_t*>(bytes), length})) {
      case FetchSink::Next::Continue:
        for (const auto& limit : transfer.fetch_.limits) limit->spend(length);
        transfer.wants_burst = true;
        return length;
      case FetchSink::Next::Pause:
        transfer.wants_burst = true;
        return CURL_WRITEFUNC_PAUSE;
      case FetchSink::Next::Abort:
        transfer.failure = base::fail(base::ErrorCode::FailedPrecondition, "not wanted any more");
        return 0;
    }
    return 0;
  }
};

void OpenConnections::add(int socket, int own_port, const std::string& name) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
      port_of(reinterpret_cast<const sockaddr&>(own)) == own_port) {
    by_name_[name] = socket;
  }
}

int OpenConnections::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

void OpenConnections::forget(int socket) {
  std::erase_if(by_name_, [socket](const auto& entry) { return entry.second == socket; });
}

bool Transfer::caps_have_room() const {
  const base::SteadyTime now = std::chrono::steady_clock::now();
  const base::WallTime wall = base::SystemClock().wall();
  bool room = true;
  for (const auto& limit : fetch_.limits) room = limit->has_room(now, wall) && room;
  return room;
}

// Transfers under one cap take turns: who comes while others wait, waits too.
bool Transfer::may_receive() {
  if (fetch_.limits.empty()) return true;
  const bool first =
      has_turn_ || std::all_of(fetch_.limits.begin(), fetch_.limits.end(),
                               [](const auto& limit) { return limit->waiting == 0; });
  if (caps_have_room() && first) return true;
  if (!std::exchange(waits_for_turn_, true)) {
    shared_.turns.push_back(id);
    for (const auto& limit : fetch_.limits) ++limit->waiting;
  }
  return false;
}

std::optional<int> Transfer::take_turn() {
  if (!caps_have_room()) return std::nullopt;
  leave_turns();
  has_turn_ = true;
  const CURLcode code = curl_easy_pause(easy, CURLPAUSE_CONT);
  has_turn_ = false;
  return code;
}

void Transfer::leave_turns() {
  if (!std::exchange(waits_for_turn_, false)) return;
  for (const auto& limit : fetch_.limits) --limit->waiting;
}

void Transfer::release() {
  if (easy != nullptr) curl_easy_cleanup(easy);
  curl_slist_free_all(fields_);
  curl_slist_free_all(connect_to_);
  easy = nullptr;
  fields_ = connect_to_ = nullptr;
  opened_.clear();
}

// True when the redirect in `head` is followed. With an error in `failure` it neither is nor is it
// anybody's answer.
bool Transfer::take_redirect(http::ResponseHead& head) {
  const bool redirects = head.status == 301 || head.status == 302 || head.status == 303 ||
                         head.status == 307 || head.status == 308;
  if (!fetch_.redirect || !redirects) return false;
  base::Result<std::optional<OriginFetch>> next = fetch_.redirect(fetch_, head);
  if (!next) {
    failure = std::unexpected(next.error());
    return false;
  }
  if (!*next) return false;
  visited_.push_back(url_of(fetch_));
  if (visited_.size() > kMostHops) {
    failure = base::fail(base::ErrorCode::Unavailable, "the origin redirects too often");
    return false;
  }
  if (std::find(visited_.begin(), visited_.end(), url_of(**next)) != visited_.end()) {
    failure = base::fail(base::ErrorCode::Unavailable, "the origin redirects in a circle");
    return false;
  }
  next_ = std::move(*next);
  return true;
}

bool Transfer::go_on() {
  if (is_spoilt_ && !wants_new_connection_) {
    release();
    is_spoilt_ = false;
    wants_new_connection_ = true;
    return true;
  }
  wants_new_connection_ = false;
  if (!next_ || !failure) return false;
  release();
  leave_turns();
  fetch_ = *std::exchange(next_, std::nullopt);
  head_done_ = false;
  discarded_ = 0;
  refused_address_ = {};
  return true;
}

base::Status Transfer::outcome(int code) const {
  if (!failure) return failure;
  const auto result = static_cast<CURLcode>(code);
  if (result == CURLE_OK) return {};
  if (!refused_address_ && !head_done_) return refused_address_;
  std::string text = curl_easy_strerror(result);
  long proxy_status = 0;
  if (uses_proxy() &&
      curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status) == CURLE_OK &&
      proxy_status >= 300) {
    text = "the proxy answered " + std::to_string(proxy_status) + " to CONNECT";
  }
  return base::fail(kind_of(result), std::move(text));
}

void Transfer::set_method() {
  if (fetch_.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!fetch_.body.empty() ||
             (fetch_.method != "GET" && fetch_.method != "DELETE" && fetch_.method != "OPTIONS")) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch_.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(fetch_.body.size()));
  }
  if (fetch_.method != "HEAD") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, fetch_.method.c_str());
}

void Transfer::set_trust() {
  char* const none = nullptr;
  const auto set_file = [this](const std::string& path) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, named_anew(path, shared_.trust_changes).c_str());
  };
  curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, kTrustAge);
  if (!fetch_.ca_file.empty()) {
    set_file(fetch_.ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, none);  // else the system's store counts too
  } else if (!settings_->extra_ca_file.empty()) {
    // Beside the system's store, which libcurl finds as a folder.
    set_file(settings_->extra_ca_file);
  } else {
    // The system's bundle alone is parsed once and kept; with a folder it is for every connection.
    curl_easy_setopt(easy, CURLOPT_CAPATH, none);
    const char* bundle = nullptr;
    if (curl_easy_getinfo(easy, CURLINFO_CAINFO, &bundle) == CURLE_OK && bundle != nullptr)
      set_file(bundle);
  }
}

// The way to the origin: by name, to a fixed address, or through the proxy.
void Transfer::set_route() {
  if (fetch_.connect_to) {
    const std::string line = "::" + bracketed(fetch_.connect_to->first) + ":" +
                             std::to_string(fetch_.connect_to->second);
    connect_to_ = curl_slist_append(nullptr, line.c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to_);
  }
  if (!uses_proxy()) {
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, fetch_.target.c_str());
    return;
  }
  const OriginProxy& proxy = *settings_->proxy;
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy, CURLOPT_PROXY, proxy.url.c_str());
  if (!proxy.user.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, proxy.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, proxy.password.c_str());
  }
  if (!settings_->extra_ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO,
                     named_anew(settings_->extra_ca_file, shared_.trust_changes).c_str());
  }
  // Absolute-form (RFC 9112 section 3.2.2), unless libcurl makes a tunnel: for https, and to a
  // fixed address.
  const bool tunnel = fetch_.https || fetch_.connect_to;
  const std::string target = tunnel ? fetch_.target : url_of(fetch_);
  curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, target.c_str());
}

bool Transfer::prepare() {
  easy = curl_easy_init();
  if (easy == nullptr) return false;
  settings_ = shared_.settings;
  head_ = http::ResponseHeadReader({}, asks_for_parts(fetch_));
  const std::uint16_t port = fetch_.port != 0 ? fetch_.port : usual_port(fetch_.https);
  const std::string url = std::string(fetch_.https ? "https://" : "http://") +
                          bracketed(fetch_.host) + ":" + std::to_string(port) + "/";
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, fetch_.https ? "https" : "http");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(settings_->connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT,
                   static_cast<long>(settings_->dns_cache.count()));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);  // by the average of its last 5 s
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(settings_->silence.count()));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, TransferCallbacks::resolve);
  curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, this);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, TransferCallbacks::open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, TransferCallbacks::close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, &shared_.connections);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, TransferCallbacks::check_connection);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, wants_new_connection_ ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, TransferCallbacks::receive_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, TransferCallbacks::receive_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  set_trust();
  set_route();
  set_method();

  // curl's own Accept, Expect and Content-Type are not part of the template.
  for (const char* line : {"Accept:", "Expect:", "Content-Type:"}) {
    fields_ = curl_slist_append(fields_, line);
  }
  fields_ = curl_slist_append(fields_, ("Host: " + authority_of(fetch_)).c_str());
  if (!fetch_.body.empty()) {
    // An origin that leaves a body unread takes it for further requests. It is to read none of
    // them, and nobody is to get an answer to one.
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    fields_ = curl_slist_append(fields_, "Connection: close");
  }
  for (const auto& [name, value] : fetch_.fields) {
    std::string line = name;
    line += value.empty() ? ";" : ": ";  // so libcurl wants a field without a value
    line += value;
    fields_ = curl_slist_append(fields_, line.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields_);
  return true;
}

}  // namespace larder::client
