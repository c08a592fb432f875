#include "client/step_worker.h"

#include <utility>

namespace larder::client {

StepWorker::StepWorker(Step step) : step_(std::move(step)) {}

StepWorker::~StepWorker() {
  stop();
}

void StepWorker::start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void StepWorker::wake() {
  const std::scoped_lock lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void StepWorker::interrupt() {
  const std::scoped_lock lock(mutex_);
  woken_ = true;
  if (client_) client_->cancel();
  client_.reset();
  changed_.notify_all();
}

void StepWorker::ask_to_stop() {
  const std::scoped_lock lock(mutex_);
  stopping_ = true;
  if (client_) client_->cancel();
  changed_.notify_all();
}

void StepWorker::stop() {
  ask_to_stop();
  if (thread_.joinable()) thread_.join();
}

bool StepWorker::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

void StepWorker::run() {
  const HttpExchange exchange = [this](const auto& request) { return perform(request); };
  for (;;) {
    const auto delay = step_(exchange);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, delay, [this] { return woken_ || stopping_; });
    woken_ = false;
    if (stopping_) return;
  }
}

base::Result<HttpResponse> StepWorker::perform(const HttpRequest& request) {
  std::shared_ptr<HttpClient> client;
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return base::fail(base::ErrorCode::Unavailable, "the node is stopping");
    if (!client_) client_ = std::make_shared<HttpClient>();
    client = client_;
  }
  return client->perform(request);
}

}  // namespace larder::client
