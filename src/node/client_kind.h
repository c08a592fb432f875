// Clients with demands of their own.
#pragma once

#include "http/request_head.h"

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

}  // namespace larder::node
