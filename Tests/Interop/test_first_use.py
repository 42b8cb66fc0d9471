# SPDX-License-Identifier: Apache-2.0
"""What a first user met that was wrong. Each test is named after the finding."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

import defects
import handmade
from program import CHECK_FAILED, Lab, Pki
from tools import openssl


def crl_number(folder: Path, name: str = "root") -> int:
    text = openssl("crl", "-in", folder / f"{name}-crl.pem", "-noout", "-crlnumber").stdout
    return int(text.strip().split("=")[1], 16)


def revoked(folder: Path) -> dict[int, object]:
    """The serial numbers of the root's CRL with their reasons."""
    crl = x509.load_pem_x509_crl((folder / "root-crl.pem").read_bytes())
    return {entry.serial_number: [extension.value for extension in entry.extensions] for entry in crl}


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

    def test_a_newer_crl_adds_what_the_inventory_never_had(self, pki: Pki, used: Path, tmp_path: Path) -> None:
        here = ("--directory", used)
        old = tmp_path / "old.sqlite"
        pki.run("revoke", "h1", "--hold", *here)
        shutil.copy2(used / "inventory.sqlite", old)
        pki.run("issue-client", "--name", "late", *here)
        for name in ("late", "h1"):
            pki.run("revoke", name, *here)
        pki.run("crl", *here)
        before = revoked(used)
        for file in used.glob("inventory.sqlite*"):
            file.unlink()
        shutil.copy2(old, used / "inventory.sqlite")
        assert "2 revocations were added" in pki.run("crl", *here).stderr
        assert revoked(used) == before
        assert len(before) == 2 and "certificate_hold" not in str(before)
        # Nothing is added twice.
        assert "newer than" not in pki.run("crl", *here).stderr and revoked(used) == before

    def test_a_number_that_cannot_be_continued_is_refused(self, pki: Pki, used: Path, tmp_path: Path) -> None:
        key = load_pem_private_key((used / "root-key.pem").read_bytes(), None)
        root = x509.load_pem_x509_certificate((used / "root-cert.pem").read_bytes())
        now = datetime.now(UTC).replace(tzinfo=None)
        builder = x509.CertificateRevocationListBuilder(root.subject, now, now + timedelta(days=9))
        for number in (2**63 - 1, 2**64, 2**130):
            built = builder.add_extension(x509.CRLNumber(number), critical=False).sign(key, hashes.SHA256())
            (used / "root-crl.pem").write_bytes(built.public_bytes(Encoding.PEM))
            assert str(number) in pki.refuse("crl", "--directory", used)
            assert crl_number(used) == number
        built = builder.add_extension(x509.CRLNumber(2**56), critical=False).sign(key, hashes.SHA256())
        (used / "root-crl.pem").write_bytes(built.public_bytes(Encoding.PEM))
        pki.run("crl", "--directory", used)
        assert crl_number(used) == 2**56 + 1

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


def test_a4_an_inventory_that_cannot_be_read_makes_nothing_valid(pki: Pki, ca: Path) -> None:
    pki.run("issue-client", "--name", "a", "--directory", ca)
    pki.run("revoke", "a", "--directory", ca)
    inventory = ca / "inventory.sqlite"
    inventory.write_bytes(b"\0" * 4096)
    assert str(inventory) in pki.refuse("verify", ca / "a-cert.pem", "--directory", ca)
    assert str(inventory) in pki.refuse(
        "export", "a", "--format", "kubernetes-secret", "--namespace", "default", "--output", "-", "--directory", ca
    )


def test_cas_that_certify_each_other_do_not_occupy_verify(pki: Pki, tmp_path: Path) -> None:
    """Twelve CAs, each certified by all others, and no way to the root that is trusted."""
    now = datetime.now(UTC).replace(tzinfo=None)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(12)]

    def name(number: int) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA {number % 3}")])

    def make(subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: int, ca: bool) -> bytes:
        builder = x509.CertificateBuilder(
            name(issuer), subject, key.public_key(), x509.random_serial_number(), now - timedelta(days=1),
            now + timedelta(days=9),
        )  # fmt: skip
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        return builder.sign(keys[issuer], hashes.SHA256()).public_bytes(Encoding.PEM)

    pairs = [(above, below) for above in range(12) for below in range(12) if above != below]
    (tmp_path / "between").write_bytes(b"".join(make(name(below), keys[below], above, True) for above, below in pairs))
    leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
    (tmp_path / "leaf").write_bytes(make(leaf, ec.generate_private_key(ec.SECP256R1()), 0, False))
    pki.run("init-ca", "--directory", tmp_path / "ca")
    files = ("--bundle", tmp_path / "ca" / "root-cert.pem", "--intermediates", tmp_path / "between")
    pki.run("verify", tmp_path / "leaf", *files, status=CHECK_FAILED)


@pytest.mark.parametrize("encoding", [("-param_enc", "explicit"), ("-conv_form", "compressed")], ids=lambda one: one[1])
def test_f8_a_key_in_another_encoding_is_the_same_key(
    pki: Pki, ca: Path, tmp_path: Path, encoding: tuple[str, str]
) -> None:
    for name in ("a", "b"):
        pki.run("issue-client", "--name", name, "--directory", ca)
        openssl("ec", "-in", ca / f"{name}-key.pem", *encoding, "-out", tmp_path / name)
        (tmp_path / name).chmod(0o600)
    assert (tmp_path / "a").read_bytes() != (ca / "a-key.pem").read_bytes()

    def key(name: str) -> str:
        files = ("--certificate", ca / "a-cert.pem", "--private-key", tmp_path / name)
        report = pki.run("doctor", "--offline", *files, "--format", "json", status=None).stdout
        return next(check["verdict"] for check in json.loads(report)["checks"] if check["name"] == "key")

    assert key("a") == "ok" and key("b") == "failed"


def test_f10_a_negative_serial_number_is_not_its_positive_twin(pki: Pki, tmp_path: Path) -> None:
    made = defects.client().but(serial=handmade.integer(-77))
    certificate, root = tmp_path / "certificate", tmp_path / "root"
    certificate.write_bytes(made.der())
    root.write_bytes(defects.root().der())
    judged = openssl("x509", "-inform", "DER", "-in", certificate, "-noout", "-serial").stdout
    assert judged.strip() == "serial=-4D"
    assert "serial            -4d\n" in pki.run("inspect", certificate, status=None).stdout
    for serial in (77, -77):
        (tmp_path / "crl").write_bytes(defects.crl().revoking(handmade.entry(serial)).der())
        said = pki.run("verify", certificate, "--bundle", root, "--crl", tmp_path / "crl", status=CHECK_FAILED)
        assert ("was revoked" in said.stdout) == (serial < 0)


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


def findings(pki: Pki, folder: Path, check: str) -> list[tuple[str, str]]:
    report = json.loads(pki.run("doctor", "--directory", folder, "--format", "json").stdout)
    return [(found["verdict"], found["found"]) for found in report["checks"] if found["name"] == check]


class TestAnOrdinaryWeek:
    """What a second newcomer met."""

    def test_keys_that_are_gone_are_noted_by_doctor_and_renew(self, pki: Pki, ca: Path) -> None:
        here = ("--directory", ca)
        for name in ("web", "db"):
            pki.run("issue-client", name, *here)
        assert [verdict for verdict, _ in findings(pki, ca, "key-file")] == ["ok"]
        (ca / "web-key.pem").unlink()
        ((verdict, text),) = findings(pki, ca, "key-file")
        assert verdict == "note" and "web-key.pem" in text
        assert "warning: web: its key" in pki.run("renew", "web", *here).stderr
        assert "its key" not in pki.run("renew", "db", *here).stderr

    def test_renew_names_what_was_not_renewed(self, pki: Pki, ca: Path) -> None:
        for name in ("web", "db"):
            pki.run("issue-client", name, "--directory", ca)
        (ca / "root-key.pem").unlink()
        errors = pki.refuse("renew", "--all", "--directory", ca)
        assert "error: web was not renewed" in errors and "error: db was not renewed" in errors

    def test_a_batch_delivers_no_revoked_certificate(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        hosts, archive = tmp_path / "hosts.txt", tmp_path / "hosts.tar"
        hosts.write_text("web\ndb\nmail\n")
        pki.run("issue-client", "--batch", hosts, "--directory", ca)
        pki.run("revoke", "web", "--directory", ca)
        pki.run("revoke", "db", "--hold", "--directory", ca)
        again = pki.run("issue-client", "--batch", hosts, "--archive", archive, "--directory", ca)
        assert "warning: web and 1 more are revoked or on hold" in again.stderr
        with tarfile.open(archive) as tar:
            assert {name.split("/")[0] for name in tar.getnames()} == {"mail"}

    def test_a_quiet_batch_is_quiet(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        (tmp_path / "hosts.txt").write_text("web\n")
        assert pki.run("issue-client", "--batch", tmp_path / "hosts.txt", "--directory", ca, "-q").stderr == ""

    def test_a_crl_of_one_ca_tells_of_the_others(self, pki: Pki, ca: Path) -> None:
        here = ("--directory", ca)
        pki.run("issue-intermediate", "issuing", *here)
        pki.run("issue-client", "web", "--issuer", "issuing", *here)
        pki.run("revoke", "web", *here)
        told = pki.run("crl", "--issuer", "root", *here).stderr
        assert "warning: issuing has revoked certificates" in told and "pki crl --issuer issuing" in told
        assert "warning" not in pki.run("crl", "--issuer", "issuing", *here).stderr
        assert "warning" not in pki.run("crl", "--issuer", "root", *here).stderr

    def test_no_ca_here_names_the_place(self, pki: Pki, tmp_path: Path) -> None:
        error = pki.refuse("list", "--directory", "nowhere")
        assert str(pki.home / "nowhere") in error and "PKI_DIRECTORY" in error

    def test_short_lives_expire_soon_only_at_their_end(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "short", "--days", "20", "--directory", ca)
        assert [verdict for verdict, _ in findings(pki, ca, "expiry")] == ["ok"]


def arns(lab: Lab) -> tuple[str, ...]:
    return (
        "--trust-anchor-arn", lab.trust_anchor_arn, "--profile-arn", lab.profile_arn, "--role-arn", lab.role_arn,
    )  # fmt: skip


class TestAnAdversary:
    """What somebody made of pki who prepares the files and names that it reads."""

    @pytest.mark.parametrize(
        "name",
        [
            "corp.net ", " corp.net", "user@evil.com.", "//evil.com", "corp.net:", "corp.net:abc", "corp.net?x", "corp.net#x",
            "<a@corp.net>", "sip:corp.net", "a corp.net b", "corp.net.", "10.1", "010.0.0.1", "[10.0.0.1]",
        ],
    )  # fmt: skip
    def test_a_common_name_in_disguise_is_constrained(self, pki: Pki, tmp_path: Path, name: str) -> None:
        here = ("--directory", tmp_path / "ca")
        pki.run("init-ca", "--permit", "dns:example.com", "--exclude", "ip:10.0.0.0/8", *here)
        pki.refuse("issue-client", "x", "--subject", f'CN="{name}"', *here)
        pki.run("issue-client", "y", "--subject", "CN=web server 7, second rack", *here, status=None)
        pki.run("issue-client", "z", "--subject", "CN=a.example.com", *here)

    def test_update_never_replaces_long_term_keys(self, pki: Pki, lab: Lab, ca: Path) -> None:
        pki.run("issue-client", "web", "--directory", ca)
        credentials = pki.home / ".aws/credentials"
        credentials.parent.mkdir(mode=0o700, exist_ok=True)
        text = "[mine]\naws_access_key_id = AKIAIOSFODNN7MINEKEY\naws_secret_access_key = SSSS\n"
        credentials.write_text(text)
        credentials.chmod(0o600)
        options = (
            *arns(lab), "--certificate", ca / "web-cert.pem", "--endpoint", lab.endpoint,
        )  # fmt: skip
        pki.refuse("update", "--once", "--profile", "mine", *options)
        assert credentials.read_text() == text
        pki.run("update", "--once", "--profile", "other", *options)
        assert text in credentials.read_text()

    def test_a_pipe_is_no_ca_bundle(self, pki: Pki, lab: Lab, ca: Path, tmp_path: Path) -> None:
        pki.run("issue-client", "web", "--directory", ca)
        os.mkfifo(tmp_path / "pipe")
        options = (
            *arns(lab), "--certificate", ca / "web-cert.pem", "--endpoint", lab.endpoint.replace("http:", "https:"),
        )  # fmt: skip
        pki.refuse("creds", *options, "--ca-bundle", tmp_path / "pipe", status=None, timeout=20)
        pki.with_environment(AWS_CA_BUNDLE=str(tmp_path / "pipe")).refuse("creds", *options, status=None, timeout=20)

    def test_a_damaged_certificate_is_no_exposed_key(self, pki: Pki, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "junk-cert.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        error = pki.refuse("creds", *arns(lab), "--certificate", tmp_path / "junk-cert.pem", "--endpoint", lab.endpoint)
        assert "chmod" not in error

    def test_a_chain_that_is_not_used_is_named(self, pki: Pki, lab: Lab, ca: Path) -> None:
        pki.run("issue-intermediate", "issuing", "--directory", ca)
        pki.run("issue-client", "web", "--issuer", "issuing", "--directory", ca)
        (ca / "web-chain.pem").write_text("junk")
        error = pki.run(
            "creds", *arns(lab), "--certificate", ca / "web-cert.pem", "--endpoint", lab.endpoint, status=None
        ).stderr
        assert "web-chain.pem is not used" in error
