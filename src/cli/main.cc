#include <sys/resource.h>

#include <csignal>

#include "cli/commands.h"

int main(int argc, char** argv) {
  // Keys and tokens are in memory: they must not end in a core file.
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::signal(SIGPIPE, SIG_IGN);  // a peer that closes is an error of the write, not our end
  return larder::cli::run_command_line(larder::cli::make_commands(), argc, argv);
}
