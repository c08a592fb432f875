#include "cli/cert_watch.h"

#include <nlohmann/json.hpp>

#include "cli/control.h"
#include "cli/output.h"

namespace larder::cli {

using nlohmann::json;

namespace {

constexpr std::size_t kClientsShown = 5;

std::string text_of(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? printable(found->get<std::string>())
                                                     : std::string();
}

}  // namespace

json watch_facts(const std::string& socket) {
  Control control(Role::Node, socket);
  auto facts = control.get("/api/v1/certificates/watch");
  return facts && facts->is_object() ? std::move(*facts) : json();
}

void print_watch(const json& facts) {
  if (!facts.is_object()) return;
  for (const json& alert : facts.value("alerts", json::array())) {
    if (alert.is_string()) print_line("alert: " + printable(alert.get<std::string>()));
  }
  for (const json& one : facts.value("revocation", json::array())) {
    if (!one.is_object()) continue;
    if (const std::string error = text_of(one, "error"); !error.empty()) {
      print_line("not known whether " + text_of(one, "name") + " is revoked: " + error);
    }
  }
  const json failures = facts.value("handshake_failures", json::object());
  std::size_t shown = 0;
  for (const json& client : failures.value("clients", json::array())) {
    if (!client.is_object() || ++shown > kClientsShown) break;
    print_line("handshake failed: " + text_of(client, "address") + ", " +
               std::to_string(client.value("failures", 0)) + " times, last " +
               text_of(client, "last") + " (" + text_of(client, "cause") + ")");
  }
  const json silent = facts.value("closed_without_request", json::object());
  const json clients = silent.value("clients", json::array());
  if (!clients.empty() && clients.front().is_object()) {
    print_line("closed after the handshake, without a request: " +
               std::to_string(silent.value("connections", 0)) + " times, last " +
               text_of(clients.front(), "last") + " by " + text_of(clients.front(), "address") +
               " (a port probe, or a client that found a wrong name)");
  }
}

}  // namespace larder::cli
