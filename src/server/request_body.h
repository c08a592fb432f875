// The body of one request, read off its connection as the handler asks for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "http/chunked_decoder.h"
#include "http/request_head.h"
#include "net/loop.h"
#include "net/stream.h"
#include "server/answer_writer.h"
#include "server/connection_rules.h"

namespace larder::server {

class RequestBody {
 public:
  // `pending` begins with what came behind the head, and keeps what comes behind the body. All
  // references outlive it.
  RequestBody(const http::RequestHead& head, net::Stream& stream, AnswerWriter& writer,
              std::string& pending, const ConnectionRules& rules);

  // As Exchange::read_body. After an error the connection is of no more use.
  net::Task<base::Result<std::size_t>> read(std::span<char> into);
  // The client waits to be told to go on with it, and has not sent all of it anyway.
  bool is_held_back() const { return expects_continue_ && !continued_ && !is_over(); }

 private:
  bool is_over() const { return chunked_ ? done_ : remaining_ == 0; }
  // From what is pending; 0 when that holds no more of it.
  std::size_t take(std::span<char> into);
  // Counts what came; true when an interval has ended that brought too little.
  bool is_slow_after(std::size_t received);

  net::Stream& stream_;
  AnswerWriter& writer_;
  std::string& pending_;
  const ConnectionRules& rules_;
  const bool expects_continue_;
  bool continued_ = false;
  std::uint64_t remaining_ = 0;
  std::optional<http::ChunkedDecoder> chunked_;
  bool failed_ = false;
  bool done_ = false;           // chunked: the last chunk was read
  base::SteadyTime since_;      // when the running interval of Timeouts::stall began
  std::uint64_t received_ = 0;  // of the socket, since then
};

}  // namespace larder::server
