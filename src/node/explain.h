// `larder explain URL`: what the node would do with a request and why, step by step, from the same
// functions that decide about real ones. Asks no origin and changes nothing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "node/delivery.h"

namespace larder::node {

struct ExplainRequest {
  std::string url;  // absolute; https: as if the client came over TLS
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> fields{};
};

// JSON: `steps` is an array of {step, text} in the order of the decisions, the other members are
// the same facts for programs (docs/operations.md). Blocking. InvalidArgument for what is no URL,
// or could not stand in a request.
base::Result<std::string> explain(Delivery& delivery, const ExplainRequest& request);

}  // namespace larder::node
