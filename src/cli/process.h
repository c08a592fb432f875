// What a program that stays needs around its roles: orderly stopping, limits, and a word to the
// service manager.
#pragma once

#include <csignal>
#include <string>
#include <string_view>

namespace larder::cli {

// SIGTERM and SIGINT, kept back from the moment it is made (before any other thread is started, so
// that all threads inherit it) until wait() takes one.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Blocks; the name of the signal that came.
  std::string_view wait();

 private:
  sigset_t stops_{};
  sigset_t before_{};
};

// As many files and connections as the system allows this process; files of others stay unreadable
// (umask 027).
void prepare_process();

// Gives a control socket to the group larder-admin when there is such a group and we may.
void admit_administrators(const std::string& socket);

// Tells systemd (sd_notify(3): "READY=1", "STOPPING=1"); does nothing without a service manager.
void notify_service_manager(std::string_view state);

}  // namespace larder::cli
