#include "client/origin_pool.h"

#include <curl/curl.h>

#include <mutex>
#include <thread>
#include <unordered_map>

#include "client/origin_transfer.h"

namespace larder::client {

namespace {

constexpr std::chrono::milliseconds kBurst{5};

}  // namespace

struct OriginPool::Impl {
  CURLM* multi = nullptr;
  std::size_t queue_limit = 0;
  SharedByTransfers shared;                                          // origin thread
  std::unordered_map<FetchId, std::unique_ptr<Transfer>> transfers;  // origin thread

  std::mutex mutex;  // guards what follows
  std::vector<std::unique_ptr<Transfer>> to_start;
  std::vector<FetchId> to_resume;
  std::vector<FetchId> to_cancel;
  std::shared_ptr<const OriginPoolSettings> new_settings;
  FetchId next_id = 1;
  std::size_t count = 0;  // running and waiting
  bool ending = false;
  bool ended = false;  // the thread takes no more commands

  std::thread thread;

  void run();
  bool take_commands();
  void start(std::unique_ptr<Transfer> transfer);
  void run_hop(Transfer& transfer);
  void end(FetchId id, base::Status status);
  void collect_finished();
  void give_turns();
  void refuse_queued();
};

void OriginPool::Impl::run() {
  int timeout = 1000;
  for (;;) {
    if (!take_commands()) break;
    int running = 0;
    curl_multi_perform(multi, &running);
    collect_finished();
    give_turns();
    refuse_queued();
    timeout = shared.turns.empty() ? 1000 : static_cast<int>(kBurst.count());
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
  std::shared_ptr<const OriginPoolSettings> settings;
  bool stop = false;
  {
    const std::lock_guard lock(mutex);
    settings = std::exchange(new_settings, nullptr);
    starting.swap(to_start);
    resuming.swap(to_resume);
    cancelling.swap(to_cancel);
    stop = ended = ending;
  }
  if (settings) {
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      static_cast<long>(settings->connections_per_host));
    shared.settings = std::move(settings);
    ++shared.trust_changes;
  }
  for (auto& transfer : starting) start(std::move(transfer));
  for (const FetchId id : resuming) {
    const auto found = transfers.find(id);
    if (found == transfers.end()) continue;
    // libcurl gives the held bytes here, and tells only here when they were refused.
    if (const CURLcode code = curl_easy_pause(found->second->easy, CURLPAUSE_CONT);
        code != CURLE_OK) {
      end(id, found->second->outcome(code));
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
  Transfer& started = *transfer;
  transfers.emplace(id, std::move(transfer));
  if (!refused) {
    end(id, refused);
  } else {
    run_hop(started);
  }
}

void OriginPool::Impl::run_hop(Transfer& transfer) {
  if (transfer.prepare() && curl_multi_add_handle(multi, transfer.easy) == CURLM_OK) return;
  end(transfer.id, base::fail(base::ErrorCode::Internal, "cannot set up the transfer"));
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
    const CURLcode result = message->data.result;  // gone with the handle
    curl_multi_remove_handle(multi, transfer.easy);
    if (transfer.go_on()) {
      run_hop(transfer);
    } else {
      end(transfer.id, transfer.outcome(result));
    }
  }
}

// One round: whoever gets bytes waits behind all others for the next ones.
void OriginPool::Impl::give_turns() {
  for (std::size_t left = shared.turns.size(); left > 0; --left) {
    const FetchId id = shared.turns.front();
    shared.turns.pop_front();
    const auto found = transfers.find(id);
    if (found == transfers.end()) continue;
    const std::optional<int> code = found->second->take_turn();
    if (!code) {
      shared.turns.push_back(id);
    } else if (*code != CURLE_OK) {
      end(id, found->second->outcome(*code));
    }
  }
}

// Who has waited long enough for a connection asks the origin itself, soon enough to be served.
void OriginPool::Impl::refuse_queued() {
  const base::SteadyTime latest = std::chrono::steady_clock::now() - shared.settings->patience;
  std::vector<FetchId> refused;
  for (const auto& [id, transfer] : transfers) {
    if (transfer->is_queued() && transfer->asked <= latest) refused.push_back(id);
  }
  for (const FetchId id : refused) {
    end(id,
        base::fail(base::ErrorCode::ResourceExhausted, "all connections to the origin are in use"));
  }
}

OriginPool::OriginPool() : impl_(std::make_unique<Impl>()) {}

base::Result<std::unique_ptr<OriginPool>> OriginPool::start(OriginPoolSettings settings) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  std::unique_ptr<OriginPool> pool(new OriginPool());
  Impl& impl = *pool->impl_;
  impl.queue_limit = settings.queue_limit;
  impl.multi = initialised == CURLE_OK ? curl_multi_init() : nullptr;
  if (impl.multi == nullptr) {
    return base::fail(base::ErrorCode::Internal, "cannot initialise libcurl");
  }
  curl_multi_setopt(impl.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                    static_cast<long>(settings.connections));
  curl_multi_setopt(impl.multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                    static_cast<long>(settings.connections_per_host));
  curl_multi_setopt(impl.multi, CURLMOPT_MAXCONNECTS, static_cast<long>(settings.connections));
  curl_multi_setopt(impl.multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  impl.shared.settings = std::make_shared<const OriginPoolSettings>(std::move(settings));
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
  auto transfer = std::make_unique<Transfer>(std::move(fetch), std::move(sink), impl_->shared);
  FetchId id = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    id = transfer->id = impl_->next_id++;
    // Refused on the origin thread too, so that callbacks never come from within this call.
    if (impl_->count >= impl_->queue_limit) {
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

void OriginPool::apply(OriginPoolSettings settings) {
  auto replacement = std::make_shared<const OriginPoolSettings>(std::move(settings));
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->new_settings = std::move(replacement);
  }
  curl_multi_wakeup(impl_->multi);
}

}  // namespace larder::client
