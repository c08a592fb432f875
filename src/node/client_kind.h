// Clients with demands of their own.
#pragma once

#include "http/request_head.h"

namespace larder::node {

// The Windows client or the open one (docs/client_contract.md).
inline bool is_delivery_optimization(const http::RequestHead& head) {
  return head.field(http::FieldName::UserAgent).starts_with("Microsoft-Delivery-Optimization");
}

}  // namespace larder::node
