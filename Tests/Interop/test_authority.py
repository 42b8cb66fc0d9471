# SPDX-License-Identifier: Apache-2.0
"""A CA to live with: what a user does to it in a year, and on its worst night."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import sqlite3
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from peer import load
from program import CHECK_FAILED, DENIED, DONE, USAGE, Pki, running_lab
from tools import openssl, openssl_verify


def listed(pki: Pki, folder: Path, *options: str) -> dict[str, dict[str, object]]:
    return {one["name"]: one for one in pki.run("list", "--directory", folder, "--format", "json", *options).json}


def listed_all(pki: Pki, folder: Path) -> list[dict[str, object]]:
    return pki.run("list", "--directory", folder, "--all", "--format", "json").json


class TestRenewal:
    @pytest.mark.smoke
    def test_same_key_same_names(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "--directory", ca, "--name", "web", "--dns", "web.example.org", "--days", "40")
        old, key = load(ca / "web-cert.pem"), (ca / "web-key.pem").read_bytes()
        pki.run("renew", "web", "--directory", ca)
        new = load(ca / "web-cert.pem")
        assert new.serial_number != old.serial_number and new.public_key() == old.public_key()
        assert (ca / "web-key.pem").read_bytes() == key
        for kind in (x509.SubjectAlternativeName, x509.KeyUsage, x509.ExtendedKeyUsage):
            assert new.extensions.get_extension_for_class(kind) == old.extensions.get_extension_for_class(kind)
        lives = [one.not_valid_after_utc - one.not_valid_before_utc for one in (old, new)]
        assert abs((lives[0] - lives[1]).total_seconds()) < 2
        [archived] = (ca / "archive").glob("web-cert-*.pem")
        assert load(archived) == old
        openssl_verify(ca / "root-cert.pem", ca / "web-cert.pem")

    @pytest.mark.smoke
    def test_new_key(self, pki: Pki, ca: Path) -> None:
        old = load(ca / "client-cert.pem")
        pki.run("renew", "client", "--rekey", "--directory", ca)
        new = load(ca / "client-cert.pem")
        key = load_pem_private_key((ca / "client-key.pem").read_bytes(), None)
        assert new.public_key() == key.public_key() != old.public_key()
        assert stat.S_IMODE((ca / "client-key.pem").stat().st_mode) == 0o600

    def test_statuses(self, pki: Pki, ca: Path) -> None:
        assert pki.run("renew", "client", "--if-expires-within", "30d", "--directory", ca).stdout == ""
        assert pki.run("renew", "client", "--if-expires-within", "53w", "--directory", ca).status == DONE
        pki.refuse("renew", "absent", "--directory", ca)
        pki.run("renew", "--directory", ca, status=USAGE)
        pki.run("revoke", "client", "--directory", ca)
        assert "revoked" in pki.refuse("renew", "client", "--directory", ca)

    def test_hook(self, pki: Pki, ca: Path) -> None:
        result = pki.run(
            "renew", "--all", "--directory", ca, "--format", "json",
            "--exec", 'echo said; printf "%s %s" "$PKI_NAME" "$PKI_SERIAL" >"$HOME/told"',
        )  # fmt: skip
        [renewed] = result.json["renewed"]
        assert (pki.home / "told").read_text() == f"client {renewed['serialNumber']}"
        assert "said" in result.stderr
        failed = pki.run("renew", "client", "--directory", ca, "--exec", "exit 7", status=2)
        assert "status 7" in failed.error

    def test_a_key_that_is_encrypted_stays_so(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("correct horse\n")
        secret.chmod(0o600)
        pki.run("issue-client", "--directory", ca, "--name", "web", "--key-passphrase-file", secret)
        assert "encrypted" in pki.refuse("renew", "web", "--rekey", "--directory", ca)
        pki.run("renew", "web", "--rekey", "--directory", ca, "--key-passphrase-file", secret)
        load_pem_private_key((ca / "web-key.pem").read_bytes(), b"correct horse")


class TestLooking:
    @pytest.mark.smoke
    def test_list(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "--directory", ca, "--name", "soon", "--days", "5")
        pki.run("issue-client", "--directory", ca, "--name", "=cmd", status=64)
        assert set(listed(pki, ca)) == {"root", "client", "soon"}
        assert set(listed(pki, ca, "--expiring", "30d")) == {"soon"}
        assert set(listed(pki, ca, "--name", "s?on")) == {"soon"}
        assert listed(pki, ca)["soon"]["daysLeft"] == 4
        pki.run("revoke", "soon", "--directory", ca, "--reason", "superseded")
        assert listed(pki, ca, "--revoked")["soon"]["reason"] == "superseded"
        rows = list(csv.DictReader(io.StringIO(pki.run("list", "--directory", ca, "--format", "csv").stdout)))
        assert [row["name"] for row in rows if row["status"] == "revoked"] == ["soon"]
        table = pki.run("list", "--directory", ca).stdout.splitlines()
        assert table[0].split() == ["NAME", "PROFILE", "NAMES", "ISSUER", "STATUS", "EXPIRES", "DAYS"] and len(table) == 4

    def test_a_terminal_gets_lines_that_fit_and_colours(self, pki: Pki, ca: Path) -> None:
        for number in range(3):
            name = f"a-host-with-a-rather-long-name-{number}"
            pki.run("issue-client", "--directory", ca, "--name", name, "--dns", f"{name}.example.org", "--days", "3")
        master, slave = pty.openpty()
        environment = {**pki.variables(), "COLUMNS": "72", "TERM": "xterm"}
        process = subprocess.Popen(pki.command("list", "--directory", ca), stdout=slave, env=environment, cwd=pki.home)
        os.close(slave)
        output = b""
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:
                break
            if not chunk:
                break
            output += chunk
        process.wait()
        os.close(master)
        text = output.decode()
        assert "\x1b[31m" in text and all(f"-{number}" in text for number in range(3))
        plain = text.replace("\x1b[31m", "").replace("\x1b[33m", "").replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert all(len(line) <= 72 for line in plain.splitlines())

    @pytest.mark.smoke
    def test_tree(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-intermediate", "--directory", ca, "--name", "issuing")
        pki.run("issue-client", "--directory", ca, "--name", "web", "--issuer", "issuing")
        lines = pki.run("tree", "--directory", ca).stdout.splitlines()
        assert [re.match(r"[│├└─ ]*\S+", line)[0] for line in lines] == ["root", "├─ issuing", "│  └─ web", "└─ client"]  # type: ignore[index]
        [root] = pki.run("tree", "--directory", ca, "--format", "json").json["roots"]
        assert [one["name"] for one in root["issued"]] == ["issuing", "client"]

    @pytest.mark.smoke
    def test_the_audit_only_grows(self, pki: Pki, ca: Path) -> None:
        pki.run("revoke", "client", "--hold", "--directory", ca)
        actions = [line["action"] for line in pki.run("audit", "--directory", ca, "--format", "json").json]
        assert actions == ["create", "issue", "hold"]
        connection = sqlite3.connect(ca / "inventory.sqlite")
        for statement in ("DELETE FROM audit", "UPDATE audit SET who = 'nobody'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                connection.execute(statement)
        connection.close()


class TestOfflineRoot:
    @pytest.mark.smoke
    def test_the_intermediate_issues(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """The root's key is gone, the directory of the online machine is three files, and a client gets credentials."""
        pki.run("issue-intermediate", "--directory", ca, "--name", "issuing")
        online = tmp_path / "online"
        online.mkdir(0o700)
        for name in ("root-cert.pem", "issuing-cert.pem", "issuing-key.pem"):
            (online / name).write_bytes((ca / name).read_bytes())
            (online / name).chmod(0o600)
        result = pki.run("issue-client", "--directory", online, "--name", "web")
        assert "issuing issues" in result.stderr
        assert set(listed(pki, online)) == {"root", "issuing", "web"}
        openssl_verify(online / "root-cert.pem", online / "web-cert.pem", "-untrusted", online / "web-chain.pem")
        with running_lab(pki, "--directory", online) as lab:
            pair = ("--certificate", online / "web-cert.pem", "--private-key", online / "web-key.pem")
            chain = ("--intermediates", online / "web-chain.pem")
            assert pki.run("creds", *pair, *chain, *lab.arguments).json["AccessKeyId"]
            # Without the option the chain beside the certificate is used, where there is one.
            assert pki.run("creds", *pair, *lab.arguments).json["AccessKeyId"]
            (online / "web-chain.pem").unlink()
            pki.run("creds", *pair, *lab.arguments, status=DENIED)
        assert "root-key.pem" in pki.refuse("issue-client", "--directory", online, "--name", "x", "--issuer", "root")

    def test_a_renewed_intermediate_reaches_its_clients(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-intermediate", "--directory", ca, "--name", "issuing")
        pki.run("issue-client", "--directory", ca, "--name", "web", "--issuer", "issuing")
        pki.run("renew", "issuing", "--directory", ca)
        assert (ca / "web-chain.pem").read_text() == (ca / "issuing-cert.pem").read_text()
        openssl_verify(ca / "root-cert.pem", ca / "web-cert.pem", "-untrusted", ca / "web-chain.pem")

    def test_all_at_once_begins_with_the_authorities(self, pki: Pki, ca: Path) -> None:
        """What an intermediate issues is renewed under its new certificate, not under the one that goes."""
        pki.run("issue-intermediate", "--directory", ca, "--name", "issuing", "--days", "20")
        pki.run("issue-client", "--directory", ca, "--name", "early", "--issuer", "issuing", "--days", "10")
        pki.run("issue-client", "--directory", ca, "--name", "late", "--issuer", "issuing")
        result = pki.run("renew", "--all", "--directory", ca, "--format", "json")
        assert [Path(one["certificate"]).name for one in result.json["renewed"]][0] == "issuing-cert.pem"
        for name in ("early", "late"):
            assert (ca / f"{name}-chain.pem").read_text() == (ca / "issuing-cert.pem").read_text()
            openssl_verify(ca / "root-cert.pem", ca / f"{name}-cert.pem", "-untrusted", ca / f"{name}-chain.pem")

    def test_a_timer_does_not_renew_short_certificates_at_each_run(self, pki: Pki, ca: Path) -> None:
        """A period of nearly the lifetime counts as half of it; a name that is given is renewed all the same."""
        due = ("--if-expires-within", "30d", "--directory", ca)
        pki.run("issue-client", "--directory", ca, "--name", "short", "--days", "30")
        assert pki.run("renew", "--all", *due).stdout == ""
        assert "short-cert.pem" in pki.run("renew", "short", *due).stdout

    def test_a_ca_that_is_used_keeps_its_key(self, pki: Pki, ca: Path) -> None:
        """With another key it could neither vouch for what it has issued nor list what of it is revoked."""
        pki.run("issue-intermediate", "--directory", ca, "--name", "issuing", "--days", "20")
        pki.run("renew", "issuing", "--rekey", "--directory", ca)
        pki.run("issue-client", "--directory", ca, "--name", "web", "--issuer", "issuing", "--days", "10")
        before = {path.name: path.read_bytes() for path in ca.glob("*.pem")}
        assert "issue-intermediate" in pki.refuse("renew", "issuing", "--rekey", "--directory", ca)
        assert "rotate-ca" in pki.refuse("renew", "root", "--rekey", "--directory", ca)
        assert {path.name: path.read_bytes() for path in ca.glob("*.pem")} == before
        said = pki.run("renew", "--all", "--rekey", "--directory", ca).stderr
        assert "issuing" in said
        assert (ca / "issuing-key.pem").read_bytes() == before["issuing-key.pem"]
        assert (ca / "web-key.pem").read_bytes() != before["web-key.pem"]
        openssl_verify(ca / "root-cert.pem", ca / "web-cert.pem", "-untrusted", ca / "web-chain.pem")
        # Its clients can move to another, and then it may go.
        pki.run("issue-intermediate", "--directory", ca, "--name", "other")
        pki.run("renew", "web", "--issuer", "other", "--directory", ca)
        openssl_verify(ca / "root-cert.pem", ca / "web-cert.pem", "-untrusted", ca / "other-cert.pem")

    def test_limits(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-intermediate", "--directory", ca, "--name", "issuing")
        below = pki.refuse("issue-intermediate", "--directory", ca, "--name", "lower", "--issuer", "issuing")
        assert "path length is 0" in below
        assert "--path-length 0" in pki.refuse("issue-intermediate", "--directory", ca, "--name", "x", "--path-length", "1")
        assert "not a CA" in pki.refuse("issue-client", "--directory", ca, "--name", "x", "--issuer", "client")


class TestFleet:
    @pytest.mark.smoke
    def test_batch(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        hosts = tmp_path / "hosts.csv"
        hosts.write_text(
            "name,dns,profile,days\n" + "".join(f"h-{n},h-{n}.example.org,{'server' if n % 2 else ''},\n" for n in range(300))
        )
        archive = tmp_path / "hosts.tar"
        result = pki.run("issue-client", "--directory", ca, "--batch", hosts, "--archive", archive, "--format", "json")
        assert len(result.json["issued"]) == 300 and result.json["skipped"] == []
        again = pki.run("issue-client", "--directory", ca, "--batch", hosts, "--format", "json").json
        assert again["issued"] == [] and len(again["skipped"]) == 300
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
        with tarfile.open(archive) as tar:
            assert len(tar.getnames()) == 900
            assert tar.getmember("h-7/h-7-key.pem").mode == 0o600
            kept = tar.extractfile("h-7/h-7-cert.pem")
            assert kept and kept.read() == (ca / "h-7-cert.pem").read_bytes()
        serials = {load(path).serial_number for path in ca.glob("h-*-cert.pem")}
        assert len(serials) == 300
        assert listed(pki, ca)["h-1"]["profile"] == "server"

    def test_a_request_has_no_pkcs12(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        request = tmp_path / "r.csr"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=r",
                "-keyout", tmp_path / "r.key", "-out", request)  # fmt: skip
        said = pki.refuse("issue-client", "--directory", ca, "--name", "r", "--csr", request, "--pkcs12")
        assert "own key" in said and not (ca / "r-cert.pem").exists()

    def test_a_wrong_line_issues_nothing(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        hosts = tmp_path / "hosts.csv"
        hosts.write_text("name,dns\na,a.example.org\nb,a..b\na,twice.example.org\n")
        said = pki.refuse("issue-client", "--directory", ca, "--batch", hosts)
        assert "hosts.csv:3" in said and "hosts.csv:4" in said
        assert set(listed(pki, ca)) == {"root", "client"}

    @pytest.mark.smoke
    def test_pkcs12(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        hosts = tmp_path / "hosts.txt"
        hosts.write_text("a\nb\n")
        pki.run("issue-client", "--directory", ca, "--batch", hosts, "--pkcs12")
        words = set()
        for name in "ab":
            word = (ca / f"{name}.p12-passphrase").read_bytes().strip()
            words.add(word)
            key, certificate, _ = pkcs12.load_key_and_certificates((ca / f"{name}.p12").read_bytes(), word)
            assert certificate == load(ca / f"{name}-cert.pem") and key
            for file in (f"{name}.p12", f"{name}.p12-passphrase"):
                assert stat.S_IMODE((ca / file).stat().st_mode) == 0o600
        assert len(words) == 2 and min(map(len, words)) >= 20


class TestTheWorstNight:
    @pytest.mark.smoke
    def test_an_inventory_that_is_gone_is_made_again(self, pki: Pki, ca: Path) -> None:
        pki.run("renew", "client", "--directory", ca)
        pki.run("revoke", "client", "--directory", ca, "--reason", "keyCompromise")
        pki.run("crl", "--directory", ca)
        for path in ca.glob("inventory.sqlite*"):
            path.unlink()
        assert listed(pki, ca)["client"]["status"] == "revoked", "the list in the directory tells of it"
        assert pki.run("list", "--directory", ca, "--all", "--format", "json").json
        pki.run("crl", "--directory", ca)
        number = x509.load_pem_x509_crl((ca / "root-crl.pem").read_bytes())
        assert number.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
        pki.run("doctor", "--directory", ca)

    def test_what_a_renewal_left_behind_is_named_when_its_successor_is_revoked(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "--name", "once", "--directory", ca)
        assert "warning" not in pki.run("revoke", "once", "--directory", ca).stderr
        pki.run("renew", "client", "--directory", ca)
        said = pki.run("revoke", "client", "--reason", "cessationOfOperation", "--directory", ca).stderr
        assert "warning: " in said
        [command] = re.findall(r"pki (revoke .*)$", said, re.MULTILINE)
        pki.run(*command.split())
        assert [one["status"] for one in listed_all(pki, ca) if one["name"] == "client"] == ["revoked", "revoked"]

    @pytest.mark.smoke
    def test_a_revoked_ca_does_not_issue(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        here = ("--directory", ca)
        (hosts := tmp_path / "hosts.txt").write_text("a\nb\n")
        pki.run("init-ca", "--force", "--path-length", "2", *here)
        pki.run("issue-intermediate", "--name", "upper", "--path-length", "1", *here)
        pki.run("issue-intermediate", "--name", "lower", "--issuer", "upper", *here)
        pki.run("issue-client", "--name", "web", "--issuer", "lower", *here)
        pki.run("revoke", "--hold", "upper", *here)
        before = {path.name: path.read_bytes() for path in ca.glob("*.pem")}
        for issuer in ("upper", "lower"):
            assert "--release upper" in pki.refuse("issue-client", "--name", "late", "--issuer", issuer, *here)
            assert "upper is on hold" in pki.refuse("issue-client", "--batch", hosts, "--issuer", issuer, *here)
        assert "upper is on hold" in pki.refuse("issue-intermediate", "--name", "below", "--issuer", "upper", *here)
        assert "upper is on hold" in pki.refuse("renew", "web", *here)
        assert {path.name: path.read_bytes() for path in ca.glob("*.pem")} == before
        assert "and 1 more" in next(line for line in pki.run("doctor", *here).stdout.splitlines() if " issuer " in line)
        # Its lists go on, and so does it when the hold is taken back.
        pki.run("crl", "--issuer", "upper", *here)
        pki.run("revoke", "--release", "upper", *here)
        pki.run("issue-client", "--name", "late", "--issuer", "lower", *here)
        pki.run("revoke", "lower", "--reason", "cACompromise", *here)
        assert "lower was revoked" in pki.refuse("issue-client", "--name", "later", "--issuer", "lower", *here)
        pki.run("renew", "web", "--issuer", "upper", *here)

    def test_a_ca_and_a_client_do_not_take_each_others_place(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-intermediate", "--name", "issuing", "--directory", ca)
        before = {path.name: path.read_bytes() for path in ca.glob("*.pem")}
        for command in (("issue-client", "--name", "issuing"), ("issue-intermediate", "--name", "client")):
            assert "choose another name" in pki.refuse(*command, "--force", "--directory", ca)
        assert {path.name: path.read_bytes() for path in ca.glob("*.pem")} == before

    def test_a_ca_whose_certificate_was_deleted(self, pki: Pki, ca: Path) -> None:
        old = (ca / "root-cert.pem").read_bytes()
        (ca / "root-cert.pem").unlink()
        assert "pki doctor --repair" in pki.refuse("issue-client", "--name", "web", "--directory", ca)
        pki.run("doctor", "--repair", "--directory", ca)
        assert (ca / "root-cert.pem").read_bytes() == old
        pki.run("issue-client", "--name", "web", "--directory", ca)

    def test_what_a_former_ca_issued(self, pki: Pki, ca: Path) -> None:
        """After init-ca --force the clients of before are nobody's: doctor says so, no list can name them, renew helps."""
        pki.run("issue-client", "--directory", ca, "--name", "web")
        pki.run("init-ca", "--force", "--directory", ca)
        found = {one["name"]: one for one in pki.run("doctor", "--directory", ca, "--format", "json").json["checks"]}
        assert "client and 1 more" in str(found["issuer"]) and "pki renew client --issuer" in str(found["issuer"])
        said = pki.run("revoke", "client", "--directory", ca)
        assert "warning: " in said.stderr and "pki crl" not in said.stdout
        pki.run("renew", "web", "--directory", ca)
        openssl_verify(ca / "root-cert.pem", ca / "web-cert.pem")
        said = pki.run("revoke", "web", "--directory", ca)
        assert "pki crl" in said.stdout

    def test_an_inventory_of_a_former_version_is_brought_forward(self, pki: Pki, ca: Path) -> None:
        """Version 1 did not know how long a certificate was meant to live, version 2 had no index of the CAs, version 3 had no
        chain of digests in the audit, and version 4 neither common names nor tables for enrolment."""
        first = {"templates", "certificates", "certificate_contents", "revocation_lists", "audit", "file_moves"}
        with sqlite3.connect(ca / "inventory.sqlite") as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table in tables - first:
                database.execute(f"DROP TABLE {table}")
            database.execute("DROP INDEX certificates_by_common_name")
            database.execute("ALTER TABLE certificates DROP COLUMN common_name")
            database.execute("DROP INDEX certificates_of_authorities")
            database.execute("ALTER TABLE certificates DROP COLUMN lifetime")
            database.execute("ALTER TABLE revocation_lists DROP COLUMN der")
            database.execute("DROP TRIGGER audit_is_never_replaced")
            database.execute("ALTER TABLE audit DROP COLUMN previous")
            database.execute("PRAGMA user_version = 1")
        assert set(listed(pki, ca)) == {"root", "client"}
        pki.run("renew", "client", "--directory", ca)
        pki.run("issue-client", "--name", "web", "--directory", ca, "--days", "7")
        with sqlite3.connect(ca / "inventory.sqlite") as database:
            assert database.execute("PRAGMA user_version").fetchone() == (5,)
            assert database.execute("SELECT common_name FROM certificates WHERE name = 'client'").fetchone() == ("test client",)
            plan = database.execute("EXPLAIN QUERY PLAN SELECT name FROM certificates WHERE is_ca = 1").fetchall()
            assert "certificates_of_authorities" in str(plan)
            lives = dict(database.execute("SELECT name, lifetime FROM certificates WHERE place = 0").fetchall())
        assert lives == {"root": None, "client": 365 * 86400, "web": 7 * 86400}
        pki.run("doctor", "--directory", ca)

    def test_an_inventory_of_a_later_version_is_left_alone(self, pki: Pki, ca: Path) -> None:
        with sqlite3.connect(ca / "inventory.sqlite") as database:
            database.execute("PRAGMA user_version = 99")
        before = {path.name for path in ca.iterdir()}
        for command in (("list",), ("issue-client", "--name", "web"), ("renew", "client"), ("doctor",)):
            assert "version 99" in pki.run(*command, "--directory", ca, status=None).stderr
        assert {path.name for path in ca.iterdir()} == before

    def test_what_is_written_ahead_does_not_grow(self, pki: Pki, ca: Path) -> None:
        """Each process reads it before anything else: after a thousand renewals the next one must not be slower."""
        for number in range(40):
            pki.run("issue-client", "--name", f"web-{number}", "--directory", ca)
            assert sum(path.stat().st_size for path in ca.glob("inventory.sqlite-wal")) < 600_000
        assert len(listed(pki, ca)) == 42

    def test_a_damaged_inventory_is_set_aside(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for suffix in ("-wal", "-shm"):
            (ca / f"inventory.sqlite{suffix}").unlink(missing_ok=True)
        (ca / "inventory.sqlite").write_bytes(b"SQLite format 3\0" + os.urandom(20000))
        said = pki.refuse("list", "--directory", ca)
        assert "pki import" in said
        # Nothing is answered before it is known whether it can be done.
        pki.refuse("import", ca, "--directory", tmp_path / "file" / "below")
        pki.run("import", ca)
        assert set(listed(pki, ca)) == {"root", "client"}
        assert list((ca / "archive").glob("inventory-*.sqlite"))

    @pytest.mark.smoke
    def test_repair(self, pki: Pki, ca: Path) -> None:
        certificate = (ca / "client-cert.pem").read_bytes()
        (ca / "client-cert.pem").unlink()
        (ca / "root-key.pem").chmod(0o644)
        found = pki.run("doctor", "--directory", ca, "--format", "json", status=CHECK_FAILED).json
        assert {check["name"] for check in found["checks"] if check["verdict"] == "failed"} == {
            "permissions", "certificate-file",
        }  # fmt: skip
        pki.run("doctor", "--directory", ca, "--repair")
        assert (ca / "client-cert.pem").read_bytes() == certificate
        assert stat.S_IMODE((ca / "root-key.pem").stat().st_mode) == 0o600

    @pytest.mark.smoke
    def test_passphrases(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        files = {}
        for name in ("old", "new", "wrong"):
            files[name] = tmp_path / name
            files[name].write_text(f"{name} passphrase\n")
            files[name].chmod(0o600)
        change = ("change-passphrase", "--directory", ca)
        pki.run(*change, "--key-passphrase-file", files["old"])
        load_pem_private_key((ca / "root-key.pem").read_bytes(), b"old passphrase")
        before = (ca / "root-key.pem").read_bytes()
        pki.refuse(*change, "--passphrase-file", files["wrong"], "--key-passphrase-file", files["new"])
        assert (ca / "root-key.pem").read_bytes() == before
        pki.run(*change, "--passphrase-file", files["old"], "--key-passphrase-file", files["new"])
        pki.run("issue-client", "--directory", ca, "--name", "x", "--passphrase-file", files["new"])
        pki.run(*change, "--passphrase-file", files["new"], "--no-passphrase")
        load_pem_private_key((ca / "root-key.pem").read_bytes(), None)

    def test_a_lost_key_takes_every_certificate_of_it(self, pki: Pki, ca: Path) -> None:
        pki.run("renew", "client", "--directory", ca)
        result = pki.run("revoke", "client", "--reason", "keyCompromise", "--directory", ca, "--format", "json").json
        assert len(result["changed"]) == 2
        pki.run("crl", "--directory", ca)
        assert len(x509.load_pem_x509_crl((ca / "root-crl.pem").read_bytes())) == 2
        assert json.dumps(listed(pki, ca, "--all")).count("keyCompromise") >= 1

    def test_a_folder_of_an_earlier_version(self, pki: Pki, ca: Path) -> None:
        for path in ca.glob("inventory.sqlite*"):
            path.unlink()
        (ca / ".pki-new.77.0").write_text("left over")
        pki.run("issue-client", "--directory", ca, "--name", "web")
        assert set(listed(pki, ca)) == {"root", "client", "web"} and not (ca / ".pki-new.77.0").exists()
