# SPDX-License-Identifier: Apache-2.0
"""GnuTLS's certtool."""

from __future__ import annotations

from pathlib import Path

from .manifest import (
    PASSPHRASE,
    Corpus,
    Key,
    certificate,
    der,
    named,
    openssl,
    private_key,
    public_key,
    request,
    revocation_list,
    run,
)
from .materials import Materials


def certtool(*arguments: str | Path) -> bytes:
    return run("certtool", *arguments)


def generate(corpus: Corpus, name: str, algorithm: str, *arguments: str) -> Key:
    path = corpus.scratch(f"{name}.key", certtool("--generate-privkey", *arguments))
    return Key(name, algorithm, path, named(openssl("pkey", "-in", path, "-pubout", "-outform", "DER")))


def add_gnutls(corpus: Corpus, materials: Materials) -> None:
    rsa = generate(corpus, "certtool-rsa", "RSA 2048", "--key-type", "rsa", "--bits", "2048")
    p256 = generate(corpus, "certtool-ecdsa", "EC P-256", "--key-type", "ecdsa", "--curve", "secp256r1")
    ed25519 = generate(corpus, "certtool-ed25519", "ED25519", "--key-type", "ed25519")
    what = "as it comes, after its numbers as text"
    corpus.add("certtool-rsa.pem", rsa.pem, f"RSA 2048 {what}", private_key(rsa, "pkcs1"))
    corpus.add("certtool-p256.pem", p256.pem, f"EC P-256 {what}", private_key(p256, "sec1"))
    corpus.add("certtool-ed25519.pem", ed25519.pem, f"Ed25519 {what}", private_key(ed25519, "pkcs8"))
    content = certtool("--key-info", "--infile", rsa.path, "--outder", "--no-text")
    corpus.add("certtool-rsa.der", content, "RSA 2048, PKCS#1", private_key(rsa, "pkcs1"))
    content = certtool("--to-p8", "--load-privkey", p256.path, "--password", "", "--outder", "--no-text")
    corpus.add("certtool-p256-pkcs8.der", content, "EC P-256, PKCS#8", private_key(p256, "pkcs8"))
    provable = generate(corpus, "provable", "RSA 2048", "--provable", "--bits", "2048", "--pkcs8", "--password", "")
    what = "RSA 2048 from a seed, which stands in the attributes"
    corpus.add("certtool-provable.pem", provable.pem, what, private_key(provable, "pkcs8"))

    for cipher in ("aes-128", "aes-192", "aes-256", "3des", "3des-pkcs12", "arcfour", "rc2-40"):
        content = certtool("--to-p8", "--load-privkey", p256.path, "--password", PASSPHRASE, "--pkcs-cipher", cipher)
        corpus.add(
            f"certtool-pkcs8-{cipher}.pem", content, f"PKCS#8 under {cipher}",
            private_key(p256, "pkcs8", encrypted=True), passphrase=PASSPHRASE,
        )  # fmt: skip
    add_signed(corpus, materials, rsa, p256)


def add_signed(corpus: Corpus, materials: Materials, rsa: Key, p256: Key) -> None:
    template = corpus.scratch("certtool.template")
    template.write_text(
        'organization = "Corpus"\ncn = "gnutls workload"\nserial = 0x0102030405\nexpiration_days = 36500\nca\n'
        'cert_signing_key\ncrl_signing_key\ndns_name = "gnutls.example"\nuri = "urn:corpus"\n'
        "crl_next_update = 36500\ncrl_number = 7\n"
    )
    signed = {}
    for key, name in ((rsa, "rsa"), (p256, "p256")):
        content = certtool("--generate-self-signed", "--load-privkey", key.path, "--template", template)
        # A certificate stands after its text, in which some lines look like headers.
        pem = openssl("x509", input=content)
        signed[name] = corpus.scratch(f"certtool-{name}.crt", content)
        expected = certificate(pem, key)
        corpus.add(f"certtool-certificate-{name}.pem", content, "a certificate after its text", expected)
        for title, cipher, hash in (("", "aes-256", "SHA256"), ("-3des", "3des-pkcs12", "SHA1"), ("-rc2-40", "rc2-40", "SHA512")):
            content = certtool(
                "--to-p12", "--load-privkey", key.path, "--load-certificate", signed[name], "--p12-name", "Name, Ümlaut",
                "--password", PASSPHRASE, "--pkcs-cipher", cipher, "--hash", hash, "--outder",
            )  # fmt: skip
            corpus.add(
                f"certtool-{name}{title}.p12", content, f"PKCS#12 under {cipher}, a {hash} seal",
                expected, private_key(key, "pkcs8", encrypted=True), passphrase=PASSPHRASE,
            )  # fmt: skip
    content = certtool(
        "--to-p12", "--load-certificate", signed["p256"], "--p12-name", "trusted", "--password", PASSPHRASE, "--outder"
    )
    corpus.add(
        "certtool-certificate-only.p12", content, "a certificate only",
        certificate(openssl("x509", "-in", signed["p256"]), p256), passphrase=PASSPHRASE,
    )  # fmt: skip
    pair = (certificate(openssl("x509", "-in", signed["p256"]), p256), private_key(p256, "pkcs8", encrypted=True))
    content = certtool(
        "--to-p12", "--load-privkey", p256.path, "--load-certificate", signed["p256"], "--p12-name", "armoured",
        "--password", PASSPHRASE,
    )  # fmt: skip
    corpus.add("certtool-armoured-p12.pem", content, "PKCS#12 in PEM, as certtool prints it", *pair, passphrase=PASSPHRASE)
    content = certtool("--generate-request", "--load-privkey", rsa.path, "--template", template)
    corpus.add("certtool-request.pem", content, "a request after its text", request(rsa))
    content = certtool(
        "--generate-crl", "--load-ca-privkey", p256.path, "--load-ca-certificate", signed["p256"],
        "--load-certificate", signed["rsa"], "--template", template,
    )  # fmt: skip
    corpus.add("certtool-list.pem", content, "a revocation list after its text", revocation_list(1))
    content = certtool("--pubkey-info", "--load-privkey", p256.path)
    corpus.add("certtool-public.pem", content, "a public key after its text", public_key(p256))
    chain = corpus.scratch("certtool-chain.pem", materials.chain)
    content = certtool("--p7-generate", "--load-certificate", chain)
    corpus.add("certtool-pkcs7.pem", content, "certificates as PKCS#7", certificate(materials.intermediate), certificate(materials.root), unordered=True)
    armoured = openssl("x509", "-in", signed["rsa"])
    content = certtool("--certificate-info", "--infile", signed["rsa"], "--outder")
    assert content == der(armoured)
    corpus.add("certtool-certificate.der", content, "a certificate", certificate(armoured, rsa))
