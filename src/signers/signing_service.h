// The other end of a socket signer: one question of a node, answered by a program of the
// administrator, as the user that this process runs as.
#pragma once

#include <string>

#include "base/error.h"
#include "signers/command_signer.h"

namespace larder::signers {

// Reads the question from the connection, runs the program as CommandSigner does, and sends what
// it printed or why it failed. Only the user `peer` and root are listened to. The program has the
// time that the node gives it, at most the settings' own, and is killed when the node hangs up.
//
// An error when the answer could not be sent, or there was nobody to send it to; that the program
// failed is none.
base::Status answer_signing_question(int connection, const std::string& peer,
                                     CommandSettings settings);

}  // namespace larder::signers
