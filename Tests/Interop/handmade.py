# SPDX-License-Identifier: Apache-2.0
"""Certificates and revocation lists put together byte by byte, with every defect that a library would refuse to make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NOW = datetime.now(UTC).replace(microsecond=0)


def tlv(tag: int, *parts: bytes) -> bytes:
    contents = b"".join(parts)
    count = len(contents)
    if count < 0x80:
        return bytes([tag, count]) + contents
    length = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + contents


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(number: int) -> bytes:
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def enumerated(number: int) -> bytes:
    return tlv(0x0A, bytes([number]))


def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    contents = b""
    for arc in [first * 40 + second, *rest]:
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.insert(0, arc & 0x7F | 0x80)
        contents += bytes(octets)
    return tlv(0x06, contents)


def utf8(text: str) -> bytes:
    return tlv(0x0C, text.encode())


def printable(text: str) -> bytes:
    return tlv(0x13, text.encode())


def bit_string(octets: bytes, unused: int = 0) -> bytes:
    return tlv(0x03, bytes([unused]), octets)


def utc(moment: datetime) -> bytes:
    return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def generalized(moment: datetime) -> bytes:
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def attribute(identifier: str, value: bytes) -> bytes:
    return sequence(oid(identifier), value)


def name(*attributes: bytes) -> bytes:
    """A name with an attribute in each relative name."""
    return sequence(*(tlv(0x31, one) for one in attributes))


def common_name(text: str) -> bytes:
    return name(attribute("2.5.4.3", utf8(text)))


def extension(identifier: str, value: bytes, critical: bool = False) -> bytes:
    return sequence(oid(identifier), tlv(0x01, b"\xff") if critical else b"", tlv(0x04, value))


def extensions(*members: bytes) -> bytes:
    return tlv(0xA3, sequence(*members))


ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"))
RSA_SHA256 = sequence(oid("1.2.840.113549.1.1.11"), b"\x05\x00")


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_identifier(key: Key) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return sha1(point).digest()
    return sha1(key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).digest()


def sign(key: Key, message: bytes, digest: hashes.HashAlgorithm | None = None) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), digest or hashes.SHA256())
    return key.sign(message, ec.ECDSA(digest or hashes.SHA256()))


def subject_key(key: Key) -> bytes:
    return extension("2.5.29.14", tlv(0x04, key_identifier(key)))


def authority_key(key: Key) -> bytes:
    return extension("2.5.29.35", sequence(tlv(0x80, key_identifier(key))))


def key_usage(*bits: int, critical: bool = True) -> bytes:
    number = sum(1 << (15 - bit) for bit in bits)
    octets = number.to_bytes(2, "big").rstrip(b"\x00")
    unused = (octets[-1] & -octets[-1]).bit_length() - 1 if octets else 0
    return extension("2.5.29.15", bit_string(octets, unused), critical)


def basic_constraints(ca: bool, length: int | None = None, critical: bool = True) -> bytes:
    parts = [tlv(0x01, b"\xff")] if ca else []
    if length is not None:
        parts.append(integer(length))
    return extension("2.5.29.19", sequence(*parts), critical)


def extended_usage(*identifiers: str, critical: bool = False) -> bytes:
    return extension("2.5.29.37", sequence(*map(oid, identifiers)), critical)


def alternative_names(*names: bytes, critical: bool = False) -> bytes:
    return extension("2.5.29.17", sequence(*names), critical)


def dns(text: str) -> bytes:
    return tlv(0x82, text.encode())


def subtree(base: bytes, *distances: bytes) -> bytes:
    return sequence(base, *distances)


def name_constraints(*permitted: bytes, critical: bool = True) -> bytes:
    return extension("2.5.29.30", sequence(tlv(0xA0, *permitted) if permitted else b""), critical)


CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
DIGITAL_SIGNATURE, NON_REPUDIATION, KEY_ENCIPHERMENT, _, KEY_AGREEMENT, KEY_CERT_SIGN, CRL_SIGN, ENCIPHER_ONLY = range(8)

CA_USAGE = key_usage(KEY_CERT_SIGN, CRL_SIGN)


@dataclass(frozen=True)
class Made:
    """Every field of a certificate, as DER. `replace` makes the defect; `der` signs."""

    issuer_key: Key
    public_key: bytes
    subject: bytes = field(default_factory=lambda: common_name("leaf"))
    issuer: bytes = field(default_factory=lambda: common_name("Root"))
    version: bytes = tlv(0xA0, integer(2))
    serial: bytes = integer(0x1234567890ABCDEF)
    not_before: bytes = utc(NOW - timedelta(hours=1))
    not_after: bytes = utc(NOW + timedelta(days=30))
    after_key: bytes = b""
    members: Sequence[bytes] = ()
    """The extensions; None in `whole_extensions` builds the field from them."""
    whole_extensions: bytes | None = None
    algorithm: bytes = ECDSA_SHA256
    outer_algorithm: bytes | None = None
    digest: hashes.HashAlgorithm | None = None

    def der(self) -> bytes:
        signed = sequence(
            self.version,
            self.serial,
            self.algorithm,
            self.issuer,
            sequence(self.not_before, self.not_after),
            self.subject,
            self.public_key,
            self.after_key,
            extensions(*self.members) if self.whole_extensions is None else self.whole_extensions,
        )
        signature = bit_string(sign(self.issuer_key, signed, self.digest))
        return sequence(signed, self.outer_algorithm or self.algorithm, signature)

    def but(self, **fields) -> Made:
        return replace(self, **fields)

    def plus(self, *members: bytes) -> Made:
        return replace(self, members=(*self.members, *members))

    def without(self, identifier: str) -> Made:
        wanted = oid(identifier)
        return replace(self, members=tuple(one for one in self.members if wanted not in one[:16]))

    def swap(self, identifier: str, member: bytes) -> Made:
        """The same with another extension in place of one."""
        return self.without(identifier).plus(member)


@dataclass(frozen=True)
class MadeList:
    """Every field of a revocation list, as DER."""

    issuer_key: Key
    issuer: bytes = field(default_factory=lambda: common_name("Root"))
    version: bytes = integer(1)
    this_update: bytes = utc(NOW - timedelta(hours=1))
    next_update: bytes = utc(NOW + timedelta(days=7))
    entries: bytes = b""
    members: Sequence[bytes] = ()
    has_extensions: bool = True
    algorithm: bytes = ECDSA_SHA256
    digest: hashes.HashAlgorithm | None = None

    def der(self) -> bytes:
        signed = sequence(
            self.version,
            self.algorithm,
            self.issuer,
            self.this_update,
            self.next_update,
            self.entries,
            tlv(0xA0, sequence(*self.members)) if self.has_extensions else b"",
        )
        return sequence(signed, self.algorithm, bit_string(sign(self.issuer_key, signed, self.digest)))

    def but(self, **fields) -> MadeList:
        return replace(self, **fields)

    def plus(self, *members: bytes) -> MadeList:
        return replace(self, members=(*self.members, *members))

    def swap(self, identifier: str, *members: bytes) -> MadeList:
        wanted = oid(identifier)
        kept = tuple(one for one in self.members if wanted not in one[:16])
        return replace(self, members=(*kept, *members))

    def revoking(self, *entries: bytes) -> MadeList:
        return replace(self, entries=sequence(*entries))


def entry(serial: bytes | int, *members: bytes, moment: bytes | None = None) -> bytes:
    number = integer(serial) if isinstance(serial, int) else serial
    return sequence(number, moment or utc(NOW - timedelta(hours=2)), sequence(*members) if members else b"")


def reason(number: int, critical: bool = False) -> bytes:
    return extension("2.5.29.21", enumerated(number), critical)


def crl_number(number: bytes | int, critical: bool = False) -> bytes:
    value = integer(number) if isinstance(number, int) else tlv(0x02, number)
    return extension("2.5.29.20", value, critical)
