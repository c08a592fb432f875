// Does a certificate chain to a root that we trust, for a purpose and for names, at a time?
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"
#include "crypto/handles.h"

namespace larder::crypto {

// The roots of trust; immutable, cheap to copy.
class TrustStore {
 public:
  // The machine's store, as OpenSSL finds it.
  static base::Result<TrustStore> system();
  static base::Result<TrustStore> from_pem(std::string_view pem);
  static base::Result<TrustStore> from_certificates(std::span<const Certificate> roots);
  // All certificates of the files; no files: the system's store.
  static base::Result<TrustStore> from_files(std::span<const std::string> paths);

  X509_STORE* native() const { return store_.get(); }

 private:
  explicit TrustStore(SharedStore store) : store_(std::move(store)) {}

  SharedStore store_;
};

enum class ChainPurpose { Server, Client };

// Unauthenticated, with what is wrong and with which certificate, unless `leaf` chains through any
// of `intermediates` to a root of the store, is good for the purpose at `now`, and covers each of
// `names`. NotFound when no path leads to a root of the store; nothing else is judged then. Keys
// and signatures below 112 bits of security are refused. Revocation is not looked at.
base::Status verify_chain(const Certificate& leaf, std::span<const Certificate> intermediates,
                          const TrustStore& trust, ChainPurpose purpose,
                          std::span<const std::string> names, base::WallTime now);

// The same without a look at the dates: for findings that tell one mistake from another, never to
// decide whom to trust. Returns the path that was found, from the leaf to the root.
base::Result<std::vector<Certificate>> verify_chain_at_any_time(
    const Certificate& leaf, std::span<const Certificate> intermediates, const TrustStore& trust,
    ChainPurpose purpose);

}  // namespace larder::crypto
