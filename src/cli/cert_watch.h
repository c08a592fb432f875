// What the running node has noticed about its certificates, for `larder cert list`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace larder::cli {

// From the node's control socket; null when it does not run.
nlohmann::json watch_facts(const std::string& socket);

// What is wrong, one line each; nothing when all is well.
void print_watch(const nlohmann::json& facts);

}  // namespace larder::cli
