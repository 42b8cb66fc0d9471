# SPDX-License-Identifier: Apache-2.0
"""Certificates and signed requests made by Python's cryptography: the other side of every comparison with pki."""

from __future__ import annotations

import base64
import hashlib
import http.client
import ipaddress
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)

KEY_TYPES = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096")
RSA_KEYS: dict[str, list[rsa.RSAPrivateKey]] = {}
MLDSA_TYPES = ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87")


def generate_key(key_type: str) -> PrivateKey:
    match key_type:
        case "ec-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ec-p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ml-dsa-44":
            return mldsa.MLDSA44PrivateKey.generate()
        case "ml-dsa-65":
            return mldsa.MLDSA65PrivateKey.generate()
        case "ml-dsa-87":
            return mldsa.MLDSA87PrivateKey.generate()
    # Large ones take seconds to make: three of a size are used in turn.
    made, size = RSA_KEYS.setdefault(key_type, []), int(key_type.removeprefix("rsa-"))
    made.append(made.pop(0) if len(made) == 3 else rsa.generate_private_key(public_exponent=65537, key_size=size))
    return made[-1]


def key_type_of(key: Any) -> str:
    """The name that pki gives to a key's type, private or public."""
    if hasattr(key, "key_size"):
        return f"{'rsa-' if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)) else 'ec-p'}{key.key_size}"
    return f"ml-dsa-{type(key).__name__[5:7]}"


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def load(cls, certificate: Path, key: Path, password: bytes | None = None) -> Identity:
        return cls(
            load(certificate),
            load_pem_private_key(key.read_bytes(), password),
        )

    def write(self, folder: Path, name: str, chain: Sequence[Identity] = ()) -> tuple[Path, Path]:
        """Writes NAME-cert.pem, followed by the chain if there is one, and NAME-key.pem; returns the two."""
        certificate, key = folder / f"{name}-cert.pem", folder / f"{name}-key.pem"
        certificate.write_bytes(b"".join(pem(one.certificate) for one in (self, *chain)))
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key.chmod(0o600)
        return certificate, key

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """The name of the request's algorithm, and the signature."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return "AWS4-X509-RSA-SHA256", self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return "AWS4-X509-ECDSA-SHA256", self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        return "AWS4-X509-MLDSA", self.key.sign(message)


def load(path: Path) -> x509.Certificate:
    """The first certificate of a file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def root_of(folder: Path) -> Identity:
    """The root of a CA's directory."""
    return Identity.load(folder / "root-cert.pem", folder / "root-key.pem")


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def key_usage(*names: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in names for name in every})


def issue(
    issuer: Identity | None,
    common_name: str = "peer",
    *,
    key: PrivateKey | None = None,
    key_type: str = "ec-p256",
    ca: bool = False,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = None,
    subject: x509.Name | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    digest: hashes.HashAlgorithm | None = None,
    serial: int | None = None,
    hosts: Sequence[str] = (),
) -> Identity:
    """Makes a certificate; without an issuer it signs itself. `hosts` are names and addresses for a TLS server."""
    key = key or generate_key(key_type)
    signer = issuer.key if issuer else key
    subject = subject if subject is not None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC).replace(microsecond=0)
    usage = usage or (key_usage("key_cert_sign", "crl_sign") if ca else key_usage("digital_signature"))
    issuer_key = issuer.certificate.public_key() if issuer else key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before or now - timedelta(minutes=5))
        .not_valid_after(not_after or now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
    if hosts:
        names = [
            x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    classical = isinstance(signer, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))
    return Identity(builder.sign(signer, (digest or hashes.SHA256()) if classical else None), key)


@dataclass
class SignedRequest:
    """A CreateSession request, open to tampering before it is sent."""

    target: str
    headers: dict[str, str]
    body: bytes

    def send(self, endpoint: str, context: ssl.SSLContext | None = None, method: str = "POST") -> Reply:
        scheme, _, rest = endpoint.partition("://")
        address = rest.split("/", 1)[0]
        connection = (
            http.client.HTTPSConnection(address, timeout=20, context=context)
            if scheme == "https"
            else http.client.HTTPConnection(address, timeout=20)
        )
        try:
            connection.putrequest(method, self.target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body)
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, from the header if it is there, else from the body."""
        lowered = {name.lower(): value for name, value in self.headers.items()}
        code = lowered.get("x-amzn-errortype") or self.document.get("code") or self.document.get("__type") or ""
        return code.split(":")[0].split("#")[-1]


def create_session(
    identity: Identity,
    address: str,
    arns: dict[str, str],
    *,
    arns_in_body: bool = False,
    chain: Sequence[Identity] = (),
    region: str = "us-east-1",
    path: str = "/sessions",
    date: datetime | None = None,
    body: dict[str, Any] | None = None,
    content_type: str = "application/json",
    signed: Sequence[str] | None = None,
    serial: str | None = None,
    service: str = "rolesanywhere",
    algorithm: str | None = None,
    extra_headers: dict[str, str] | None = None,
) -> SignedRequest:
    """Signs a CreateSession; each keyword is one way to have it right, or wrong."""
    moment = (date or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    document = {"durationSeconds": 3600} if body is None else dict(body)
    query = ""
    if arns_in_body:
        document |= arns
    else:
        query = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in sorted(arns.items()))
    payload = json.dumps(document).encode()
    headers = {
        "Host": address,
        "Content-Type": content_type,
        "X-Amz-Date": moment,
        "X-Amz-X509": base64.b64encode(identity.certificate.public_bytes(Encoding.DER)).decode(),
        **(extra_headers or {}),
    }
    if chain:
        headers["X-Amz-X509-Chain"] = ",".join(
            base64.b64encode(one.certificate.public_bytes(Encoding.DER)).decode() for one in chain
        )
    values = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    names = sorted(values if signed is None else signed)
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    canonical = "\n".join(
        ["POST", path, query]
        + [f"{name}:{values.get(name, '')}" for name in names]
        + ["", ";".join(names), hashlib.sha256(payload).hexdigest()]
    )
    used = algorithm or identity.sign(b"")[0]
    message = "\n".join([used, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = identity.sign(message.encode())[1].hex()
    number = serial or str(identity.certificate.serial_number)
    headers["Authorization"] = (
        f"{used} Credential={number}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return SignedRequest(f"{path}?{query}" if query else path, headers, payload)
