# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's ssh-keygen."""

from __future__ import annotations

from pathlib import Path

from .manifest import PASSPHRASE, Corpus, Key, named, openssl, private_key, public_key, refusal, run


def ssh_keygen(*arguments: str | Path) -> bytes:
    return run("ssh-keygen", "-q", *arguments)


def generate(path: Path, kind: str, bits: int, *arguments: str, passphrase: str = "") -> None:
    ssh_keygen("-t", kind, "-b", str(bits), "-N", passphrase, "-C", "corpus", "-f", path, *arguments)


def add_ssh(corpus: Corpus) -> None:
    kinds = (("rsa", 2048, "RSA 2048", "pkcs1"), ("ecdsa", 256, "EC P-256", "sec1"), ("ecdsa", 384, "EC P-384", "sec1"))
    for kind, bits, algorithm, traditional in kinds:
        for title, passphrase in (("", ""), ("-encrypted", PASSPHRASE)):
            for style, form in (("PEM", traditional), ("PKCS8", "pkcs8")):
                name = f"ssh-keygen-{kind}{bits}-{style.lower()}{title}"
                path = corpus.scratch(name)
                generate(path, kind, bits, "-m", style, passphrase=passphrase)
                public = openssl(
                    "pkey", "-in", path, "-passin", f"pass:{passphrase}", "-pubout", "-outform", "DER"
                )
                key = Key(name, algorithm, path, named(public))
                corpus.add(
                    f"{name}.pem", key.pem, f"{algorithm}, -m {style}",
                    private_key(key, form, encrypted=bool(passphrase)),
                    tool="ssh-keygen", passphrase=passphrase or None,
                )  # fmt: skip
    way = refusal("unsupported", "ssh-keygen")
    for kind, bits in (("rsa", 2048), ("ecdsa", 256), ("ed25519", 256)):
        for title, passphrase in (("", ""), ("-encrypted", PASSPHRASE)):
            name = f"ssh-keygen-{kind}-own{title}"
            path = corpus.scratch(name)
            generate(path, kind, bits, "-a", "4", passphrase=passphrase)
            expected = {"kind": "privateKey", "form": "openSSH", "encrypted": bool(passphrase), "refused": way}
            corpus.add(
                f"{name}.pem", path.read_bytes(), f"{kind} in OpenSSH's own form", expected,
                tool="ssh-keygen", passphrase=passphrase or None,
            )  # fmt: skip
    public = path_of_public = corpus.scratch("ssh-keygen-rsa-own.pub")
    spki = ssh_keygen("-e", "-m", "PKCS8", "-f", path_of_public)
    key = Key("ssh-rsa", "RSA 2048", public, named(openssl("pkey", "-pubin", "-outform", "DER", input=spki)))
    corpus.add("ssh-keygen-public-pkcs8.pem", spki, "a public key, -m PKCS8", public_key(key), tool="ssh-keygen")
    content = ssh_keygen("-e", "-m", "PEM", "-f", public)
    corpus.add("ssh-keygen-public-pkcs1.pem", content, "a public key, -m PEM", public_key(key), tool="ssh-keygen")
    nothing = refusal("malformed", "")
    corpus.add("ssh-keygen-public.pem", public.read_bytes(), "ssh-rsa AAAA…", tool="ssh-keygen", refused=nothing)
    content = ssh_keygen("-e", "-f", public)
    corpus.add("ssh-keygen-public-rfc4716.pem", content, "four dashes: RFC 4716", tool="ssh-keygen", refused=nothing)
