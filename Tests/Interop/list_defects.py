# SPDX-License-Identifier: Apache-2.0
"""A defective revocation list for each rule of `pki lint` on lists."""

from __future__ import annotations

from datetime import timedelta

from cryptography.hazmat.primitives import hashes

import handmade as h
from defects import AKI, KU, OID, SHA1_ECDSA, Case, crl, pair, root

DISTRIBUTION_POINT = h.extension("2.5.29.28", h.sequence(h.tlv(0x81, b"\xff")), True)

LISTS: dict[str, Case] = {
    "version 1": ("crl-version", "crl", lambda: crl().but(version=b"", has_extensions=False).der()),
    "no number": ("crl-number-absent", "crl", lambda: crl().swap("2.5.29.20").der()),
    "a number of 21 octets": ("crl-number-length", "crl", lambda: crl().swap("2.5.29.20", h.crl_number(1 << 161)).der()),
    "a number below zero": ("crl-number-negative", "crl", lambda: crl().swap("2.5.29.20", h.crl_number(b"\xf0")).der()),
    "a critical number": (
        "extension-must-not-be-critical", "crl", lambda: crl().swap("2.5.29.20", h.crl_number(7, True)).der(),
    ),
    "no authority key": ("crl-authority-key-identifier-absent", "crl", lambda: crl().swap(AKI).der()),
    "an authority key without key": (
        "authority-key-identifier-keyid", "crl", lambda: crl().swap(AKI, h.extension(AKI, h.sequence())).der(),
    ),
    "no next update": ("crl-next-update-absent", "crl", lambda: crl().but(next_update=b"").der()),
    "the next before this": (
        "crl-update-order", "crl", lambda: crl().but(next_update=h.utc(h.NOW - timedelta(days=1))).der(),
    ),
    "GeneralizedTime before 2050": (
        "time-form", "crl", lambda: crl().but(next_update=h.generalized(h.NOW + timedelta(days=1))).der(),
    ),
    "an entry without seconds": (
        "time-seconds", "crl", lambda: crl().revoking(h.entry(5, moment=h.tlv(0x17, b"2601010000Z"))).der(),
    ),
    "an entry in another zone": (
        "time-zone", "crl", lambda: crl().revoking(h.entry(5, moment=h.tlv(0x17, b"260101000000+0000"))).der(),
    ),
    "an empty list of entries": ("crl-revoked-empty", "crl", lambda: crl().revoking().der()),
    "an entry for zero": ("crl-entry-serial", "crl", lambda: crl().revoking(h.entry(0)).der()),
    "an entry below zero": ("crl-entry-serial", "crl", lambda: crl().revoking(h.entry(-5)).der()),
    "an entry twice": ("crl-entry-duplicate", "crl", lambda: crl().revoking(h.entry(5), h.entry(5, h.reason(1))).der()),
    "an entry to come": (
        "crl-entry-future", "crl",
        lambda: crl().revoking(h.entry(5, moment=h.utc(h.NOW + timedelta(days=2)))).der(),
    ),
    "reason 7": ("crl-reason-invalid", "crl", lambda: crl().revoking(h.entry(5, h.reason(7))).der()),
    "reason 11": ("crl-reason-invalid", "crl", lambda: crl().revoking(h.entry(5, h.reason(11))).der()),
    "removeFromCRL": ("crl-reason-remove", "crl", lambda: crl().revoking(h.entry(5, h.reason(8))).der()),
    "unspecified": ("crl-reason-unspecified", "crl", lambda: crl().revoking(h.entry(5, h.reason(0))).der()),
    "a critical reason": (
        "extension-must-not-be-critical", "crl", lambda: crl().revoking(h.entry(5, h.reason(1, True))).der(),
    ),
    "an unknown critical extension": (
        "extension-unknown-critical", "crl", lambda: crl().plus(h.extension(OID, h.integer(1), True)).der(),
    ),
    "an unknown critical extension of an entry": (
        "extension-unknown-critical", "crl",
        lambda: crl().revoking(h.entry(5, h.extension(OID, h.integer(1), True))).der(),
    ),
    "an extension twice": (
        "extension-duplicate", "crl", lambda: crl().plus(*[h.extension(OID, h.integer(1))] * 2).der(),
    ),
    "a distribution point": ("crl-issuing-distribution-point", "crl", lambda: crl().plus(DISTRIBUTION_POINT).der()),
    "a distribution point not critical": (
        "extension-must-be-critical crl-issuing-distribution-point", "crl",
        lambda: crl().plus(h.extension("2.5.29.28", h.sequence(h.tlv(0x81, b"\xff")))).der(),
    ),
    "a list of changes": ("crl-delta", "crl", lambda: crl().plus(h.extension("2.5.29.27", h.integer(6), True)).der()),
    "SHA-1": ("signature-weak", "crl", lambda: crl().but(algorithm=SHA1_ECDSA, digest=hashes.SHA1()).der()),
    "no issuer": ("issuer-empty", "crl", lambda: crl().but(issuer=h.sequence()).der()),
    "an issuer with an empty value": (
        "name-value-empty", "crl", lambda: crl().but(issuer=h.name(h.attribute("2.5.4.3", h.utf8("")))).der(),
    ),
    "ECDSA with NULL": (
        "signature-parameters", "crl",
        lambda: crl().but(algorithm=h.sequence(h.oid("1.2.840.10045.4.3.2"), b"\x05\x00")).der(),
    ),
    "too long for AWS": (
        "aws-crl-length", "crl",
        lambda: crl().revoking(*(h.entry((1 << 150) + number, h.reason(4)) for number in range(5000))).der(),
    ),
    "an issuer that may sign no lists": (
        "crl-issuer-key-usage", None,
        lambda: pair(crl().der(), root().swap(KU, h.key_usage(h.KEY_CERT_SIGN)).der()),
    ),
}  # fmt: skip
