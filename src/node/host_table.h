// Which hosts a node knows, as a table that a request looks up without a scan. Immutable;
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/target.h"
#include "node/settings.h"

namespace larder::node {

class HostTable final : public http::HostDirectory {
 public:
  // `settings` outlives the table.
  explicit HostTable(const NodeSettings& settings);

  bool is_own(const http::Authority& authority) const override;
  bool is_origin(const http::Authority& authority) const override {
    return find(authority.host()) != nullptr;
  }
  struct Found {
    const OriginSettings* origin = nullptr;  // null: not served
    std::string_view canonical{};  // under which the host's objects are kept; empty: itself
  };
  // The origin that names the host (as Authority::host() spells it) exactly, else the one with the
  // longest matching suffix.
  Found look_up(std::string_view host) const;
  const OriginSettings* find(std::string_view host) const { return look_up(host).origin; }
  // Whether the port that a client named with an origin is the one that is meant: the scheme's, the
  // one of the table's `url`, or, in a Host field, the node's own. Another one is another server.
  bool is_meant(const http::OriginChoice& choice, const OriginSettings& origin) const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Table = std::unordered_map<std::string, Found, Hash, std::equal_to<>>;
  void add(const std::string& pattern, const Found& found);
  Table exact_;
  Table suffixes_;  // without "*."
  std::unordered_map<std::string, bool, Hash, std::equal_to<>> own_;
  std::vector<std::uint16_t> own_ports_;
};

}  // namespace larder::node
