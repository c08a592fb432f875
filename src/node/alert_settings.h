// The settings of [node] that say who is told what the node notices about itself.
#pragma once

#include "alerts/webhook.h"
#include "base/settings.h"
#include "node/settings.h"

namespace larder::node {

void add_alert_settings(base::SettingsSection<NodeSettings>& section);
alerts::WebhookSettings webhook_of(const NodeSettings& settings);

}  // namespace larder::node
