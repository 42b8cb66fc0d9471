# SPDX-License-Identifier: Apache-2.0
"""Chains of certificates, each with what `pki verify` must find in it, and with who decides otherwise."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import handmade as h
from peer import Identity, generate_key, key_usage

NOW = datetime.now(UTC).replace(microsecond=0)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def subject(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) if text else x509.Name([])


def make(
    issuer: Identity | None,
    common_name: str,
    *,
    ca: bool = False,
    length: int | None = None,
    usage: x509.KeyUsage | None = None,
    extended: Sequence[x509.ObjectIdentifier] = (),
    names: Sequence[str] = (),
    constraints: x509.NameConstraints | None = None,
    not_before: datetime = NOW - timedelta(days=10),
    not_after: datetime = NOW + timedelta(days=30),
    signer: Any = None,
    key: Any = None,
    authority_key: Any = None,
    digest: hashes.HashAlgorithm | None = None,
    extra: Sequence[x509.UnrecognizedExtension] = (),
    critical_extra: bool = True,
) -> Identity:
    """A certificate as it should be, but for what the keywords say."""
    key = key or generate_key("ec-p256")
    above = issuer.certificate.public_key() if issuer else key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(common_name))
        .issuer_name(issuer.certificate.subject if issuer else subject(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
        .add_extension(
            usage or (key_usage("key_cert_sign", "crl_sign") if ca else key_usage("digital_signature")), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key or above), critical=False)
    )
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if names:
        found = [
            x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=not common_name)
    if constraints:
        builder = builder.add_extension(constraints, critical=True)
    for one in extra:
        builder = builder.add_extension(one, critical=critical_extra)
    by = signer or (issuer.key if issuer else key)
    return Identity(builder.sign(by, digest or hashes.SHA256()), key)


def client(issuer: Identity, common_name: str = "leaf", **options: Any) -> Identity:
    settings = {"extended": [CLIENT], "names": ["leaf.example.com"]} | options
    return make(issuer, common_name, **settings)


def revocations(
    issuer: Identity,
    *revoked: tuple[Identity, x509.ReasonFlags | None],
    this: datetime = NOW - timedelta(hours=1),
    until: datetime = NOW + timedelta(days=7),
    signer: Any = None,
) -> x509.CertificateRevocationList:
    above = issuer.certificate.public_key()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(this)
        .next_update(until)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    )
    for one, why in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
        entry = entry.revocation_date(this - timedelta(hours=1))
        if why:
            entry = entry.add_extension(x509.CRLReason(why), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer or issuer.key, hashes.SHA256())


@dataclass
class Chain:
    """A question to everybody, and what pki is to answer."""

    leaf: x509.Certificate
    between: list[x509.Certificate]
    trusted: list[x509.Certificate]
    lists: list[x509.CertificateRevocationList] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)
    """The errors that pki must find; with none it must find the chain valid."""
    warnings: set[str] = field(default_factory=set)
    dissent: dict[str, str] = field(default_factory=dict)
    """Who decides otherwise, and why that is so."""

    @property
    def valid(self) -> bool:
        return not self.rules


NO_LISTS = "its verifier knows no revocation lists"
DISSENT_LISTS = {"cryptography": NO_LISTS}


def of(*identities: Identity) -> list[x509.Certificate]:
    return [one.certificate for one in identities]


class Family:
    """A root, an intermediate, a client's certificate, and current lists of both CAs."""

    def __init__(self, root: dict[str, Any] | None = None, sub: dict[str, Any] | None = None, **leaf: Any) -> None:
        self.root = make(None, "Root", **({"ca": True} | (root or {})))
        self.sub = make(self.root, "Sub", **({"ca": True} | (sub or {})))
        self.leaf = client(self.sub, **leaf)

    def chain(self, *rules: str, lists: Sequence[x509.CertificateRevocationList] | None = None, **options: Any) -> Chain:
        found = [revocations(self.root), revocations(self.sub)] if lists is None else list(lists)
        settings = {"between": of(self.sub), "trusted": of(self.root), "lists": found, "rules": set(rules)} | options
        return Chain(self.leaf.certificate, **settings)


def short() -> Chain:
    root = make(None, "Root", ca=True)
    return Chain(client(root).certificate, [], of(root), [revocations(root)])


def wrong_root() -> Chain:
    other = make(None, "Other", ca=True)
    family = Family()
    return family.chain("path-incomplete", trusted=of(other))


def root_at_hand() -> Chain:
    """The root comes along, and another is trusted."""
    other = make(None, "Other", ca=True)
    family = Family()
    return family.chain("path-untrusted-root", trusted=of(other), between=of(family.sub, family.root))


def twin_root() -> Chain:
    family = Family()
    twin = make(None, "Root", ca=True)
    lists = [revocations(family.sub)]
    return family.chain(
        "path-incomplete", "signature-wrong-key", "authority-key-identifier-mismatch", trusted=of(twin), lists=lists
    )


def anchored_at_intermediate() -> Chain:
    family = Family()
    return family.chain(
        trusted=of(family.sub), between=[], lists=[revocations(family.sub)],
        dissent={"openssl": "it wants a self-signed certificate at the end, unless told otherwise by -partial_chain"},
    )  # fmt: skip


def too_long() -> Chain:
    root = make(None, "Root", ca=True)
    upper = make(root, "Upper", ca=True, length=0)
    lower = make(upper, "Lower", ca=True)
    lists = [revocations(one) for one in (root, upper, lower)]
    return Chain(client(lower).certificate, of(lower, upper), of(root), lists, {"path-length-exceeded"})


def constrained(name: str, *, excluded: bool = False) -> Chain:
    trees = [x509.DNSName("example.com")]
    constraints = x509.NameConstraints(None if excluded else trees, trees if excluded else None)
    family = Family(sub={"constraints": constraints}, names=[name])
    inside = name.endswith("example.com")
    if inside != excluded:
        return family.chain()
    return family.chain("name-constraints-excluded" if excluded else "name-constraints-permitted")


def revoked_leaf(why: x509.ReasonFlags | None, rule: str) -> Chain:
    family = Family()
    lists = [revocations(family.root), revocations(family.sub, (family.leaf, why))]
    return family.chain(rule, lists=lists, dissent=DISSENT_LISTS)


def revoked_sub() -> Chain:
    family = Family()
    lists = [revocations(family.root, (family.sub, None)), revocations(family.sub)]
    return family.chain("revoked", lists=lists, dissent=DISSENT_LISTS)


def old_list() -> Chain:
    family = Family()
    old = revocations(family.sub, this=NOW - timedelta(days=9), until=NOW - timedelta(days=2))
    return family.chain(
        "crl-expired", lists=[revocations(family.root), old], warnings={"revocation-unknown"},
        dissent=DISSENT_LISTS | {"certtool": "it does not look at the dates of a list"},
    )  # fmt: skip


def early_list() -> Chain:
    family = Family()
    early = revocations(family.sub, this=NOW + timedelta(days=2))
    return family.chain(
        "crl-not-yet", lists=[revocations(family.root), early], warnings={"revocation-unknown"},
        dissent=DISSENT_LISTS | {"certtool": "it does not look at the dates of a list"},
    )  # fmt: skip


def forged_list() -> Chain:
    family = Family()
    forged = revocations(family.sub, signer=generate_key("ec-p256"))
    return family.chain(
        "signature-wrong-key", lists=[revocations(family.root), forged], warnings={"revocation-unknown"},
        dissent=DISSENT_LISTS | {"certtool": "it does not verify a list, and this one revokes nothing"},
    )  # fmt: skip


def strange_list() -> Chain:
    family = Family()
    stranger = make(None, "Stranger", ca=True)
    lists = [revocations(family.root), revocations(family.sub), revocations(stranger)]
    return family.chain(lists=lists)


def missing_list() -> Chain:
    family = Family()
    return family.chain(
        lists=[revocations(family.root)], warnings={"revocation-unknown"},
        dissent={"openssl": "-crl_check_all wants a list for every certificate; pki warns of one without"},
    )  # fmt: skip


def wrong_key_usage() -> Chain:
    return Family(sub={"usage": key_usage("crl_sign")}).chain("ca-cert-sign")


def no_ca() -> Chain:
    family = Family(sub={"ca": False})
    return family.chain("ca-basic-constraints", lists=[revocations(family.root)], warnings={"revocation-unknown"})


def altered() -> Chain:
    family = Family()
    der = bytearray(family.leaf.certificate.public_bytes(Encoding.DER))
    place = der.index(b"leaf.example.com")
    der[place] = ord("d")
    chain = family.chain("signature-wrong-key")
    chain.leaf = x509.load_der_x509_certificate(bytes(der))
    return chain


def other_authority_key() -> Chain:
    return Family(authority_key=generate_key("ec-p256").public_key()).chain(
        "path-incomplete", "authority-key-identifier-mismatch",
        dissent={"cryptography": "a key identifier does not keep it from trying an issuer"},
    )  # fmt: skip


def unknown_critical() -> Chain:
    extra = [x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")]
    return Family(extra=extra).chain("extension-unknown-critical")


def sha1() -> Chain:
    """SHA-1, which cryptography does not sign with any more."""
    family = Family()
    made = h.Made(
        family.sub.key, h.spki(family.leaf.key), issuer=family.sub.certificate.subject.public_bytes(),
        algorithm=h.sequence(h.oid("1.2.840.10045.4.1")), digest=hashes.SHA1(),
        members=(
            h.key_usage(h.DIGITAL_SIGNATURE), h.extended_usage(h.CLIENT_AUTH), h.subject_key(family.leaf.key),
            h.authority_key(family.sub.key), h.alternative_names(h.dns("leaf.example.com")),
        ),
    )  # fmt: skip
    chain = family.chain(
        "signature-weak", dissent={"openssl": "its security level 1 takes SHA-1 where the key is strong enough"}
    )
    chain.leaf = x509.load_der_x509_certificate(made.der())
    return chain


def odd_serial(number: int, rule: str) -> Chain:
    family = Family()
    made = h.Made(
        family.sub.key, h.spki(family.leaf.key), issuer=family.sub.certificate.subject.public_bytes(),
        serial=h.integer(number),
        members=(
            h.key_usage(h.DIGITAL_SIGNATURE), h.extended_usage(h.CLIENT_AUTH), h.subject_key(family.leaf.key),
            h.authority_key(family.sub.key), h.alternative_names(h.dns("leaf.example.com")),
        ),
    )  # fmt: skip
    others = ["openssl", "certtool"] + ([] if number else ["cryptography"])
    chain = family.chain(rule, dissent={name: "it takes such a serial number" for name in others})
    with warnings.catch_warnings():
        # cryptography reads such a number with a word of its own.
        warnings.simplefilter("ignore")
        chain.leaf = x509.load_der_x509_certificate(made.der())
    return chain


def self_signed() -> Chain:
    family = Family()
    alone = make(None, "alone", extended=[CLIENT], names=["leaf.example.com"])
    chain = family.chain("path-self-signed", lists=[], between=[])
    chain.leaf = alone.certificate
    return chain


CHAINS: dict[str, Callable[[], Chain]] = {
    "valid": lambda: Family().chain(),
    "valid below the root": short,
    "valid, an intermediate is trusted": anchored_at_intermediate,
    "valid within name constraints": lambda: constrained("a.example.com"),
    "valid beside excluded names": lambda: constrained("a.example.org", excluded=True),
    "expired": lambda: Family(not_after=NOW - timedelta(days=1)).chain("validity-expired"),
    "not yet valid": lambda: Family(not_before=NOW + timedelta(days=1)).chain("validity-not-yet"),
    "an expired intermediate": lambda: Family(sub={"not_after": NOW - timedelta(days=1)}).chain(
        "validity-expired", warnings={"validity-outside-issuer"}
    ),
    "an expired root": lambda: Family(
        root={"not_after": NOW - timedelta(days=1)}
    ).chain(
        "validity-expired", warnings={"validity-outside-issuer"}
    ),
    "a wrong root": wrong_root,
    "a root that is not trusted": root_at_hand,
    "a root of the same name": twin_root,
    "no intermediate": lambda: Family().chain("path-incomplete", between=[]),
    "a path too long": too_long,
    "a name that is not permitted": lambda: constrained("a.example.org"),
    "a name that is excluded": lambda: constrained("a.example.com", excluded=True),
    "revoked": lambda: revoked_leaf(x509.ReasonFlags.key_compromise, "revoked"),
    "revoked without a reason": lambda: revoked_leaf(None, "revoked"),
    "on hold": lambda: revoked_leaf(x509.ReasonFlags.certificate_hold, "revoked-hold"),
    "a revoked intermediate": revoked_sub,
    "an expired list": old_list,
    "a list to come": early_list,
    "a forged list": forged_list,
    "a stranger's list": strange_list,
    "no list of the issuer": missing_list,
    "another purpose": lambda: Family(extended=[SERVER]).chain("client-usage"),
    "an intermediate for another purpose": lambda: Family(sub={"extended": [SERVER]}).chain(
        "purpose-ca-usage"
    ),
    "an issuer that may not certify": wrong_key_usage,
    "an issuer that is no CA": no_ca,
    "an altered certificate": altered,
    "another authority key": other_authority_key,
    "an unknown critical extension": unknown_critical,
    "SHA-1": sha1,
    "a serial number below zero": lambda: odd_serial(-5, "serial-negative"),
    "the serial number zero": lambda: odd_serial(0, "serial-zero"),
    "a serial number too long": lambda: odd_serial(1 << 170, "serial-length"),
    "self-signed": self_signed,
}  # fmt: skip
