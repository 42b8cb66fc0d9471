# SPDX-License-Identifier: Apache-2.0
"""F1: keys that are damaged, mislabelled or in another file's place are given to every command, and no output has any of it."""

from __future__ import annotations

import base64
import binascii
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from program import Pki
from sampling import scaled
from test_creds import ARNS, NOWHERE

COUNT = scaled(500, 200)
WINDOW = 12

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Material:
    """A key, how it is written, and what must not be seen of it."""

    pem: str
    der: bytes
    secrets: frozenset[str]


def windows(text: str) -> Iterator[str]:
    return (text[start : start + WINDOW] for start in range(len(text) - WINDOW + 1))


def encodings(data: bytes) -> Iterator[str]:
    """Bytes in hexadecimal, and in base64 wherever they may lie in what is encoded."""
    text = binascii.hexlify(data).decode()
    for start in range(len(text) - 2 * WINDOW + 1):
        yield text[start : start + 2 * WINDOW]
        yield text[start : start + 2 * WINDOW].upper()
    for offset in range(3):
        # The digits at either end hold something of the neighbours.
        yield from windows(base64.b64encode(bytes(offset) + data).decode()[4 if offset else 0 : -4])


def scalar(key: Key) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    number = key.private_numbers()
    value = number.d if isinstance(number, rsa.RSAPrivateNumbers) else number.private_value
    return value.to_bytes((value.bit_length() + 7) // 8)


def material(key: Key, form: PrivateFormat, passphrase: bytes | None = None) -> Material:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    text = key.private_bytes(Encoding.PEM, form, encryption).decode()
    body = "".join(line for line in text.splitlines() if "-----" not in line and ":" not in line)
    # What the public key has in common with the private one may be shown.
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    shown = {window for offset in range(3) for window in windows(base64.b64encode(bytes(offset) + public).decode())}
    secrets = {window for window in windows(body) if window not in shown} | set(encodings(scalar(key)))
    # Algorithms are no secret: their identifiers stand in every key.
    common = {window for window in secrets if re.search(r"AAAAAAAAAAAA|BgkqhkiG9w0B|hkjOPQ|KoZIzj0|GByqGSM49", window)}
    return Material(text, base64.b64decode(body), frozenset(secrets - common))


def escaped(text: str) -> str:
    return text.strip().replace("\n", "\\n")


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def label(text: str, begin: str, end: str | None = None) -> str:
    """The text with other labels in its first and last lines."""
    text = re.sub("-----BEGIN [A-Z ]+-----", lambda _: f"-----BEGIN {begin}-----", text)
    return re.sub("-----END [A-Z ]+-----", lambda _: f"-----END {end or begin}-----", text)


def body(text: str) -> str:
    return "".join(line for line in text.splitlines() if "-----" not in line and ":" not in line)


def header(text: str, line: str) -> str:
    first, rest = text.split("\n", 1)
    return f"{first}\n{line}\n\n{rest}"


def flipped(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    return text[:place] + chance.choice("-:= \n!A\x00é\u0301\u202e") + text[place + 1 :]


Damage = Callable[[Material, random.Random], str | bytes]

DAMAGES: dict[str, Damage] = {
    "one line": lambda key, _: key.pem.replace("\n", " "),
    "no line ends": lambda key, _: key.pem.replace("\n", ""),
    "one line without END": lambda key, _: key.pem.replace("\n", " ").split("-----END")[0],
    "one line with prose": lambda key, _: "key: " + key.pem.replace("\n", " "),
    "one line, other END": lambda key, _: label(key.pem, "PRIVATE KEY", "RSA PRIVATE KEY").replace("\n", " "),
    "one line, cut": lambda key, chance: key.pem.replace("\n", " ")[: chance.randrange(40, len(key.pem))],
    "escaped": lambda key, _: escaped(key.pem),
    "escaped, cut": lambda key, chance: escaped(key.pem)[: chance.randrange(40, len(key.pem))],
    "escaped in quotes": lambda key, _: f'"{escaped(key.pem)}"',
    "an open quote": lambda key, _: f'"{key.pem}',
    "dotenv": lambda key, _: f"KEY='{escaped(key.pem)}'\n",
    "base64": lambda key, _: base64_of(key.pem),
    "base64, cut": lambda key, chance: base64_of(key.pem)[: chance.randrange(20, len(key.pem))],
    "base64 of DER": lambda key, _: base64.b64encode(key.der).decode(),
    "base64 of DER, damaged": lambda key, chance: flipped(base64.b64encode(key.der).decode(), chance),
    "base64 twice": lambda key, _: base64_of(base64_of(key.pem)),
    "base64 for URLs": lambda key, _: base64.urlsafe_b64encode(key.der).decode(),
    "hexadecimal": lambda key, _: binascii.hexlify(key.der).decode(),
    "DER": lambda key, _: key.der,
    "DER, cut": lambda key, chance: key.der[: chance.randrange(8, len(key.der))],
    "DER, damaged": lambda key, chance: flipped(key.der.decode("latin-1"), chance).encode("latin-1", "replace"),
    "DER as text": lambda key, _: key.der.decode("latin-1").encode(),
    "JSON": lambda key, _: json.dumps({"data": {"private_key": key.pem}}),
    "JSON, flat": lambda key, _: json.dumps({"private_key": body(key.pem)}),
    "JSON list": lambda key, _: json.dumps([key.pem]),
    "YAML": lambda key, _: "kind: Secret\ndata:\n  tls.key: " + base64_of(key.pem) + "\n",
    "YAML block": lambda key, _: "key: |\n" + "".join(f"  {line}\n" for line in key.pem.splitlines()[:-1]),
    "INI": lambda key, _: f"[default]\naws_secret_access_key = {body(key.pem)}\n",
    "no END": lambda key, _: key.pem.split("-----END")[0],
    "no BEGIN": lambda key, _: key.pem.split("\n", 1)[1],
    "no boundaries": lambda key, _: body(key.pem),
    "no newline": lambda key, _: key.pem.strip().replace("-----\n", "-----"),
    "wrong END": lambda key, _: label(key.pem, "PRIVATE KEY", "CERTIFICATE"),
    "as a certificate": lambda key, _: label(key.pem, "CERTIFICATE"),
    "as a request": lambda key, _: label(key.pem, "CERTIFICATE REQUEST"),
    "as a CRL": lambda key, _: label(key.pem, "X509 CRL"),
    "as SEC 1": lambda key, _: label(key.pem, "EC PRIVATE KEY"),
    "as PKCS#1": lambda key, _: label(key.pem, "RSA PRIVATE KEY"),
    "as encrypted": lambda key, _: label(key.pem, "ENCRYPTED PRIVATE KEY"),
    "as OpenSSH's": lambda key, _: label(key.pem, "OPENSSH PRIVATE KEY"),
    "as a TPM's": lambda key, _: label(key.pem, "TSS2 PRIVATE KEY"),
    "as PKCS#7": lambda key, _: label(key.pem, "PKCS7"),
    "as something": lambda key, _: label(key.pem, "Private Key"),
    "its own label": lambda key, _: label(key.pem, body(key.pem)),
    "its own label, short": lambda key, _: label(key.pem, body(key.pem)[30:55]),
    "its own label in capitals": lambda key, _: label(key.pem, binascii.hexlify(key.der[-34:]).decode().upper()),
    "its own END": lambda key, _: label(key.pem, "PRIVATE KEY", body(key.pem)),
    "in DEK-Info": lambda key, _: header(
        label(key.pem, "RSA PRIVATE KEY"), f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {body(key.pem)},{body(key.pem)}"
    ),
    "in DEK-Info's vector": lambda key, _: header(
        label(key.pem, "RSA PRIVATE KEY"),
        f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{binascii.hexlify(key.der).decode()}",
    ),
    "in a header": lambda key, _: header(label(key.pem, "EC PRIVATE KEY"), f"{body(key.pem)}: {body(key.pem)}"),
    "cut": lambda key, chance: key.pem[: chance.randrange(40, len(key.pem))],
    "damaged": lambda key, chance: flipped(key.pem, chance),
    "a line lost": lambda key, _: "\n".join(key.pem.splitlines()[:1] + key.pem.splitlines()[2:]),
    "mixed line ends": lambda key, chance: "".join(
        line + chance.choice(["\n", "\r\n", "\r", "\x0b", "\u2028"]) for line in key.pem.splitlines()
    ),
    "a byte order mark": lambda key, _: "\ufeff" + key.pem.replace("\n", " "),
    "UTF-16": lambda key, _: key.pem.encode("utf-16"),
    "UTF-16 without a mark": lambda key, _: key.pem.encode("utf-16-le"),
    "NUL": lambda key, _: key.pem.encode().replace(b"\n", b"\x00"),
    "twice": lambda key, _: key.pem.replace("\n", " ") + key.pem,
    "as a URI": lambda key, _: f"pkcs11:object={body(key.pem)}",
    "an extension": lambda key, _: f"{body(key.pem)} = {body(key.pem)}\n",
    "a section": lambda key, _: f"[ req ]\nx509_extensions = {body(key.pem)}\n",
    "a CSV column": lambda key, _: f"name,{body(key.pem)}\nx,y\n",
    "a CSV row": lambda key, _: f"name,dns\n{body(key.pem)},{body(key.pem)}\n",
}


@dataclass(frozen=True)
class Case:
    """An input and the commands that get it."""

    title: str
    content: bytes
    secrets: frozenset[str]
    commands: tuple[str, ...]


FILE = ("file",)
EVERYWHERE = ("file", "env", "fd", "stdin")

CREDS = ("--certificate", "{certificate}", "--private-key", "{input}", *ARNS, *NOWHERE)

# The words of each command, and over what it can read. `{input}` is where the key is.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "creds": (("creds", *CREDS), EVERYWHERE),
    "creds --debug": (("creds", "--debug", *CREDS), EVERYWHERE),
    "creds, one file": (("creds", "--certificate", "{input}", *ARNS, *NOWHERE), EVERYWHERE),
    "creds, intermediates": (
        ("creds", "--certificate", "{certificate}", "--private-key", "{key}", "--intermediates", "{input}", *ARNS, *NOWHERE),
        EVERYWHERE,
    ),
    "creds, passphrase": (
        ("creds", "--certificate", "{certificate}", "--private-key", "{encrypted}", "--passphrase-file", "{input}", *ARNS, *NOWHERE),
        FILE,
    ),
    "whoami": (("whoami", *CREDS), EVERYWHERE),
    "exec": (("exec", *CREDS, "--", "/bin/true"), EVERYWHERE),
    "update": (("update", "--once", *CREDS), EVERYWHERE),
    "serve": (("serve", "--port", "0", *CREDS), EVERYWHERE),
    "configure": (("configure", "--profile", "p", *CREDS), ("file", "env")),
    "doctor": (("doctor", *CREDS), EVERYWHERE),
    "doctor in JSON": (("doctor", "--format", "json", *CREDS), EVERYWHERE),
    "credential-process": (("credential-process", *CREDS), EVERYWHERE),
    "sign-string": (("sign-string", "--private-key", "{input}"), EVERYWHERE),
    "read-certificate-data": (("read-certificate-data", "--certificate", "{input}"), EVERYWHERE),
    "inspect": (("inspect", "{input}"), EVERYWHERE),
    "inspect in JSON": (("inspect", "--format", "json", "{input}"), EVERYWHERE),
    "lint": (("lint", "{input}"), EVERYWHERE),
    "verify": (("verify", "{input}", "--bundle", "{certificate}"), EVERYWHERE),
    "verify, bundle": (("verify", "{certificate}", "--bundle", "{input}"), EVERYWHERE),
    "print-bundle": (("print-bundle", "{input}"), FILE),
    "print-trust-policy": (("print-trust-policy", "--source-account", "111122223333", "--certificate", "{input}"), FILE),
    "issue-client": (("issue-client", "--directory", "{ca}", "--name", "x", "--ca-key", "{input}"), EVERYWHERE),
    "issue-client, request": (("issue-client", "--directory", "{ca}", "--name", "x", "--csr", "{input}"), FILE),
    "issue-client, template": (("issue-client", "--directory", "{ca}", "--name", "x", "--template", "{input}"), FILE),
    "issue-client, batch": (("issue-client", "--directory", "{ca}", "--batch", "{input}"), FILE),
    "crl": (("crl", "--directory", "{ca}", "--ca-key", "{input}"), EVERYWHERE),
    "renew": (("renew", "--directory", "{ca}", "client", "--ca-key", "{input}"), EVERYWHERE),
    "export": (("export", "--directory", "{broken}", "client", "--format", "pkcs12", "--output", "-"), FILE),
    "crl, directory": (("crl", "--directory", "{broken}"), FILE),
    "doctor, directory": (("doctor", "--directory", "{broken}"), FILE),
    "list": (("list", "--directory", "{broken}"), FILE),
    "import": (("import", "{folder}", "--directory", "{new}", "--dry-run"), FILE),
}  # fmt: skip


def cases(chance: random.Random) -> Iterator[Case]:
    """Every damage of every kind of key in turn, and the commands likewise: each meets each shape sooner or later."""
    kinds: list[Callable[[], Material]] = [
        lambda: material(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8),
        lambda: material(ec.generate_private_key(ec.SECP384R1()), PrivateFormat.TraditionalOpenSSL),
        lambda: material(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
        lambda: material(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8, b"secret"),
        lambda: material(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL, b"secret"),
        lambda: large,
    ]
    large = material(rsa.generate_private_key(65537, 2048), PrivateFormat.PKCS8)
    names = list(COMMANDS)
    chance.shuffle(names)
    for number in range(COUNT):
        title, damage = list(DAMAGES.items())[number % len(DAMAGES)]
        key = kinds[number // len(DAMAGES) % len(kinds)]()
        content = damage(key, chance)
        commands = tuple(names[(3 * number + offset) % len(names)] for offset in range(3))
        yield Case(
            f"{title} ({number})", content if isinstance(content, bytes) else content.encode(), key.secrets, commands
        )


def found(case: Case, output: bytes) -> set[str]:
    """What of a key stands in an output, also when it was broken into lines."""
    text = output.decode(errors="replace")
    plain = re.sub(r"\\[nr]|[\s\"\\]+", "", text)
    return case.secrets & ({*windows(text), *windows(plain)} | long_windows(text))


def long_windows(text: str) -> set[str]:
    runs = re.findall(r"[0-9a-fA-F]{24,}", text)
    return {run[start : start + 24] for run in runs for start in range(len(run) - 23)}


@dataclass(frozen=True)
class Place:
    """The files that commands need besides the key."""

    pki: Pki
    folder: Path
    ca: Path

    def run(self, case: Case, name: str, channel: str, number: int) -> bytes:
        own = self.folder / f"{number}-{name.replace(' ', '-')}-{channel}"
        own.mkdir()
        path = own / "input"
        path.write_bytes(case.content)
        path.chmod(0o600)
        if name == "issue-client, batch" and re.fullmatch(rb"[\w.@-]{1,64}", case.content):
            return b""  # By chance the name of a host, which is issued to and shown.
        environment = {**self.pki.variables(), "HOME": str(own)}
        words = COMMANDS[name][0]
        source = str(path)
        descriptors: tuple[int, ...] = ()
        stdin: int | None = None
        if channel == "env":
            if b"\x00" in case.content:
                return b""
            environment["KEY"] = os.fsdecode(case.content)
            source = "env:KEY"
        elif channel in ("fd", "stdin"):
            stdin = os.open(path, os.O_RDONLY)
            descriptors, source = ((stdin,), f"fd:{stdin}") if channel == "fd" else ((), "-")
        broken = own / "broken"
        if "{broken}" in words:
            shutil.copytree(self.ca, broken)
            name = ("client-key.pem", "root-key.pem", "root-key.uri")[number % 3]
            # A well-formed address is shown.
            if case.content.startswith(b"pkcs11:"):
                name = "root-key.pem"
            shutil.copy(path, broken / name)
            if name == "root-key.uri":
                (broken / "root-key.pem").unlink()
        if "{folder}" in words:
            (own / "old").mkdir()
            shutil.copy(self.ca / "root-cert.pem", own / "old/ca.crt")
            shutil.copy(path, own / "old/ca.key")
        values = {
            "input": source, "ca": str(self.ca), "broken": str(broken), "folder": str(own / "old"), "new": str(own / "new"),
            "certificate": str(self.ca / "client-cert.pem"), "key": str(self.ca / "client-key.pem"),
            "encrypted": str(self.folder / "encrypted.pem"),
        }  # fmt: skip
        arguments = [word[1:-1] in values and word.startswith("{") and values[word[1:-1]] or word for word in words]
        try:
            done = subprocess.run(
                self.pki.command(*arguments), cwd=own, env=environment, timeout=30, check=False, pass_fds=descriptors,
                stdin=stdin if channel == "stdin" else subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        finally:
            if stdin is not None:
                os.close(stdin)
        assert done.returncode >= 0, f"{name} over {channel} with {case.title}: signal {-done.returncode}"
        return done.stdout


@pytest.fixture
def place(pki: Pki, ca: Path, tmp_path: Path) -> Place:
    key = material(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8, b"other")
    (tmp_path / "encrypted.pem").write_text(key.pem)
    (tmp_path / "encrypted.pem").chmod(0o600)
    return Place(pki, tmp_path, ca)


def test_f1_no_output_has_twelve_characters_of_a_key(place: Place) -> None:
    """Each input goes to three commands, over each of their channels in turn."""
    chance = random.Random(12)
    work: list[tuple[Case, str, str, int]] = []
    turns = dict.fromkeys(COMMANDS, 0)
    for number, case in enumerate(cases(chance)):
        for name in case.commands:
            channels = COMMANDS[name][1]
            work.append((case, name, channels[turns[name] % len(channels)], number))
            turns[name] += 1
    assert min(turns.values()) >= COUNT * 3 // len(COMMANDS) - 1

    def leak(job: tuple[Case, str, str, int]) -> str | None:
        case, name, channel, number = job
        output = place.run(case, name, channel, number)
        seen = found(case, output)
        return f"{name} over {channel}, {case.title}: {sorted(seen)[0]}\n{output.decode(errors='replace')}" if seen else None

    with ThreadPoolExecutor(4) as pool:
        leaks = [text for text in pool.map(leak, work) if text]
    if leaks:
        pytest.fail(f"{len(leaks)} of {len(work)} runs print a key:\n" + "\n".join(leaks[:10]), pytrace=False)


def test_what_is_looked_for_is_found() -> None:
    """A search that never finds anything would prove nothing."""
    key = material(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8)
    case = Case("plain", b"", key.secrets, ())
    for text in (key.pem, key.pem.replace("\n", " "), escaped(key.pem), binascii.hexlify(key.der).decode()):
        assert found(case, text.encode())
    assert not found(case, b"the private key cannot be read: d2i_PrivateKey failed: wrong tag")
