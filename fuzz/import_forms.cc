// Files that administrators import: nothing crashes the readers of any form; what is accepted is
// certificates that can be written out and read again, and a private key is never among it. Input:
// a line with the password, then the file.
#include "certs/import_forms.h"

#include <cstdint>
#include <string_view>

#include "certs/chain_order.h"
#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  const std::string_view content = input.substr(line + 1);
  const auto read = certs::read_certificates(content, input.substr(0, line));
  if (!read) {
    require(read.error().verdict == certs::Check::Verdict::Failed);
    require(!read.error().message.empty());
    return 0;
  }
  require(!read->certificates.empty() && read->certificates.size() <= 16);
  static const auto no_roots = crypto::TrustStore::from_certificates({});
  require(no_roots.has_value());
  const auto chain = certs::order_chain(read->certificates.front(), read->certificates, *no_roots,
                                        base::from_unix_seconds(1795300000));
  require(chain.front() == read->certificates.front());
  const auto again = certs::read_certificates(crypto::to_pem(read->certificates));
  require(again && again->certificates == read->certificates && !again->holds_key);
  return 0;
}
