# What the runbooks of this folder have in common; sourced, never run.
#
# Files are kept as Connected Cache keeps them: requests and signed certificates in Certificates/certs,
# logs in Certificates/logs. Keys are not among them: those never leave the node's state folder.

certificates_dir=${LARDER_CERTIFICATES_DIR:-/var/lib/larder-certificates/Certificates}
certs_dir=$certificates_dir/certs
logs_dir=$certificates_dir/logs
larder_program=${LARDER_PROGRAM:-larder}
log_file=

# wrong_usage TEXT: as the program itself, 2 is the exit code of a call that cannot be understood.
wrong_usage() {
  echo "Error: $1" >&2
  echo "Run '$(basename "$0") --help' for the parameters." >&2
  exit 2
}

# Both -csrName and --csrName, in any case: existing runbooks write them in many ways.
option_name() {
  local name=${1#-}
  name=${name#-}
  printf '%s' "${name,,}"
}

# Of each runbook the logs of its latest runs are kept.
kept_logs=50

# drop_old_logs NAME: their names sort by time.
drop_old_logs() {
  local logs=("$logs_dir/$1"_[0-9]*-[0-9]*.log)
  local surplus=$((${#logs[@]} - kept_logs))
  [ "$surplus" -le 0 ] || rm -f -- "${logs[@]:0:surplus}" || true  # another user's
}

# start_log NAME: from here on everything that is printed is in the log too.
start_log() {
  umask 027
  mkdir -p "$certs_dir" "$logs_dir" || exit 1
  log_file=$logs_dir/$1_$(date +%Y%m%d-%H%M%S).log
  : >>"$log_file" || exit 1
  drop_old_logs "$1"
}

say() { printf '%s\n' "$*" | tee -a "$log_file"; }

# run_larder ARGUMENT...: its output goes to the log and to $output; returns its exit code.
run_larder() {
  printf '$ larder %s\n' "$*" >>"$log_file"
  local code=0
  output=$("$larder_program" "$@" ${LARDER_CONFIG:+--config "$LARDER_CONFIG"} 2>&1) || code=$?
  printf '%s\n' "$output" >>"$log_file"
  return "$code"
}

# finish CODE: where the log is, on every way out.
finish() {
  printf 'You can find logs here: %s\n' "$log_file"
  exit "$1"
}

fail() {
  say "Error: $1" >&2
  finish 1 >&2
}
