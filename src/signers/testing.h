// An ACME server in memory, for tests of the client side. It checks what every real one checks:
// that each request is signed for its address with a nonce that was never used. What is asked of it
// is written down.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "client/http_client.h"

namespace larder::signers::testing {

inline constexpr const char* kServer = "https://acme.test";

struct SignedRequest {
  std::string path;
  std::string header;   // the protected one, JSON
  std::string payload;  // JSON, or empty
};

class AcmeServerInMemory {
 public:
  using Answer = client::HttpResponse;

  static std::string url(const std::string& path) { return kServer + path; }
  static Answer json(int status, const base::Json& body,
                     std::vector<std::pair<std::string, std::string>> fields = {});
  static Answer problem(int status, const std::string& type);

  std::string meta = "{}";  // of the directory
  // What a path answers, one after the other; the last one for ever.
  std::map<std::string, std::deque<Answer>> answers;
  std::vector<SignedRequest> asked;
  std::vector<client::HttpRequest> requests;  // all, in order
  int nonces_to_refuse = 0;
  bool gives_nonces = true;

  std::size_t count(const std::string& path) const;
  base::Result<Answer> perform(const client::HttpRequest& request);

 private:
  Answer post(const std::string& path, const client::HttpRequest& request);

  int made_ = 0;
  std::set<std::string> open_;
};

}  // namespace larder::signers::testing
