// Certificates and requests as people hand them in: nothing crashes the readers, and what is
// accepted can be written out and read again.
#include "crypto/certificate.h"

#include <cstdint>
#include <cstdlib>

#include "crypto/request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using larder::crypto::Certificate;
  using larder::crypto::CertificateRequest;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& certificate :
       {Certificate::from_der({data, size}), Certificate::from_pem(text)}) {
    if (!certificate) continue;
    (void)certificate->subject();
    (void)certificate->issuer();
    (void)certificate->common_name();
    (void)certificate->alternative_names();
    (void)certificate->is_ca();
    if (!Certificate::from_pem(certificate->to_pem())) std::abort();
  }
  const auto request = CertificateRequest::from_pem(text);
  if (!request) return 0;
  (void)request->verify();
  (void)request->subject();
  (void)request->common_name();
  (void)request->alternative_names();
  return 0;
}
