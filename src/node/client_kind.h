// Clients with demands of their own.
#pragma once

#include "http/range.h"
#include "http/request_head.h"
#include "http/response_head.h"

namespace larder::node {

// The Windows client or the open one (docs/client_contract.md).
inline bool is_delivery_optimization(const http::RequestHead& head) {
  return head.field(http::FieldName::UserAgent).starts_with("Microsoft-Delivery-Optimization");
}

// True when the client would keep what comes with that status, or nothing at all, as the whole
// file.
inline bool would_take_for_file(const http::RequestHead& head, int status) {
  return status >= 201 && status <= 205 && head.method == http::Method::Get &&
         is_delivery_optimization(head);
}

// True when a 206 holds another part than the request asks for: the client would append it, because
// it does not look where the part belongs.
inline bool would_append_another_part(const http::RequestHead& head,
                                      const http::ResponseHead& answer) {
  if (answer.status != 206 || !is_delivery_optimization(head) || !answer.content_range ||
      !answer.content_range->range || !answer.content_range->length) {
    return false;
  }
  const http::RangeAnswer wanted = http::resolve_range(
      http::parse_range(head.last_field(http::FieldName::Range)), *answer.content_range->length);
  return wanted.kind == http::RangeAnswer::Kind::Partial &&
         wanted.range != *answer.content_range->range;
}

}  // namespace larder::node
