# SPDX-License-Identifier: Apache-2.0
"""What no tool of this machine makes: a TPM's key as text, and files that would cost hours, memory or the stack."""

from __future__ import annotations

import base64

from .manifest import PASSPHRASE, Corpus, refusal

HOURS = 2**31 - 1


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def octets(content: bytes) -> bytes:
    return tlv(0x04, content)


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def identifier(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = b""
    for arc in (first * 40 + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        body += bytes(reversed(digits))
    return tlv(0x06, body)


NULL = tlv(0x05)


def armoured(label: str, content: bytes) -> bytes:
    text = base64.b64encode(content).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def add_handmade(corpus: Corpus) -> None:
    add_tss2(corpus)
    add_derivations(corpus)
    add_nested(corpus)


def add_tss2(corpus: Corpus) -> None:
    """TSS2 PRIVATE KEY, after the draft of James Bottomley. Its TPM is nowhere."""
    size = lambda content: len(content).to_bytes(2, "big") + content  # noqa: E731
    point = size(bytes(range(1, 33))) + size(bytes(range(33, 65)))
    # TPM2B_PUBLIC: ECC, SHA-256, fixedTPM…sign, no policy, no symmetric, no scheme, P-256, no KDF, the point.
    area = bytes.fromhex("0023000b000400720000" + "0010" + "0010" + "0003" + "0010") + point
    for title, empty in (("no-password", True), ("password", False)):
        content = sequence(
            identifier("2.23.133.10.1.3"),
            tlv(0xA0, tlv(0x01, b"\xff")) if empty else b"",
            integer(0x40000001),
            octets(size(area)),
            octets(size(bytes(126))),
        )
        refused = refusal("unsupported", "TPM")
        corpus.add(
            f"handmade-tss2-{title}.pem", armoured("TSS2 PRIVATE KEY", content), f"a TPM's key, {title}",
            {"kind": "privateKey", "form": "tss2", "refused": refused}, tool="make-key-corpus",
        )  # fmt: skip


def add_derivations(corpus: Corpus) -> None:
    def add(title: str, what: str, derivation: bytes) -> None:
        cipher = sequence(identifier("2.16.840.1.101.3.4.1.42"), octets(bytes(16)))
        scheme = sequence(identifier("1.2.840.113549.1.5.13"), sequence(derivation, cipher))
        refused = refusal("unsupported", "would take too long")
        content = sequence(scheme, octets(bytes(range(144))))
        corpus.add(f"hostile-{title}.der", content, what, tool="make-key-corpus", passphrase=PASSPHRASE, refused=refused)
        content = armoured("ENCRYPTED PRIVATE KEY", content)
        corpus.add(f"hostile-{title}.pem", content, what, tool="make-key-corpus", passphrase=PASSPHRASE, refused=refused)

    hmac = sequence(identifier("1.2.840.113549.2.9"), NULL)
    parameters = sequence(octets(bytes(16)), integer(HOURS), hmac)
    rounds = sequence(identifier("1.2.840.113549.1.5.12"), parameters)
    add("pbkdf2-rounds", "PBKDF2 with 2,147,483,647 rounds", rounds)
    for title, cost, block, parallel in (("memory", 2**30, 8, 1), ("parallel", 2**14, 8, 2**20), ("block", 2, 2**28, 1)):
        parameters = sequence(octets(bytes(16)), integer(cost), integer(block), integer(parallel))
        derivation = sequence(identifier("1.3.6.1.4.1.11591.4.11"), parameters)
        add(f"scrypt-{title}", f"scrypt with N = {cost}, r = {block}, p = {parallel}", derivation)

    # A PKCS#12 without contents, whose seal takes as many rounds.
    digest = sequence(sequence(identifier("2.16.840.1.101.3.4.2.1"), NULL), octets(bytes(32)))
    corpus.add(
        "hostile-mac-rounds.p12", container(b"", sequence(digest, octets(bytes(8)), integer(HOURS))),
        "a MAC with 2,147,483,647 rounds",
        tool="make-key-corpus", passphrase=PASSPHRASE, refused=refusal("unsupported", "2147483647 rounds"),
    )  # fmt: skip
    # The same, after RFC 9579: the rounds stand in the algorithm.
    hmac = sequence(identifier("1.2.840.113549.2.9"), NULL)
    parameters = sequence(octets(bytes(8)), integer(HOURS), integer(32), hmac)
    derivation = sequence(identifier("1.2.840.113549.1.5.12"), parameters)
    algorithm = sequence(identifier("1.2.840.113549.1.5.14"), sequence(derivation, hmac))
    corpus.add(
        "hostile-pbmac1-rounds.p12",
        container(b"", sequence(sequence(algorithm, octets(bytes(32))), octets(bytes(8)), integer(1))),
        "a MAC after RFC 9579 with 2,147,483,647 rounds",
        tool="make-key-corpus", passphrase=PASSPHRASE, refused=refusal("unsupported", ""),
    )  # fmt: skip
    # Contents encrypted in that many rounds, without a seal before them.
    pbes1 = sequence(identifier("1.2.840.113549.1.12.1.3"), sequence(octets(bytes(8)), integer(HOURS)))
    sealed = sequence(identifier("1.2.840.113549.1.7.1"), pbes1, tlv(0x80, bytes(64)))
    contents = sequence(identifier("1.2.840.113549.1.7.6"), tlv(0xA0, sequence(integer(0), sealed)))
    corpus.add(
        "hostile-contents-rounds.p12", container(contents), "contents under PBES1 with 2,147,483,647 rounds",
        tool="make-key-corpus", passphrase=PASSPHRASE, refused=refusal("unsupported", "2147483647 rounds"),
    )  # fmt: skip


def data(content: bytes) -> bytes:
    return sequence(identifier("1.2.840.113549.1.7.1"), tlv(0xA0, octets(content)))


def container(contents: bytes, seal: bytes = b"") -> bytes:
    """A PFX (RFC 7292) of contents."""
    return sequence(integer(3), data(sequence(contents)), seal)


def add_nested(corpus: Corpus) -> None:
    def bag(inner: bytes) -> bytes:
        return sequence(sequence(identifier("1.2.840.113549.1.12.10.1.6"), tlv(0xA0, inner)))

    nested = sequence()
    for _ in range(300):
        nested = bag(nested)
    corpus.add(
        "hostile-nested-bags.p12", container(data(nested)), "300 bags in each other",
        tool="make-key-corpus", passphrase=PASSPHRASE, refused=refusal("malformed", ""),
    )  # fmt: skip
    deep = b""
    for _ in range(4000):
        deep = sequence(deep)
    refused = refusal("malformed", "")
    corpus.add("hostile-nested.der", deep, "4,000 sequences in each other", tool="make-key-corpus", refused=refused)
