# SPDX-License-Identifier: Apache-2.0
"""Certificates, requests, lists and public keys, and the ways in which people put them and keys into one file."""

from __future__ import annotations

import base64

from .manifest import (
    PASSPHRASE,
    Corpus,
    certificate,
    der,
    openssl,
    private_key,
    public_key,
    refusal,
    request,
    revocation_list,
    run,
)
from .materials import LIFETIME, Materials

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def add_texts(corpus: Corpus, materials: Materials) -> None:
    add_public(corpus, materials)
    add_bundles(corpus, materials)
    add_line_ends(corpus, materials)
    add_refused(corpus, materials)


def add_public(corpus: Corpus, materials: Materials) -> None:
    leaf, rsa_leaf = materials.leaf, materials.rsa_leaf
    corpus.add("openssl-certificate.pem", leaf.pem, "a certificate", certificate(leaf))
    corpus.add("openssl-certificate.der", der(rsa_leaf.pem), "a certificate", certificate(rsa_leaf))
    content = openssl("x509", "-in", leaf.path, "-text")
    corpus.add("openssl-certificate-text.pem", content, "a certificate after its text", certificate(leaf))
    content = leaf.pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE")
    corpus.add("openssl-certificate-old-label.pem", content, "the label of SSLeay", certificate(leaf))
    content = openssl("x509", "-in", leaf.path, "-trustout", "-addtrust", "clientAuth")
    corpus.add("openssl-certificate-trusted.pem", content, "OpenSSL's TRUSTED form", certificate(leaf))

    key = materials.rsa
    content = openssl("req", "-new", "-key", key.path, "-subj", "/CN=request", "-addext", "subjectAltName=DNS:a.example")
    corpus.add("openssl-request.pem", content, "a request", request(key))
    corpus.add("openssl-request.der", der(content), "a request", request(key))
    content = openssl("req", "-new", "-key", materials.p384.path, "-subj", "/CN=request", "-text")
    corpus.add("openssl-request-text.pem", content, "a request after its text", request(materials.p384))

    content = make_list(corpus, materials)
    corpus.add("openssl-list.pem", content, "a revocation list", revocation_list(2))
    corpus.add("openssl-list.der", der(content), "a revocation list", revocation_list(2))
    content = openssl("crl", "-text", input=content)
    corpus.add("openssl-list-text.pem", content, "a revocation list after its text", revocation_list(2))

    for key in (materials.rsa, materials.p256, materials.ed25519):
        content = openssl("pkey", "-in", key.path, "-pubout")
        corpus.add(f"openssl-{key.name}-public.pem", content, f"the public half, {key.algorithm}", public_key(key))
        corpus.add(f"openssl-{key.name}-public.der", der(content), f"the public half, {key.algorithm}", public_key(key))
    content = openssl("rsa", "-in", materials.rsa.path, "-RSAPublicKey_out")
    corpus.add("openssl-rsa-public-pkcs1.pem", content, "RSA PUBLIC KEY", public_key(materials.rsa))

    authorities = materials.authorities
    content = openssl("crl2pkcs7", "-nocrl", "-certfile", leaf.path, "-certfile", authorities)
    chain = [certificate(leaf), certificate(materials.intermediate), certificate(materials.root)]
    corpus.add("openssl-bundle-pkcs7.pem", content, "three certificates as PKCS#7", *chain, unordered=True)
    corpus.add("openssl-bundle-pkcs7.der", der(content), "three certificates as PKCS#7", *chain, unordered=True)
    content = openssl("cms", "-sign", "-signer", leaf.path, "-inkey", leaf.key.path, "-outform", "PEM", input=b"message")
    corpus.add("openssl-message-cms.pem", content, "a signed message, which holds its certificate", certificate(leaf))


def make_list(corpus: Corpus, materials: Materials) -> bytes:
    """A list of two revoked certificates."""
    corpus.scratch(
        "index.txt",
        b"R\t991231235959Z\t210102030405Z\t0A\tunknown\t/CN=a\nR\t991231235959Z\t210102030405Z,keyCompromise\t0B\tunknown\t/CN=b\n",
    )
    corpus.scratch("crlnumber", b"12\n")
    configuration = corpus.scratch(
        "list.cnf",
        f"[ca]\ndefault_ca = here\n[here]\ndatabase = {corpus.work}/index.txt\ncrlnumber = {corpus.work}/crlnumber\n"
        "default_md = sha256\n[extensions]\nauthorityKeyIdentifier = keyid\n".encode(),
    )
    root = materials.root
    return openssl(
        "ca", "-config", configuration, "-gencrl", "-keyfile", root.key.path, "-cert", root.path,
        "-crlexts", "extensions", "-crldays", LIFETIME,
    )  # fmt: skip


def add_bundles(corpus: Corpus, materials: Materials) -> None:
    """A key and its chain in one file."""
    leaf, intermediate, root = materials.leaf, materials.intermediate, materials.root
    parts = {"key": leaf.key, "leaf": leaf, "intermediate": intermediate, "root": root}
    orders = (
        ("key", "leaf", "intermediate", "root"), ("leaf", "intermediate", "key"), ("root", "intermediate", "leaf", "key"),
        ("intermediate", "key", "leaf"), ("leaf", "key"), ("key", "leaf"),
    )  # fmt: skip
    for order in orders:
        objects = [private_key(leaf.key, "pkcs8") if part == "key" else certificate(parts[part]) for part in order]
        content = b"".join(parts[part].pem for part in order)
        corpus.add(f"openssl-bundle-{'-'.join(order)}.pem", content, " + ".join(order), *objects)
    chain = [certificate(leaf), certificate(intermediate), certificate(root)]
    texts = b"".join(openssl("x509", "-in", part.path, "-text") for part in (leaf, intermediate, root))
    key = openssl("ec", "-in", leaf.key.path, "-aes256", "-passout", f"pass:{PASSPHRASE}")
    corpus.add(
        "openssl-bundle-texts-encrypted.pem", key + texts, "an encrypted SEC1 key and a chain with texts",
        private_key(leaf.key, "sec1", encrypted=True), *chain, passphrase=PASSPHRASE,
    )  # fmt: skip
    objects = [private_key(leaf.key, "pkcs8"), private_key(materials.rsa, "pkcs8")]
    corpus.add("openssl-two-keys.pem", leaf.key.pem + materials.rsa.pem, "two keys", *objects)
    content = openssl(
        "pkcs12", "-export", "-in", leaf.path, "-inkey", leaf.key.path, "-certfile", materials.authorities,
        "-passout", "pass:x", "-name", "Schlüssel",
    )  # fmt: skip
    path = corpus.scratch("attributes.p12", content)
    attributes = openssl("pkcs12", "-in", path, "-passin", "pass:x", "-noenc", "-info")
    corpus.add(
        "openssl-bag-attributes.pem", attributes, "what openssl pkcs12 prints, with bag attributes",
        *chain, private_key(leaf.key, "pkcs8"),
    )  # fmt: skip
    everything = (
        openssl("ecparam", "-name", "P-256") + leaf.key.pem + leaf.pem
        + openssl("req", "-new", "-key", leaf.key.path, "-subj", "/CN=again") + make_list(corpus, materials)
        + openssl("pkey", "-in", leaf.key.path, "-pubout")
    )  # fmt: skip
    corpus.add(
        "openssl-one-of-each.pem", everything, "one of each kind",
        private_key(leaf.key, "pkcs8"), certificate(leaf), request(leaf.key),
        revocation_list(2), public_key(leaf.key),
    )  # fmt: skip


def add_line_ends(corpus: Corpus, materials: Materials) -> None:
    """A key and its certificate, through editors, mail and copy and paste."""
    leaf = materials.leaf
    pair = leaf.key.pem + leaf.pem
    objects = (private_key(leaf.key, "pkcs8"), certificate(leaf))
    lines = pair.decode().splitlines()
    crlf = pair.replace(b"\n", b"\r\n")
    unfolded = leaf.key.pem + b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(der(leaf.pem))
    unfolded += b"\n-----END CERTIFICATE-----\n"
    variants = {
        "crlf": (crlf, "lines that end in CRLF"),
        "cr": (pair.replace(b"\n", b"\r"), "lines that end in CR"),
        "mixed": (leaf.key.pem + leaf.pem.replace(b"\n", b"\r\n"), "LF, then CRLF"),
        "mark": (BYTE_ORDER_MARK + pair, "a byte order mark"),
        "mark-crlf": (BYTE_ORDER_MARK + crlf, "a byte order mark and CRLF, as Notepad saves"),
        "joined-marks": (BYTE_ORDER_MARK + leaf.key.pem + BYTE_ORDER_MARK + leaf.pem, "two files with marks, joined"),
        "no-newline": (pair.rstrip(b"\n"), "no newline at the end"),
        "blanks": ("".join(f"{line} \t\n" for line in lines).encode(), "blanks at the ends of lines"),
        "indented": ("".join(f"    {line}\n" for line in lines).encode(), "indented, as out of YAML"),
        "empty-lines": ("\n\n".join(lines).encode() + b"\n\n\n", "empty lines between all lines"),
        "unfolded": (unfolded, "base64 in one line"),
        "prose": (
            b"Hello,\nhere is your key: keep it safe.\n\n" + leaf.key.pem + b"\n-- \nThe certificate:\n" + leaf.pem
            + "\x00\x01\nfin, ça y est\n".encode("latin-1"), "prose around, and bytes that are no UTF-8",
        ),
        "dashes": (b"----------\n-----\n-----BEGIN-----\n" + pair + b"-----END\n----------\n", "rules of dashes"),
    }  # fmt: skip
    for title, (content, what) in variants.items():
        corpus.add(f"openssl-text-{title}.pem", content, what, *objects)
    content = run("tr", "-d", "\\n", input=base64.encodebytes(der(leaf.pem)))
    folded = "\n".join(content.decode()[start : start + 76] for start in range(0, len(content), 76))
    content = f"-----BEGIN CERTIFICATE-----\n{folded}\n-----END CERTIFICATE-----\n".encode()
    corpus.add("openssl-text-76-columns.pem", content, "base64 in 76 columns, as MIME folds it", certificate(leaf))
    content = "".join(leaf.pem.decode().splitlines(keepends=True)[1:-1]).encode()
    corpus.add(
        "openssl-text-no-armour.pem", content, "base64 of DER, without lines around it", certificate(leaf),
        tool="openssl, changed", form="der",
    )  # fmt: skip


def add_refused(corpus: Corpus, materials: Materials) -> None:
    """Files that hold nothing to use, or are damaged."""
    leaf = materials.leaf
    text = leaf.pem.decode()
    lines = text.splitlines(keepends=True)
    damaged = {
        "no-end": ("".join(lines[:-1]), "malformed", "END"),
        "no-begin": ("".join(lines[1:]), "malformed", ""),
        "wrong-end": (text.replace("END CERTIFICATE", "END PRIVATE KEY"), "malformed", "ends as"),
        "not-base64": ("".join(lines[:3]) + "*" * 64 + "\n" + "".join(lines[4:]), "malformed", "base64"),
        "line-missing": ("".join(lines[:3] + lines[4:]), "malformed", "certificate"),
        "half-a-line": ("".join(lines[:3]) + lines[3][:30] + "\n" + "".join(lines[4:]), "malformed", ""),
        "prose": ("there is nothing in here\n", "malformed", ""),
        "html": ("<!DOCTYPE html><html><body>404 Not Found</body></html>\n", "malformed", ""),
    }
    for title, (content, code, says) in damaged.items():
        what = f"a certificate, damaged: {title}"
        corpus.add(f"damaged-{title}.pem", content.encode(), what, tool="openssl, changed", refused=refusal(code, says))
    content = text.encode("utf-16")
    corpus.add(
        "damaged-utf-16.pem", content, "a certificate, saved as UTF-16 by PowerShell",
        tool="openssl, changed", refused=refusal("unsupported", "UTF-16"),
    )  # fmt: skip
    content = der(leaf.pem)
    for title, damaged_der in {
        "truncated": content[:-1], "trailing": content + b"\x00", "twice": content * 2, "zeros": bytes(1000),
        "sequence": b"\x30\x00", "endless": b"\x30\x84\xff\xff\xff\xff" + content,
    }.items():  # fmt: skip
        corpus.add(
            f"damaged-{title}.der", damaged_der, f"a certificate, damaged: {title}",
            tool="openssl, changed", refused=refusal("malformed", ""),
        )  # fmt: skip
