# SPDX-License-Identifier: Apache-2.0
"""What a first user met that was wrong. Each test is named after the finding."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from program import CHECK_FAILED, Pki
from tools import openssl


def crl_number(folder: Path, name: str = "root") -> int:
    text = openssl("crl", "-in", folder / f"{name}-crl.pem", "-noout", "-crlnumber").stdout
    return int(text.strip().split("=")[1], 16)


def statuses(pki: Pki, folder: Path) -> dict[str, str]:
    rows = json.loads(pki.run("list", "--directory", folder, "--format", "json").stdout)
    return {row["name"]: row["status"] for row in rows}


def days(folder: Path, name: str) -> int:
    text = openssl("x509", "-in", folder / f"{name}-cert.pem", "-noout", "-dates").stdout
    first, last = (datetime.strptime(line.split("=")[1], "%b %d %H:%M:%S %Y %Z") for line in text.splitlines())
    return round((last - first).total_seconds() / 86400)


class TestRotation:
    def test_a1_renewal_during_a_rotation(self, pki: Pki, ca: Path) -> None:
        here = ("--directory", ca)
        pki.run("issue-client", "--name", "old", *here)
        pki.run("rotate-ca", *here)
        pki.run("issue-client", "--name", "new", *here)
        pki.run("renew", "new", *here)
        pki.run("renew", "--all", *here)
        for name in ("old", "new"):
            openssl("verify", "-CAfile", ca / "root-cert.pem", ca / f"{name}-cert.pem")
            # Where only the old root is known, the chain leads there.
            openssl(
                "verify", "-CAfile", ca / "root-previous-cert.pem", "-untrusted", ca / f"{name}-chain.pem",
                ca / f"{name}-cert.pem",
            )

    def test_a2_a_lost_key_after_a_rotation(self, pki: Pki, ca: Path) -> None:
        here = ("--directory", ca)
        pki.run("issue-client", "--name", "web-1", *here)
        pki.run("rotate-ca", *here)
        pki.run("renew", "--all", "--issuer", "root-previous", *here)
        pki.run("rotate-ca", "--finish", *here)
        pki.run("init-ca", "--force", *here)
        pki.run("renew", "--all", *here)
        openssl("verify", "-CAfile", ca / "root-cert.pem", ca / "web-1-cert.pem")

    def test_b11_a_new_root_lives_as_long_as_the_old_one(self, pki: Pki, tmp_path: Path) -> None:
        here = ("--directory", tmp_path / "long")
        pki.run("init-ca", "--days", "7300", *here)
        pki.run("rotate-ca", *here)
        assert days(tmp_path / "long", "root") == days(tmp_path / "long", "root-previous") == 7300


class TestA3CopiedInventory:
    @pytest.fixture
    def used(self, pki: Pki, ca: Path) -> Path:
        for name in ("h1", "h2", "h3"):
            pki.run("issue-client", "--name", name, "--directory", ca)
        return ca

    def test_the_file_alone_is_a_whole_copy(self, pki: Pki, used: Path, tmp_path: Path) -> None:
        pki.run("revoke", "h2", "--directory", used)
        copy = tmp_path / "copy"
        copy.mkdir(mode=0o700)
        for file in [*used.glob("*.pem"), used / "inventory.sqlite"]:
            shutil.copy2(file, copy)
        assert statuses(pki, copy)["h2"] == "revoked"

    def test_numbers_of_crls_never_go_back(self, pki: Pki, used: Path, tmp_path: Path) -> None:
        """An old copy of the inventory meets a newer CRL: its number and its revocations are taken over."""
        here = ("--directory", used)
        old = tmp_path / "old.sqlite"
        shutil.copy2(used / "inventory.sqlite", old)
        pki.run("crl", *here)
        pki.run("revoke", "h2", *here)
        pki.run("crl", *here)
        assert crl_number(used) == 2
        shutil.copy2(old, used / "inventory.sqlite")
        for suffix in ("-wal", "-shm"):
            (used / f"inventory.sqlite{suffix}").unlink(missing_ok=True)
        said = pki.run("crl", *here)
        assert "newer than the inventory" in said.stderr
        assert crl_number(used) == 3
        assert statuses(pki, used)["h2"] == "revoked"

    def test_without_inventory_and_crl_the_number_is_the_time(self, pki: Pki, used: Path) -> None:
        pki.run("crl", "--directory", used)
        (used / "root-crl.pem").unlink()
        for file in used.glob("inventory.sqlite*"):
            file.unlink()
        said = pki.run("crl", "--directory", used)
        assert crl_number(used) > 1_700_000_000
        assert "revocations" in said.stderr

    def test_a_lost_inventory_is_told(self, pki: Pki, used: Path) -> None:
        for file in used.glob("inventory.sqlite*"):
            file.unlink()
        for arguments in (("list",), ("tree",), ("audit",), ("list",), ("renew", "h1")):
            said = pki.run(*arguments, "--directory", used)
            assert "revocations" in said.stderr, arguments
        # Said once by the command that made the new inventory, and from then on by doctor.
        assert "revocations" not in pki.run("list", "--directory", used).stderr
        doctor = pki.run("doctor", "--directory", used, status=None)
        assert "made from the directory's files" in doctor.stdout


def test_a4_verify_and_export_know_what_the_inventory_knows(pki: Pki, ca: Path) -> None:
    here = ("--directory", ca)
    for name in ("a", "b"):
        pki.run("issue-client", "--name", name, *here)
    pki.run("revoke", "a", "--reason", "keyCompromise", *here)
    said = pki.run("verify", ca / "a-cert.pem", "--purpose", "rolesanywhere", *here, status=CHECK_FAILED)
    assert "was revoked" in said.stdout and "keyCompromise" in said.stdout and "inventory" in said.stdout
    pki.run("verify", ca / "b-cert.pem", "--purpose", "rolesanywhere", *here)
    # What is named with --bundle is judged by what is given.
    pki.run("verify", ca / "a-cert.pem", "--bundle", ca / "root-cert.pem")
    secret = ("--format", "kubernetes-secret", "--namespace", "default", "--output", "-")
    assert "was revoked" in pki.run("export", "a", *secret, *here).stderr
    assert "was revoked" not in pki.run("export", "b", *secret, *here).stderr


def test_key_usages_fit_the_extended_key_usage(pki: Pki, ca: Path) -> None:
    """zlint: e_key_usage_and_extended_key_usage_inconsistent."""
    for kind in ("ec-p256", "rsa-2048"):
        pki.run("issue-client", "--name", kind, "--key-type", kind, "--directory", ca)
        text = openssl("x509", "-in", ca / f"{kind}-cert.pem", "-noout", "-ext", "keyUsage").stdout
        assert text.split("\n")[1].strip() == "Digital Signature"


def test_b3_an_imported_root_that_cannot_issue_says_what_helps(pki: Pki, tmp_path: Path) -> None:
    """easy-rsa before 2026 made roots whose basicConstraints are not critical."""
    source, target = tmp_path / "plain", tmp_path / "ca"
    source.mkdir()
    key, root = source / "ca.key", source / "ca.crt"
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", root,
        "-subj", "/CN=Old Root", "-days", "3650", "-addext", "basicConstraints=CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    key.chmod(0o600)
    said = pki.run("import", source, "--directory", target)
    command = ("renew", "root", "--directory", str(target))
    assert "cannotIssue" in said.stdout and " ".join(("pki", *command)) in said.stderr
    assert "pki renew root" in pki.run("doctor", "--directory", target, status=CHECK_FAILED).stdout
    assert " ".join(("pki", *command)) in pki.refuse("issue-client", "--name", "n1", "--directory", target)
    pki.run(*command)
    pki.run("issue-client", "--name", "n1", "--directory", target)
    openssl("verify", "-x509_strict", "-CAfile", target / "root-cert.pem", target / "n1-cert.pem")
