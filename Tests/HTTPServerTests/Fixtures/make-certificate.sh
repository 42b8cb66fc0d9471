#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes TLSFixture.swift: a self-signed certificate for localhost until the year 9999, and its key.
#   Tests/HTTPServerTests/Fixtures/make-certificate.sh > Tests/HTTPServerTests/Fixtures/TLSFixture.swift
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2910000 \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$directory/key.pem" -out "$directory/cert.pem" 2>/dev/null
printf '// SPDX-License-Identifier: Apache-2.0\n\n// Made by make-certificate.sh: do not edit.\n\n'
printf '/// A certificate for tests, known to everybody.\nenum TLSFixture {\n    static let certificate = """\n'
sed 's/^/        /' "$directory/cert.pem"
printf '        """\n\n    static let key = """\n'
sed 's/^/        /' "$directory/key.pem"
printf '        """\n}\n'
