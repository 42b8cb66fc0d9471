# SPDX-License-Identifier: Apache-2.0
"""What a running `pki serve-ca` has issued and says of it, asked for in the test's own process: many times a second."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from acme import key
from enrolling import Authority, Token
from peer import load

NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: the clock of a client is not the server's here."""


def csr(name: str, own: Any = None) -> bytes:
    """A request for a name, with a new key unless one is given."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(own or key(), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def asked(directory: Path, port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    context = ssl.create_default_context(cafile=str(directory / "root-cert.pem"))
    context.verify_flags |= NO_CHECK_TIME
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def enrolled(directory: Path, port: int, token: Token, request: bytes) -> tuple[int, x509.Certificate | None]:
    """Asks by EST: the status, and the certificate."""
    words = base64.b64encode(f"{token.identifier}:{token.secret}".encode()).decode()
    status, body = asked(
        directory, port, "POST", "/.well-known/est/simpleenroll", request, Authorization=f"Basic {words}", Content_Type="application/pkcs10"
    )
    return status, pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))[0] if status == 200 else None


def enrol(authority: Authority, token: Token, request: bytes) -> tuple[int, x509.Certificate | None]:
    return enrolled(authority.directory, authority.port, token, request)


def serials(authority: Authority) -> dict[str, list[int]]:
    """What the inventory has for each name, replaced certificates included."""
    found: dict[str, list[int]] = {}
    for row in authority.rows():
        if row["profile"] == "client":
            found.setdefault(str(row["name"]), []).append(int(str(row["serialNumber"]), 16))
    return found


def ocsp_answer(authority: Authority, certificate: x509.Certificate) -> ocsp.OCSPResponse:
    asking = ocsp.OCSPRequestBuilder().add_certificate(certificate, load(authority.root), hashes.SHA256()).build()
    status, body = asked(authority.directory, authority.port, "POST", "/ocsp", asking.public_bytes(serialization.Encoding.DER))
    assert status == 200
    return ocsp.load_der_ocsp_response(body)


def crl(authority: Authority) -> x509.CertificateRevocationList:
    status, body = asked(authority.directory, authority.port, "GET", "/crl/root.crl")
    assert status == 200
    return x509.load_der_x509_crl(body)


def number(revoked: x509.CertificateRevocationList) -> int:
    return revoked.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def server_certificate(running: Authority) -> x509.Certificate:
    context = ssl.create_default_context(cafile=str(running.root))
    context.verify_flags |= NO_CHECK_TIME
    with context.wrap_socket(socket.create_connection(("127.0.0.1", running.port), 60), server_hostname="127.0.0.1") as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
