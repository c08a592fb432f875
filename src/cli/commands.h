// The families of commands; each declares itself below the root in its own file.
#pragma once

#include <string>

#include "cli/command.h"

namespace larder::cli {

void add_node_commands(Command& root);  // run, check, join, status; list: at the site
void add_site_commands(Command& root);  // run, check, status, mode, certificates
void add_up_command(Command& root);     // site and node in one process
void add_node_run_command(Command& node);
void add_site_run_command(Command& site);
void add_cert_commands(Command& root);       // certificates of a host
void add_signer_commands(Command& root);     // the other end of a signing socket
void add_token_commands(Command& root);      // join and registration tokens
void add_client_commands(Command& root);     // list, block, unblock at the site
void add_register_command(Command& client);  // this device
void add_content_commands(Command& root);    // packages
void add_cache_commands(Command& root);      // what a node has stored
void add_get_command(Command& root);         // download
void add_explain_command(Command& root);     // why a request goes the way it goes
void add_doctor_command(Command& root);      // what is wrong, as a client sees it
void add_settings_commands(Command& root);   // the manual pages, printed

// The page docs/settings.md.
std::string make_settings_manual();

// The whole tree, as main and the tests of the manual use it.
Command make_commands();

}  // namespace larder::cli
