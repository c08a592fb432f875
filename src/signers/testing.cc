#include "signers/testing.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"

namespace larder::signers::testing {

using base::Json;
using Answer = AcmeServerInMemory::Answer;

Answer AcmeServerInMemory::json(int status, const Json& body,
                                std::vector<std::pair<std::string, std::string>> fields) {
  return {.status = status, .fields = std::move(fields), .body = body.dump()};
}

Answer AcmeServerInMemory::problem(int status, const std::string& type) {
  return json(status, {{"type", "urn:ietf:params:acme:error:" + type}, {"detail", "why"}});
}

std::size_t AcmeServerInMemory::count(const std::string& path) const {
  return static_cast<std::size_t>(std::ranges::count(asked, path, &SignedRequest::path));
}

base::Result<Answer> AcmeServerInMemory::perform(const client::HttpRequest& request) {
  requests.push_back(request);
  std::string path = request.url.substr(std::string(kServer).size());
  path.resize(std::min(path.size(), path.find('?')));
  Answer answer;
  if (request.method == "GET") {
    answer = json(200, {{"newNonce", url("/nonce")},
                        {"newAccount", url("/account")},
                        {"newOrder", url("/order")},
                        {"meta", Json::parse(meta)}});
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

Answer AcmeServerInMemory::post(const std::string& path, const client::HttpRequest& request) {
  const Json body = Json::parse(request.body);
  const auto decoded = [&](const char* member) {
    return base::from_base64url(body[member].get<std::string>()).value();
  };
  const Json header = Json::parse(decoded("protected"));
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
  asked.push_back({.path = path, .header = header.dump(), .payload = decoded("payload")});
  std::deque<Answer>& list = answers[path];
  if (list.empty()) return problem(404, "malformed");
  Answer answer = list.front();
  if (list.size() > 1) list.pop_front();
  return answer;
}

}  // namespace larder::signers::testing
