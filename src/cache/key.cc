#include "cache/key.h"

#include <algorithm>

namespace larder::cache {

namespace {

bool is_ignored(std::string_view parameter, std::span<const std::string> ignored) {
  const std::string_view name = parameter.substr(0, parameter.find('='));
  return std::find(ignored.begin(), ignored.end(), name) != ignored.end();
}

}  // namespace

bool write_key(std::string& out, const KeyParts& parts) {
  out.assign(parts.https ? "https\n" : "http\n");
  out += parts.host;
  if (parts.port != 0 && parts.port != (parts.https ? 443 : 80)) {
    out += ':';
    out += std::to_string(parts.port);
  }
  out += '\n';
  out += parts.path;
  if (!parts.has_query) return false;
  if (parts.ignored_parameters.empty()) {
    out += '?';
    out += parts.query;
    return false;
  }
  bool stripped = false;
  char separator = '?';
  for (std::size_t begin = 0; begin <= parts.query.size();) {
    const std::size_t end = std::min(parts.query.find('&', begin), parts.query.size());
    const std::string_view parameter = parts.query.substr(begin, end - begin);
    if (is_ignored(parameter, parts.ignored_parameters)) {
      stripped = true;
    } else {
      out += separator;
      out += parameter;
      separator = '&';
    }
    begin = end + 1;
  }
  return stripped;
}

}  // namespace larder::cache
