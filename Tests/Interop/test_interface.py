# SPDX-License-Identifier: Apache-2.0
"""What scripts rely on: exit statuses, quiet runs, broken pipes; findings B7, B9, B10 and C1 to C19 of first use."""

from __future__ import annotations

import csv
import fcntl
import io
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
from pathlib import Path

import pytest

from test_console import on_terminal
from program import CHECK_FAILED, DONE, REFUSED, USAGE, Pki

BROKEN_PIPE = 141


class TestC3Help:
    @pytest.mark.parametrize("words", [("help", "nosuch"), ("help", "lab", "nosuch"), ("nosuch", "--help")])
    def test_help_of_an_unknown_command_is_wrong_usage(self, pki: Pki, words: tuple[str, ...]) -> None:
        assert "nosuch" in pki.run(*words, status=USAGE).error

    def test_the_helper_without_arguments_prints_its_own_usage(self, pki: Pki, tmp_path: Path) -> None:
        link = tmp_path / "aws_signing_helper"
        link.symlink_to(pki.path)
        shown = Pki(home=tmp_path, path=link).run().stdout
        assert "USAGE: aws_signing_helper" in shown and "credential-process" in shown
        assert "init-ca" not in shown


class TestC4OutputThatGoesNowhere:
    @pytest.mark.parametrize(
        "arguments",
        [("--help",), ("--version",), ("list",), ("tree",), ("audit",), ("crl",), ("print-bundle",), ("issue-client", "new"),
         ("issue-client", "other", "-o", "json"), ("list", "-o", "csv"), ("help", "creds")],
    )  # fmt: skip
    def test_a_reader_that_has_gone_ends_it_quietly(self, pki: Pki, ca: Path, arguments: tuple[str, ...]) -> None:
        folder = () if arguments[0].startswith("-") or arguments[0] == "help" else ("--directory", ca)
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            pki.command(*arguments, *folder), cwd=pki.home, env=pki.variables(), stdin=subprocess.DEVNULL, stdout=writer,
            stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        os.close(writer)
        assert done.returncode == BROKEN_PIPE, done.stderr.decode()
        assert b"error" not in done.stderr

    def test_help_on_a_full_device_fails(self, pki: Pki) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run(pki.command("--help"), env=pki.variables(), stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == REFUSED and b"pki: error: " in done.stderr


class TestC5Quiet:
    def test_renew_with_nothing_due_is_done(self, pki: Pki, ca: Path) -> None:
        due = ("renew", "--all", "--if-expires-within", "1d", "--directory", ca)
        assert pki.run(*due).stdout == ""
        assert pki.run(*due, "-o", "json").json == {"renewed": []}
        silent = pki.run(*due, "--quiet", "--exit-code", status=CHECK_FAILED)
        assert silent.stdout == silent.stderr == ""

    def test_quiet_keeps_warnings_and_errors(self, pki: Pki, ca: Path) -> None:
        assert pki.run("crl", "--directory", ca).stderr != ""
        assert pki.run("crl", "--directory", ca, "-q").stderr == ""
        pki.run("issue-client", "-q", "client", "--directory", ca, status=REFUSED)
        pki.run("renew", "client", "--directory", ca)
        warned = pki.run("revoke", "client", "-q", "--directory", ca).stderr
        assert "pki: warning: " in warned

    def test_revoking_again_is_done(self, pki: Pki, ca: Path) -> None:
        pki.run("revoke", "client", "--directory", ca)
        again = pki.run("revoke", "client", "--directory", ca, "-o", "json")
        assert again.status == DONE and again.json == {"changed": []}


class TestC6Names:
    def test_list_and_audit_take_names(self, pki: Pki, ca: Path) -> None:
        for name in ("web-1", "web-2", "db-1"):
            pki.run("issue-client", name, "--directory", ca)
        pki.run("issue-intermediate", "issuing-1", "--directory", ca)

        def listed(*arguments: str) -> set[str]:
            return {entry["name"] for entry in pki.run("list", *arguments, "-o", "json", "--directory", ca).json}

        assert listed("web-1") == {"web-1"}
        assert listed("web-*", "issuing-1") == {"web-1", "web-2", "issuing-1"}
        assert listed("web-1", "--name", "db-?") == {"web-1", "db-1"}
        rows = pki.run("audit", "web-1", "-o", "json", "--directory", ca).json
        assert [row["name"] for row in rows] == ["web-1"]

    def test_a_name_given_twice_is_wrong_usage(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "a", "--name", "b", "--directory", ca, status=USAGE)
        pki.run("issue-intermediate", "--directory", ca, status=USAGE)


class TestC8BadValues:
    @pytest.mark.parametrize(
        ("arguments", "value"),
        [
            (("issue-client", "a b"), "a b"), (("issue-client", "x", "--days", "0"), "0 days"),
            (("issue-client", "x", "--days", "-5"), "-5"), (("issue-client", "x", "--days=-5"), "-5"),
            (("issue-client", "x", "--not-after", "2001-01-01"), "2001-01-01"), (("issue-client", "x", "--dns", "a b"), "a b"),
            (("issue-intermediate", "x", "--path-length", "300"), "300"), (("crl", "--next-update", "0d"), "--next-update"),
            (("print-bundle", "-o", "aws-cli", "--region", "a b"), "a b"), (("print-setup", "-o", "terraform", "--subject-cn", ""), ""),
            (("serve", "--hop-limit", "0"), "--hop-limit"), (("list", "--expiring", "-5d"), "-5d"),
        ],
    )  # fmt: skip
    def test_the_status_is_64(self, pki: Pki, ca: Path, arguments: tuple[str, ...], value: str) -> None:
        folder = () if arguments[0] == "serve" else ("--directory", ca)
        assert value in pki.run(*arguments, *folder, status=USAGE).error


class TestC1C2PrintedCommands:
    def test_no_list_is_numbered_for_a_wrong_arn(self, pki: Pki, ca: Path) -> None:
        pki.run("crl", "-o", "aws-cli", "--trust-anchor-arn", "", "--directory", ca, status=USAGE)
        assert not (ca / "root-crl.pem").exists()
        assert pki.run("crl", "--directory", ca).stderr.startswith("pki: CRL 1 ")

    def test_the_commands_print_what_the_next_one_needs(self, pki: Pki, ca: Path) -> None:
        arn = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/00000000-0000-4000-8000-000000000000"
        text = pki.run("crl", "-o", "aws-cli", "--trust-anchor-arn", arn, "--directory", ca).stdout
        assert "--query crl.crlId --output text" in text
        assert "--query trustAnchor.trustAnchorArn --output text" in pki.run("print-bundle", "-o", "aws-cli", "--directory", ca).stdout


def typed(pki: Pki, *arguments: str | Path, answers: list[str]) -> tuple[int, str]:
    """Runs the program on a terminal of its own, types an answer to each question, and returns the status and the screen."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        pki.command(*arguments), cwd=pki.home, env=pki.variables(), stdin=follower, stdout=follower, stderr=follower,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(follower)
    screen = ""
    left = list(answers)
    while True:
        try:
            part = os.read(leader, 65536).decode()
        except OSError:
            break
        screen += part
        if left and screen.endswith(": "):
            os.write(leader, f"{left.pop(0)}\n".encode())
    os.close(leader)
    assert left == [], screen
    return process.wait(timeout=60), screen


class TestB9Passphrases:
    def test_a_new_passphrase_is_asked_for_twice(self, pki: Pki, tmp_path: Path) -> None:
        ca = tmp_path / "ca"
        status, screen = typed(pki, "init-ca", "--ask-passphrase", "--directory", ca, answers=["first", "other"])
        assert status == REFUSED and not (ca / "root-key.pem").exists()
        status, screen = typed(pki, "init-ca", "--ask-passphrase", "--directory", ca, answers=["secret-1", "secret-1"])
        assert status == DONE and "secret" not in screen
        assert "ENCRYPTED" in (ca / "root-key.pem").read_text()
        status, _ = typed(
            pki, "issue-client", "web-1", "--ask-passphrase", "--directory", ca, answers=["secret-2", "secret-2", "secret-1"]
        )
        assert status == DONE and "ENCRYPTED" in (ca / "web-1-key.pem").read_text()
        pki.run("init-ca", "--directory", tmp_path / "other", "--ask-passphrase", status=USAGE)

    def test_the_old_passphrase_comes_first(self, pki: Pki, tmp_path: Path) -> None:
        ca = tmp_path / "ca"
        typed(pki, "init-ca", "--ask-passphrase", "--directory", ca, answers=["old-1", "old-1"])
        before = (ca / "root-key.pem").read_text()
        status, screen = typed(pki, "change-passphrase", "--directory", ca, answers=["old-1", "new-1", "new-1"])
        assert status == DONE and (ca / "root-key.pem").read_text() != before
        questions = [line.partition("pki: ")[2] for line in screen.splitlines() if "passphrase" in line]
        assert "old" in questions[0] and "new" in questions[1]
        (tmp_path / "new").write_text("new-1\n")
        (tmp_path / "new").chmod(0o600)
        pki.run("issue-client", "--passphrase-file", tmp_path / "new", "--directory", ca)

    def test_c17_a_wrong_one_can_be_typed_again(self, pki: Pki, tmp_path: Path) -> None:
        ca = tmp_path / "ca"
        typed(pki, "init-ca", "--ask-passphrase", "--directory", ca, answers=["right", "right"])
        status, _ = typed(pki, "issue-client", "web-1", "--directory", ca, answers=["wrong", "worse", "right"])
        assert status == DONE
        status, screen = typed(pki, "issue-client", "web-2", "--directory", ca, answers=["wrong", "worse", "worst"])
        assert status == REFUSED and "file" not in screen and not (ca / "web-2-cert.pem").exists()
        (tmp_path / "wrong").write_text("wrong\n")
        (tmp_path / "wrong").chmod(0o600)
        said = pki.refuse("issue-client", "web-2", "--passphrase-file", tmp_path / "wrong", "--directory", ca)
        assert "first line" in said

    def test_c17_the_key_of_a_client_too(self, pki: Pki, ca: Path) -> None:
        status, _ = typed(pki, "issue-client", "p", "--ask-passphrase", "--directory", ca, answers=["right", "right"])
        assert status == DONE
        sign = ("sign-string", "--private-key", ca / "p-key.pem")
        status, screen = typed(pki, *sign, answers=["wrong", "right"])
        assert status == DONE, screen


class TestB10Batches:
    def slow(self, pki: Pki, count: int) -> Path:
        path = pki.home / "hosts.csv"
        path.write_text("name,key_type\n" + "".join(f"web-{number},rsa-3072\n" for number in range(count)))
        return path

    def test_an_interrupted_batch_keeps_what_is_done_and_says_how_to_go_on(self, pki: Pki, ca: Path) -> None:
        batch = ("issue-client", "--batch", self.slow(pki, 40), "--directory", ca)
        process = pki.popen(*batch)
        while process.poll() is None and not list(ca.glob("web-*-cert.pem")):
            select.select([], [], [], 0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        issued = len(list(ca.glob("web-*-cert.pem")))
        assert process.returncode == 130 and 0 < issued < 40
        assert f"interrupted: {issued} of 40" in stderr.decode()
        assert len(list(ca.glob("web-*-key.pem"))) == issued
        assert len(pki.run("list", "web-*", "-o", "json", "--directory", ca).json) == issued
        (pki.home / "hosts.csv").write_text("name\n" + "".join(f"web-{number}\n" for number in range(40)))
        report = pki.run(*batch, "-o", "json").json
        assert len(report["skipped"]) == issued and len(report["issued"]) == 40 - issued


class TestLab:
    def test_env_asks_the_running_lab_and_the_file_says_the_same(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        path = tmp_path / "lab.env"
        with pki.start("lab", "--directory", ca, "--port", "0", "--env-file", path) as process:
            assert process.stdout
            endpoint = process.stdout.readline().decode().split("=")[1].strip()
            printed = pki.run("lab", "env", "--endpoint", endpoint).stdout
            assert printed == path.read_text() and path.stat().st_mode & 0o777 == 0o600
            shell = pki.with_environment(SHELL_TEXT=printed)
            done = subprocess.run(
                ["sh", "-c", 'eval "$SHELL_TEXT"; echo "$PKI_LAB_TRUST_ANCHOR_ARN $AWS_REGION"'], env=shell.variables(),
                capture_output=True, check=True,
            )  # fmt: skip
            assert done.stdout.decode().startswith("arn:aws:rolesanywhere:us-east-1:")
            # C12: doctor is no refused client. C19: nothing to show is said.
            log = pki.run("lab", "log", "--endpoint", endpoint)
            assert log.stdout == "" and log.stderr != ""
            # C18: the port's lab is recognised.
            port = endpoint.rpartition(":")[2]
            said = pki.refuse("lab", "--directory", ca, "--port", port)
            assert f"pki lab env --endpoint {endpoint}" in said
        with socket.create_server(("127.0.0.1", 0)) as other:
            assert "--port" in pki.refuse("lab", "--directory", ca, "--port", str(other.getsockname()[1]))

    def test_c18_two_labs_do_not_share_a_state(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        state = ("lab", "--directory", ca, "--port", "0", "--state", tmp_path / "state")
        for _ in range(2):
            with pki.start(*state) as process:
                assert process.stdout and process.stdout.readline()
                assert "another lab uses the state file" in pki.refuse(*state)

    def test_times_are_written_unless_the_journal_writes_them(self, pki: Pki, ca: Path) -> None:
        time = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ pki: the lab is listening"
        command = ("lab", "--directory", ca, "--port", "0")
        for in_journal in (False, True):
            reader, writer = os.pipe()
            status = os.fstat(writer)
            stream = f"{status.st_dev}:{status.st_ino}" if in_journal else "1:2"
            variables = {**pki.variables(), "JOURNAL_STREAM": stream}
            process = subprocess.Popen(
                pki.command(*command), cwd=pki.home, env=variables, stdout=subprocess.PIPE, stderr=writer)
            os.close(writer)
            try:
                with os.fdopen(reader) as said:
                    assert bool(re.match(time, said.readline())) != in_journal
            finally:
                process.terminate()
                process.communicate(timeout=60)


class TestStatus:
    def test_it_fits_one_screen_and_changes_nothing(self, pki: Pki, ca: Path) -> None:
        for number in range(12):
            pki.run("issue-client", f"web-{number}", "--days", str(20 + number), "--directory", ca)
        for number in range(8):
            pki.run("issue-intermediate", f"issuing-{number}", "--directory", ca)
        before = {path: path.read_bytes() for path in ca.rglob("*") if path.is_file()}
        shown = on_terminal(pki, "status", "--directory", ca.name)
        lines = re.sub(r"\x1b\[\d+m", "", shown.screen).splitlines()
        assert shown.status == DONE and len(lines) <= 24 and max(map(len, lines)) <= 80, shown.screen
        assert [name for name in re.findall(r"^web-\d+", "\n".join(lines), re.MULTILINE)] == [f"web-{n}" for n in range(8)]
        assert {path: path.read_bytes() for path in ca.rglob("*") if path.is_file()} == before

    def test_json(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "web-1", "--days", "20", "--directory", ca)
        report = pki.run("status", "-o", "json", "--directory", ca).json
        (root,) = report["authorities"]
        assert (root["name"], root["issuedCount"], root["hasUnlistedRevocations"]) == ("root", 2, False)
        assert "crl" not in root and report["certificates"] == {"valid": 2}
        assert [one["name"] for one in report["expiringNext"]] == ["web-1", "client"]
        pki.run("revoke", "web-1", "--directory", ca)
        assert pki.run("status", "-o", "json", "--directory", ca).json["authorities"][0]["hasUnlistedRevocations"]
        pki.run("crl", "--directory", ca)
        report = pki.run("status", "-o", "json", "--directory", ca).json
        (root,) = report["authorities"]
        assert root["crl"]["number"] == 1 and not root["hasUnlistedRevocations"]
        assert report["certificates"] == {"valid": 1, "revoked": 1}

    def test_without_a_ca(self, pki: Pki, tmp_path: Path) -> None:
        assert "pki init-ca" in pki.refuse("status", "--directory", tmp_path / "none")


class TestC9C10:
    def test_a_new_root_says_what_it_makes_of_the_old_certificates(self, pki: Pki, ca: Path) -> None:
        said = pki.refuse("init-ca", "--directory", ca)
        assert "renewed" in said and "--directory" in said
        pki.run("issue-client", "web-1", "--directory", ca)
        forced = pki.run("init-ca", "--directory", ca, "--force")
        assert "pki: warning: " in forced.stderr and "must be renewed: 2" in forced.stderr
        assert f"pki renew --all --directory {ca}" in forced.stdout
        pki.run("renew", "--all", "--directory", ca)

    def test_paths_and_serial_numbers_are_called_the_same_everywhere(self, pki: Pki, ca: Path) -> None:
        issued = pki.run("issue-client", "web-1", "-o", "json", "--directory", ca).json
        (listed,) = pki.run("list", "web-1", "-o", "json", "--directory", ca).json
        assert {key: listed[key] for key in ("certificate", "key", "serialNumber")} == {
            key: issued[key] for key in ("certificate", "key", "serialNumber")
        }
        (row,) = csv.DictReader(io.StringIO(pki.run("list", "web-1", "-o", "csv", "--directory", ca).stdout))
        assert row["serial_number"] == issued["serialNumber"] and row["certificate"] == issued["certificate"]


class TestVersion:
    def test_the_version_names_program_and_library(self, pki: Pki) -> None:
        version = pki.run("--version").stdout
        assert re.fullmatch(r"pki [0-9.]+\n", version)
        assert f"{version.strip()} with OpenSSL 3" in pki.run("doctor", "--offline", "--profile", "none", status=None).stdout
        assert pki.run("version").stdout.count(".") == 2
