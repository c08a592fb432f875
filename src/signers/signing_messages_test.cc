#include "signers/signing_messages.h"

#include <gtest/gtest.h>

#include "signers/command_signer.h"

namespace larder::signers {
namespace {

using base::ErrorCode;

TEST(SigningMessages, QuestionIsReadAsItWasPrinted) {
  const auto question = parse_signing_question(
      print({.request_pem = "request\n", .timeout = std::chrono::seconds(7)}));
  ASSERT_TRUE(question) << question.error().message;
  EXPECT_EQ(question->request_pem, "request\n");
  EXPECT_EQ(question->timeout, std::chrono::seconds(7));
}

TEST(SigningMessages, LargestRequestAndChainFitTheLimits) {
  const std::string lines(64 << 10, '\n');
  EXPECT_LE(print({.request_pem = lines, .timeout = std::chrono::hours(1)}).size(),
            kSigningQuestionLimit);
  const std::string chain(kCommandOutputLimit, '\xff');
  const std::string answer = print_signing_answer(chain);
  EXPECT_LE(answer.size(), kSigningAnswerLimit);
  EXPECT_EQ(parse_signing_answer(answer).value(), chain);
}

TEST(SigningMessages, QuestionsOutOfBoundsAreRefused) {
  EXPECT_FALSE(
      parse_signing_question(print({.request_pem = "", .timeout = std::chrono::seconds(7)})));
  EXPECT_FALSE(parse_signing_question(
      print({.request_pem = std::string(70'000, 'r'), .timeout = std::chrono::seconds(7)})));
  EXPECT_FALSE(
      parse_signing_question(print({.request_pem = "r", .timeout = std::chrono::hours(2)})));
  EXPECT_FALSE(parse_signing_question(R"({"format": 2, "request": "r", "timeout": 7})"));
  EXPECT_FALSE(parse_signing_question("-----BEGIN CERTIFICATE REQUEST-----"));
}

TEST(SigningMessages, FailuresCrossWithTheirReason) {
  const auto refused = parse_signing_answer(
      print_signing_answer(base::fail(ErrorCode::PermissionDenied, "refused (exit code 77)")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::PermissionDenied);
  EXPECT_EQ(refused.error().message, "refused (exit code 77)");
  const auto failed = parse_signing_answer(
      print_signing_answer(base::fail(ErrorCode::FailedPrecondition, "it is not there")));
  EXPECT_EQ(failed.error().code, ErrorCode::Unavailable);
}

TEST(SigningMessages, ReasonOfAStrangerIsFitForALog) {
  const auto shown =
      parse_signing_answer(R"({"format": 1, "error": "failed", "reason": "a\u001b[31mb\nc"})");
  EXPECT_EQ(shown.error().message, "a?[31mb; c");
  const std::string endless(90'000, 'x');
  EXPECT_LE(
      parse_signing_answer(R"({"format": 1, "error": "failed", "reason": ")" + endless + "\"}")
          .error()
          .message.size(),
      kCommandErrorsLimit);
}

TEST(SigningMessages, AnswerThatWasCutOffIsNoChain) {
  const std::string answer = print_signing_answer(std::string(1000, 'c'));
  for (const std::size_t length : {std::size_t{1}, answer.size() / 2, answer.size() - 1}) {
    EXPECT_FALSE(parse_signing_answer(answer.substr(0, length))) << length;
  }
}

}  // namespace
}  // namespace larder::signers
