#!/usr/bin/env bash
# Makes the credentials of the peer tests with the openssl command line:
#
#   root ─► servers CA ─► server-ecdsa, server-rsa (localhost), other (other.test)
#        └► clients CA ─► client, client-rsa, expired, not-yet, server-only
#   stranger-root ─► stranger
#   self-signed
#
# Usage: certs.sh FOLDER. Every NAME.pem holds the whole chain without the root, leaf first;
# NAME.key its key; root.pem is what both sides trust.
set -euo pipefail
umask 077

folder=$1
mkdir -p "$folder"
cd "$folder"

cat > openssl.cnf <<'CONFIG'
[ca]
default_ca = any
[any]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = names
copy_extensions = copy
[names]
organizationName = optional
commonName = supplied
[req]
distinguished_name = none
[none]
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[intermediate]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
authorityKeyIdentifier = keyid
CONFIG
: > index.txt

new_key() { # FILE ecdsa|rsa
  case $2 in
    ecdsa) openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>&1 ;;
    rsa) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1" 2>&1 ;;
  esac
}

root() { # NAME
  new_key "$1.key" ecdsa
  openssl req -new -x509 -config openssl.cnf -extensions root -key "$1.key" -subj "/O=Tidegate Peers/CN=$1" -days 30 -out "$1.pem"
}

sign() { # NAME ISSUER SECTION START END
  openssl ca -batch -notext -config openssl.cnf -extensions "$3" -in "$1.csr" -out "$1.crt" \
    -cert "$2.pem" -keyfile "$2.key" -startdate "$4" -enddate "$5" 2> "$1.log" || { cat "$1.log" >&2; return 1; }
}

now=$(date -u -d '1 hour ago' +%Y%m%d%H%M%SZ)
later=$(date -u -d '30 days' +%Y%m%d%H%M%SZ)

intermediate() { # NAME ISSUER
  new_key "$1.key" ecdsa
  openssl req -new -config openssl.cnf -key "$1.key" -subj "/O=Tidegate Peers/CN=$1" -out "$1.csr"
  sign "$1" "$2" intermediate "$now" "$later"
  cp "$1.crt" "$1.pem"
}

leaf() { # NAME ISSUER ecdsa|rsa USAGE ALTERNATIVE_NAMES [START END]
  new_key "$1.key" "$3"
  openssl req -new -config openssl.cnf -key "$1.key" -subj "/O=Tidegate Peers/CN=$1" \
    -addext "extendedKeyUsage=$4" -addext "subjectAltName=$5" -out "$1.csr"
  sign "$1" "$2" leaf "${6:-$now}" "${7:-$later}"
  cat "$1.crt" "$2.pem" > "$1.pem"
}

root root
intermediate servers-ca root
intermediate clients-ca root
local_names=DNS:localhost,IP:127.0.0.1
leaf server-ecdsa servers-ca ecdsa serverAuth "$local_names"
leaf server-rsa servers-ca rsa serverAuth "$local_names,DNS:rsa.test"
leaf other servers-ca ecdsa serverAuth DNS:other.test
leaf client clients-ca ecdsa clientAuth URI:spiffe://example.com/edge/one,DNS:one.edge.example.com
leaf client-rsa clients-ca rsa clientAuth DNS:two.edge.example.com
leaf server-only clients-ca ecdsa serverAuth DNS:server.example.com
leaf expired clients-ca ecdsa clientAuth DNS:expired.example.com \
  "$(date -u -d '10 days ago' +%Y%m%d%H%M%SZ)" "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)"
leaf not-yet clients-ca ecdsa clientAuth DNS:not-yet.example.com "$(date -u -d '1 day' +%Y%m%d%H%M%SZ)" "$later"
root stranger-root
leaf stranger stranger-root ecdsa clientAuth DNS:stranger.example.com
new_key self-signed.key ecdsa
openssl req -new -x509 -config openssl.cnf -extensions leaf -key self-signed.key -subj "/CN=self-signed" \
  -addext extendedKeyUsage=clientAuth -days 30 -out self-signed.pem

cat client.pem client.key > client-with-key.pem
rm -f ./*.csr ./*.crt ./*.log index.txt* [0-9A-F]*[0-9A-F].pem
