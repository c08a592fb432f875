#include "certs/certificate_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/file.h"
#include "base/log.h"

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using crypto::Certificate;

namespace {

constexpr std::size_t kIdLength = 64;
constexpr std::chrono::milliseconds kLockTick{50};

bool is_id(std::string_view text) {
  return text.size() == kIdLength && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// The ids that a folder has files of that kind for. Temporary files that a crash left behind belong
// to no one.
std::vector<std::string> ids_with(const std::string& folder, std::string_view extension) {
  std::vector<std::string> ids;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::filesystem::path& path = entry->path();
    if (path.extension() == extension && is_id(path.stem().string()))
      ids.push_back(path.stem().string());
  }
  std::ranges::sort(ids);
  return ids;
}

}  // namespace

bool file_exists(const std::string& path) {
  struct stat facts{};
  return ::lstat(path.c_str(), &facts) == 0;
}

std::string CertificateFolder::key_folder(std::string_view key_name) const {
  return path_ + "/" + std::string(key_name);
}

std::string CertificateFolder::key_path(std::string_view key_name) const {
  return key_folder(key_name) + "/key.pem";
}

std::string CertificateFolder::request_path(std::string_view key_name) const {
  return key_folder(key_name) + "/request.csr";
}

std::string CertificateFolder::chain_path(std::string_view key_name, std::string_view id) const {
  return key_folder(key_name) + "/" + std::string(id) + ".crt";
}

std::string CertificateFolder::record_path(std::string_view key_name, std::string_view id) const {
  return key_folder(key_name) + "/" + std::string(id) + ".json";
}

Result<base::UniqueFd> CertificateFolder::lock(const Pause& pause) const {
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    auto held = base::lock_file(path_ + "/lock", "the certificate folder");
    const bool is_busy = !held && held.error().code == ErrorCode::FailedPrecondition;
    if (!is_busy || std::chrono::steady_clock::now() >= deadline) return held;
    if (!pause) {
      std::this_thread::sleep_for(kLockTick);
    } else if (!pause(kLockTick)) {
      return fail(ErrorCode::Unavailable, "waiting for " + path_ + "/lock was ended");
    }
  }
}

Result<ActiveFile> CertificateFolder::read_active() const {
  if (!file_exists(active_path())) return ActiveFile{};
  const auto text = base::read_file(active_path(), kSmallFileLimit);
  if (!text) return std::unexpected(text.error());
  auto file = parse_active_file(*text);
  if (file) return file;
  // What is served, and whether HTTPS is to be off, is not guessed.
  base::Error error = file.error();
  error.message +=
      "; unless a newer version wrote it, move it away and import the certificate again";
  return base::with_context(active_path(), std::move(error));
}

Status CertificateFolder::commit(const ActiveFile& file) const {
  LARDER_TRY(base::write_file_atomically(active_path(), print(file), kFileMode));
  // Decided; the records are only its history, and the next change makes them good.
  if (const Status settled = settle_records(file); !settled) {
    base::log_warning("certificate records are behind", {{"why", settled.error().message}});
  }
  return {};
}

Result<std::vector<std::string>> CertificateFolder::key_names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (!check_key_name(name) || !entry->is_directory(ignored)) continue;
    if (names.size() == kKeysLimit) {
      return fail(ErrorCode::ResourceExhausted, path_ + " holds more than 100 keys");
    }
    names.push_back(name);
  }
  if (error) return base::fail_errno(path_, error.value());
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> CertificateFolder::certificate_ids(std::string_view key_name) const {
  return ids_with(key_folder(key_name), ".crt");
}

std::vector<std::string> CertificateFolder::record_ids(std::string_view key_name) const {
  return ids_with(key_folder(key_name), ".json");
}

Result<HeldKey> CertificateFolder::find_key_of(const std::vector<Certificate>& certificates) const {
  const auto names = key_names();
  if (!names) return std::unexpected(names.error());
  std::string held;
  std::optional<base::Error> unreadable;
  for (const std::string& name : *names) {
    const std::string path = key_path(name);
    if (!file_exists(path)) continue;
    const auto key = crypto::PrivateKey::load(path);
    if (!key) {
      // It may be the one that is looked for; only then does it matter.
      if (unreadable) {
        unreadable->message += "; " + key.error().message;
      } else {
        unreadable = key.error();
      }
      continue;
    }
    if (std::ranges::any_of(certificates,
                            [&](const Certificate& each) { return each.matches(*key); })) {
      return HeldKey{.name = name, .key = *key};
    }
    held += (held.empty() ? "" : ", ") + name;
  }
  if (unreadable) {
    unreadable->message =
        (held.empty() ? "it cannot be told whether the certificate belongs to a key held here: "
                      : "the certificate matches none of the keys that can be read here (" + held +
                            "), and not all can: ") +
        unreadable->message;
    return std::unexpected(*std::move(unreadable));
  }
  return fail(ErrorCode::NotFound,
              held.empty() ? "no key is held here; make a request first: larder cert request"
                           : "the certificate matches no key held here (" + held +
                                 "): it was not made from a request of this host");
}

Status CertificateFolder::store_imported(const std::string& key_name, const std::string& id,
                                         std::string_view chain_pem, base::WallTime now) const {
  auto earlier = read_record(key_name, id);
  // Nothing is written over one that cannot be read: it may say that the certificate is revoked.
  if (!earlier && earlier.error().code != ErrorCode::NotFound) {
    return std::unexpected(std::move(earlier).error());
  }
  Record record{.certificate_id = id, .history = {}};
  if (earlier) record = std::move(*earlier);
  record.add(Record::Event::Imported, now, record.history.empty() ? "" : "imported again");
  // The record first: a certificate is never without the time from which it is kept.
  LARDER_TRY(write_record(key_name, record));
  return base::write_file_atomically(chain_path(key_name, id), chain_pem, kFileMode);
}

Result<Record> CertificateFolder::read_record(std::string_view key_name,
                                              std::string_view id) const {
  const std::string path = record_path(key_name, id);
  const auto text = base::read_file(path, kSmallFileLimit);
  if (!text) return std::unexpected(text.error());
  auto record = parse_record(*text);
  if (!record) return base::with_context(path, record.error());
  return record;
}

Status CertificateFolder::write_record(std::string_view key_name, const Record& record) const {
  return base::write_file_atomically(record_path(key_name, record.certificate_id), print(record),
                                     kFileMode);
}

Result<CertificateFolder::Change> CertificateFolder::begin_change() const {
  auto held = lock();
  if (!held) return std::unexpected(held.error());
  auto active = read_active();
  if (!active) return std::unexpected(active.error());
  LARDER_TRY(settle_records(*active));
  return Change{.lock = std::move(*held), .active = std::move(*active)};
}

Status CertificateFolder::settle_records(const ActiveFile& active) const {
  const auto names = key_names();
  if (!names) return std::unexpected(names.error());
  for (const std::string& key_name : *names) {
    for (const std::string& id : certificate_ids(key_name)) {
      auto record = read_record(key_name, id);
      if (!record) continue;  // nothing is written over what cannot be read
      const bool is_active = active.serves(id);
      if (record->is_active() == is_active) continue;
      record->add(is_active ? Record::Event::Activated : Record::Event::Deactivated,
                  active.changed_at, active.reason);
      LARDER_TRY(write_record(key_name, *record));
    }
  }
  return {};
}

}  // namespace larder::certs
