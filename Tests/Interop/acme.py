# SPDX-License-Identifier: Apache-2.0
"""An ACME client in the test's own hand (RFC 8555): every part of a request can be made wrong."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from enrolling import Authority, Token

ERROR = "urn:ietf:params:acme:error:"
# IANA's registry of ACME error types (RFC 8555 §9.7.4, RFC 9773 §7.4).
REGISTERED = set(
    """accountDoesNotExist alreadyReplaced alreadyRevoked badCSR badNonce badPublicKey badRevocationReason badSignatureAlgorithm
    caa compound connection dns externalAccountRequired incorrectResponse invalidContact malformed orderNotReady rateLimited
    rejectedIdentifier serverInternal tls unauthorized unsupportedContact unsupportedIdentifier userActionRequired""".split()
)
JOSE = "application/jose+json"


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def jwk(key: Any) -> dict[str, str]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    size = (public.curve.key_size + 7) // 8
    point = public.public_numbers()
    return {"kty": "EC", "crv": f"P-{public.curve.key_size}", "x": number(point.x, size), "y": number(point.y, size)}


def algorithm(key: Any) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    return {256: "ES256", 384: "ES384", 521: "ES512"}[key.curve.key_size]


def signature(key: Any, signed: bytes) -> bytes:
    if isinstance(key, bytes):
        return hmac.digest(key, signed, "sha256")
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    size = (key.curve.key_size + 7) // 8
    digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def jws(key: Any, header: dict[str, Any], payload: Any) -> dict[str, str]:
    """`None` is the empty payload of POST-as-GET."""
    protected = b64(json.dumps(header).encode())
    body = "" if payload is None else b64(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return {"protected": protected, "payload": body, "signature": b64(signature(key, f"{protected}.{body}".encode()))}


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def request_for(names: list[str], own: Any = None, common_name: str | None = None, extra: list[x509.GeneralName] | None = None) -> bytes:
    """A certificate request for host names, in DER."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives + (extra or [])), critical=False)
    return builder.sign(own or key(), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The type of the problem, which is told in the right form."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        assert self.headers["Replay-Nonce"], "a client takes its next nonce from an error, too"
        assert self.json["status"] == self.status and self.json["type"].startswith(ERROR), self.body
        kind = self.json["type"].removeprefix(ERROR)
        assert kind in REGISTERED, kind
        return kind


@dataclass
class Client:
    """One key, and the account that it may have."""

    authority: Authority
    key: Any = field(default_factory=key)
    kid: str | None = None
    _nonce: str | None = None

    def send(self, method: str, url: str, body: bytes | None = None, content_type: str = JOSE, host: str | None = None) -> Reply:
        context = ssl.create_default_context(cafile=str(self.authority.root))
        connection = http.client.HTTPSConnection("localhost", self.authority.port, timeout=60, context=context)
        try:
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request(method, url.removeprefix(self.base), body, headers | ({"Host": host} if host else {}))
            response = connection.getresponse()
            reply = Reply(response.status, response.headers, response.read())
        finally:
            connection.close()
        self._nonce = reply.headers["Replay-Nonce"] or self._nonce
        return reply

    @property
    def base(self) -> str:
        return f"https://localhost:{self.authority.port}"

    @property
    def directory(self) -> dict[str, Any]:
        return self.send("GET", f"{self.base}/acme/directory").json

    def nonce(self) -> str:
        taken = self._nonce or self.send("HEAD", f"{self.base}/acme/new-nonce").headers["Replay-Nonce"]
        self._nonce = None
        return taken

    def header(self, url: str, /, **changes: Any) -> dict[str, Any]:
        """The protected header; a change to None leaves a member out."""
        whole: dict[str, Any] = {"alg": algorithm(self.key), "nonce": None, "url": url}
        whole |= {"kid": self.kid} if self.kid else {"jwk": jwk(self.key)}
        whole |= changes
        if "nonce" not in changes:
            whole["nonce"] = self.nonce()
        return {name: value for name, value in whole.items() if value is not None}

    def message(self, url: str, payload: Any = None, /, sign_by: Any = None, **changes: Any) -> bytes:
        return json.dumps(jws(sign_by or self.key, self.header(url, **changes), payload)).encode()

    def post(self, url: str, payload: Any = None, /, sign_by: Any = None, **changes: Any) -> Reply:
        return self.send("POST", url, self.message(url, payload, sign_by, **changes))

    # The way to a certificate.

    def binding(self, token: Token, url: str, mac_key: bytes | None = None, **changes: Any) -> dict[str, str]:
        secret = base64.urlsafe_b64decode(token.secret + "=")
        header = {"alg": "HS256", "kid": token.identifier, "url": url} | changes
        return jws(mac_key or secret, {n: v for n, v in header.items() if v is not None}, jwk(self.key))

    def register(self, token: Token) -> Client:
        url = self.directory["newAccount"]
        reply = self.post(url, {"externalAccountBinding": self.binding(token, url), "contact": ["mailto:ops@example.com"]})
        assert reply.status == 201, reply.body
        self.kid = reply.headers["Location"]
        return self

    def order(self, *names: str, **members: Any) -> Reply:
        identifiers = [{"type": "ip" if name[0].isdigit() else "dns", "value": name} for name in names]
        return self.post(self.directory["newOrder"], {"identifiers": identifiers, **members})

    def finalize(self, order: dict[str, Any], request: bytes) -> Reply:
        return self.post(order["finalize"], {"csr": b64(request)})

    def certificate(self, *names: str, own: Any = None, **members: Any) -> x509.Certificate:
        """Orders, finalises and downloads."""
        order = self.order(*names, **members)
        assert order.status == 201 and order.json["status"] == "ready", order.body
        done = self.finalize(order.json, request_for(list(names), own))
        assert done.status == 200 and done.json["status"] == "valid", done.body
        reply = self.post(done.json["certificate"])
        assert reply.headers["Content-Type"] == "application/pem-certificate-chain", reply
        return x509.load_pem_x509_certificates(reply.body)[0]


def client(authority: Authority, name: str, *options: str) -> Client:
    """A client with an account by a token for a name."""
    return Client(authority).register(authority.token(name, *options))


def renewal_identifier(certificate: x509.Certificate) -> str:
    """RFC 9773 §4.1."""
    issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    serial = certificate.serial_number
    return f"{b64(issuer or b'')}.{b64(serial.to_bytes(serial.bit_length() // 8 + 1, 'big'))}"
