# SPDX-License-Identifier: Apache-2.0
"""`pki inspect` opens what other people's tools made, each file in a process of its own; with PKI_TEST_FULL, made anew."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from program import DONE, REFUSED, REPOSITORY, Pki, Result
from sampling import FULL

Expected = dict[str, Any]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not FULL:
        return REPOSITORY / "Tests/CertificatesTests/Corpus"
    folder = tmp_path_factory.mktemp("made") / "corpus"
    script = REPOSITORY / "Tests" / "Fixtures" / "make-key-corpus"
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def files(corpus: Path) -> list[Expected]:
    return json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))["files"]


def inspect(pki: Pki, corpus: Path, file: Expected) -> Result:
    options = []
    # An empty passphrase cannot be given; PKCS#12 has one when it has none.
    if passphrase := file.get("passphrase"):
        pki = pki.with_environment(PASSPHRASE=passphrase)
        options = ["--passphrase-env", "PASSPHRASE"]
    return pki.run("inspect", "--format", "json", *options, corpus / file["file"], status=None)


def needs_newer(file: Expected) -> bool:
    return "needs" in file or any("needs" in part for part in file.get("objects", []))


def complaint(file: Expected, result: Result, *, is_newer: bool) -> str | None:
    """What is wrong with the answer; nothing when it is right."""
    refused = file.get("refused")
    if refused and not (is_newer and "needs" in file):
        said = result.status == REFUSED and refused["says"] in result.stderr and not result.stdout
        return None if said else f"{file['file']}: not refused: {result.describe()}"
    if result.status != DONE:
        return f"{file['file']}: {result.stderr}"
    report = result.json
    found = [describe(part) for part in report["objects"]]
    expected = [describe_expected(part, file, is_newer=is_newer) for part in file["objects"]]
    if file["form"] == "pkcs12" or file.get("unordered"):
        found, expected = sorted(found), sorted(expected)
    same = report["form"] == file["form"] and found == expected
    return None if same else f"{file['file']}: {report['form']} {found}, not {file['form']} {expected}"


def describe(part: Expected) -> str:
    kind = part["kind"]
    key = f" {part['key']['name']} {part['key']['sha256']}" if part.get("key") else ""
    match kind:
        case "certificate":
            return f"{kind} {part['sha256']}"
        case "revocationList":
            return f"{kind} {part['revokedCount']}"
        case "privateKey":
            return f"{kind} {part['form']}{' encrypted' if 'encryption' in part else ''}{key}"
        case "unknown":
            return f"{kind} {part['label']}"
        case _:
            return f"{kind}{key}"


def describe_expected(part: Expected, file: Expected, *, is_newer: bool) -> str:
    kind = part["kind"]
    is_usable = "refused" not in part and ("needs" not in part or is_newer) and file.get("passphrase") != ""
    key = f" {part['algorithm']} {part['publicKey']}" if "publicKey" in part else ""
    match kind:
        case "certificate":
            return f"{kind} {part['fingerprint']}"
        case "revocationList":
            return f"{kind} {part['revoked']}"
        case "privateKey":
            is_open = is_usable or file["form"] == "pkcs12"
            return f"{kind} {part['form']}{' encrypted' if part.get('encrypted') else ''}{key if is_open else ''}"
        case "unknown":
            return f"{kind} {part['label']}"
        case _:
            return f"{kind}{key}"


def test_is_large(corpus: Path) -> None:
    assert len(files(corpus)) >= 60
    assert {file["tool"].split()[0].rstrip(",") for file in files(corpus)} >= {
        "openssl", "certtool", "ssh-keygen", "keytool", "python"
    }  # fmt: skip


def test_opens(pki: Pki, corpus: Path) -> None:
    answers = [(file, inspect(pki, corpus, file)) for file in files(corpus)]
    complaints = [complaint(file, answer, is_newer=False) for file, answer in answers]
    assert [text for text in complaints if text] == []


def test_opens_with_newer_openssl(pki: Pki, corpus: Path, newer: dict[str, str]) -> None:
    """What only OpenSSL 3.5 can read, and what it must not be made to do."""
    chosen = [file for file in files(corpus) if needs_newer(file) or file["file"].startswith("hostile")]
    assert len(chosen) > 20
    answers = [(file, inspect(pki.with_environment(**newer), corpus, file)) for file in chosen]
    complaints = [complaint(file, answer, is_newer=True) for file, answer in answers]
    assert [text for text in complaints if text] == []
