# SPDX-License-Identifier: Apache-2.0
"""PKCS#12, by OpenSSL."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from .encrypted import LEGACY
from .manifest import PASSPHRASE, Certificate, Corpus, Expected, certificate, openssl, private_key, refusal
from .handmade import identifier, integer, octets, sequence
from .materials import Materials


@dataclass(frozen=True)
class Exporter:
    """Writes containers of a key and its certificate."""

    corpus: Corpus
    leaf: Certificate

    def export(self, *arguments: object, passphrase: str = PASSPHRASE) -> bytes:
        return openssl(
            "pkcs12", "-export", "-in", self.leaf.path, "-inkey", self.leaf.key.path,
            "-passout", f"pass:{passphrase}", *arguments,
        )  # fmt: skip

    def add(
        self, title: str, what: str, *arguments: str, rounds: int | None = 2048, passphrase: str | None = PASSPHRASE,
        objects: list[Expected] | None = None, refused: Expected | None = None, costly: bool = False, shrouded: bool = True,
    ) -> None:  # fmt: skip
        iterations = ("-iter", str(rounds)) if rounds else ()
        content = self.export(*iterations, *arguments, passphrase=passphrase or "")
        held = [certificate(self.leaf), private_key(self.leaf.key, "pkcs8", encrypted=shrouded)] if objects is None else objects
        self.corpus.add(
            f"openssl-{title}.p12", content, what, *held, passphrase=passphrase, refused=refused, costly=costly,
        )  # fmt: skip


def add_containers(corpus: Corpus, materials: Materials) -> None:
    leaf, rsa_leaf = materials.leaf, materials.rsa_leaf
    elliptic, rsa = Exporter(corpus, leaf), Exporter(corpus, rsa_leaf)
    authorities = [certificate(materials.intermediate), certificate(materials.root)]
    chain = [certificate(leaf), *authorities]
    key = private_key(leaf.key, "pkcs8", encrypted=True)
    rsa_key = private_key(rsa_leaf.key, "pkcs8", encrypted=True)
    others = ("-certfile", str(materials.authorities))

    elliptic.add("p256", "OpenSSL 3's own way: PBES2 with AES-256, an HMAC-SHA256 seal")
    rsa.add("rsa", "the same, RSA")
    rsa.add("rsa-chain", "a chain", *others, objects=[certificate(rsa_leaf), *authorities, rsa_key])
    elliptic.add("p256-chain", "a chain", *others, objects=[*chain, key])
    Exporter(corpus, materials.ed25519_leaf).add("ed25519", "Ed25519")

    elliptic.add("legacy", "-legacy: RC2-40 and 3DES, a SHA-1 seal", "-legacy", "-macalg", "sha1")
    rsa.add("legacy-rsa", "-legacy: RC2-40 and 3DES, a SHA-1 seal", "-legacy", "-macalg", "sha1")
    triple = ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES")
    elliptic.add("3des", "3DES, a SHA-1 seal, as Windows and Java made them", *triple, "-macalg", "sha1")
    rc4 = ("-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC2-128")
    elliptic.add("rc4", "RC4 and RC2-128", *rc4, *LEGACY)
    elliptic.add("aes128", "AES-128", "-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC")
    elliptic.add("mixed", "a key under AES, certificates open", "-certpbe", "NONE")
    elliptic.add("open-key", "certificates under AES, the key open", "-keypbe", "NONE", shrouded=False)
    elliptic.add("sealed-only", "nothing encrypted, but sealed", "-certpbe", "NONE", "-keypbe", "NONE", shrouded=False)
    bare = ("-certpbe", "NONE", "-keypbe", "NONE", "-nomac")
    elliptic.add("bare", "nothing encrypted, nothing sealed", *bare, passphrase=None, shrouded=False)
    elliptic.add("no-seal", "no seal", "-nomac")
    elliptic.add("sha512", "an HMAC-SHA512 seal", "-macalg", "sha512")
    elliptic.add("sha384", "an HMAC-SHA384 seal", "-macalg", "sha384")
    elliptic.add("one-round", "one round", "-nomaciter", rounds=1)
    elliptic.add("no-keys", "certificates only", "-nokeys", *others, objects=chain)
    elliptic.add("no-certificates", "a key only", "-nocerts", objects=[key])
    elliptic.add("names", "friendly names in UTF-8", "-name", "Schlüssel, Κλειδί", "-caname", "Wurzel", *others, objects=[*chain, key])
    elliptic.add("key-attributes", "Microsoft's attributes", "-LMK", "-CSP", "Microsoft Enhanced", "-keysig")
    elliptic.add("empty-passphrase", "an empty passphrase", passphrase="")
    elliptic.add("utf8-passphrase", "a passphrase with umlauts and Greek", passphrase="Grüße, Καλημέρα")
    elliptic.add("emoji-passphrase", "a passphrase beyond the basic plane", passphrase="🔑🔑")
    elliptic.add("long-passphrase", "a passphrase of 200 characters", passphrase="0123456789" * 20)
    elliptic.add("realistic", "600,000 rounds", rounds=600_000, costly=True)
    content = with_pbmac1(elliptic.export("-iter", "2048", "-nomac"))
    corpus.add(
        "openssl-pbmac1.p12", content, "a seal after RFC 9579, which OpenSSL knows since 3.4",
        certificate(leaf), key, needs="3.4", passphrase=PASSPHRASE, tool="openssl, sealed anew", refused=refusal("unsupported", "PBMAC1"),
    )  # fmt: skip
    content = elliptic.export("-iter", "2048")
    for title, damaged in {"truncated": content[:-1], "half": content[: len(content) // 2]}.items():
        corpus.add(
            f"damaged-{title}.p12", damaged, f"a container, damaged: {title}", tool="openssl, changed",
            passphrase=PASSPHRASE, refused=refusal("malformed", ""),
        )  # fmt: skip


def with_pbmac1(container: bytes) -> bytes:
    """Seals a container that has no seal."""
    # SEQUENCE { 3, SEQUENCE { data, [0] { OCTET STRING } } }, each longer than 255 bytes: headers of four bytes.
    contents = container[4 + 3 + 4 + 11 + 4 + 4 :]
    assert octets(contents) in container
    salt = b"eight..."
    key = hashlib.pbkdf2_hmac("sha256", PASSPHRASE.encode(), salt, 2048, 32)
    function = sequence(identifier("1.2.840.113549.2.9"), b"\x05\x00")
    derivation = sequence(
        identifier("1.2.840.113549.1.5.12"), sequence(octets(salt), integer(2048), integer(32), function)
    )
    algorithm = sequence(identifier("1.2.840.113549.1.5.14"), sequence(derivation, function))
    seal = sequence(sequence(algorithm, octets(hmac.digest(key, contents, "sha256"))), octets(salt), integer(1))
    return sequence(container[4:], seal)[:4] + container[4:] + seal
