#include "client/origin_pool.h"

#include <curl/curl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "client/address_policy.h"

namespace larder::client {

namespace {

constexpr std::chrono::milliseconds kBurst{5};

struct Transfer {
  FetchId id = 0;
  OriginFetch fetch;
  std::shared_ptr<FetchSink> sink;
  const OriginPoolSettings* settings = nullptr;
  CURL* easy = nullptr;
  curl_slist* fields = nullptr;
  curl_slist* connect_to = nullptr;
  http::ResponseHeadReader head;
  bool head_done = false;
  bool wants_burst = false;
  base::Status failure;  // why we ended it ourselves

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    curl_slist_free_all(fields);
    curl_slist_free_all(connect_to);
  }
};

bool is_own_address(const std::string& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return true;  // cannot tell: refuse
  bool own = false;
  for (const ifaddrs* entry = list; entry != nullptr && !own; entry = entry->ifa_next) {
    own = entry->ifa_addr != nullptr && address_text(*entry->ifa_addr) == address;
  }
  ::freeifaddrs(list);
  return own || address.starts_with("127.") || address == "::1" || address == "0.0.0.0" ||
         address == "::";
}

std::uint16_t port_of(const sockaddr& address) {
  return ntohs(address.sa_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                   : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

curl_socket_t open_socket(void* context, curlsocktype /*purpose*/, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string text = address_text(address->addr);
  const auto& allowed = transfer.fetch.allow_addresses;
  const bool listed =
      std::any_of(allowed.begin(), allowed.end(),
                  [&](const base::AddressRange& range) { return range.contains(text); });
  if (!listed && !is_public_address(text)) {
    transfer.failure =
        base::fail(base::ErrorCode::PermissionDenied,
                   "the origin's address " + text + " is not public and not allowed");
    return CURL_SOCKET_BAD;
  }
  const auto& own = transfer.settings->own_ports;
  if (std::find(own.begin(), own.end(), port_of(address->addr)) != own.end() &&
      is_own_address(text)) {
    transfer.failure =
        base::fail(base::ErrorCode::PermissionDenied, "the origin's address is this node itself");
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::size_t receive_head(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::size_t length = size * count;
  if (transfer.head_done) return length;  // trailers are of no use to us
  if (const base::Status taken = transfer.head.add_line({bytes, length}); !taken) {
    transfer.failure = base::fail(base::ErrorCode::DataLoss, taken.error().message);
    return 0;
  }
  if (!transfer.head.is_complete()) return length;
  transfer.head_done = true;
  if (!transfer.sink->on_head(transfer.head.take())) {
    transfer.failure = base::fail(base::ErrorCode::FailedPrecondition, "not wanted");
    return 0;
  }
  return length;
}

std::size_t receive_body(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::size_t length = size * count;
  if (!transfer.failure) return 0;  // ended by us already
  switch (transfer.sink->on_body({reinterpret_cast<const std::uint8_t*>(bytes), length})) {
    case FetchSink::Next::Continue:
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

base::Status to_status(CURLcode code) {
  const std::string text = curl_easy_strerror(code);
  switch (code) {
    case CURLE_OK:
      return {};
    case CURLE_OPERATION_TIMEDOUT:
      return base::fail(base::ErrorCode::DeadlineExceeded, text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return base::fail(base::ErrorCode::Unauthenticated, text);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return base::fail(base::ErrorCode::DataLoss, text);
    default:
      return base::fail(base::ErrorCode::Unavailable, text);
  }
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

bool prepare(Transfer& transfer) {
  const OriginFetch& fetch = transfer.fetch;
  const OriginPoolSettings& settings = *transfer.settings;
  CURL* easy = curl_easy_init();
  if (easy == nullptr) return false;
  transfer.easy = easy;
  const std::uint16_t port =
      fetch.port != 0 ? fetch.port : static_cast<std::uint16_t>(fetch.https ? 443 : 80);
  const std::string url = std::string(fetch.https ? "https://" : "http://") +
                          bracketed(fetch.host) + ":" + std::to_string(port) + "/";
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, fetch.target.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, fetch.https ? "https" : "http");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, settings.connect_timeout.count());
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(settings.low_speed));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>(settings.low_speed_time.count()));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, receive_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  if (!fetch.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, fetch.ca_file.c_str());
  if (fetch.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!fetch.body.empty() ||
             (fetch.method != "GET" && fetch.method != "DELETE" && fetch.method != "OPTIONS")) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(fetch.body.size()));
  }
  if (fetch.method != "HEAD") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, fetch.method.c_str());

  // curl's own Accept, Expect and Content-Type are not part of the template.
  for (const char* line : {"Accept:", "Expect:", "Content-Type:"}) {
    transfer.fields = curl_slist_append(transfer.fields, line);
  }
  const bool usual = port == (fetch.https ? 443 : 80);
  const std::string host_line = "Host: " + bracketed(fetch.host) +
                                (usual || fetch.connect_to ? "" : ":" + std::to_string(port));
  transfer.fields = curl_slist_append(transfer.fields, host_line.c_str());
  for (const auto& [name, value] : fetch.fields) {
    const std::string line = value.empty() ? name + ";" : name + ": " + value;
    transfer.fields = curl_slist_append(transfer.fields, line.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.fields);
  if (fetch.connect_to) {
    const std::string line =
        "::" + bracketed(fetch.connect_to->first) + ":" + std::to_string(fetch.connect_to->second);
    transfer.connect_to = curl_slist_append(nullptr, line.c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, transfer.connect_to);
  }
  return true;
}

}  // namespace

struct OriginPool::Impl {
  OriginPoolSettings settings;
  CURLM* multi = nullptr;
  std::unordered_map<FetchId, std::unique_ptr<Transfer>> transfers;  // origin thread

  std::mutex mutex;  // guards what follows
  std::vector<std::unique_ptr<Transfer>> to_start;
  std::vector<FetchId> to_resume;
  std::vector<FetchId> to_cancel;
  FetchId next_id = 1;
  std::size_t count = 0;  // running and waiting
  bool ending = false;
  bool ended = false;  // the thread takes no more commands

  std::thread thread;

  void run();
  bool take_commands();
  void start(std::unique_ptr<Transfer> transfer);
  void end(FetchId id, base::Status status);
  void collect_finished();
};

void OriginPool::Impl::run() {
  int timeout = 1000;
  for (;;) {
    if (!take_commands()) break;
    int running = 0;
    curl_multi_perform(multi, &running);
    collect_finished();
    timeout = 1000;
    for (const auto& [id, transfer] : transfers) {
      if (!transfer->wants_burst) continue;
      transfer->wants_burst = transfer->sink->on_burst();
      if (transfer->wants_burst) timeout = static_cast<int>(kBurst.count());
    }
    curl_multi_poll(multi, nullptr, 0, timeout, nullptr);
  }
  take_commands();  // what was queued meanwhile ends like the rest
  while (!transfers.empty()) {
    end(transfers.begin()->first, base::fail(base::ErrorCode::Unavailable, "the node is stopping"));
  }
}

bool OriginPool::Impl::take_commands() {
  std::vector<std::unique_ptr<Transfer>> starting;
  std::vector<FetchId> resuming;
  std::vector<FetchId> cancelling;
  bool stop = false;
  {
    const std::lock_guard lock(mutex);
    starting.swap(to_start);
    resuming.swap(to_resume);
    cancelling.swap(to_cancel);
    stop = ended = ending;
  }
  for (auto& transfer : starting) start(std::move(transfer));
  for (const FetchId id : resuming) {
    const auto found = transfers.find(id);
    if (found == transfers.end()) continue;
    // libcurl gives the held bytes here, and tells only here when they were refused.
    if (const CURLcode code = curl_easy_pause(found->second->easy, CURLPAUSE_CONT);
        code != CURLE_OK) {
      base::Status why = found->second->failure ? to_status(code) : found->second->failure;
      end(id, std::move(why));
    }
  }
  for (const FetchId id : cancelling) {
    end(id, base::fail(base::ErrorCode::FailedPrecondition, "not wanted any more"));
  }
  return !stop;
}

void OriginPool::Impl::start(std::unique_ptr<Transfer> transfer) {
  const FetchId id = transfer->id;
  const base::Status refused = transfer->failure;
  const bool prepared = refused && prepare(*transfer);
  CURL* easy = transfer->easy;
  transfers.emplace(id, std::move(transfer));
  if (!refused) {
    end(id, refused);
  } else if (!prepared || curl_multi_add_handle(multi, easy) != CURLM_OK) {
    end(id, base::fail(base::ErrorCode::Internal, "cannot set up the transfer"));
  }
}

void OriginPool::Impl::end(FetchId id, base::Status status) {
  const auto found = transfers.find(id);
  if (found == transfers.end()) return;
  const std::unique_ptr<Transfer> transfer = std::move(found->second);
  transfers.erase(found);
  if (transfer->easy != nullptr) curl_multi_remove_handle(multi, transfer->easy);
  transfer->sink->on_end(std::move(status));
  const std::lock_guard lock(mutex);
  --count;
}

void OriginPool::Impl::collect_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* context = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context);
    auto& transfer = *static_cast<Transfer*>(context);
    base::Status status = transfer.failure ? to_status(message->data.result) : transfer.failure;
    end(transfer.id, std::move(status));
  }
}

OriginPool::OriginPool() : impl_(std::make_unique<Impl>()) {}

base::Result<std::unique_ptr<OriginPool>> OriginPool::start(OriginPoolSettings settings) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  std::unique_ptr<OriginPool> pool(new OriginPool());
  Impl& impl = *pool->impl_;
  impl.settings = std::move(settings);
  impl.multi = initialised == CURLE_OK ? curl_multi_init() : nullptr;
  if (impl.multi == nullptr) {
    return base::fail(base::ErrorCode::Internal, "cannot initialise libcurl");
  }
  curl_multi_setopt(impl.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                    static_cast<long>(impl.settings.connections));
  curl_multi_setopt(impl.multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                    static_cast<long>(impl.settings.connections_per_host));
  curl_multi_setopt(impl.multi, CURLMOPT_MAXCONNECTS, static_cast<long>(impl.settings.connections));
  curl_multi_setopt(impl.multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  impl.thread = std::thread([&impl] { impl.run(); });
  return pool;
}

OriginPool::~OriginPool() {
  stop();
  if (impl_->multi != nullptr) curl_multi_cleanup(impl_->multi);
}

void OriginPool::stop() {
  Impl& impl = *impl_;
  if (!impl.thread.joinable()) return;
  {
    const std::lock_guard lock(impl.mutex);
    impl.ending = true;
  }
  curl_multi_wakeup(impl.multi);
  impl.thread.join();
}

FetchId OriginPool::fetch(OriginFetch fetch, std::shared_ptr<FetchSink> sink) {
  auto transfer = std::make_unique<Transfer>();
  transfer->fetch = std::move(fetch);
  transfer->sink = std::move(sink);
  transfer->settings = &impl_->settings;
  FetchId id = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    id = transfer->id = impl_->next_id++;
    // Refused on the origin thread too, so that callbacks never come from within this call.
    if (impl_->count >= impl_->settings.queue_limit) {
      transfer->failure = base::fail(base::ErrorCode::ResourceExhausted,
                                     "too many fetches from origins are queued");
    }
    if (!impl_->ended) {
      ++impl_->count;
      impl_->to_start.push_back(std::move(transfer));
    }
  }
  curl_multi_wakeup(impl_->multi);
  return id;
}

void OriginPool::resume(FetchId id) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->to_resume.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

void OriginPool::cancel(FetchId id) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->to_cancel.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

}  // namespace larder::client
