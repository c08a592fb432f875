// What makes this device itself: its key, the certificate it shows to nodes, and its registration
// at a site. Kept in one folder (0700):
//
//   device.key          EC P-256, 0600, made here, never leaves
//   device.pem          self-signed client certificate over that key; content tokens are bound to
//   it registration.json   site, root certificate, client id, dates client.token        the client
//   token, 0600
//
// Functions block. One process at a time writes to the folder: it is locked meanwhile.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/key.h"

namespace larder::agent {

struct Registration {
  std::string site_url;  // https, without a slash at the end
  std::string root_pem;  // the only root that the site is believed under
  std::string client_id;
  std::string name;
  base::WallTime registered_at;
  base::WallTime token_issued_at;
  base::WallTime token_expires_at;
};

struct Device {
  std::string folder;
  crypto::PrivateKey key;
  std::string key_pem;          // secret
  std::string certificate_pem;  // self-signed
  std::string certificate_der;
};

// The key and certificate in the folder, made first when there are none.
base::Result<Device> open_device(const std::string& folder, base::WallTime now);

// Nothing when the device is not registered.
base::Result<std::optional<Registration>> load_registration(const std::string& folder);

// Registers the device's key at the site of a registration token ("larder-register...."). `name` is
// what administrators see. A device that is registered already registers again: its key stays, the
// site of the new token takes the place of the old one.
base::Result<Registration> register_device(const std::string& folder, std::string_view token,
                                           std::string_view name, const base::Clock& clock);

}  // namespace larder::agent
