# SPDX-License-Identifier: Apache-2.0
"""Python's cryptography."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)

from .manifest import (
    PASSPHRASE,
    Corpus,
    Expected,
    Key,
    certificate,
    named,
    private_key,
    public_key,
    refusal,
    request,
    revocation_list,
)
from .materials import Materials

SECRET = PASSPHRASE.encode()
ENCODINGS = ((Encoding.PEM, "pem"), (Encoding.DER, "der"))
NAME = x509.Name.from_rfc4514_string("CN=python workload,O=Corpus")


def add_python(corpus: Corpus, materials: Materials) -> None:
    keys: dict[str, tuple[Any, str]] = {
        "rsa": (rsa.generate_private_key(65537, 2048), "RSA 2048"),
        "p256": (ec.generate_private_key(ec.SECP256R1()), "EC P-256"),
        "ed25519": (ed25519.Ed25519PrivateKey.generate(), "ED25519"),
    }
    made = {}
    for name, (key, algorithm) in keys.items():
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        made[name] = Key(name, algorithm, corpus.scratch("none"), named(public))
        add_key(corpus, made[name], key)
    add_pkcs12(corpus, materials, made["p256"], keys["p256"][0], "p256")
    add_pkcs12(corpus, materials, made["rsa"], keys["rsa"][0], "rsa")
    add_signed(corpus, made["p256"], keys["p256"][0])


def add_key(corpus: Corpus, named_key: Key, key: Any) -> None:
    name, algorithm = named_key.name, named_key.algorithm
    traditional = {"rsa": "pkcs1", "p256": "sec1"}.get(name)
    for encoding, ending in ENCODINGS:
        content = key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
        corpus.add(f"python-{name}.{ending}", content, f"{algorithm}, PKCS#8", private_key(named_key, "pkcs8"))
        if traditional:
            content = key.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            expected = private_key(named_key, traditional)
            corpus.add(f"python-{name}-{traditional}.{ending}", content, f"{algorithm}, {traditional.upper()}", expected)
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(SECRET))
    corpus.add(
        f"python-{name}-encrypted.pem", content, f"{algorithm}, PKCS#8, BestAvailableEncryption",
        private_key(named_key, "pkcs8", encrypted=True), passphrase=PASSPHRASE, costly=True,
    )  # fmt: skip
    if traditional:
        content = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(SECRET))
        corpus.add(
            f"python-{name}-headers.pem", content, f"{algorithm}, encrypted after RFC 1423",
            private_key(named_key, traditional, encrypted=True), passphrase=PASSPHRASE,
        )  # fmt: skip
    content = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    corpus.add(f"python-{name}-public.pem", content, f"a public key, {algorithm}", public_key(named_key))
    if name == "p256":
        content = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        expected = {"kind": "privateKey", "form": "openSSH", "refused": refusal("unsupported", "ssh-keygen")}
        corpus.add("python-p256-openssh.pem", content, "OpenSSH's form", expected | {"encrypted": False})


def self_signed(key: Any) -> x509.Certificate:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return (
        x509.CertificateBuilder(NAME, NAME, key.public_key(), 0x0102030405060708)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("python.example")]), critical=False)
        .sign(key, algorithm)
    )


def add_pkcs12(corpus: Corpus, materials: Materials, named_key: Key, key: Any, name: str) -> None:
    leaf = self_signed(key)
    authorities = [x509.load_pem_x509_certificate(part.pem) for part in (materials.intermediate, materials.root)]
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    modern = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    legacy = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    variants = {
        "modern": (modern.hmac_hash(SHA512()), [], "PBES2 with AES-256, an HMAC-SHA512 seal"),
        "chain": (modern.hmac_hash(SHA256()), authorities, "a chain"),
        "3des": (legacy.hmac_hash(SHA1()), authorities, "PBES1 with 3DES, a SHA-1 seal"),
    }
    held = certificate(leaf.public_bytes(Encoding.PEM), named_key)
    expected: list[Expected] = [held, private_key(named_key, "pkcs8", encrypted=True)]
    chain = [certificate(materials.intermediate), certificate(materials.root)]
    for title, (encryption, others, what) in variants.items():
        content = pkcs12.serialize_key_and_certificates(
            "näme".encode(), key, leaf, others, encryption.build(SECRET)
        )
        objects = expected + (chain if others else [])
        corpus.add(f"python-{name}-{title}.p12", content, what, *objects, passphrase=PASSPHRASE)
    content = pkcs12.serialize_key_and_certificates(None, key, leaf, None, NoEncryption())
    corpus.add(f"python-{name}-open.p12", content, "nothing encrypted", held, private_key(named_key, "pkcs8"))
    if name == "p256":
        content = pkcs12.serialize_key_and_certificates(b"none", None, leaf, authorities, modern.build(SECRET))
        corpus.add(
            "python-no-key.p12", content, "certificates only", held, *chain, passphrase=PASSPHRASE
        )
        trusted = [pkcs12.PKCS12Certificate(other, b"trusted") for other in authorities]
        content = pkcs12.serialize_java_truststore(trusted, modern.build(SECRET))
        corpus.add("python-truststore.p12", content, "a trust store for Java", *chain, passphrase=PASSPHRASE)


def add_signed(corpus: Corpus, named_key: Key, key: Any) -> None:
    leaf = self_signed(key)
    held = certificate(leaf.public_bytes(Encoding.PEM), named_key)
    for encoding, ending in ENCODINGS:
        corpus.add(f"python-certificate.{ending}", leaf.public_bytes(encoding), "a certificate", held)
        wish = x509.CertificateSigningRequestBuilder(NAME).sign(key, SHA256())
        corpus.add(f"python-request.{ending}", wish.public_bytes(encoding), "a request", request(named_key))
        revoked = x509.RevokedCertificateBuilder(77, datetime(2021, 1, 1, tzinfo=UTC)).build()
        revocations = (
            x509.CertificateRevocationListBuilder(
                NAME, datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC), [], [revoked]
            )
            .add_extension(x509.CRLNumber(3), critical=False)
            .sign(key, SHA256())
        )
        corpus.add(f"python-list.{ending}", revocations.public_bytes(encoding), "a revocation list", revocation_list(1))
    content = pkcs7.serialize_certificates([leaf], Encoding.PEM)
    corpus.add("python-pkcs7.pem", content, "a certificate as PKCS#7", held)
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + leaf.public_bytes(Encoding.PEM)
    corpus.add("python-pair.pem", content, "a key and its certificate", private_key(named_key, "pkcs8"), held)
    loaded = load_pem_private_key(content, None)
    assert loaded.public_key() == key.public_key()
