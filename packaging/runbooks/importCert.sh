#!/usr/bin/env bash
# Imports a signed certificate and serves HTTPS with it from the next connection on.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/runbook.sh"

usage() {
  cat <<TEXT
importCert.sh -certName NAME[.crt]

  -certName   File in $certs_dir
              The leaf, or the leaf with its chain, in PEM. The extension may be left out.

It ends what disableTls.sh has begun: HTTPS is served again.
To renew, have the same CSR signed again and import the result.
Example:
  importCert.sh -certName mcc-node1
TEXT
}

cert_name=''
while [ $# -gt 0 ]; do
  case $(option_name "$1") in
    h | help) usage; exit 0 ;;
  esac
  [ $# -ge 2 ] || wrong_usage "$1 needs a value."
  case $(option_name "$1") in
    certname) cert_name=$2 ;;
    *) wrong_usage "unknown parameter $1." ;;
  esac
  shift 2
done
[ -n "$cert_name" ] || wrong_usage "the required parameter -certName is missing."
[[ $cert_name != */* ]] || wrong_usage "-certName is the name of a file in $certs_dir, not a path."

start_log ImportCert
file=$certs_dir/$cert_name
[ -f "$file" ] || file=$certs_dir/$cert_name.crt
[ -f "$file" ] || fail "there is no $file. Copy the signed certificate there."
run_larder cert import "$file" || fail "$output"
say "$output"
say "The certificate was imported: $file"
# Connected Cache has no other script that ends what disableTls.sh has begun.
if [[ $output == *"HTTPS is disabled"* ]]; then
  run_larder cert enable || fail "$output"
  say "HTTPS was disabled, and is enabled again."
fi
finish 0
