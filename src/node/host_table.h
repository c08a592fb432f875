// Which hosts a node knows, as a table that a request looks up without a scan. Immutable;
// thread-safe.
#pragma once

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
  // The origin that names the host exactly, else the one with the longest matching suffix.
  const OriginSettings* find(std::string_view host) const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Table = std::unordered_map<std::string, const OriginSettings*, Hash, std::equal_to<>>;
  Table exact_;
  Table suffixes_;  // without "*."
  std::unordered_map<std::string, bool, Hash, std::equal_to<>> own_;
};

}  // namespace larder::node
