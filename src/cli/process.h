// What a program that stays needs around its roles: orderly stopping, limits, and a word to the
// service manager.
#pragma once

#include <csignal>
#include <functional>
#include <string>
#include <string_view>

namespace larder::cli {

// Signals to a process that stays, kept back from the moment it is made (before any other thread is
// started, so that all threads inherit it).
class Signals {
 public:
  Signals();
  ~Signals();

  // What each asks for; an empty action is passed over with a word in the log.
  struct Actions {
    std::function<void()> reload;       // SIGHUP
    std::function<void()> reopen_logs;  // SIGUSR1
    // Asked before each word to the service manager's watchdog; false keeps it back.
    std::function<bool()> is_alive;
  };
  // Acts until SIGTERM or SIGINT; the name of the one that came.
  std::string_view serve(const Actions& actions);

  // Runs `stop` to its end, unless SIGTERM or SIGINT comes once more: that ends the process at
  // once.
  void stop(const std::function<void()>& stop);

 private:
  sigset_t signals_{};
  sigset_t before_{};
};

// As many files and connections as the system allows this process; files of others stay unreadable
// (umask 027).
void prepare_process();

// Gives a control socket to the group larder-admin when there is such a group and we may.
void admit_administrators(const std::string& socket);

// Tells systemd (sd_notify(3): "READY=1", "STOPPING=1"); does nothing without a service manager.
void notify_service_manager(std::string_view state);
// Around a reload: the manager waits for the end of it.
void notify_reloading();

}  // namespace larder::cli
