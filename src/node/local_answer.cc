// What a node answers by itself under its own name.

#include "http/target.h"
#include "node/request_path.h"
#include "node/site_link.h"

namespace larder::node {

net::Task<bool> RequestPath::answer_challenge(Work& work) {
  const http::RequestHead& head = work.exchange.head();
  if (head.method != http::Method::Get && head.method != http::Method::Head) co_return false;
  const auto host = http::parse_authority(
      head.form == http::TargetForm::Absolute ? head.authority : head.host.value_or(""));
  if (!host) co_return false;
  const auto body = delivery_.challenges->find_http(host->host(), head.path);
  if (!body) co_return false;
  work.exchange.outcome.status = 200;
  work.exchange.outcome.cache = "local";
  const std::string text = "HTTP/1.1 200 OK\r\nDate: " + std::string(server::http_date_now()) +
                           "\r\nContent-Type: application/octet-stream\r\nCache-Control: "
                           "no-store\r\nContent-Length: " +
                           std::to_string(body->size()) +
                           (work.exchange.closing() ? "\r\nConnection: close" : "") + "\r\n\r\n";
  net::Outgoing out;
  out.head = text;
  if (head.method != http::Method::Head) out.memory = *body;
  co_await work.exchange.send(std::move(out));
  co_return true;
}

net::Task<void> RequestPath::answer_locally(Work& work) {
  const std::string_view path = work.target.choice.path;
  if (path == "/healthz") {
    work.exchange.outcome.status = 200;
    work.exchange.outcome.cache = "local";
    AnswerFacts answer = facts(work);
    answer.cache_status.forwarded = cache::Forwarded::Bypass;
    const std::string text = write_own_answer(200, "ok", answer);
    net::Outgoing out;
    out.head = text;
    co_await work.exchange.send(std::move(out));
    co_return;
  }
  if (const std::string_view issuer = issuer_of_list(path); !issuer.empty()) {
    if (const auto list = delivery_.revocation_list(issuer)) {
      work.exchange.outcome.status = 200;
      work.exchange.outcome.cache = "local";
      const std::string text = "HTTP/1.1 200 OK\r\nDate: " + std::string(server::http_date_now()) +
                               "\r\nContent-Type: application/pkix-crl\r\nCache-Control: "
                               "max-age=3600\r\nContent-Length: " +
                               std::to_string(list->size()) +
                               (work.exchange.closing() ? "\r\nConnection: close" : "") +
                               "\r\n\r\n";
      net::Outgoing out;
      out.head = text;
      if (work.exchange.head().method != http::Method::Head) out.memory = *list;
      out.owner = list;
      co_await work.exchange.send(std::move(out));
      co_return;
    }
  }
  if (path.starts_with("/content/")) {
    co_await refuse(work, 404, "guarded content is served on the content port over TLS only");
    co_return;
  }
  co_await refuse(work, 404, "there is nothing under that name on this node");
}

}  // namespace larder::node
