// Where a host's certificate files lie, and how single files are read and written. Which change
// comes first is decided in certificate_store.cc.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "certs/state_files.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace larder::certs {

inline constexpr std::size_t kKeysLimit = 100;
inline constexpr std::size_t kChainFileLimit = 1024 * 1024;  // bytes of a .crt
inline constexpr std::size_t kSmallFileLimit = 256 * 1024;   // bytes of a .csr or .json
inline constexpr mode_t kFileMode = 0640;

// Waits; false when nobody wants what is waited for any more. Empty: sleeps.
using Pause = std::function<bool(std::chrono::milliseconds)>;

struct HeldKey {
  std::string name;
  crypto::PrivateKey key;
};

class CertificateFolder {
 public:
  // `patience`: how long a change waits for another one to end.
  CertificateFolder(std::string path, std::chrono::milliseconds patience)
      : path_(std::move(path)), patience_(patience) {}

  const std::string& path() const { return path_; }
  std::string key_folder(std::string_view key_name) const;
  std::string key_path(std::string_view key_name) const;
  std::string request_path(std::string_view key_name) const;
  std::string chain_path(std::string_view key_name, std::string_view id) const;
  std::string record_path(std::string_view key_name, std::string_view id) const;

  std::string audit_path() const { return path_ + "/audit.jsonl"; }

  // FailedPrecondition while another process, or another thread of this one, changes something, and
  // goes on for longer than the patience; Unavailable when the waiting was ended.
  base::Result<base::UniqueFd> lock(const Pause& pause = {}) const;

  // Without the file: nothing chosen, not disabled.
  base::Result<ActiveFile> read_active() const;
  // The one write that decides, then the records.
  base::Status commit(const ActiveFile& file) const;

  base::Result<std::vector<std::string>> key_names() const;                   // sorted
  std::vector<std::string> certificate_ids(std::string_view key_name) const;  // sorted
  std::vector<std::string> record_ids(std::string_view key_name) const;       // sorted
  // The key here that one of the certificates was made for; NotFound when there is none. Keys that
  // cannot be read are passed over, and are the error when no other one fits.
  base::Result<HeldKey> find_key_of(const std::vector<crypto::Certificate>& certificates) const;

  // The record, then the chain. An error when there is a record that cannot be read.
  base::Status store_imported(const std::string& key_name, const std::string& id,
                              std::string_view chain_pem, base::WallTime now) const;
  base::Result<Record> read_record(std::string_view key_name, std::string_view id) const;
  base::Status write_record(std::string_view key_name, const Record& record) const;
  // The lock, and the state that holds under it, with what a crash left undone made good.
  struct Change {
    base::UniqueFd lock;
    ActiveFile active;
  };
  base::Result<Change> begin_change() const;
  // Brings the records in line with what is served. Changes nothing when they are: so it also makes
  // good what a crash left undone.
  base::Status settle_records(const ActiveFile& active) const;

 private:
  std::string active_path() const { return path_ + "/active.json"; }

  std::string path_;
  std::chrono::milliseconds patience_;
};

bool file_exists(const std::string& path);

}  // namespace larder::certs
