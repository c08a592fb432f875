#include "http/target.h"

#include <algorithm>

#include "http/characters.h"

namespace larder::http {

namespace {

constexpr std::string_view kParameter = "cacheHostOrigin";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = lower(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

OriginChoice& refuse(OriginChoice& choice, int status, std::string_view reason) {
  choice.kind = OriginChoice::Kind::Refuse;
  choice.status = status;
  choice.reason = reason;
  return choice;
}

bool is_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

OriginChoice& deliver(OriginChoice& choice, OriginForm form, const Authority& authority,
                      const HostDirectory& hosts) {
  choice.form = form;
  choice.authority = authority;
  if (!hosts.is_origin(authority)) {
    return refuse(choice, 403, "this origin is not served here");
  }
  choice.kind = OriginChoice::Kind::Origin;
  return choice;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, std::size_t limit) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (decoded.size() == limit) return std::nullopt;
    decoded.push_back(c);
  }
  return decoded;
}

CacheHostOrigin take_cache_host_origin(const RequestHead& request, std::string& scratch) {
  CacheHostOrigin result;
  const std::string_view query = request.query;
  bool contiguous = true;
  bool kept = false;
  std::size_t kept_first = 0;
  std::size_t kept_end = 0;
  // While what is kept is one stretch of the query it stays a view; then it moves to `scratch`.
  const auto keep = [&](std::size_t begin, std::size_t end) {
    if (!kept) {
      kept = true;
      kept_first = begin;
    } else if (!contiguous) {
      scratch += '&';
      scratch += query.substr(begin, end - begin);
    } else if (begin != kept_end + 1) {
      contiguous = false;
      scratch.assign(query.substr(kept_first, kept_end - kept_first));
      scratch += '&';
      scratch += query.substr(begin, end - begin);
    }
    kept_end = end;
  };
  for (std::size_t begin = 0; request.has_query && begin <= query.size();) {
    const std::size_t end = std::min(query.find('&', begin), query.size());
    const std::string_view piece = query.substr(begin, end - begin);
    const std::size_t equals = std::min(piece.find('='), piece.size());
    if (same_ignoring_case(piece.substr(0, equals), kParameter)) {
      result.value = piece.substr(std::min(equals + 1, piece.size()));
    } else {
      keep(begin, end);
    }
    begin = end + 1;
  }
  result.has_query = kept;
  if (kept) {
    result.query = contiguous ? query.substr(kept_first, kept_end - kept_first) : scratch;
  }
  return result;
}

std::string_view name(OriginForm form) {
  switch (form) {
    case OriginForm::AbsoluteForm:
      return "absolute-form";
    case OriginForm::CacheHostOrigin:
      return "cacheHostOrigin";
    case OriginForm::HostField:
      break;
  }
  return "Host";
}

bool is_local_path(std::string_view path) {
  return is_below(path, "/content") || path == "/healthz" || is_below(path, "/.larder") ||
         is_below(path, "/.well-known/acme-challenge");
}

OriginChoice choose_origin(const RequestHead& request, const HostDirectory& hosts,
                           std::string& scratch) {
  OriginChoice choice;
  if (request.form == TargetForm::Authority || request.form == TargetForm::Asterisk) {
    return refuse(choice, 405, "this method is not served here");
  }
  const CacheHostOrigin parameter = take_cache_host_origin(request, scratch);
  choice.path = request.path;
  choice.query = parameter.query;
  choice.has_query = parameter.has_query;

  std::optional<Authority> host;
  if (request.host) {
    host = parse_authority(*request.host);
    if (!host) return refuse(choice, 400, "malformed Host field");
  }
  if (request.form == TargetForm::Absolute) {
    // The target's authority replaces Host (RFC 9112 section 3.2.2).
    host = parse_authority(request.authority);
    if (!host) return refuse(choice, 400, "malformed authority in the request target");
    if (!hosts.is_own(*host)) {
      if (parameter.value) {
        return refuse(choice, 400, "both an absolute target and cacheHostOrigin");
      }
      choice.target_is_https = same_ignoring_case(request.scheme, "https");
      return deliver(choice, OriginForm::AbsoluteForm, *host, hosts);
    }
  }
  if (parameter.value) {
    const auto decoded = percent_decode(*parameter.value, 512);
    const auto authority = decoded ? parse_authority(*decoded) : std::nullopt;
    if (!authority) return refuse(choice, 400, "malformed cacheHostOrigin");
    if (hosts.is_own(*authority)) {
      return refuse(choice, 403, "cacheHostOrigin names this node itself");
    }
    return deliver(choice, OriginForm::CacheHostOrigin, *authority, hosts);
  }
  // Only HTTP/1.0 may come without Host: then the connection itself was made to this node.
  if (!host || hosts.is_own(*host)) {
    if (!is_local_path(request.path)) return refuse(choice, 404, "no origin was named");
    choice.kind = OriginChoice::Kind::Local;
    return choice;
  }
  return deliver(choice, OriginForm::HostField, *host, hosts);
}

}  // namespace larder::http
