# SPDX-License-Identifier: Apache-2.0
"""The directory of files, what is expected of each, and the commands that make them."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSPHRASE = "correct horse battery"
"""Opens everything that no other passphrase is named for. Java wants six characters at least."""

Expected = dict[str, Any]


def run(*command: str | Path, input: bytes | None = None, environment: dict[str, str] | None = None) -> bytes:
    """Runs a command that must succeed, and returns what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        input=b"" if input is None else input,
        capture_output=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"} | (environment or {}),
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def openssl(*arguments: str | Path, **options: Any) -> bytes:
    return run("openssl", *arguments, **options)


def newer_openssl(work: Path) -> dict[str, str]:
    """The variables under which the openssl command runs on OpenSSL 3.5, which the package psycopg-binary carries."""
    found = importlib.util.find_spec("psycopg_binary")
    if found is None or found.origin is None:
        raise SystemExit("psycopg-binary is not installed: run script/bootstrap")
    folder = work / "openssl"
    folder.mkdir()
    for library in (Path(found.origin).parents[1] / "psycopg_binary.libs").iterdir():
        (folder / library.name).symlink_to(library)
        if match := re.fullmatch(r"(libcrypto|libssl)-[0-9a-f]+\.so\.3", library.name):
            (folder / f"{match[1]}.so.3").symlink_to(library)
    configuration = folder / "empty.cnf"
    configuration.touch()
    return {"LD_LIBRARY_PATH": str(folder), "OPENSSL_CONF": str(configuration)}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def named(public_key_der: bytes) -> str:
    """What the manifest calls a key: the SHA-256 of its SubjectPublicKeyInfo."""
    return sha256(public_key_der)


@dataclass(frozen=True)
class Key:
    """A key that the files are made of."""

    name: str
    algorithm: str
    """As people call it: RSA 2048, EC P-256."""
    path: Path
    """PKCS#8 in PEM, not encrypted."""
    public: str
    """What the manifest calls it."""
    needs: str | None = None
    """The OpenSSL without which it cannot be used."""

    @property
    def pem(self) -> bytes:
        return self.path.read_bytes()


@dataclass(frozen=True)
class Certificate:
    """A certificate that the files are made of."""

    path: Path
    key: Key

    @property
    def pem(self) -> bytes:
        return self.path.read_bytes()


def der(pem: bytes) -> bytes:
    """The bytes of the only object of a PEM text."""
    lines = [line for line in pem.decode().splitlines() if line and not line.startswith("-----")]
    return base64.b64decode("".join(lines))


def private_key(key: Key, form: str, *, encrypted: bool = False, refused: Expected | None = None) -> Expected:
    expected: Expected = {"kind": "privateKey", "form": form, "encrypted": encrypted}
    expected |= {"refused": refused} if refused else {"algorithm": key.algorithm, "publicKey": key.public}
    return expected | ({"needs": key.needs} if key.needs else {})


def certificate(of: Certificate | bytes, key: Key | None = None) -> Expected:
    """What is expected of a certificate, of the corpus or in PEM with its key."""
    pem, key = (of.pem, of.key) if isinstance(of, Certificate) else (of, key)
    expected: Expected = {"kind": "certificate", "fingerprint": sha256(der(pem))}
    if key is not None:
        expected |= {"algorithm": key.algorithm, "publicKey": key.public}
        expected |= {"needs": key.needs} if key.needs else {}
    return expected


def public_key(key: Key) -> Expected:
    expected = {"kind": "publicKey", "algorithm": key.algorithm, "publicKey": key.public}
    return expected | ({"needs": key.needs} if key.needs else {})


def request(key: Key) -> Expected:
    return {"kind": "certificateRequest", "algorithm": key.algorithm, "publicKey": key.public}


def revocation_list(revoked: int) -> Expected:
    return {"kind": "revocationList", "revoked": revoked}


def unknown(label: str) -> Expected:
    return {"kind": "unknown", "label": label}


def refusal(code: str, says: str) -> Expected:
    """A refusal of one kind, whose message or hint holds some words."""
    return {"code": code, "says": says}


@dataclass
class Corpus:
    """The files, in a directory with the list of them."""

    folder: Path
    work: Path
    """For what is needed on the way."""
    newer: dict[str, str]
    """The variables of OpenSSL 3.5."""
    entries: list[Expected] = field(default_factory=list)

    def add(
        self,
        file: str,
        content: bytes,
        what: str,
        *objects: Expected,
        tool: str | None = None,
        form: str | None = None,
        passphrase: str | None = None,
        refused: Expected | None = None,
        costly: bool = False,
        unordered: bool = False,
        needs: str | None = None,
    ) -> None:
        """Adds a file. Its name begins with the tool that made it, and ends as its form does.

        A refusal with a version of OpenSSL is a refusal by older ones.
        """
        assert all(entry["file"] != file for entry in self.entries), file
        (self.folder / file).write_bytes(content)
        endings = {".pem": "pem", ".der": "der", ".p12": "pkcs12"}
        entry: Expected = {"file": file, "tool": tool or file.split("-")[0], "what": what}
        if passphrase is not None:
            entry["passphrase"] = passphrase
        if costly:
            entry["costly"] = True
        if unordered:
            entry["unordered"] = True
        if needs:
            entry["needs"] = needs
        if refused:
            entry["refused"] = refused
        if not refused or needs:
            entry |= {"form": form or endings[Path(file).suffix], "objects": list(objects)}
        self.entries.append(entry)

    def scratch(self, name: str, content: bytes | None = None) -> Path:
        """A path in the working directory, with a content if one is given."""
        path = self.work / name
        if content is not None:
            path.write_bytes(content)
        return path

    def write_manifest(self, versions: Sequence[str]) -> None:
        manifest = {"madeBy": list(versions), "files": self.entries}
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        (self.folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
