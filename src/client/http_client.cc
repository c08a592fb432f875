#include "client/http_client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <charconv>
#include <mutex>
#include <optional>

#include "base/encoding.h"
#include "base/unique_fd.h"

namespace larder::client {

using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kFieldLimit = 200;
constexpr std::size_t kHeadLimit = 64 << 10;
constexpr std::size_t kUrlLimit = 8 << 10;
constexpr long kLowSpeedSeconds = 20;

struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Slist = std::unique_ptr<curl_slist, SlistDeleter>;

// What one exchange collects. The callbacks run on the caller's thread, inside perform().
struct Exchange {
  const HttpRequest* request = nullptr;
  HttpResponse response;
  std::optional<Error> error;  // set by a callback that stopped the transfer
  base::Status refused;        // why, where no address of the name was allowed
  bool is_any_allowed = false;
  std::size_t head_size = 0;
  bool head_announced = false;
  base::UniqueFd upload;

  bool stop(Error why) {
    if (!error) error = std::move(why);
    return false;
  }
  bool stop(ErrorCode code, std::string message) { return stop(Error{code, std::move(message)}); }
};

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// libcurl takes the last of two different lengths: a proxy before us may have taken the first, and
// then both disagree about where the answer ends (RFC 9112 section 6.3).
bool lengths_agree(const HttpResponse& response) {
  std::string_view first;
  for (const auto& [name, value] : response.fields) {
    if (!base::equals_ignoring_case(name, "Content-Length")) continue;
    if (first.empty()) {
      first = value;
    } else if (first != value) {
      return false;
    }
  }
  return true;
}

bool end_of_head(Exchange& exchange) {
  // An interim answer (1xx) is followed by another head.
  if (exchange.response.status < 200 || exchange.head_announced) return true;
  exchange.head_announced = true;
  if (!lengths_agree(exchange.response)) {
    return exchange.stop(ErrorCode::Unavailable, "the answer has two different lengths");
  }
  if (exchange.request->on_head) {
    auto status = exchange.request->on_head(exchange.response.status, exchange.response.fields);
    if (!status) return exchange.stop(std::move(status).error());
  }
  return true;
}

bool take_line(Exchange& exchange, std::string_view line) {
  if (exchange.head_announced) return true;  // trailers are not used
  exchange.head_size += line.size();
  if (exchange.head_size > kHeadLimit || exchange.response.fields.size() >= kFieldLimit) {
    return exchange.stop(ErrorCode::ResourceExhausted, "the head of the answer is too large");
  }
  if (line.starts_with("HTTP/")) {
    exchange.response.fields.clear();
    exchange.response.status = 0;
    const auto space = line.find(' ');
    if (space != std::string_view::npos && line.size() >= space + 4) {
      std::from_chars(line.data() + space + 1, line.data() + space + 4, exchange.response.status);
    }
    return true;
  }
  const auto text = trim(line);
  if (text.empty()) return end_of_head(exchange);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return exchange.stop(ErrorCode::Unavailable, "the answer has a malformed field");
  }
  exchange.response.fields.emplace_back(std::string(text.substr(0, colon)),
                                        std::string(trim(text.substr(colon + 1))));
  return true;
}

bool take_body(Exchange& exchange, std::string_view bytes) {
  const int status = exchange.response.status;
  if (exchange.request->on_body && status >= 200 && status < 300) {
    auto taken = exchange.request->on_body(base::as_bytes(bytes));
    if (!taken) return exchange.stop(std::move(taken).error());
    return true;
  }
  if (exchange.response.body.size() + bytes.size() > exchange.request->body_limit) {
    return exchange.stop(ErrorCode::ResourceExhausted, "the answer is larger than allowed");
  }
  exchange.response.body.append(bytes);
  return true;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  const auto length = size * count;
  return take_line(*static_cast<Exchange*>(user), {data, length}) ? length : 0;
}

std::size_t on_write(char* data, std::size_t size, std::size_t count, void* user) {
  const auto length = size * count;
  // A short count makes libcurl fail the transfer; for an empty write any other number does.
  return take_body(*static_cast<Exchange*>(user), {data, length}) ? length : length + 1;
}

std::size_t on_read(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const auto got = ::read(exchange.upload.get(), data, size * count);
  if (got < 0) {
    exchange.stop(ErrorCode::Internal, "the file that is being sent cannot be read");
    return CURL_READFUNC_ABORT;
  }
  return static_cast<std::size_t>(got);
}

int on_seek(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  return ::lseek(exchange.upload.get(), offset, origin) < 0 ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(user);
  const base::Status good = judge_address(address_text(address->addr), port_of(address->addr),
                                          *exchange.request->addresses);
  if (!good) {
    if (!exchange.is_any_allowed) exchange.refused = good;
    return CURL_SOCKET_BAD;
  }
  exchange.refused = {};
  exchange.is_any_allowed = true;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Before the request goes out, also on a connection that an earlier request, with other rules, has
// left open.
int check_connection(void* user, char* address, char* /*own_address*/, int port, int /*own_port*/) {
  auto& exchange = *static_cast<Exchange*>(user);
  const base::Status good =
      judge_address(address, static_cast<std::uint16_t>(port), *exchange.request->addresses);
  if (good) return CURL_PREREQFUNC_OK;
  exchange.stop(good.error());
  return CURL_PREREQFUNC_ABORT;
}

void set_addresses(CURL* easy, const HttpRequest& request, Exchange& exchange) {
  if (!request.addresses || !request.proxy.empty()) return;
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, check_connection);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, &exchange);
}

ErrorCode code_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return ErrorCode::DeadlineExceeded;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
      return ErrorCode::Unauthenticated;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CERTPROBLEM:
      return ErrorCode::InvalidArgument;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
      return ErrorCode::Internal;
    default:
      return ErrorCode::Unavailable;
  }
}

// The query may hold a signature that opens content: it stays out of messages.
std::string public_name(const HttpRequest& request) {
  return request.method + " " + request.url.substr(0, request.url.find_first_of("?#"));
}

bool is_printable(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return false;
  }
  return true;
}

bool is_token(std::string_view text) {
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return !text.empty();
}

Result<Slist> field_list(const HttpRequest& request) {
  Slist list;
  const auto append = [&list](const std::string& line) {
    curl_slist* grown = curl_slist_append(list.get(), line.c_str());
    if (grown == nullptr) return false;
    [[maybe_unused]] auto* same = list.release();
    list.reset(grown);
    return true;
  };
  bool has_type = false;
  for (const auto& [name, value] : request.fields) {
    if (!is_token(name) || !is_printable(value)) {
      return fail(ErrorCode::InvalidArgument, "a field of the request is malformed");
    }
    has_type = has_type || base::equals_ignoring_case(name, "Content-Type");
    // libcurl reads "Name:" as an order to drop the field and "Name;" as an empty one.
    if (!append(value.empty() ? name + ";" : name + ": " + value)) {
      return fail(ErrorCode::Internal, "out of memory");
    }
  }
  // Defaults of libcurl that would be wrong here: the wait for 100, and the type of a form.
  if (!append("Expect:") || (!has_type && !append("Content-Type:"))) {
    return fail(ErrorCode::Internal, "out of memory");
  }
  return list;
}

curl_blob blob_of(const std::string& text) {
  curl_blob blob{};
  blob.data = const_cast<char*>(text.data());
  blob.len = text.size();
  blob.flags = CURL_BLOB_COPY;
  return blob;
}

void set_tls(CURL* easy, const HttpRequest& request) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (request.pinned_fetch) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!request.trust.empty()) {
    auto blob = blob_of(request.trust);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    // The system's store is added to the blob unless both are emptied: the given roots alone count.
    curl_easy_setopt(easy, CURLOPT_CAINFO, static_cast<char*>(nullptr));
    curl_easy_setopt(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  if (!request.certificate.empty()) {
    auto certificate = blob_of(request.certificate);
    auto key = blob_of(request.key);
    curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
    curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
    curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
  }
}

void set_proxy(CURL* easy, const HttpRequest& request) {
  if (request.proxy.empty()) return;
  curl_easy_setopt(easy, CURLOPT_PROXY, request.proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  if (request.proxy_user.empty()) return;
  curl_easy_setopt(easy, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
  curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, request.proxy_user.c_str());
  curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, request.proxy_password.c_str());
}

void set_limits(CURL* easy, const HttpRequest& request) {
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  if (request.low_speed > 0) {
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request.low_speed));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kLowSpeedSeconds);
  }
}

base::Status set_body(CURL* easy, const HttpRequest& request, Exchange& exchange) {
  if (!request.body_file.empty()) {
    exchange.upload.reset(::open(request.body_file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat about{};
    if (!exchange.upload || ::fstat(exchange.upload.get(), &about) != 0) {
      return base::fail_errno("cannot open " + request.body_file, errno);
    }
    if (!S_ISREG(about.st_mode)) {
      return fail(ErrorCode::InvalidArgument, request.body_file + " is not a file");
    }
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(about.st_size));
  } else if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
  }
  if (request.method != "HEAD") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  return {};
}

base::Status check(const HttpRequest& request) {
  if (request.url.size() > kUrlLimit || !is_printable(request.url) ||
      request.url.find(' ') != std::string::npos) {
    return fail(ErrorCode::InvalidArgument, "the URL is malformed or too long");
  }
  if (!is_token(request.method)) {
    return fail(ErrorCode::InvalidArgument, "the method is malformed");
  }
  return {};
}

}  // namespace

std::string_view HttpResponse::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (base::equals_ignoring_case(key, name)) return value;
  }
  return {};
}

// A multi handle with one transfer, because it can be woken from another thread at once, and keeps
// the connections.
struct HttpClient::Impl {
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
  std::atomic<bool> cancelled{false};

  Impl() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    multi = curl_multi_init();
    easy = curl_easy_init();
  }
  ~Impl() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // The code of the finished transfer; CURLE_ABORTED_BY_CALLBACK after cancel().
  CURLcode run() const {
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) return CURLE_FAILED_INIT;
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    int running = 1;
    while (!cancelled.load()) {
      if (curl_multi_perform(multi, &running) != CURLM_OK) {
        code = CURLE_FAILED_INIT;
        break;
      }
      if (running == 0) {
        int left = 0;
        const CURLMsg* message = curl_multi_info_read(multi, &left);
        code = message != nullptr ? message->data.result : CURLE_FAILED_INIT;
        break;
      }
      curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
    }
    curl_multi_remove_handle(multi, easy);
    return code;
  }
};

HttpClient::HttpClient() : impl_(std::make_unique<Impl>()) {}
HttpClient::~HttpClient() = default;

void HttpClient::cancel() {
  impl_->cancelled.store(true);
  curl_multi_wakeup(impl_->multi);
}

Result<HttpResponse> HttpClient::perform(const HttpRequest& request) {
  if (impl_->multi == nullptr || impl_->easy == nullptr) {
    return fail(ErrorCode::Internal, "libcurl cannot be initialised");
  }
  LARDER_TRY(check(request));
  CURL* easy = impl_->easy;
  curl_easy_reset(easy);
  Exchange exchange;
  exchange.request = &request;
  auto fields = field_list(request);
  if (!fields) return std::unexpected(fields.error());
  char reason[CURL_ERROR_SIZE] = "";

  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a cancelled name lookup is not waited for
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "larder/" LARDER_VERSION);
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  if (!request.target.empty())
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, request.target.c_str());
  if (!request.unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
  }
  Slist connect_to;
  if (!request.connect_to.empty()) {
    const bool ipv6 = request.connect_to.find(':') != std::string::npos;
    const std::string place = ipv6 ? "[" + request.connect_to + "]" : request.connect_to;
    connect_to.reset(curl_slist_append(nullptr, ("::" + place + ":").c_str()));
    if (!connect_to) return fail(ErrorCode::Internal, "out of memory");
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to.get());
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields->get());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  set_tls(easy, request);
  set_proxy(easy, request);
  set_addresses(easy, request, exchange);
  set_limits(easy, request);
  LARDER_TRY(set_body(easy, request, exchange));

  const CURLcode code = impl_->run();
  curl_easy_reset(easy);  // nothing of this frame stays referenced
  if (exchange.error) return base::with_context(public_name(request), std::move(*exchange.error));
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    return fail(ErrorCode::Unavailable, public_name(request) + ": cancelled");
  }
  if (code != CURLE_OK && !exchange.refused) {
    return base::with_context(public_name(request), exchange.refused.error());
  }
  if (code != CURLE_OK) {
    return fail(code_of(code), public_name(request) + ": " +
                                   (reason[0] != '\0' ? reason : curl_easy_strerror(code)));
  }
  return std::move(exchange.response);
}

}  // namespace larder::client
