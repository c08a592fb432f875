// Commands that show what a control socket answers.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/common_options.h"
#include "cli/control.h"
#include "cli/output.h"

namespace larder::cli {

// GET `path`; the rows are the array itself or the answer's member `things`.
int show_rows(Role role, const CommonOptions& options, const std::string& path,
              const std::string& things, const std::vector<Column>& columns);
// GET `path`; the answer is one object. Without columns all its members are shown.
int show_facts(Role role, const CommonOptions& options, const std::string& path,
               const std::vector<Column>& columns = {});
// Sends a change and prints `done` when it was accepted.
int send_change(Role role, const CommonOptions& options, const std::string& method,
                const std::string& path, const nlohmann::json& body, const std::string& what,
                const std::string& done);

}  // namespace larder::cli
