// Owned OpenSSL handles. Each alias frees its object when it goes out of scope; the deleters hold
// no state, so an alias is as large as the pointer. SharedHandle is for OpenSSL's reference-counted
// objects that never change once we hold them: copying counts up, and the copies may be used from
// several threads.
#pragma once

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <utility>

namespace larder::crypto {

template <auto Free>
struct HandleDeleter {
  template <typename T>
  void operator()(T* handle) const {
    Free(handle);
  }
};

template <typename T, auto Free>
using Handle = std::unique_ptr<T, HandleDeleter<Free>>;

using BioHandle = Handle<BIO, BIO_free_all>;
using BignumHandle = Handle<BIGNUM, BN_clear_free>;
using EcdsaSignatureHandle = Handle<ECDSA_SIG, ECDSA_SIG_free>;
using DigestContextHandle = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;
using KeyContextHandle = Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using KeyHandle = Handle<EVP_PKEY, EVP_PKEY_free>;
using CertificateHandle = Handle<X509, X509_free>;
using RequestHandle = Handle<X509_REQ, X509_REQ_free>;
using CrlHandle = Handle<X509_CRL, X509_CRL_free>;
using RevokedHandle = Handle<X509_REVOKED, X509_REVOKED_free>;
using ObjectHandle = Handle<ASN1_OBJECT, ASN1_OBJECT_free>;
using NameHandle = Handle<X509_NAME, X509_NAME_free>;
using GeneralNamesHandle = Handle<GENERAL_NAMES, GENERAL_NAMES_free>;
using GeneralNameHandle = Handle<GENERAL_NAME, GENERAL_NAME_free>;
using Asn1IntegerHandle = Handle<ASN1_INTEGER, ASN1_INTEGER_free>;
using Asn1TimeHandle = Handle<ASN1_TIME, ASN1_TIME_free>;
using StoreHandle = Handle<X509_STORE, X509_STORE_free>;

template <typename T, auto UpRef, auto Free>
class SharedHandle {
 public:
  explicit SharedHandle(T* owned) : handle_(owned) {}
  SharedHandle(const SharedHandle& other) : handle_(other.handle_.get()) {
    if (handle_) UpRef(handle_.get());
  }
  SharedHandle& operator=(const SharedHandle& other) {
    if (this != &other) *this = SharedHandle(other);
    return *this;
  }
  SharedHandle(SharedHandle&&) noexcept = default;
  SharedHandle& operator=(SharedHandle&&) noexcept = default;
  ~SharedHandle() = default;

  T* get() const { return handle_.get(); }

 private:
  std::unique_ptr<T, HandleDeleter<Free>> handle_;
};

using SharedKey = SharedHandle<EVP_PKEY, EVP_PKEY_up_ref, EVP_PKEY_free>;
using SharedCertificate = SharedHandle<X509, X509_up_ref, X509_free>;
using SharedStore = SharedHandle<X509_STORE, X509_STORE_up_ref, X509_STORE_free>;

}  // namespace larder::crypto
