// The settings of [node] that say who is told what the node notices about its certificates.
#pragma once

#include "base/settings.h"
#include "node/alert_webhook.h"
#include "node/settings.h"

namespace larder::node {

void add_alert_settings(base::SettingsSection<NodeSettings>& section);
WebhookSettings webhook_of(const NodeSettings& settings);

}  // namespace larder::node
