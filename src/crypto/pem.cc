#include "crypto/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <climits>

#include "crypto/handles.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;

Result<std::vector<PemBlock>> parse_pem(std::string_view text, std::size_t limit) {
  if (text.size() > INT_MAX) return fail(ErrorCode::ResourceExhausted, "the text is too long");
  const BioHandle bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) return fail_openssl(ErrorCode::Internal, "cannot read PEM");
  std::vector<PemBlock> blocks;
  for (;;) {
    char* kind = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio(bio.get(), &kind, &header, &data, &size) != 1) {
      const unsigned long error = ERR_peek_last_error();
      if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) {
        ERR_clear_error();
        return blocks;
      }
      return fail_openssl(ErrorCode::InvalidArgument, "damaged PEM");
    }
    PemBlock block{
        .kind = kind,
        .der = std::string(reinterpret_cast<char*>(data), static_cast<std::size_t>(size))};
    OPENSSL_free(kind);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
    if (blocks.size() == limit) {
      return fail(ErrorCode::ResourceExhausted,
                  "more than " + std::to_string(limit) + " PEM blocks");
    }
    blocks.push_back(std::move(block));
  }
}

}  // namespace larder::crypto
