// Notifier: where all that a node wants to tell its administrator comes together: into the log, and
// to the webhook until it is taken.
//
// Sources of alerts know nothing of one another: each has a name, decides by itself what is news,
// and leaves here what it has told, so that it is told once, also across restarts.
//
// Thread-safe. Deliveries have a thread of their own: no source waits for a receiver.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "alerts/queue.h"
#include "alerts/webhook.h"
#include "base/clock.h"
#include "client/exchange.h"
#include "client/step_worker.h"

namespace larder::alerts {

struct News {
  std::string kind;                            // "certificate-expires", "drive-failing", ...
  std::string text;                            // a sentence
  std::map<std::string, std::string> about{};  // further members of the message
};

struct NotifierSurroundings {
  std::string state_file;
  std::string node;                          // its name
  std::function<WebhookSettings()> webhook;  // in force now
  // Sends a request by `direct`, on the way that requests to the receiver take.
  std::function<base::Result<client::HttpResponse>(const client::HttpExchange& direct,
                                                   const client::HttpRequest&)>
      send;
};

class Notifier {
 public:
  // Reads what was told before. A file that cannot be understood is begun anew, with an error in
  // the log.
  Notifier(NotifierSurroundings surroundings, const base::Clock& clock);

  void start() { worker_.start(); }
  void stop() { worker_.stop(); }

  // What tell was given last for that source.
  Told told(std::string_view source) const;
  // Tells the news and remembers `told` for the source; one write of the file, before it returns.
  // While the file cannot be written, that is tried again each minute and with each piece of news.
  void tell(std::string_view source, Told told, std::vector<News> news);
  // News of which nothing is to be remembered.
  void tell(std::vector<News> news);

  struct Facts {
    std::size_t waiting = 0;        // for the webhook
    std::uint64_t undelivered = 0;  // given up since the start
  };
  Facts facts() const;

 private:
  std::chrono::milliseconds step(const client::HttpExchange& direct);
  // False when the receiver did not take it.
  bool deliver(const Alert& alert, const WebhookSettings& webhook,
               const client::HttpExchange& direct);
  void add(std::vector<News> news);
  void save();
  void save_if_possible();

  const NotifierSurroundings surroundings_;
  const base::Clock& clock_;

  mutable std::mutex mutex_;  // guards what follows
  AlertQueue queue_;
  bool can_save_ = true;
  std::uint64_t undelivered_ = 0;

  client::StepWorker worker_;  // the last: it uses the rest
};

// What others wrote into certificates or paths goes to logs, JSON and terminals.
std::string printable(std::string text);

}  // namespace larder::alerts
