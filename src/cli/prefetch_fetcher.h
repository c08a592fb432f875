// Fetches one URL of a prefetch after the other through a node, as a client would, piece by piece.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "cli/prefetch_patience.h"
#include "cli/prefetch_run.h"
#include "client/http_client.h"

namespace larder::cli {

// How the node is called.
struct NodePlace {
  std::string url;           // with the name that its certificate has, over HTTPS
  std::string connect_to{};  // empty: what the URL says
  std::string trust{};       // PEM; empty: the system's store
};

class PrefetchFetcher {
 public:
  // Both outlive it.
  PrefetchFetcher(const NodePlace& node, Prefetch& prefetch);
  ~PrefetchFetcher();
  PrefetchFetcher(const PrefetchFetcher&) = delete;
  PrefetchFetcher& operator=(const PrefetchFetcher&) = delete;

  // Until none is left, the prefetch ends, or the node does not answer, which ends the prefetch.
  // Blocking.
  void run();

 private:
  // What came of one request.
  struct Read {
    base::Result<client::HttpResponse> response;
    std::uint64_t bytes = 0;
    bool is_refused = false;  // its answer is not stored: it was not read
    std::string why_not{};
  };

  base::Result<PrefetchProgress> fetch(const std::string& url, std::size_t number);
  client::HttpRequest request_for(const std::string& url, const std::string& range) const;
  // Asks the node alone. What it may serve only after the origin has confirmed it is stored, too.
  base::Result<bool> is_stored(const std::string& url, const std::string& range);
  base::Status piece(const std::string& url, PrefetchProgress& progress);
  Read read(const std::string& url, const std::string& range, bool only_if_cached);
  static base::Status advance(const Read& came, PrefetchProgress& progress);

  const NodePlace& node_;
  Prefetch& prefetch_;
  bool answered_ = false;                   // the node, to the last request
  std::optional<PrefetchRefusal> refusal_;  // it answered 503
  client::HttpClient http_;
};

}  // namespace larder::cli
