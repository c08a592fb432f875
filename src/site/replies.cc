#include "site/replies.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "http/range.h"

namespace larder::site {
namespace {

using base::ErrorCode;

struct PublicProblem {
  ErrorCode code;
  int status;
  std::string_view name;
  std::string_view sentence;
};

constexpr std::array kProblems{
    PublicProblem{ErrorCode::InvalidArgument, 400, "invalid-request", "The request is malformed."},
    PublicProblem{ErrorCode::NotFound, 404, "not-found", "There is no such thing here."},
    PublicProblem{ErrorCode::AlreadyExists, 409, "already-exists", "It exists already."},
    PublicProblem{ErrorCode::PermissionDenied, 403, "permission-denied", "This is not allowed."},
    PublicProblem{ErrorCode::Unauthenticated, 401, "unauthenticated",
                  "The site does not know who asks, or no longer."},
    PublicProblem{ErrorCode::FailedPrecondition, 409, "failed-precondition",
                  "The site's present state does not allow this."},
    PublicProblem{ErrorCode::ResourceExhausted, 429, "too-many-requests",
                  "A limit of the site is reached; try again later."},
    PublicProblem{ErrorCode::Unavailable, 503, "unavailable", "The site cannot answer now."},
    PublicProblem{ErrorCode::DeadlineExceeded, 503, "unavailable", "The site cannot answer now."},
    PublicProblem{ErrorCode::DataLoss, 500, "internal", "Something is wrong at the site."},
    PublicProblem{ErrorCode::Internal, 500, "internal", "Something is wrong at the site."},
};

const PublicProblem& problem_of(ErrorCode code) {
  const auto* found = std::ranges::find(kProblems, code, &PublicProblem::code);
  return found == kProblems.end() ? kProblems.back() : *found;
}

void log_refusal(std::string_view route, const base::Error& error) {
  base::log_event(
      problem_of(error.code).status >= 500 ? base::LogLevel::Error : base::LogLevel::Info,
      "request refused",
      {{"route", std::string(route)},
       {"code", std::string(base::name(error.code))},
       {"error", error.message}});
}

}  // namespace

server::Reply public_problem(std::string_view route, const base::Error& error) {
  log_refusal(route, error);
  const PublicProblem& problem = problem_of(error.code);
  return server::problem_reply(problem.status, problem.name, problem.sentence);
}

server::Reply operator_problem(std::string_view route, const base::Error& error) {
  log_refusal(route, error);
  const PublicProblem& problem = problem_of(error.code);
  return server::problem_reply(problem.status, problem.name, error.message);
}

server::Reply json_of(const base::Json& value, int status) {
  server::Reply reply = server::json_reply(value.dump(), status);
  reply.fields.emplace_back("Cache-Control", "no-store");
  return reply;
}

server::Reply oauth_error(int status, std::string_view error, std::string_view description) {
  return json_of({{"error", error}, {"error_description", description}}, status);
}

base::Result<base::Json> parse_body(const server::RouteRequest& request) {
  auto body = base::parse_json(request.body);
  if (body && !body->is_object()) {
    return base::fail(ErrorCode::InvalidArgument, "the body is not a JSON object");
  }
  return body;
}

base::Result<std::string> short_text(const base::Json& object, const char* name,
                                     std::size_t limit) {
  auto value = base::json_string_or(object, name, "");
  if (!value) return value;
  const bool has_control = std::ranges::any_of(
      *value, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (value->size() > limit || has_control) {
    return base::fail(ErrorCode::InvalidArgument, std::string(name) + " is longer than " +
                                                      std::to_string(limit) +
                                                      " bytes or has control characters");
  }
  return value;
}

server::Reply file_reply(const server::RouteRequest& request, base::UniqueFd file,
                         std::uint64_t size, std::string_view entity_tag) {
  server::Reply reply;
  const std::string etag = "\"" + std::string(entity_tag) + "\"";
  reply.fields = {{"Content-Type", "application/octet-stream"},
                  {"Accept-Ranges", "bytes"},
                  {"ETag", etag},
                  {"Cache-Control", "private, no-transform"},
                  {"X-Content-Type-Options", "nosniff"}};
  const std::string_view if_range = request.field("If-Range");
  http::RangeRequest wanted;
  if (if_range.empty() || if_range == etag) wanted = http::parse_range(request.field("Range"));
  const http::RangeAnswer answer = http::resolve_range(wanted, size);
  if (answer.kind == http::RangeAnswer::Kind::Unsatisfiable) {
    reply.status = 416;
    reply.fields.emplace_back("Content-Range", "bytes */" + std::to_string(size));
    return reply;
  }
  reply.file_length = size;
  if (answer.kind == http::RangeAnswer::Kind::Partial) {
    reply.status = 206;
    reply.file_offset = answer.range.first;
    reply.file_length = answer.range.length();
    reply.fields.emplace_back("Content-Range", http::content_range_text({answer.range, size}));
  }
  reply.file = std::move(file);
  return reply;
}

}  // namespace larder::site
