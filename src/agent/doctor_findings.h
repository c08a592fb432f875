// What the doctor makes of what it saw: pure functions of facts and times. Private to this folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/doctor.h"
#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"
#include "crypto/verify.h"

namespace larder::agent {

using Fields = std::vector<std::pair<std::string, std::string>>;

Finding well(std::string check, std::string text);
Finding doubtful(std::string check, std::string text, std::string fix);
Finding wrong(std::string check, std::string text, std::string fix);
Finding skipped(std::string check, std::string text);

Finding judge_proxy(const std::map<std::string, std::string>& environment, std::string_view scheme,
                    std::string_view host);

// One attempt to connect.
struct Attempt {
  std::string address;
  std::string failure;  // empty: connected
};
Finding judge_port(std::span<const Attempt> attempts, std::uint16_t port);

Finding judge_handshake_failure(const base::Error& failure);

// Chain, dates, names, usage. `name` is what the client connects by.
std::vector<Finding> judge_certificates(std::span<const crypto::Certificate> chain,
                                        const std::string& name, const crypto::TrustStore& trust,
                                        base::WallTime now);

// Whether the certificate is one that the node itself says it shows (SHA-256, hexadecimal; empty:
// nobody asked it), and not that of a device that opens TLS.
Finding judge_inspection(const crypto::Certificate& leaf, std::span<const std::string> expected);
// Whether an answer with these fields comes from a Larder node and from it directly.
Finding judge_way(const Fields& fields);

// `date` is the Date field of an answer that came at `now`.
Finding judge_clock(std::string_view date, base::WallTime now);

// An answer to "Range: bytes=<first>-<last>".
struct RangeRead {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  int status = 0;
  Fields fields;
  std::string body;
};
// Total length in the Content-Range of an answer that is what was asked for; an error says what is
// wrong with it.
base::Result<std::uint64_t> total_of(const RangeRead& read);
// `whole` and the `parts` that it was read in once more.
Finding judge_ranges(const RangeRead& whole, std::span<const RangeRead> parts);

Finding judge_speed(std::uint64_t bytes, std::chrono::microseconds time);

}  // namespace larder::agent
