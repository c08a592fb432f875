// One transfer from an origin: its libcurl handle, the checks at connect time, the reading of its
// answer. For origin_pool.cc only; everything here belongs to the origin thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/origin_pool.h"

struct curl_slist;

namespace larder::client {

// Which sockets libcurl keeps, by both ends: it does not tell which one a request goes out on.
class OpenConnections {
 public:
  // When it is the socket with that own port.
  void add(int socket, int own_port, const std::string& name);
  int find(const std::string& name) const;  // -1 when there is none
  void forget(int socket);

 private:
  std::unordered_map<std::string, int> by_name_;
};

// What all transfers of a pool share, on the origin thread.
struct SharedByTransfers {
  OpenConnections connections;
  std::deque<FetchId> turns;  // of transfers that a cap makes wait, in the order of their turns
  std::shared_ptr<const OriginPoolSettings> settings;  // in force
  unsigned trust_changes = 0;  // how often the files of roots may have got other contents
};

class Transfer {
 public:
  // `shared` outlives the multi handle.
  Transfer(OriginFetch fetch, std::shared_ptr<FetchSink> sink, SharedByTransfers& shared)
      : sink(std::move(sink)), fetch_(std::move(fetch)), shared_(shared) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    release();
    leave_turns();
  }

  // Makes the libcurl handle of the current hop; false when that is impossible.
  bool prepare();
  // Goes on with a new handle: to the hop that a redirect named, or on a new connection when the
  // old one held bytes of no answer. Before it the old handle has left the multi handle. False when
  // this hop's answer was the last.
  bool go_on();
  // What `code` (a CURLcode) means for the sink.
  base::Status outcome(int code) const;
  // Lets held bytes through when the caps allow it: nothing, or the CURLcode of what came of it.
  std::optional<int> take_turn();

  FetchId id = 0;
  const std::shared_ptr<FetchSink> sink;
  void* easy = nullptr;  // CURL
  bool wants_burst = false;
  base::Status failure;  // why we ended it ourselves
  // A first fetch that still waits for a connection.
  bool is_queued() const { return fetch_.is_first && !has_begun_; }
  const base::SteadyTime asked = std::chrono::steady_clock::now();

 private:
  friend struct TransferCallbacks;
  void release();
  bool uses_proxy() const { return settings_ && settings_->proxy && !fetch_.direct; }
  void set_method();
  void set_trust();
  void set_route();
  bool take_redirect(http::ResponseHead& head);
  bool caps_have_room() const;
  bool may_receive();
  void leave_turns();

  OriginFetch fetch_;
  SharedByTransfers& shared_;
  // In force when this hop began: whether a proxy answers does not change on the way.
  std::shared_ptr<const OriginPoolSettings> settings_;
  bool has_begun_ = false;  // it has, or is getting, a connection
  bool waits_for_turn_ = false;
  bool has_turn_ = false;
  std::vector<int> opened_;  // sockets, by this hop
  curl_slist* fields_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  http::ResponseHeadReader head_;
  bool head_done_ = false;
  bool is_spoilt_ = false;  // the connection held bytes before the request went out
  bool wants_new_connection_ = false;
  base::Status refused_address_;  // the last one; another address of the name may have been good
  std::optional<OriginFetch> next_;
  std::size_t discarded_ = 0;  // bytes of a redirect's body
  std::vector<std::string> visited_;
};

}  // namespace larder::client
