// One transfer from an origin: its libcurl handle, the checks at connect time, the reading of its
// answer. For origin_pool.cc only; everything here belongs to the origin thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/origin_pool.h"

struct curl_slist;

namespace larder::client {

class Transfer {
 public:
  Transfer(OriginFetch fetch, std::shared_ptr<FetchSink> sink, const OriginPoolSettings& settings)
      : sink(std::move(sink)), fetch_(std::move(fetch)), settings_(settings) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() { release(); }

  // Makes the libcurl handle of the current hop; false when that is impossible.
  bool prepare();
  // Goes on to the hop that a redirect named, with a new handle. Before it the old one has left the
  // multi handle. False when the answer of this hop was not such a redirect.
  bool follow();
  // What `code` (a CURLcode) means for the sink.
  base::Status outcome(int code) const;

  FetchId id = 0;
  const std::shared_ptr<FetchSink> sink;
  void* easy = nullptr;  // CURL
  bool wants_burst = false;
  base::Status failure;  // why we ended it ourselves

 private:
  friend struct TransferCallbacks;
  void release();
  bool uses_proxy() const { return settings_.proxy && !fetch_.direct; }
  void set_method();
  void set_trust();
  void set_route();
  bool take_redirect(http::ResponseHead& head);

  OriginFetch fetch_;
  const OriginPoolSettings& settings_;
  curl_slist* fields_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  http::ResponseHeadReader head_;
  bool head_done_ = false;
  base::Status refused_address_;  // the last one; another address of the name may have been good
  std::optional<OriginFetch> next_;
  std::size_t discarded_ = 0;  // bytes of a redirect's body
  std::vector<std::string> visited_;
};

}  // namespace larder::client
