#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes TLSFixture.swift: certificates until the year 9999 and their keys. One for localhost that signed itself, a root for clients,
# and a client's from it.
#   Tests/HTTPServerTests/Fixtures/make-certificate.sh > Tests/HTTPServerTests/Fixtures/TLSFixture.swift
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
make() {
    name=$1
    shift
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2910000 \
        -keyout "$name.key" -out "$name.pem" "$@" 2>/dev/null
}
make server -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1
make clients -subj '/CN=root of clients'
make client -subj '/CN=a client' -CA clients.pem -CAkey clients.key -addext extendedKeyUsage=clientAuth \
    -addext basicConstraints=critical,CA:false
printf '// SPDX-License-Identifier: Apache-2.0\n\n// Made by make-certificate.sh: do not edit.\n\n'
printf '/// A certificate for tests, known to everybody.\nstruct TLSFixture {\n    let certificate: String\n    let key: String\n'
for name in server clients client; do
    printf '\n    static let %s = TLSFixture(\n        certificate: """\n' "$name"
    sed 's/^/            /' "$name.pem"
    printf '            """,\n        key: """\n'
    sed 's/^/            /' "$name.key"
    printf '            """\n    )\n'
done
printf '}\n'
