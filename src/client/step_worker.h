// A thread that repeats one step: at once, after the delay that the step asks for, or when woken.
// Its HTTP exchanges end soon when it is interrupted or stopped.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "client/exchange.h"

namespace larder::client {

class StepWorker {
 public:
  // Runs on the worker's thread; returns how long to wait before the next run.
  using Step = std::function<std::chrono::milliseconds(const HttpExchange&)>;

  explicit StepWorker(Step step);
  ~StepWorker();  // stops
  StepWorker(const StepWorker&) = delete;
  StepWorker& operator=(const StepWorker&) = delete;

  void start();
  // Runs the step again soon; during a run, once more after it. Any thread.
  void wake();
  // Wakes, and fails the exchange that runs now. Any thread.
  void interrupt();
  // Fails the exchange that runs now, and lets the thread end after its step. Any thread.
  void ask_to_stop();
  // That, and joins the thread. Idempotent. Not from the step.
  void stop();
  // From the step: waits; false at once when the worker is to stop.
  bool pause(std::chrono::milliseconds time);

 private:
  void run();
  base::Result<HttpResponse> perform(const HttpRequest& request);

  const Step step_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  bool stopping_ = false;
  std::shared_ptr<HttpClient> client_;  // made anew after an interrupt
  std::thread thread_;
};

}  // namespace larder::client
