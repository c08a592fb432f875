// Renewals by signers, as the commands show them and ask for them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace larder::cli {

// A list with one object for each key that has a signer: what became of the last attempt, and when
// the next one is due.
nlohmann::json renewal_facts(const std::string& certificates_folder,
                             const std::vector<std::string>& key_names);
// One of them as a sentence.
std::string describe_renewal(const nlohmann::json& facts);

// `larder cert renew`: asks the running node and waits for the end of the attempt. The exit code.
int renew_certificate(const std::string& config, const std::string& key_name, bool json);

}  // namespace larder::cli
