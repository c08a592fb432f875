// Fields of a response that are for the client alone whose request brought it (RFC 9111 sections
// 5.2.2.4 and 5.2.2.7): neither stored nor given to those who wait for the same answer.
#pragma once

#include <vector>

#include "cache/freshness.h"
#include "http/response_head.h"

namespace larder::cache {

// Those that private="..." and no-cache="..." name.
std::vector<http::ResponseField> fields_for_first(const http::ResponseHead& response);

// Leaves out what would not be kept, where others get the response as it comes.
void leave_out_for_others(http::ResponseHead& response, const StorePolicy& policy);

}  // namespace larder::cache
