#include "cache/key.h"

#include <algorithm>
#include <vector>

namespace larder::cache {

namespace {

std::string_view name_of(std::string_view parameter) {
  return parameter.substr(0, parameter.find('='));
}

bool is_ignored(std::string_view parameter, std::span<const std::string> ignored) {
  const std::string_view name = name_of(parameter);
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
  if (parts.ignored_parameters.empty() && !parts.sort_parameters) {
    out += '?';
    out += parts.query;
    return false;
  }
  bool stripped = false;
  char separator = '?';
  const auto write = [&](std::string_view parameter) {
    out += separator;
    out += parameter;
    separator = '&';
  };
  std::vector<std::string_view> to_sort;  // unused, and so without memory, in the usual case
  for (std::size_t begin = 0; begin <= parts.query.size();) {
    const std::size_t end = std::min(parts.query.find('&', begin), parts.query.size());
    const std::string_view parameter = parts.query.substr(begin, end - begin);
    if (is_ignored(parameter, parts.ignored_parameters)) {
      stripped = true;
    } else if (parts.sort_parameters) {
      to_sort.push_back(parameter);
    } else {
      write(parameter);
    }
    begin = end + 1;
  }
  // All point into one text: parameters of one name keep their order.
  std::sort(to_sort.begin(), to_sort.end(), [](std::string_view left, std::string_view right) {
    const int order = name_of(left).compare(name_of(right));
    return order != 0 ? order < 0 : left.data() < right.data();
  });
  for (const std::string_view parameter : to_sort) write(parameter);
  return stripped;
}

}  // namespace larder::cache
