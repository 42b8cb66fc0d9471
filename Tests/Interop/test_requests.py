# SPDX-License-Identifier: Apache-2.0
"""Requests that ask for more than they may have: refused, or issued without it. Nothing in between."""

from __future__ import annotations

import datetime
import ipaddress
import sqlite3
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from peer import load
from program import DONE, REFUSED, Pki, is_bookkeeping
from tools import openssl_verify

Builder = x509.CertificateSigningRequestBuilder
KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "guest")])
HOST = x509.DNSName("guest.example.org")

# What the profile client makes, and in what follows nothing else may stand.
PROFILE = {"2.5.29.19", "2.5.29.14", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.35"}


def plain(subject: x509.Name = NAME) -> Builder:
    return Builder().subject_name(subject)


def raw(identifier: str, value: bytes, *, critical: bool = False) -> Callable[[], bytes]:
    """A request for one extension, in whatever bytes."""
    extension = x509.UnrecognizedExtension(ObjectIdentifier(identifier), value)
    return lambda: signed(plain().add_extension(extension, critical))


def known(extension: x509.ExtensionType, *, critical: bool = False) -> Callable[[], bytes]:
    return lambda: signed(plain().add_extension(extension, critical))


def names(*general: x509.GeneralName) -> Callable[[], bytes]:
    return known(x509.SubjectAlternativeName(general))


def subject(identifier: ObjectIdentifier, value: str) -> Callable[[], bytes]:
    def build() -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return signed(plain(x509.Name([x509.NameAttribute(identifier, value, _validate=False)])))

    return build


def attribute(identifier: str, value: bytes) -> Callable[[], bytes]:
    return lambda: signed(plain().add_attribute(ObjectIdentifier(identifier), value))


def signed(builder: Builder, key: object = KEY, algorithm: hashes.HashAlgorithm | None = hashes.SHA256()) -> bytes:
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]


def by(key: object, algorithm: hashes.HashAlgorithm | None = hashes.SHA256()) -> Callable[[], bytes]:
    return lambda: signed(plain(), key, algorithm)


def changed(old: bytes, new: bytes) -> Callable[[], bytes]:
    """A good request, with bytes replaced after it was signed."""

    def build() -> bytes:
        request = signed(plain())
        assert old in request
        return request.replace(old, new, 1)

    return build


def der(tag: int, contents: bytes) -> bytes:
    count = len(contents)
    length = bytes([count]) if count < 128 else bytes([0x82, count >> 8, count & 255])
    return bytes([tag]) + length + contents


def assembled(*attributes: bytes) -> bytes:
    """A request put together by hand, with attributes that no library would write."""
    key = KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    info = der(0x30, b"\x02\x01\x00" + NAME.public_bytes() + key + der(0xA0, b"".join(attributes)))
    signature = KEY.sign(info, ec.ECDSA(hashes.SHA256()))
    return der(0x30, info + bytes.fromhex("300a06082a8648ce3d040302") + der(0x03, b"\0" + signature))


def requested(identifier: str, *extensions: bytes) -> bytes:
    """An attribute that asks for extensions."""
    return der(0x30, der(0x06, bytes.fromhex(identifier)) + der(0x31, der(0x30, b"".join(extensions))))


# PKCS#9's extensionRequest, and what Microsoft had before.
PKCS9, MICROSOFT = "2a864886f70d01090e", "2b06010401823702010e"
CA = bytes.fromhex("300f0603551d130101ff040530030101ff")
SERVER_NAME = der(
    0x30, bytes.fromhex("0603551d11") + der(0x04, x509.SubjectAlternativeName([HOST]).public_bytes())
)


def with_sha1() -> bytes:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = subprocess.run(
        ["openssl", "req", "-new", "-sha1", "-subj", "/CN=guest", "-key", "/dev/stdin", "-outform", "DER"],
        input=key, capture_output=True, check=True,
    )  # fmt: skip
    return made.stdout


CASES: dict[str, Callable[[], bytes]] = {
    "a CA": known(x509.BasicConstraints(ca=True, path_length=None), critical=True),
    "a CA, by the way": known(x509.BasicConstraints(ca=True, path_length=3)),
    "no CA": known(x509.BasicConstraints(ca=False, path_length=None)),
    "a CA in odd bytes": raw("2.5.29.19", b"\x30\x03\x01\x01\x01"),
    "to sign certificates": known(
        x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
    ),
    "any key usage": raw("2.5.29.15", b"\x03\x03\x07\xff\x80", critical=True),
    "to be a server": known(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
    "to sign programs": known(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=True),
    "to sign OCSP": known(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])),
    "any purpose": known(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
    "name constraints": known(x509.NameConstraints([x509.DNSName("org")], None), critical=True),
    "a policy": known(
        x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier("2.23.140.1.2.1"), None)])
    ),
    "policy constraints": known(x509.PolicyConstraints(0, 0), critical=True),
    "no any-policy": known(x509.InhibitAnyPolicy(0), critical=True),
    "another's key identifier": known(x509.SubjectKeyIdentifier(b"\1" * 20)),
    "an issuer of its choice": known(x509.AuthorityKeyIdentifier(b"\2" * 20, None, None)),
    "a list elsewhere": known(
        x509.CRLDistributionPoints(
            [x509.DistributionPoint([x509.UniformResourceIdentifier("http://evil/crl")], None, None, None)]
        )
    ),
    "an OCSP responder": known(
        x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://evil/ocsp")
                )
            ]
        )
    ),
    "no revocation check": known(x509.OCSPNoCheck()),
    "must staple": known(x509.TLSFeature([x509.TLSFeatureType.status_request])),
    "a precertificate's poison": known(x509.PrecertPoison(), critical=True),
    "Netscape's certificate type": raw("2.16.840.1.113730.1.1", b"\x03\x02\x01\x06"),
    "something critical and unknown": raw("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True),
    "something unknown": raw("1.3.6.1.4.1.99999.2", b"\x05\x00"),
    "an issuer's alternative name": known(x509.IssuerAlternativeName([HOST])),
    "directory attributes": raw("2.5.29.9", b"\x30\x00"),
    "a private key's period": raw("2.5.29.16", b"\x30\x00"),
    "a CA in Microsoft's attribute": lambda: assembled(requested(MICROSOFT, CA)),
    "a CA behind a second request": lambda: assembled(requested(PKCS9, SERVER_NAME), requested(PKCS9, CA)),
    "a CA in both attributes": lambda: assembled(requested(PKCS9, SERVER_NAME), requested(MICROSOFT, CA)),
    "a challenge password": attribute("1.2.840.113549.1.9.7", b"secret"),
    "an unstructured name": attribute("1.2.840.113549.1.9.2", b"name"),
    "alternative names twice": lambda: assembled(requested(PKCS9, SERVER_NAME, SERVER_NAME)),
    "an other name": names(x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05admin")),
    "a registered identifier": names(x509.RegisteredID(ObjectIdentifier("1.2.3"))),
    "a NUL in a host": raw("2.5.29.17", b"\x30\x10\x82\x0ea.example\x00.org"),
    "a host with a blank": raw("2.5.29.17", b"\x30\x0d\x82\x0ba b.example"),
    "two stars": names(x509.DNSName("*.*.example.org")),
    "a star in the middle": names(x509.DNSName("a.*.example.org")),
    "a star and more": names(x509.DNSName("a*.example.org")),
    "an address of five octets": raw("2.5.29.17", b"\x30\x07\x87\x05\x01\x02\x03\x04\x05"),
    "no names at all": raw("2.5.29.17", b"\x30\x00"),
    "names that are none": raw("2.5.29.17", b"\x04\x00"),
    "a relative URI": raw("2.5.29.17", b"\x30\x06\x86\x04/etc"),
    "a long common name": subject(NameOID.COMMON_NAME, "x" * 65),
    "a control character": subject(NameOID.COMMON_NAME, "guest\x07\n"),
    "an empty value": changed(b"\x0c\x05guest", b"\x0c\x05\0\0\0\0\0"),
    "a country of three letters": subject(NameOID.COUNTRY_NAME, "USA"),
    "another's signature": changed(b"\x0c\x05guest", b"\x0c\x05admin"),
    "SHA-1": with_sha1,
    "1,024 bits": by(rsa.generate_private_key(65537, 1024)),
    "an exponent of 3": by(rsa.generate_private_key(3, 2048)),
    "P-192": by(ec.generate_private_key(ec.SECP192R1())),
    "Bitcoin's curve": by(ec.generate_private_key(ec.SECP256K1())),
    "Ed25519": by(ed25519.Ed25519PrivateKey.generate(), None),
    "DSA": by(dsa.generate_private_key(2048)),
    "more behind the end": lambda: signed(plain()) + b"\x05\x00",
    "nothing": lambda: b"",
    "half of it": lambda: signed(plain())[:100],
    "good names": names(HOST, x509.IPAddress(ipaddress.ip_address("192.0.2.7"))),
}


@pytest.fixture(scope="module")
def folder(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Pki, Path]:
    home = tmp_path_factory.mktemp("requests")
    pki = Pki(home, built)
    pki.run("init-ca", "--directory", home / "ca", "--path-length", "1")
    return pki, home / "ca"


def there(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not is_bookkeeping(path)}


def rows(folder: Path) -> int:
    connection = sqlite3.connect(f"file:{folder / 'inventory.sqlite'}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM certificates").fetchone()[0])
    finally:
        connection.close()


def test_there_are_enough() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES)
def test_request(folder: tuple[Pki, Path], case: str, tmp_path: Path) -> None:
    pki, ca = folder
    request = tmp_path / "request.der"
    request.write_bytes(CASES[case]())
    name = "r" + "".join(letter if letter.isalnum() else "-" for letter in case.lower())[:40]
    before, known_before = there(ca), rows(ca)
    result = pki.run("issue-client", "--directory", ca, "--name", name, "--csr", request, status=None)
    if result.status != DONE:
        assert result.status == REFUSED, result.describe()
        assert "\n" not in result.error and "\x07" not in result.error and len(result.error) > 20
        assert there(ca) == before and rows(ca) == known_before
        assert case != "good names", result.describe()
        return
    certificate = load(ca / f"{name}-cert.pem")
    assert {extension.oid.dotted_string for extension in certificate.extensions} == PROFILE
    find = certificate.extensions.get_extension_for_class
    assert not find(x509.BasicConstraints).value.ca
    assert list(find(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    usage = find(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.crl_sign
    assert find(x509.SubjectKeyIdentifier).value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    root = load(ca / "root-cert.pem")
    assert find(x509.AuthorityKeyIdentifier).value == x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < datetime.timedelta(days=366)
    openssl_verify(ca / "root-cert.pem", ca / f"{name}-cert.pem")
    assert rows(ca) == known_before + 1


def test_what_a_request_says_is_taken_where_it_may(folder: tuple[Pki, Path], tmp_path: Path) -> None:
    pki, ca = folder
    request = tmp_path / "good.der"
    request.write_bytes(CASES["good names"]())
    said = pki.run(
        "issue-client", "--directory", ca, "--name", "good", "--csr", request, "--accept-subject", "--accept-names"
    ).stderr
    assert "taken from" in said and "CN=guest" in said and "DNS:guest.example.org" in said
    certificate = load(ca / "good-cert.pem")
    assert certificate.public_key() == KEY.public_key() and certificate.subject == NAME
    asked = x509.SubjectAlternativeName([HOST, x509.IPAddress(ipaddress.ip_address("192.0.2.7"))])
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == asked


def test_an_intermediate_gets_what_the_template_says(folder: tuple[Pki, Path], tmp_path: Path) -> None:
    """A CA's request asks to be one, as they all do, and for more than it gets."""
    pki, ca = folder
    request = tmp_path / "ca.der"
    request.write_bytes(
        signed(
            plain(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuing 7")]))
            .add_extension(x509.BasicConstraints(ca=True, path_length=5), True)
            .add_extension(x509.KeyUsage(True, True, True, True, True, True, True, False, False), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)
        )
    )
    pki.run("issue-intermediate", "--directory", ca, "--name", "issuing-7", "--csr", request)
    certificate = load(ca / "issuing-7-cert.pem")
    found = {extension.oid.dotted_string for extension in certificate.extensions}
    assert found == PROFILE - {"2.5.29.37", "2.5.29.17"}
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and usage.crl_sign and not usage.key_encipherment and not usage.data_encipherment
