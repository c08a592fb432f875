#!/usr/bin/env bash
# Makes a key on this node and a certificate request (CSR) to have signed by your own authority.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/runbook.sh"

usage() {
  cat <<'TEXT'
generateCsr.sh -algo ALGORITHM [-keySizeOrCurve SIZE] -csrName NAME -subjectCommonName NAME -san... LIST

  -algo, --algorithm   RSA, EC, ED25519 or ED448. Windows and browsers cannot use the last two.
  -keySizeOrCurve      RSA: 2048, 3072, 4096. EC: prime256v1, secp384r1. Not for ED25519 and ED448.
  -csrName             Name of the key and of the request file.
  -subjectCommonName   Subject: common name, as a rule the name that clients connect to.
  -subjectCountry      Subject: country, two letters (optional).
  -subjectState        Subject: state or province (optional).
  -subjectOrg          Subject: organisation (optional).

At least one of these, each a comma-separated list:
  -sanDns -sanIp -sanUri -sanEmail -sanRid
or one of these, each with one name:
  -sanDirName          Directory name: CN=node1,O=Example
  -sanOtherName        Other name, an object identifier and a text: 1.3.6.1.4.1.311.20.2.3;node1@example.org

The names must cover what clients are told to connect to: a DNS name, or an address.
Example:
  generateCsr.sh -algo EC -keySizeOrCurve prime256v1 -csrName mcc-node1 \
    -subjectCommonName mcc-node1.example.org -sanDns mcc-node1.example.org
TEXT
}

algo='' size='' csr_name='' common_name=''
optional=() names=()
while [ $# -gt 0 ]; do
  case $(option_name "$1") in
    h | help) usage; exit 0 ;;
  esac
  [ $# -ge 2 ] || wrong_usage "$1 needs a value."
  case $(option_name "$1") in
    algo | algorithm) algo=$2 ;;
    keysizeorcurve | keysize) size=$2 ;;
    csrname) csr_name=$2 ;;
    subjectcommonname) common_name=$2 ;;
    subjectcountry) optional+=(--country "$2") ;;
    subjectstate) optional+=(--state "$2") ;;
    subjectorg) optional+=(--organization "$2") ;;
    sandns) names+=(--san-dns "$2") ;;
    sanip) names+=(--san-ip "$2") ;;
    sanuri) names+=(--san-uri "$2") ;;
    sanemail) names+=(--san-email "$2") ;;
    sanrid) names+=(--san-rid "$2") ;;
    sandirname) names+=(--san-dir-name "$2") ;;
    sanothername) names+=(--san-other-name "$2") ;;
    *) wrong_usage "unknown parameter $1." ;;
  esac
  shift 2
done

[ -n "$algo" ] || wrong_usage "the required parameter -algo is missing."
case ${algo^^} in
  RSA | EC) [ -n "$size" ] || wrong_usage "the required parameter -keySizeOrCurve is missing." ;;
  ED25519 | ED448) size='' ;;
  *) wrong_usage "-algo is RSA, EC, ED25519 or ED448, not $algo." ;;
esac
[ -n "$csr_name" ] || wrong_usage "the required parameter -csrName is missing."
[ -n "$common_name" ] || wrong_usage "the required parameter -subjectCommonName is missing."
[ ${#names[@]} -gt 0 ] ||
  wrong_usage "at least one of -sanDns, -sanIp, -sanUri, -sanEmail, -sanRid, -sanDirName and -sanOtherName is required."
csr_name=${csr_name%.csr}
key_name=${csr_name,,}
[[ $key_name =~ ^[a-z0-9][a-z0-9._-]{0,63}$ ]] ||
  wrong_usage "-csrName has letters, digits, ., - and _, begins with a letter or digit, and is at most 64 long."

help=$("$larder_program" cert request --help 2>&1) || wrong_usage "cannot run $larder_program: is Larder installed?"
for ((i = 0; i < ${#names[@]}; i += 2)); do
  [[ $help == *"${names[i]}"* ]] || wrong_usage "this version of Larder has no ${names[i]}; leave that kind of name out."
done

start_log GenerateCsr
run_larder cert request --name "$key_name" --algorithm "${algo,,}" ${size:+--size-or-curve "$size"} \
  --common-name "$common_name" ${optional[@]+"${optional[@]}"} "${names[@]}" || fail "$output"
request=${output##*$'\n'}
warnings=$(grep '^warning: ' <<<"$output" || true)
[ -z "$warnings" ] || say "$warnings"
csr=$certs_dir/$csr_name.csr
cp -- "$request" "$csr" || fail "cannot write $csr"
say "CSR file created at: $csr"
finish 0
