// Which fields pass through a node, in both directions (RFC 9110 section 7.6.1 and what the node
// adds to it). Fields that the node writes itself in either direction are not forwarded.
#pragma once

#include <string>
#include <string_view>

#include "http/request_head.h"
#include "http/response_head.h"

namespace larder::http {

// About one connection only: never forwarded, never stored.
bool is_hop_by_hop(FieldName name);

// Authorization and Cookie: a pass sends them and no fill does. Where answers differ by them, a
// fill's is not the one that a request with such a field would get.
bool says_who_asks(FieldName name);

enum class Exchange {
  // The answer may be shared: only fields that do not identify the client and that the node can
  // repeat for another client's sake. An allow-list.
  SharedFill,
  // The same for an origin that the administrator declared: every end-to-end field that does not
  // say who asks (Authorization, Cookie) and that the cache does not decide itself
  // (Accept-Encoding, ranges, conditions).
  DeclaredFill,
  // For this client alone, the answer is not stored: everything end-to-end, with Authorization and
  // Cookie. The caller removes an Authorization that carries a token of our own issuer.
  Pass,
};

// Host, Content-Length and Via are the sender's to write. Range and If-* are dropped from a shared
// fill of either kind, whose ranges and validators are the cache's own.
bool may_send_to_origin(const RequestHead& request, const HeadField& field, Exchange exchange);

// The request has a field that a fill of this kind leaves out and on which the answer to this very
// client may depend: it says who asks, or it is a condition that only the origin judges (RFC 9110
// sections 13.1.1 and 13.1.4). What the fill brought is no answer to such a request unless a cache
// may answer it.
bool asks_more_than_fill(const RequestHead& request, Exchange fill);

// Via for what the request becomes (RFC 9110 section 7.6.3): who passed it on so far, then `own`.
// Names of Larder nodes stay as they are, by which one of them notices that a request comes back;
// those of a client's own proxies are nobody's affair and become "proxy". Of more than
// kMostViaMembers the last ones.
inline constexpr std::size_t kMostViaMembers = 16;
std::string via_to_origin(const RequestHead& request, std::string_view own);

// Somebody of that name in Via has passed the request on already.
bool came_through(const RequestHead& request, std::string_view name);

// Some node of Larder has passed it on.
bool came_through_node(const RequestHead& request);

// The name of a node in Via; `fingerprint`: 16 lower-case hexadecimal digits.
std::string via_name(std::string_view fingerprint);

// Whether a pass of the request sends what a fill of this kind sends, and nothing else: what it
// brings tells of what is stored, too.
bool pass_sends_as_fill(const RequestHead& request, Exchange fill);

// The response's Connection names the field: it is for the next recipient alone.
bool is_for_next_hop(const ResponseHead& response, std::string_view name);

// The field tells of the bytes of that very message, not of the whole that they belong to (RFC 9110
// section 14.4, RFC 9530 section 2): it is wrong beside another part of it, or beside all of it.
bool is_of_one_message(const ResponseField& field);

// Where the client believes the bytes come from.
enum class Appearance {
  AsOrigin,  // the origin's own name: absolute-form, Host
  AsNode,    // the node's name (cacheHostOrigin): fields that would set state for the node's whole
             // name, ports included, are dropped
};

// Also says what is worth storing. Content-Length, Content-Range of a 206 or 416, Accept-Ranges,
// Age, Cache-Status, Date and X-Request-Id are the sender's to write.
bool may_send_to_client(const ResponseHead& response, const ResponseField& field,
                        Appearance appearance);

// "Content-Type" for "content-type": known names in their registered spelling; all-lower-case names
// (HTTP/2) with a capital after each '-'; others as they are.
std::string canonical_name(std::string_view name);

}  // namespace larder::http
