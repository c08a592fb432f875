// Which certificate each TLS listener of a node shows. The decision is pure; the holder swaps
// contexts as a whole, for new connections, so that a change breaks no transfer.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/stapling.h"
#include "net/tls_context.h"

namespace larder::node {

enum class CertificateSource { None, Pki, Site };

struct CertificateChoice {
  CertificateSource delivery = CertificateSource::None;  // https_listen
  CertificateSource content = CertificateSource::None;   // content_listen
};

// A customer's certificate is preferred wherever there is one. The site's own serves guarded
// content, and cached public content only where the administrator opted in, because it widens what
// the site's root vouches for. Disabled by the administrator wins over everything.
CertificateChoice choose_certificates(bool disabled, bool has_pki, bool has_site,
                                      bool site_certificate_for_delivery);

// Thread-safe.
class ServingCertificates {
 public:
  // `staples`: OCSP answers for clients; outlives all connections.
  ServingCertificates(bool site_certificate_for_delivery, const net::StapleBoard* staples)
      : staples_(staples), site_for_delivery_(site_certificate_for_delivery) {}

  struct Identity {
    std::string key_pem;    // secret
    std::string chain_pem;  // leaf first
    std::string id = {};    // of a customer's certificate
    std::string name = {};  // of its key
    bool is_default = false;
    // By a client that sent a request after it was shown the certificate; kept while it is served.
    std::shared_ptr<std::atomic<bool>> accepted = nullptr;
  };
  // In effect for the next handshake. An error leaves what was there.
  base::Status set_pki(bool disabled, std::vector<Identity> identities);
  base::Status set_site(std::optional<Identity> identity);
  base::Status set_site_for_delivery(bool allowed);

  // For listeners: null while there is none.
  std::shared_ptr<const net::TlsContext> delivery() const { return delivery_.get(); }
  std::shared_ptr<const net::TlsContext> content() const { return content_.get(); }

  CertificateChoice choice() const;
  // What handshakes are answered with now.
  struct Shown {
    std::string name;  // of its key; "site-role": the site's own
    std::string chain_pem;
    bool is_accepted = false;  // a client that was shown it has sent a request
  };
  std::vector<Shown> shown() const;
  // The PEM chains of that source, one after the other, each leaf first; empty when there are none.
  std::string chain_of(CertificateSource source) const;
  // What is held of a customer's certificate, for when its files cannot be read any more.
  std::optional<Identity> pki(std::string_view id) const;

 private:
  base::Status apply_locked();

  const net::StapleBoard* const staples_;
  mutable std::mutex mutex_;  // guards what follows, except the contexts
  bool site_for_delivery_;
  bool disabled_ = false;
  std::vector<Identity> pki_;
  std::optional<Identity> site_;
  CertificateChoice choice_;
  // Of their own: only one of the listeners asks for client certificates.
  const std::shared_ptr<net::TicketKeys> delivery_tickets_ = std::make_shared<net::TicketKeys>();
  const std::shared_ptr<net::TicketKeys> content_tickets_ = std::make_shared<net::TicketKeys>();
  net::TlsContextHolder delivery_;
  net::TlsContextHolder content_;
};

}  // namespace larder::node
