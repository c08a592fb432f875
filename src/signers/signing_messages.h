// What a node says to the service at its signing socket, and what it hears: one JSON object each
// way, ended by the end of that direction. Pure; both sides bound what they read.
//
//   question = {"format": 1, "request": PEM, "timeout": seconds}
//   answer   = {"format": 1, "chain": base64url}               ; what the program printed
//            | {"format": 1, "error": "refused" | "failed", "reason": text}
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::signers {

inline constexpr std::size_t kSigningQuestionLimit = 160 << 10;  // bytes
inline constexpr std::size_t kSigningAnswerLimit = 96 << 10;     // bytes

struct SigningQuestion {
  std::string request_pem;          // at most 64 KiB
  std::chrono::seconds timeout{0};  // 1 s to 1 h
};

std::string print(const SigningQuestion& question);
base::Result<SigningQuestion> parse_signing_question(std::string_view text);

// `chain` is what the program printed, or why there is none.
std::string print_signing_answer(const base::Result<std::string>& chain);
// The chain; else the error that the service reports, fit for a log, or what is wrong with the
// answer.
base::Result<std::string> parse_signing_answer(std::string_view text);

}  // namespace larder::signers
