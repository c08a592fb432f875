// Requests of ours to a site, a control socket or a peer: blocking, one at a time per object, with
// connections kept. (Fills of the cache use the origin thread, see client/origin_pool.h.)
//
// Redirects are never followed; where a request has address rules, what is really connected is
// checked by them at every connect, after every resolution. TLS is verified unless `pinned_fetch`
// says that the caller checks what it gets by hash. An HttpClient belongs to one thread; cancel()
// may be called from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "client/address_policy.h"

namespace larder::client {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string target;  // sent as it is instead of the URL's path and query; empty: those
  std::string body;
  std::string body_file;    // path; sent as the body instead of `body`
  std::string unix_socket;  // path; the URL's host is then only a name
  std::string connect_to;  // address to connect to instead of the URL's host; then no proxy is used
  // Where it may go; nothing: anywhere. Not for what goes through `proxy`, which resolves names;
  // the environment's proxy is not used then.
  std::optional<AddressRules> addresses;
  std::string trust;        // PEM roots; empty: the system's store
  std::string certificate;  // PEM chain of the client certificate; empty: none
  std::string key;          // PEM of its key; secret, never logged
  std::string proxy;        // "http://proxy.example.org:3128"; empty: what the environment says
  std::string proxy_user;
  std::string proxy_password;  // secret, never logged
  bool pinned_fetch =
      false;  // do not verify TLS: only for bytes that are then compared with a pinned hash
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds timeout{
      30000};                   // of the whole exchange; 0: none, then low_speed decides
  std::uint64_t low_speed = 0;  // bytes/s over 20 s below which the transfer fails; 0: off
  std::uint64_t body_limit =
      1 << 20;  // bytes of the answer kept in memory; more is ResourceExhausted
  // When set, receives the body of a 2xx answer as it arrives instead of `HttpResponse::body`; an
  // error stops the transfer.
  std::function<base::Status(std::span<const std::uint8_t>)> on_body;
  // Called with the head, before the first byte of the body; an error stops the transfer.
  std::function<base::Status(int status,
                             const std::vector<std::pair<std::string, std::string>>& fields)>
      on_head;
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;

  std::string_view field(
      std::string_view name) const;  // first of that name in any case; empty when absent
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any HTTP status is a response; errors are those of transport (Unavailable, DeadlineExceeded,
  // Unauthenticated for TLS trust).
  base::Result<HttpResponse> perform(const HttpRequest& request);

  // Ends the running and all later calls soon with Unavailable.
  void cancel();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::client
