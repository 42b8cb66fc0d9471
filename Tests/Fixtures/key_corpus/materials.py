# SPDX-License-Identifier: Apache-2.0
"""The keys and certificates that most of the files hold, made by the openssl command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .manifest import Certificate, Corpus, Key, named, openssl

LIFETIME = "36500"
"""Days: the files stay in the repository."""

EXTENSIONS = """
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:corpus.example, URI:spiffe://corpus.example/workload
[req]
distinguished_name = name
[name]
"""


def generate(corpus: Corpus, name: str, algorithm: str, *arguments: str, **options: Any) -> Key:
    """Makes a key, as PKCS#8."""
    path = corpus.scratch(f"{name}.key")
    openssl("genpkey", *arguments, "-out", path, **options)
    public = openssl("pkey", "-in", path, "-pubout", "-outform", "DER", **options)
    return Key(name, algorithm, path, named(public), needs="3.5" if options else None)


def elliptic(corpus: Corpus, name: str, algorithm: str, curve: str, *arguments: str) -> Key:
    options = ("-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", *arguments)
    return generate(corpus, name, algorithm, *options)


def issue(corpus: Corpus, key: Key, subject: str, section: str, by: Certificate | None, **options: Any) -> Certificate:
    """Certifies a key; by itself when there is no issuer."""
    configuration = corpus.scratch("extensions.cnf", EXTENSIONS.encode())
    path = corpus.scratch(f"{key.name}-{section}.crt")
    if by is None:
        openssl(
            "req", "-x509", "-new", "-key", key.path, "-subj", subject, "-days", LIFETIME, "-utf8",
            "-config", configuration, "-extensions", section, "-out", path, **options,
        )  # fmt: skip
    else:
        wish = openssl("req", "-new", "-key", key.path, "-subj", subject, "-config", configuration, "-utf8", **options)
        openssl(
            "x509", "-req", "-days", LIFETIME, "-CA", by.path, "-CAkey", by.key.path,
            "-extfile", configuration, "-extensions", section, "-out", path, input=wish, **options,
        )  # fmt: skip
    return Certificate(path, key)


@dataclass(frozen=True)
class Materials:
    """Keys of every kind, and leaf ← intermediate ← root."""

    rsa: Key
    p256: Key
    p384: Key
    p521: Key
    secp256k1: Key
    ed25519: Key
    root: Certificate
    intermediate: Certificate
    leaf: Certificate
    """Of `p256`."""
    rsa_leaf: Certificate
    ed25519_leaf: Certificate

    @property
    def chain(self) -> bytes:
        return self.intermediate.pem + self.root.pem

    @property
    def authorities(self) -> Path:
        """Intermediate and root, as a file beside the root's."""
        path = self.root.path.with_name("authorities.crt")
        path.write_bytes(self.chain)
        return path


def make_materials(corpus: Corpus) -> Materials:
    p256 = elliptic(corpus, "p256", "EC P-256", "P-256")
    rsa = generate(corpus, "rsa", "RSA 2048", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    ed25519 = generate(corpus, "ed25519", "ED25519", "-algorithm", "ED25519")
    root = issue(corpus, elliptic(corpus, "root", "EC P-256", "P-256"), "/CN=Corpus Root", "ca", None)
    middle = elliptic(corpus, "intermediate", "EC P-384", "P-384")
    intermediate = issue(corpus, middle, "/CN=Corpus Intermediate", "ca", root)
    return Materials(
        rsa=rsa,
        p256=p256,
        p384=elliptic(corpus, "p384", "EC P-384", "P-384"),
        p521=elliptic(corpus, "p521", "EC P-521", "P-521"),
        secp256k1=elliptic(corpus, "secp256k1", "EC secp256k1", "secp256k1"),
        ed25519=ed25519,
        root=root,
        intermediate=intermediate,
        leaf=issue(corpus, p256, "/O=Corpus/CN=Blätterteig", "leaf", intermediate),
        rsa_leaf=issue(corpus, rsa, "/O=Corpus/CN=rsa workload", "leaf", intermediate),
        ed25519_leaf=issue(corpus, ed25519, "/CN=ed25519 workload", "leaf", root),
    )
