// <key>/renewal.json: what became of the attempts to renew the certificate of a key by itself.
// Written by the node, shown by `larder cert list`, and kept over restarts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "certs/renewal.h"

namespace larder::certs {

struct RenewalRecord {
  std::string signer;  // "acme", "command"
  RenewalAttempts attempts;
  std::string reason;   // of the last failure; empty after a success
  base::WallTime next;  // when the next attempt is due
  // What whoever signed said of the renewal of one certificate, and when it is asked again.
  struct Advice {
    std::string certificate;  // its id
    std::optional<RenewalWindow> window;
    base::WallTime look_again;
  };
  std::optional<Advice> advice = std::nullopt;
  // Written before the signer is asked: whoever reads it after a restart counts a failure.
  bool is_running = false;
};

base::Result<RenewalRecord> parse_renewal_record(std::string_view text);
std::string print(const RenewalRecord& record);

// NotFound while nothing was tried yet.
base::Result<RenewalRecord> read_renewal_record(const std::string& certificates_folder,
                                                std::string_view key_name);
base::Status write_renewal_record(const std::string& certificates_folder, std::string_view key_name,
                                  const RenewalRecord& record);

}  // namespace larder::certs
