# SPDX-License-Identifier: Apache-2.0
"""Encrypted private keys, by OpenSSL: PBES2, PBES1 and the headers of RFC 1423."""

from __future__ import annotations

from .manifest import PASSPHRASE, Corpus, Key, openssl, private_key
from .materials import Materials

LEGACY = ("-provider", "legacy", "-provider", "default")


def encrypt(key: Key, *arguments: str, passphrase: str = PASSPHRASE) -> bytes:
    return openssl("pkcs8", "-topk8", "-in", key.path, "-passout", f"pass:{passphrase}", *arguments)


def add_encrypted_keys(corpus: Corpus, materials: Materials) -> None:
    add_pbes2(corpus, materials)
    add_odd_passphrases(corpus, materials)
    add_pbes1(corpus, materials)
    add_headers(corpus, materials)


def add_pbes2(corpus: Corpus, materials: Materials) -> None:
    rsa, p256, p384 = materials.rsa, materials.p256, materials.p384
    pairs = [
        ("sha1", "aes-128-cbc", p256), ("sha224", "aes-192-cbc", rsa), ("sha256", "aes-256-cbc", p384),
        ("sha384", "aes-256-cbc", p256), ("sha512", "aes-128-cbc", p256), ("sha256", "des-ede3-cbc", p256),
        ("sha512", "aes-256-cbc", materials.ed25519), ("sha256", "aria-256-cbc", p256), ("sha256", "camellia-128-cbc", p256),
    ]  # fmt: skip
    for digest, cipher, key in pairs:
        corpus.add(
            f"openssl-{key.name}-pbkdf2-{digest}-{cipher}.pem",
            encrypt(key, "-v2", cipher, "-v2prf", f"hmacWithSHA{digest[3:]}", "-iter", "2048"),
            f"PBES2: PBKDF2 with HMAC-{digest.upper()}, {cipher.upper()}",
            private_key(key, "pkcs8", encrypted=True),
            passphrase=PASSPHRASE,
        )
    content = encrypt(p256, "-v2", "aes-256-cbc", "-iter", "2048", "-outform", "DER")
    corpus.add(
        "openssl-p256-pbkdf2.der", content, "PBES2 in DER",
        private_key(p256, "pkcs8", encrypted=True), passphrase=PASSPHRASE,
    )  # fmt: skip
    for cipher in ("aes-128-cbc", "aes-256-cbc"):
        scrypt = ("-v2", cipher, "-scrypt", "-scrypt_N", "1024", "-scrypt_r", "8", "-scrypt_p", "1")
        corpus.add(
            f"openssl-p256-scrypt-{cipher}.pem", encrypt(p256, *scrypt), f"PBES2: scrypt, {cipher.upper()}",
            private_key(p256, "pkcs8", encrypted=True), passphrase=PASSPHRASE,
        )  # fmt: skip
    corpus.add(
        "openssl-p256-scrypt-realistic.pem", encrypt(p256, "-scrypt"), "PBES2: scrypt with OpenSSL's own parameters",
        private_key(p256, "pkcs8", encrypted=True), passphrase=PASSPHRASE, costly=True,
    )  # fmt: skip
    corpus.add(
        "openssl-p256-pbkdf2-realistic.pem", encrypt(p256, "-v2", "aes-256-cbc", "-iter", "600000"),
        "PBES2: PBKDF2 with 600,000 rounds",
        private_key(p256, "pkcs8", encrypted=True), passphrase=PASSPHRASE, costly=True,
    )  # fmt: skip


def add_odd_passphrases(corpus: Corpus, materials: Materials) -> None:
    p256 = materials.p256
    odd = {"utf8": "Grüße, Καλημέρα, 🔑", "long": "0123456789abcdef" * 20, "blanks": "  two  blanks  "}
    for title, passphrase in odd.items():
        corpus.add(
            f"openssl-p256-passphrase-{title}.pem", encrypt(p256, "-iter", "2048", passphrase=passphrase),
            f"a passphrase of its own: {title}",
            private_key(p256, "pkcs8", encrypted=True), passphrase=passphrase,
        )  # fmt: skip
    corpus.add(
        "openssl-p256-passphrase-empty.pem", encrypt(p256, "-iter", "2048", passphrase=""), "an empty passphrase",
        private_key(p256, "pkcs8", encrypted=True), passphrase="",
    )  # fmt: skip


def add_pbes1(corpus: Corpus, materials: Materials) -> None:
    p256 = materials.p256
    for scheme in ("PBE-SHA1-3DES", "PBE-SHA1-2DES"):
        corpus.add(
            f"openssl-{scheme.lower()}.pem", encrypt(p256, "-v1", scheme, "-iter", "2048"), scheme,
            private_key(p256, "pkcs8", encrypted=True), passphrase=PASSPHRASE,
        )  # fmt: skip
    # These live in the legacy provider of OpenSSL 3.
    schemes = ("PBE-MD5-DES", "PBE-SHA1-DES", "PBE-SHA1-RC2-40", "PBE-SHA1-RC2-128", "PBE-SHA1-RC4-128")
    for scheme in schemes:
        corpus.add(
            f"openssl-{scheme.lower()}.pem", encrypt(p256, "-v1", scheme, "-iter", "2048", *LEGACY), scheme,
            private_key(p256, "pkcs8", encrypted=True), passphrase=PASSPHRASE,
        )  # fmt: skip
    content = encrypt(materials.rsa, "-v1", "PBE-MD5-DES", "-iter", "2048", *LEGACY, "-outform", "DER")
    corpus.add(
        "openssl-pbe-md5-des.der", content, "pbeWithMD5AndDES-CBC in DER",
        private_key(materials.rsa, "pkcs8", encrypted=True), passphrase=PASSPHRASE,
    )  # fmt: skip


def add_headers(corpus: Corpus, materials: Materials) -> None:
    """Proc-Type and DEK-Info before the data."""
    for cipher in ("des", "des3", "aes128", "aes192", "aes256", "camellia256"):
        for key, command, form in ((materials.rsa, "rsa", "pkcs1"), (materials.p256, "ec", "sec1")):
            if cipher in ("aes192", "camellia256") and key is materials.p256:
                continue
            arguments = ["-traditional"] if command == "rsa" else []
            content = openssl(
                command, "-in", key.path, f"-{cipher}", "-passout", f"pass:{PASSPHRASE}", *arguments, *LEGACY
            )
            corpus.add(
                f"openssl-{key.name}-headers-{cipher}.pem", content, f"{form.upper()} under {cipher}, RFC 1423",
                private_key(key, form, encrypted=True), passphrase=PASSPHRASE,
            )  # fmt: skip
    content = openssl("rsa", "-in", materials.rsa.path, "-aes256", "-passout", f"pass:{PASSPHRASE}", "-traditional")
    corpus.add(
        "openssl-rsa-headers-crlf.pem", content.replace(b"\n", b"\r\n"), "PKCS#1 under headers, lines ending in CRLF",
        private_key(materials.rsa, "pkcs1", encrypted=True), passphrase=PASSPHRASE,
    )  # fmt: skip

