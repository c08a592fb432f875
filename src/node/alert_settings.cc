#include "node/alert_settings.h"

namespace larder::node {

using base::Effect;

void add_alert_settings(base::SettingsSection<NodeSettings>& section) {
  section.value(
      "alert_webhook", &NodeSettings::alert_webhook, alerts::parse_webhook_url,
      [](const std::string& url) { return url; },
      {.text =
           "Where alerts about certificates and drives are sent, as JSON by POST, until they are "
           "taken with a 2xx; empty: they are only logged.",
       .limits = "https://host[:port][/path]",
       .effect = Effect::Live});
  section.text("alert_webhook_trust", &NodeSettings::alert_webhook_trust,
               {.text = "PEM file of the CA that vouches for the receiver of alerts; empty: the "
                        "system's store.",
                .effect = Effect::Live});
  section.text("alert_webhook_secret", &NodeSettings::alert_webhook_secret,
               {.text = "File with the secret that signs alerts (X-Larder-Signature), readable by "
                        "the node's user alone; empty: they are not signed.",
                .effect = Effect::Live});
  section.boolean(
      "disable_when_revoked", &NodeSettings::disable_when_revoked,
      {.text = "Serve a certificate no more when its issuer, or the issuer of that one, "
               "says that it is revoked, as after `larder cert retire --revoked`; when "
               "no other is left, HTTPS ends until one is imported and `larder cert "
               "enable` is run. Off: it is only told.",
       .effect = Effect::Live});
}

alerts::WebhookSettings webhook_of(const NodeSettings& settings) {
  return {.url = settings.alert_webhook,
          .trust = settings.alert_webhook_trust,
          .secret = settings.alert_webhook_secret};
}

}  // namespace larder::node
