#include "cli/commands.h"

namespace larder::cli {

Command make_commands() {
  Command root("larder", "Delivers software to an organisation's own devices from next door.");
  add_up_command(root);
  add_node_commands(root);
  add_site_commands(root);
  add_cert_commands(root);
  add_signer_commands(root);
  add_token_commands(root);
  add_client_commands(root);
  add_content_commands(root);
  add_cache_commands(root);
  add_get_command(root);
  add_explain_command(root);
  add_doctor_command(root);
  add_settings_commands(root);
  return root;
}

}  // namespace larder::cli
