#!/usr/bin/env bash
# Ends HTTPS at once. Certificates, key, CSR and logs are kept; HTTP goes on.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/runbook.sh"

case ${1:+$(option_name "$1")} in
  '') ;;
  h | help)
    echo "disableTls.sh (no parameters): ends HTTPS at once and keeps certificate, key, CSR and logs."
    echo "'larder cert enable', or importCert.sh, serves HTTPS again."
    exit 0
    ;;
  *) wrong_usage "disableTls.sh has no parameters." ;;
esac

start_log DisableTls
run_larder cert disable --reason "disableTls.sh" || fail "$output"
say "$output"
finish 0
