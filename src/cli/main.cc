#include <sys/resource.h>

#include <csignal>

#include "cli/commands.h"

int main(int argc, char** argv) {
  // Keys and tokens are in memory: they must not end in a core file.
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  // A peer that closes, and a limit on the size of files, are errors of the write, not our end.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return larder::cli::run_command_line(larder::cli::make_commands(), argc, argv);
}
