# SPDX-License-Identifier: Apache-2.0
"""A defective certificate or list for each rule of `pki lint`, and the sound ones that they are made from."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from datetime import timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import handmade as h
from handmade import Made, MadeList
from tools import openssl

BC, KU, EKU, SAN, SKI, AKI, NC = (
    "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.14", "2.5.29.35", "2.5.29.30",
)  # fmt: skip


@functools.cache
def root_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def leaf_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def root() -> Made:
    return Made(
        root_key(), h.spki(root_key()), subject=h.common_name("Root"),
        members=(h.basic_constraints(True), h.CA_USAGE, h.subject_key(root_key())),
    )  # fmt: skip


def intermediate() -> Made:
    return Made(
        root_key(), h.spki(leaf_key()), subject=h.common_name("Sub"),
        members=(
            h.basic_constraints(True, 0), h.CA_USAGE, h.subject_key(leaf_key()), h.authority_key(root_key()),
        ),
    )  # fmt: skip


def client() -> Made:
    return Made(
        root_key(), h.spki(leaf_key()),
        members=(
            h.key_usage(h.DIGITAL_SIGNATURE), h.extended_usage(h.CLIENT_AUTH), h.subject_key(leaf_key()),
            h.authority_key(root_key()), h.alternative_names(h.dns("web-1.example.com")),
        ),
    )  # fmt: skip


def server() -> Made:
    return client().swap(EKU, h.extended_usage(h.SERVER_AUTH))


def crl() -> MadeList:
    return MadeList(root_key(), members=(h.authority_key(root_key()), h.crl_number(7)))


def named(*attributes: bytes) -> Made:
    return client().but(subject=h.name(*attributes))


def with_names(*names: bytes) -> Made:
    return client().swap(SAN, h.alternative_names(*names))


def rsa_spki(modulus: int, exponent: int) -> bytes:
    algorithm = h.sequence(h.oid("1.2.840.113549.1.1.1"), b"\x05\x00")
    return h.sequence(algorithm, h.bit_string(h.sequence(h.integer(modulus), h.integer(exponent))))


def with_rsa(modulus: int | None = None, exponent: int = 65537) -> Made:
    number = rsa_key().public_key().public_numbers().n if modulus is None else modulus
    return client().but(public_key=rsa_spki(number, exponent))


def with_curve(curve: ec.EllipticCurve) -> Made:
    return client().but(public_key=h.spki(ec.generate_private_key(curve)))


def explicit_curve() -> bytes:
    """The SubjectPublicKeyInfo of a P-256 key whose curve is written out."""
    key = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit").stdout
    text = openssl("pkey", "-pubout", input=key.encode()).stdout
    return openssl_der(text)


def openssl_der(text: str) -> bytes:
    return base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))


def compressed() -> bytes:
    point = leaf_key().public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = h.sequence(h.oid("1.2.840.10045.2.1"), h.oid("1.2.840.10045.3.1.7"))
    return h.sequence(algorithm, h.bit_string(point))


def dsa_key() -> bytes:
    key = dsa.generate_private_key(2048)
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def edwards() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def long_lengths() -> Made:
    """A subject whose outer length takes two octets where one is enough."""
    inside = h.tlv(0x31, h.attribute("2.5.4.3", h.utf8("leaf")))
    return client().but(subject=bytes([0x30, 0x81, len(inside)]) + inside)


def unsorted() -> Made:
    attributes = [h.attribute("2.5.4.11", h.utf8("Unit")), h.attribute("2.5.4.3", h.utf8("leaf"))]
    return client().but(subject=h.sequence(h.tlv(0x31, *sorted(attributes, reverse=True))))


def pair(first: bytes, second: bytes) -> list[bytes]:
    return [first, second]


def outliving() -> list[bytes]:
    return pair(client().but(not_after=h.utc(h.NOW + timedelta(days=60))).der(), root().der())


OID = "1.3.6.1.4.1.99999.1"
SHA1_ECDSA = h.sequence(h.oid("1.2.840.10045.4.1"))
PAST = h.utc(h.NOW - timedelta(minutes=5))

# Each case: the rule, what to lint as, and what is made. A list is linted as one file, its first object is judged.
Case = tuple[str, str | None, Callable[[], bytes | list[bytes]]]

CERTIFICATES: dict[str, Case] = {
    "a length too long": ("der-encoding", None, lambda: long_lengths().der()),
    "a set out of order": ("der-encoding", None, lambda: unsorted().der()),
    "padding that is not zero": (
        "der-encoding", None, lambda: client().swap(KU, h.extension(KU, h.bit_string(b"\xc0", 7), True)).der(),
    ),
    "criticality false written": (
        "der-default", None,
        lambda: client().swap(
            SKI, h.sequence(h.oid(SKI), h.tlv(1, b"\0"), h.tlv(4, h.tlv(4, h.key_identifier(leaf_key()))))
        ).der(),
    ),
    "CA false written": (
        "der-default", None, lambda: client().plus(h.extension(BC, h.sequence(h.tlv(1, b"\0")), True)).der(),
    ),
    "version 1": ("version", None, lambda: client().but(version=b"", whole_extensions=b"").der()),
    "version 1 with extensions": ("version", None, lambda: client().but(version=b"").der()),
    "version 2": ("version", None, lambda: client().but(version=h.tlv(0xA0, h.integer(1))).der()),
    "a unique identifier": (
        "unique-identifiers", None, lambda: client().but(after_key=h.tlv(0x81, b"\0\x01")).der(),
    ),
    "serial zero": ("serial-zero", None, lambda: client().but(serial=h.integer(0)).der()),
    "serial negative": ("serial-negative", None, lambda: client().but(serial=h.integer(-77)).der()),
    "serial of 21 octets": ("serial-length", None, lambda: client().but(serial=h.integer(1 << 161)).der()),
    "serial of 160 bits": ("serial-length", None, lambda: client().but(serial=h.integer((1 << 160) - 1)).der()),
    "algorithms differ": (
        "signature-algorithms-differ", None,
        lambda: client().but(outer_algorithm=h.sequence(h.oid("1.2.840.10045.4.3.3"))).der(),
    ),
    "ECDSA with NULL": (
        "signature-parameters", None,
        lambda: client().but(algorithm=h.sequence(h.oid("1.2.840.10045.4.3.2"), b"\x05\x00")).der(),
    ),
    "RSA without NULL": (
        "signature-parameters", None,
        lambda: client().but(issuer_key=rsa_key(), algorithm=h.sequence(h.oid("1.2.840.113549.1.1.11"))).der(),
    ),
    "SHA-1": ("signature-weak", None, lambda: client().but(algorithm=SHA1_ECDSA, digest=hashes.SHA1()).der()),
    "ends before it begins": (
        "validity-order", None,
        lambda: client().but(not_before=h.utc(h.NOW), not_after=h.utc(h.NOW - timedelta(days=1))).der(),
    ),
    "GeneralizedTime before 2050": (
        "time-form", None, lambda: client().but(not_after=h.generalized(h.NOW + timedelta(days=30))).der(),
    ),
    "no seconds": (
        "time-seconds", None,
        lambda: client().but(not_before=h.tlv(0x17, (h.NOW - timedelta(days=1)).strftime("%y%m%d%H%MZ").encode())).der(),
    ),
    "an offset": (
        "time-zone", None,
        lambda: client().but(
            not_before=h.tlv(0x17, (h.NOW - timedelta(days=1)).strftime("%y%m%d%H%M%S+0000").encode())
        ).der(),
    ),
    "a fraction": ("time-fraction", None, lambda: client().but(not_after=h.tlv(0x18, b"20510101000000.5Z")).der()),
    "RSA 1024": ("key-rsa-short", None, lambda: with_rsa((1 << 1023) + 1).der()),
    "an even modulus": ("key-rsa-modulus", None, lambda: with_rsa(1 << 2047).der()),
    "exponent 1": ("key-rsa-exponent", None, lambda: with_rsa(exponent=1).der()),
    "an even exponent": ("key-rsa-exponent", None, lambda: with_rsa(exponent=65536).der()),
    "exponent 3": ("key-rsa-exponent-small", None, lambda: with_rsa(exponent=3).der()),
    "secp256k1": ("key-curve", None, lambda: with_curve(ec.SECP256K1()).der()),
    "brainpool": ("key-curve", None, lambda: with_curve(ec.BrainpoolP256R1()).der()),
    "a curve written out": ("key-curve-explicit", None, lambda: client().but(public_key=explicit_curve()).der()),
    "a compressed point": ("key-point-compressed", None, lambda: client().but(public_key=compressed()).der()),
    "DSA": ("key-algorithm", None, lambda: client().but(public_key=dsa_key()).der()),
    "Ed25519": ("aws-client-key", None, lambda: client().but(public_key=edwards()).der()),
    "no issuer": ("issuer-empty", None, lambda: client().but(issuer=h.sequence()).der()),
    "a CA without subject": ("subject-empty", None, lambda: intermediate().but(subject=h.sequence()).der()),
    "no name at all": ("subject-unnamed", None, lambda: client().without(SAN).but(subject=h.sequence()).der()),
    "a relative name of nothing": (
        "name-rdn", None, lambda: client().but(subject=h.sequence(h.tlv(0x31), h.common_name("leaf")[2:])).der(),
    ),
    "two of a type in one relative name": (
        "name-rdn", None,
        lambda: client().but(
            subject=h.sequence(h.tlv(0x31, h.attribute("2.5.4.3", h.utf8("a")), h.attribute("2.5.4.3", h.utf8("b"))))
        ).der(),
    ),
    "an empty value": (
        "name-value-empty", None,
        lambda: named(h.attribute("2.5.4.10", h.utf8("")), h.attribute("2.5.4.3", h.utf8("x"))).der(),
    ),
    "a CN of 65": ("name-value-length", None, lambda: named(h.attribute("2.5.4.3", h.utf8("é" * 65))).der()),
    "an O of 65": (
        "name-value-length", None,
        lambda: named(h.attribute("2.5.4.10", h.utf8("o" * 65)), h.attribute("2.5.4.3", h.utf8("x"))).der(),
    ),
    "a printable at-sign": ("name-value-characters", None, lambda: named(h.attribute("2.5.4.3", h.printable("a@b"))).der()),
    "eight bits in IA5": (
        "name-value-characters", None,
        lambda: named(h.attribute("1.2.840.113549.1.9.1", h.tlv(0x16, b"a\xff@b")), h.attribute("2.5.4.3", h.utf8("x"))).der(),
    ),
    "a control character": (
        "name-value-characters", None, lambda: named(h.attribute("2.5.4.3", h.utf8("a\x1b[2J"))).der(),
    ),
    "a blank at the end": ("name-value-blanks", None, lambda: named(h.attribute("2.5.4.3", h.utf8("web "))).der()),
    "a TeletexString": ("name-string-type", None, lambda: named(h.attribute("2.5.4.3", h.tlv(0x14, b"web"))).der()),
    "a BMPString": (
        "name-string-type", None, lambda: named(h.attribute("2.5.4.3", h.tlv(0x1E, "web".encode("utf-16-be")))).der(),
    ),
    "a CN in IA5": ("name-attribute-syntax", None, lambda: named(h.attribute("2.5.4.3", h.tlv(0x16, b"web"))).der()),
    "a DC in UTF-8": (
        "name-attribute-syntax", None,
        lambda: named(
            h.attribute("0.9.2342.19200300.100.1.25", h.utf8("com")), h.attribute("2.5.4.3", h.utf8("x"))
        ).der(),
    ),
    "a country in UTF-8": (
        "name-country", None, lambda: named(h.attribute("2.5.4.6", h.utf8("DE")), h.attribute("2.5.4.3", h.utf8("x"))).der(),
    ),
    "a country of three": (
        "name-country", None,
        lambda: named(h.attribute("2.5.4.6", h.printable("DEU")), h.attribute("2.5.4.3", h.utf8("x"))).der(),
    ),
    "an extension twice": (
        "extension-duplicate", None, lambda: client().plus(*[h.extension(OID, h.integer(1))] * 2).der(),
    ),
    "an unknown critical extension": (
        "extension-unknown-critical", None, lambda: client().plus(h.extension(OID, h.integer(1), True)).der(),
    ),
    "no extensions in the list": (
        "extensions-empty", None, lambda: root().but(issuer_key=leaf_key(), whole_extensions=h.extensions()).der(),
    ),
    "a root that another key signed": ("signature-wrong-key", None, lambda: root().but(issuer_key=leaf_key()).der()),
    "an alternative name that is none": (
        "extension-malformed", None, lambda: client().swap(SAN, h.extension(SAN, h.integer(1))).der(),
    ),
    "a key usage cut off": ("extension-malformed", None, lambda: client().swap(KU, h.extension(KU, b"\x03\x05\0", True)).der()),
    "a critical key identifier": (
        "extension-must-not-be-critical", None,
        lambda: client().swap(SKI, h.extension(SKI, h.tlv(4, h.key_identifier(leaf_key())), True)).der(),
    ),
    "a critical authority key": (
        "extension-must-not-be-critical", None,
        lambda: client().swap(AKI, h.extension(AKI, h.sequence(h.tlv(0x80, h.key_identifier(root_key()))), True)).der(),
    ),
    "policy constraints not critical": (
        "extension-must-be-critical", None,
        lambda: intermediate().plus(h.extension("2.5.29.36", h.sequence(h.tlv(0x80, b"\0")))).der(),
    ),
    "a policy twice": (
        "policies-duplicate", None,
        lambda: client().plus(h.extension("2.5.29.32", h.sequence(*[h.sequence(h.oid("2.5.29.32.0"))] * 2))).der(),
    ),
    "a root that is none": ("ca-basic-constraints", "root", lambda: root().without(BC).without(KU).der()),
    "a client that is a CA": (
        "leaf-basic-constraints", "client",
        lambda: intermediate().swap(KU, h.key_usage(h.DIGITAL_SIGNATURE, h.KEY_CERT_SIGN, h.CRL_SIGN)).der(),
    ),
    "basic constraints not critical": (
        "basic-constraints-critical", None, lambda: root().swap(BC, h.basic_constraints(True, critical=False)).der(),
    ),
    "a path length of a client": (
        "path-length-without-ca", None, lambda: client().plus(h.basic_constraints(False, 1)).der(),
    ),
    "a CA without key usage": ("ca-key-usage", None, lambda: intermediate().without(KU).der()),
    "a CA's key usage not critical": (
        "ca-key-usage-critical", None,
        lambda: intermediate().swap(KU, h.key_usage(h.KEY_CERT_SIGN, h.CRL_SIGN, critical=False)).der(),
    ),
    "a CA without keyCertSign": (
        "ca-cert-sign", None, lambda: intermediate().swap(KU, h.key_usage(h.CRL_SIGN)).der(),
    ),
    "a CA without cRLSign": ("ca-crl-sign", None, lambda: intermediate().swap(KU, h.key_usage(h.KEY_CERT_SIGN)).der()),
    "a client with keyCertSign": (
        "key-usage-cert-sign", None,
        lambda: client().swap(KU, h.key_usage(h.DIGITAL_SIGNATURE, h.KEY_CERT_SIGN)).der(),
    ),
    "an empty key usage": (
        "key-usage-empty", None, lambda: client().swap(KU, h.extension(KU, h.bit_string(b"\0", 7), True)).der(),
    ),
    "no bits in a key usage": (
        "key-usage-empty", None, lambda: client().swap(KU, h.extension(KU, h.bit_string(b""), True)).der(),
    ),
    "keyEncipherment with EC": (
        "key-usage-impossible", None,
        lambda: client().swap(KU, h.key_usage(h.DIGITAL_SIGNATURE, h.KEY_ENCIPHERMENT)).der(),
    ),
    "keyAgreement with RSA": (
        "key-usage-impossible", None,
        lambda: with_rsa().swap(KU, h.key_usage(h.DIGITAL_SIGNATURE, h.KEY_AGREEMENT)).der(),
    ),
    "encipherOnly alone": (
        "key-usage-only", None, lambda: client().swap(KU, h.key_usage(h.DIGITAL_SIGNATURE, h.ENCIPHER_ONLY)).der(),
    ),
    "no extended usage in the extension": ("extended-key-usage-empty", None, lambda: client().swap(EKU, h.extended_usage()).der()),
    "any extended usage": ("extended-key-usage-any", None, lambda: client().swap(EKU, h.extended_usage("2.5.29.37.0")).der()),
    "an extended usage twice": (
        "extended-key-usage-duplicate", None,
        lambda: client().swap(EKU, h.extended_usage(h.CLIENT_AUTH, h.CLIENT_AUTH)).der(),
    ),
    "usages that do not go together": (
        "extended-key-usage-inconsistent", None, lambda: server().swap(KU, h.key_usage(h.NON_REPUDIATION)).der(),
    ),
    "a server as a client": ("client-usage", "client", lambda: server().der()),
    "a client as a server": ("server-usage", "server", lambda: client().der()),
    "a CA without key identifier": ("ca-subject-key-identifier", None, lambda: root().without(SKI).der()),
    "no authority key": ("authority-key-identifier-absent", None, lambda: client().without(AKI).der()),
    "an authority key without key": (
        "authority-key-identifier-keyid", None, lambda: client().swap(AKI, h.extension(AKI, h.sequence())).der(),
    ),
    "an authority key with issuer": (
        "authority-key-identifier-issuer", None,
        lambda: client().swap(
            AKI,
            h.extension(
                AKI,
                h.sequence(
                    h.tlv(0x80, h.key_identifier(root_key())),
                    h.tlv(0xA1, h.tlv(0xA4, h.common_name("Root"))),
                    h.tlv(0x82, b"\x01"),
                ),
            ),
        ).der(),
    ),
    "a root with another's key": (
        "authority-key-identifier-mismatch", None, lambda: root().plus(h.authority_key(leaf_key())).der(),
    ),
    "no alternative name in the extension": ("alternative-names-empty", None, lambda: with_names().der()),
    "an empty subject, names not critical": (
        "alternative-names-critical", "server", lambda: server().but(subject=h.sequence()).der(),
    ),
    "a subject, names critical": (
        "alternative-names-not-critical", None,
        lambda: client().swap(SAN, h.alternative_names(h.dns("a.example"), critical=True)).der(),
    ),
    "a DNS name with a blank": ("alternative-name-dns", None, lambda: with_names(h.dns("a b.example")).der()),
    "a DNS name of nothing": ("alternative-name-dns", None, lambda: with_names(h.dns("")).der()),
    "a DNS name with a dot at the end": ("alternative-name-dns", None, lambda: with_names(h.dns("a.example.")).der()),
    "a wildcard in the middle": ("alternative-name-dns", None, lambda: with_names(h.dns("a.*.example")).der()),
    "a wildcard within a label": ("alternative-name-dns", None, lambda: with_names(h.dns("w*.example.com")).der()),
    "an address as a DNS name": ("alternative-name-dns", None, lambda: with_names(h.dns("10.0.0.1")).der()),
    "a DNS name not in ASCII": ("alternative-name-dns", None, lambda: with_names(h.dns("größe.example")).der()),
    "a URI without scheme": ("alternative-name-uri", None, lambda: with_names(h.tlv(0x86, b"example.org/x")).der()),
    "an email address with a name": (
        "alternative-name-email", None, lambda: with_names(h.tlv(0x81, b"Ops <ops@example.com>")).der(),
    ),
    "an address of five octets": ("alternative-name-ip", None, lambda: with_names(h.tlv(0x87, b"\x0a\0\0\1\2")).der()),
    "an address with a mask": ("alternative-name-ip", None, lambda: with_names(h.tlv(0x87, b"\x0a\0\0\0\xff\0\0\0")).der()),
    "a wildcard": ("alternative-name-wildcard", None, lambda: with_names(h.dns("*.example.com")).der()),
    "an underscore": ("alternative-name-underscore", None, lambda: with_names(h.dns("web_1.example.com")).der()),
    "a name twice": ("alternative-name-duplicate", None, lambda: with_names(*[h.dns("a.example")] * 2).der()),
    "a server without names": ("server-names", None, lambda: server().without(SAN).der()),
    "name constraints of a client": (
        "name-constraints-not-ca", None, lambda: client().plus(h.name_constraints(h.subtree(h.dns("example.com")))).der(),
    ),
    "name constraints not critical": (
        "name-constraints-critical", None,
        lambda: intermediate().plus(h.name_constraints(h.subtree(h.dns("example.com")), critical=False)).der(),
    ),
    "name constraints of nothing": ("name-constraints-empty", None, lambda: intermediate().plus(h.name_constraints()).der()),
    "a minimum": (
        "name-constraints-distance", None,
        lambda: intermediate().plus(h.name_constraints(h.subtree(h.dns("example.com"), h.tlv(0x80, b"\1")))).der(),
    ),
    "a maximum": (
        "name-constraints-distance", None,
        lambda: intermediate().plus(h.name_constraints(h.subtree(h.dns("example.com"), h.tlv(0x81, b"\5")))).der(),
    ),
    "a mask with a hole": (
        "name-constraints-base", None,
        lambda: intermediate().plus(h.name_constraints(h.subtree(h.tlv(0x87, b"\x0a\0\0\0\xff\0\xff\0")))).der(),
    ),
    "a network without mask": (
        "name-constraints-base", None,
        lambda: intermediate().plus(h.name_constraints(h.subtree(h.tlv(0x87, b"\x0a\0\0\0")))).der(),
    ),
    "bits behind the mask": (
        "name-constraints-base", None,
        lambda: intermediate().plus(h.name_constraints(h.subtree(h.tlv(0x87, b"\x0a\0\0\1\xff\0\0\0")))).der(),
    ),
    "a leading dot": (
        "name-constraints-leading-dot", None,
        lambda: intermediate().plus(h.name_constraints(h.subtree(h.dns(".example.com")))).der(),
    ),
    "a client without subject": (
        "aws-client-subject", None,
        lambda: client().but(subject=h.sequence()).swap(SAN, h.alternative_names(h.dns("a.example"), critical=True)).der(),
    ),
    "a client without digitalSignature": (
        "aws-client-key-usage", None, lambda: client().swap(KU, h.key_usage(h.KEY_AGREEMENT)).der(),
    ),
    "a client without key usage": ("aws-client-key-usage", None, lambda: client().without(KU).der()),
    "a client that expired": ("aws-client-validity", None, lambda: client().but(not_after=PAST).der()),
    "an intermediate that expired": (
        "aws-intermediate-validity", None, lambda: intermediate().but(not_after=PAST).der(),
    ),
    "a root that expired": ("aws-anchor-validity", None, lambda: root().but(not_after=PAST).der()),
    "a root with SHA-1": (
        "aws-anchor-signature", None, lambda: root().but(algorithm=SHA1_ECDSA, digest=hashes.SHA1()).der(),
    ),
    "a client that signed itself": (
        "aws-client-self-signed", None,
        lambda: client().but(issuer_key=leaf_key(), issuer=h.common_name("leaf")).without(AKI).der(),
    ),
    "a client's key on P-521": ("aws-client-doubt", None, lambda: with_curve(ec.SECP521R1()).der()),
    "another key of the same name": (
        "signature-wrong-key", None,
        lambda: pair(client().without(AKI).plus(h.authority_key(leaf_key())).der(), Made(
            leaf_key(), h.spki(leaf_key()), subject=h.common_name("Root"),
            members=(h.basic_constraints(True), h.CA_USAGE, h.subject_key(leaf_key())),
        ).der()),
    ),
    "an issuer that is no CA": (
        "issuer-not-ca", None,
        lambda: pair(client().der(), client().but(subject=h.common_name("Root"), public_key=h.spki(root_key())).swap(
            SKI, h.subject_key(root_key())
        ).der()),
    ),
    "an issuer that may not certify": (
        "issuer-key-usage", None,
        lambda: pair(client().der(), root().swap(KU, h.key_usage(h.CRL_SIGN)).der()),
    ),
    "an issuer with another key identifier": (
        "authority-key-identifier-mismatch", None,
        lambda: pair(client().der(), root().swap(SKI, h.subject_key(leaf_key())).der()),
    ),
    "an issuer whose name is written otherwise": (
        "issuer-name-encoding", None,
        lambda: pair(client().but(issuer=h.name(h.attribute("2.5.4.3", h.printable("Root")))).der(), root().der()),
    ),
    "a client that outlives its issuer": ("validity-outside-issuer", None, outliving),
}  # fmt: skip
