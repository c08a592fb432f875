// An ACME server in memory, for tests of the client side. It checks what every real one checks:
// that each request is signed for its address with a nonce that was never used. What is asked of it
// is written down.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "client/http_client.h"

namespace larder::signers::testing {

inline constexpr const char* kServer = "https://acme.test";

struct SignedRequest {
  std::string path;
  base::Json header;    // the protected one
  std::string payload;  // JSON, or empty
};

class AcmeServerInMemory {
 public:
  using Answer = client::HttpResponse;

  static std::string url(const std::string& path) { return kServer + path; }
  static Answer json(int status, const base::Json& body,
                     std::vector<std::pair<std::string, std::string>> fields = {}) {
    return {.status = status, .fields = std::move(fields), .body = body.dump()};
  }
  static Answer problem(int status, const std::string& type) {
    return json(status, {{"type", "urn:ietf:params:acme:error:" + type}, {"detail", "why"}});
  }

  base::Json directory = {
      {"newNonce", url("/nonce")}, {"newAccount", url("/account")}, {"newOrder", url("/order")}};
  // What a path answers, one after the other; the last one for ever.
  std::map<std::string, std::deque<Answer>> answers;
  std::vector<SignedRequest> asked;
  std::vector<client::HttpRequest> requests;  // all, in order
  int nonces_to_refuse = 0;
  bool gives_nonces = true;

  std::size_t count(const std::string& path) const {
    std::size_t found = 0;
    for (const SignedRequest& each : asked) found += each.path == path ? 1 : 0;
    return found;
  }

  base::Result<Answer> perform(const client::HttpRequest& request) {
    requests.push_back(request);
    std::string path = request.url.substr(std::string(kServer).size());
    path.resize(std::min(path.size(), path.find('?')));
    Answer answer;
    if (request.method == "GET") {
      answer = json(200, directory);
    } else if (request.method == "HEAD") {
      answer.status = 200;
    } else {
      answer = post(path, request);
    }
    if (gives_nonces) {
      answer.fields.emplace_back("Replay-Nonce", "nonce-" + std::to_string(++made_));
      open_.insert(answer.fields.back().second);
    }
    return answer;
  }

 private:
  Answer post(const std::string& path, const client::HttpRequest& request) {
    const base::Json body = base::Json::parse(request.body);
    const auto decoded = [&](const char* member) {
      return base::from_base64url(body[member].get<std::string>()).value();
    };
    const base::Json header = base::Json::parse(decoded("protected"));
    EXPECT_EQ(header["url"], request.url);
    EXPECT_NE(header.contains("kid"), header.contains("jwk"));
    if (open_.erase(header["nonce"].get<std::string>()) == 0) {
      ADD_FAILURE() << "a nonce that was used, or is none";
      return problem(400, "badNonce");
    }
    if (nonces_to_refuse > 0) {
      --nonces_to_refuse;
      return problem(400, "badNonce");
    }
    asked.push_back({.path = path, .header = header, .payload = decoded("payload")});
    std::deque<Answer>& list = answers[path];
    if (list.empty()) return problem(404, "malformed");
    Answer answer = list.front();
    if (list.size() > 1) list.pop_front();
    return answer;
  }

  int made_ = 0;
  std::set<std::string> open_;
};

}  // namespace larder::signers::testing
