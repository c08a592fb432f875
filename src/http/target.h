// Authorities, queries, and which origin a request is for. Pure, and without allocation for usual
// requests: a RequestHead's views are passed on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/request_head.h"

namespace larder::http {

// host[:port] in canonical form: lower case, no trailing dot, IPv6 in brackets and shortest
// spelling. Non-ASCII names are refused (their punycode form is fine), as are user information and
// the numeric spellings of IPv4 ("127.1", "0x7f000001") that resolvers accept and lists overlook.
class Authority {
 public:
  enum class Kind : std::uint8_t { Name, Ipv4, Ipv6 };

  std::string_view host() const { return {host_.data(), host_length_}; }
  Kind kind() const { return kind_; }
  bool is_address() const { return kind_ != Kind::Name; }
  // 0 when none was given.
  std::uint16_t port() const { return port_; }
  // "host" or "host:port"
  std::string text() const;

 private:
  friend std::optional<Authority> parse_authority(std::string_view text);
  static constexpr std::size_t kLongest = 253;

  std::array<char, kLongest + 1> host_;  // the first host_length_ are set
  std::uint8_t host_length_ = 0;
  Kind kind_ = Kind::Name;
  std::uint16_t port_ = 0;
};

std::optional<Authority> parse_authority(std::string_view text);

// "%41" gives "A". Nothing when an escape is malformed or gives NUL, or the result would be longer
// than `limit` bytes. '+' stays as it is.
std::optional<std::string> percent_decode(std::string_view text, std::size_t limit);

// A query without its cacheHostOrigin parameters (name in any case).
struct CacheHostOrigin {
  std::string_view query;  // other parameters, byte for byte; points into the query or `scratch`
  bool has_query = false;  // false when nothing else was there
  std::optional<std::string_view> value;  // of the last occurrence, still percent-encoded
};
// `scratch` is used only when parameters stood on both sides of a removed one.
CacheHostOrigin take_cache_host_origin(const RequestHead& request, std::string& scratch);

// Which hosts a node knows. Thread-safety is the implementer's.
class HostDirectory {
 public:
  virtual ~HostDirectory() = default;
  // A name or address of this node itself.
  virtual bool is_own(const Authority& authority) const = 0;
  // An allow-listed origin. An address is one only when it is listed literally, never by wildcard.
  virtual bool is_origin(const Authority& authority) const = 0;
};

// How the client named the origin.
enum class OriginForm : std::uint8_t { AbsoluteForm, CacheHostOrigin, HostField };
std::string_view name(OriginForm form);  // "absolute-form", "cacheHostOrigin", "Host"

struct OriginChoice {
  enum class Kind : std::uint8_t {
    Origin,  // deliver `path`?`query` of `authority`
    Local,   // a path of the node itself, under its own name
    Refuse,  // with `status` and `reason`
  };
  Kind kind = Kind::Refuse;
  OriginForm form = OriginForm::HostField;
  // Origin: who was asked for. The port to connect to comes from the origin's table, not from here.
  Authority authority;
  // Absolute-form only: the scheme of the target; else the listener's scheme counts.
  std::optional<bool> target_is_https;
  std::string_view path;
  std::string_view query;
  bool has_query = false;
  int status = 0;
  std::string_view reason;  // a fixed sentence, for the client and the log
};

// A foreign absolute-form wins over the last cacheHostOrigin, that wins over Host; a foreign
// absolute-form together with cacheHostOrigin is refused, because the two name different hosts and
// a list check of one would be bypassed by the other. An absolute-form of our own name counts as
// origin-form. Unknown hosts get 403: open clients then leave the node alone for that host.
// Under the node's own name only its own paths exist (is_local_path); elsewhere those paths are the
// origin's.
OriginChoice choose_origin(const RequestHead& request, const HostDirectory& hosts,
                           std::string& scratch);

// "/content/...", "/healthz", "/.larder/...", "/.well-known/acme-challenge/..."
bool is_local_path(std::string_view path);

}  // namespace larder::http
