#!/usr/bin/env bash
# Shows the certificate that is served now: thumbprint, names, dates.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/runbook.sh"

case ${1:+$(option_name "$1")} in
  '') ;;
  h | help)
    echo "ShowCertDetails.sh (no parameters): thumbprint, names and dates of the imported certificate."
    exit 0
    ;;
  *) wrong_usage "ShowCertDetails.sh has no parameters." ;;
esac

# detail HEADING: that line of `larder cert show`.
detail() { sed -n "s/^$1: *//p" <<<"$output"; }

start_log ShowCertDetails
run_larder cert show || fail "$output"
# Consoles on Windows show the SHA-1 in capitals.
thumbprint=$(detail 'Thumbprint (SHA-1)')
say "Thumbprint: ${thumbprint^^}"
say "Thumbprint (SHA-256): $(detail 'Thumbprint (SHA-256)')"
say "Subject: $(detail Subject)"
say "Issuer: $(detail Issuer)"
say "Domain names: $(detail 'Domain names')"
say "Addresses: $(detail Addresses)"
say "Valid from: $(detail 'Valid from')"
say "Expiry date: $(detail 'Valid until')"
say "State: $(detail State)"
finish 0
