# SPDX-License-Identifier: Apache-2.0
"""`pki exec`, `pki whoami`, and the forms of `pki creds` that shells read."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from program import DENIED, REFUSED, USAGE, Lab, Pki, Result, clean_environment, running_lab
from serving import SECONDS, configure, decisions

AWS = Path(sys.executable).with_name("aws")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@pytest.fixture
def web(pki: Pki, ca: Path, lab: Lab) -> Pki:
    configure(pki, lab, ca)
    return pki


def variables(printed: str) -> dict[str, str]:
    """What `env -0` printed."""
    return dict(one.split("=", 1) for one in printed.split("\0") if one)


def child_environment(pki: Pki, *options: str, **inherited: str) -> dict[str, str]:
    return variables(
        pki.with_environment(**inherited).run("exec", "--profile", "web", *options, "--", "env", "-0").stdout
    )


class TestEnvironment:
    @pytest.mark.smoke
    def test_what_is_set(self, web: Pki, lab: Lab) -> None:
        seen = child_environment(web)
        assert re.fullmatch(r"ASIA[A-Z0-9]{16}", seen["AWS_ACCESS_KEY_ID"])
        assert len(seen["AWS_SECRET_ACCESS_KEY"]) == 40 and len(seen["AWS_SESSION_TOKEN"]) > 100
        assert SECONDS.fullmatch(seen["AWS_CREDENTIAL_EXPIRATION"])
        assert seen["AWS_ACCOUNT_ID"] == lab.account
        assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == lab.region
        added = {"AWS_CREDENTIAL_EXPIRATION", "AWS_ACCOUNT_ID", "AWS_REGION", "AWS_DEFAULT_REGION", *KEYS}
        assert set(seen) == set(web.variables()) | added
        assert {name: seen[name] for name in web.variables()} == web.variables()

    @pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
    def test_a_region_that_is_set_is_that_of_programs_that_read_the_other_variable(self, web: Pki, name: str) -> None:
        seen = child_environment(web, **{name: "eu-west-1"})
        assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == "eu-west-1"

    @pytest.mark.parametrize("options", [(), ("--server",)], ids=["keys", "server"])
    def test_what_would_lead_elsewhere_is_removed(self, web: Pki, options: tuple[str, ...]) -> None:
        others = {
            name: "http://other.example/"
            for name in (
                *KEYS,
                "AWS_PROFILE",
                "AWS_DEFAULT_PROFILE",
                "AWS_ROLE_ARN",
                "AWS_ROLE_SESSION_NAME",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                "AWS_CREDENTIAL_EXPIRATION",
                "AWS_SECURITY_TOKEN",
            )
        }
        seen = child_environment(web, *options, **others)
        assert "http://other.example/" not in seen.values(), seen

    def test_what_says_where_to_go_stays(self, web: Pki, tmp_path: Path) -> None:
        config = tmp_path / "elsewhere"
        shutil.copyfile(tmp_path / ".aws/config", config)
        kept = {
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": "/none/credentials",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
            "AWS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
            "AWS_PAGER": "",
            "AWS_REGION": "us-east-1",
            "ODD": "a b\n'c\" $d é",
        }
        for options in ((), ("--server",)):
            seen = child_environment(web, *options, **kept)
            assert {name: seen.get(name) for name in kept} == kept

    def test_the_aws_cli_is_the_role(self, web: Pki, lab: Lab) -> None:
        pki = web.with_environment(AWS_ENDPOINT_URL_STS=lab.endpoint)
        for options in ((), ("--server",)):
            done = pki.run("exec", "--profile", "web", *options, "--", AWS, "sts", "get-caller-identity")
            assert ":assumed-role/lab-role/" in done.json["Arn"]


def run_exec(pki: Pki, *arguments: str | Path, input: bytes = b"", **options) -> subprocess.CompletedProcess[bytes]:
    """`pki exec --profile web`, with the bytes on its standard input."""
    return subprocess.run(
        pki.command("exec", "--profile", "web", *arguments),
        cwd=pki.home,
        env=pki.variables(),
        input=input,
        capture_output=True,
        timeout=30,
        check=False,
        **options,
    )


@pytest.mark.parametrize("server", [(), ("--server",)], ids=["keys", "server"])
class TestCommand:
    @pytest.mark.parametrize("status", [0, 1, 2, 77, 255])
    def test_its_status_is_the_commands(self, web: Pki, server: tuple[str, ...], status: int) -> None:
        done = run_exec(web, *server, "--", "sh", "-c", f"exit {status}")
        assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")

    def test_one_that_is_not_there(self, web: Pki, server: tuple[str, ...]) -> None:
        for name in ("no-such-command-anywhere", "/no/such/command", "./absent"):
            done = run_exec(web, *server, "--", name)
            assert done.returncode == 127 and name in done.stderr.decode()

    def test_one_that_cannot_be_run(self, web: Pki, server: tuple[str, ...], tmp_path: Path) -> None:
        plain = tmp_path / "plain"
        plain.write_text("#!/bin/sh\n")
        for place in (plain, tmp_path):
            done = run_exec(web, *server, "--", place)
            assert done.returncode == 126 and str(place) in done.stderr.decode()

    @pytest.mark.parametrize("name", ["KILL", "TERM", "INT", "SEGV", "USR1", "PIPE"])
    def test_one_that_a_signal_ends(self, web: Pki, server: tuple[str, ...], name: str) -> None:
        done = run_exec(web, *server, "--", "sh", "-c", f"ulimit -c 0; kill -{name} $$")
        assert done.returncode == -signal.Signals[f"SIG{name}"]

    def test_arguments_and_standard_input_pass_as_they_are(self, web: Pki, server: tuple[str, ...]) -> None:
        odd = [
            "",
            " ",
            "a b",
            "$HOME",
            "*",
            "'",
            '"',
            "\\",
            "é\n\t",
            "--",
            "--profile",
            "-h",
            "--help",
            "%s",
            ";ls",
            "\x01",
        ]
        words = "b'\\0'.join(map(os.fsencode, sys.argv[1:]))"
        show = f"import os, sys; sys.stdout.buffer.write({words} + sys.stdin.buffer.read())"
        data = bytes(range(256)) * 4096
        done = run_exec(web, *server, "--", sys.executable, "-c", show, *odd, input=data)
        assert done.returncode == 0, done.stderr
        assert done.stdout == b"\0".join(map(os.fsencode, odd)) + data

    def test_signals_are_at_their_defaults_and_none_is_blocked(self, web: Pki, server: tuple[str, ...]) -> None:
        """As a shell leaves them: a child that ignores SIGPIPE writes on and on."""
        done = run_exec(web, *server, "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
        masks = {line.split()[0]: int(line.split()[1], 16) for line in done.stdout.decode().splitlines()}
        # The C library's posix_spawn leaves its own two, 32 and 33, ignored.
        assert {name: mask & (1 << 31) - 1 for name, mask in masks.items()} == {"SigBlk:": 0, "SigIgn:": 0}

    def test_a_pipe_that_closes_ends_it(self, web: Pki, server: tuple[str, ...]) -> None:
        command = " ".join(web.command("exec", "--profile", "web", *server, "--", "yes"))
        script = f"set -o pipefail; {command} | head -1"
        done = subprocess.run(
            ["bash", "-c", script], env=web.variables(), cwd=web.home, capture_output=True, timeout=30, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGPIPE, b"y\n", b"")

    def test_nothing_of_ours_is_open_in_it(self, web: Pki, server: tuple[str, ...]) -> None:
        done = run_exec(
            web, *server, "--", sys.executable, "-c", "import os; print(*sorted(os.listdir('/proc/self/fd')))"
        )
        # The fourth is that of listdir itself.
        assert done.stdout.decode().split() == ["0", "1", "2", "3"], done.stderr

    def test_a_command_is_wanted(self, web: Pki, server: tuple[str, ...]) -> None:
        for words in ((), ("--",)):
            assert run_exec(web, *server, *words).returncode == USAGE

    def test_without_credentials_it_is_not_run(
        self, pki: Pki, ca: Path, lab: Lab, tmp_path: Path, server: tuple
    ) -> None:
        other = tmp_path / "other"
        pki.run("init-ca", "--directory", other)
        pki.run("issue-client", "--directory", other)
        configure(pki, lab, other)
        done = run_exec(pki, *server, "--", "touch", "ran")
        assert done.returncode == DENIED and done.stdout == b"" and b"pki: error: " in done.stderr
        assert run_exec(pki, *server, "--profile", "absent", "--", "touch", "ran").returncode in (REFUSED, USAGE)
        assert not (pki.home / "ran").exists()


# Asks the endpoint of its environment as an SDK would, at the start and whenever its first answer is nearly over.
ASK = """
import json, os, sys, time, urllib.request
def ask():
    request = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
                                     headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
first = ask()
print(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
deadline = time.monotonic() + 60
while (second := ask())["AccessKeyId"] == first["AccessKeyId"] and time.monotonic() < deadline:
    time.sleep(0.1)
print(json.dumps([first, second]))
sys.exit(23)
"""


def listens(url: str) -> bool:
    """Whether somebody takes connections at the place of a container endpoint on loopback."""
    [port] = re.findall(r"^http://127\.0\.0\.1:(\d+)/credentials/web$", url)
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


class TestServer:
    def test_the_childs_credentials_are_kept_fresh(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--expires-in", "4") as lab:
            configure(pki, lab, ca)
            done = run_exec(pki, "--server", "--", sys.executable, "-c", ASK)
            assert done.returncode == 23, done.stderr
            url, answers = done.stdout.decode().splitlines()
            first, second = json.loads(answers)
            assert first["AccessKeyId"] != second["AccessKeyId"] and first["Expiration"] < second["Expiration"]
            assert second["AccountId"] == lab.account
            assert {one["status"] for one in decisions(pki, lab)} == {201}
        assert not listens(url), "it lives as long as the command"

    def test_no_keys_are_in_the_environment(self, web: Pki) -> None:
        seen = child_environment(web, "--server")
        assert {name for name in seen if name.startswith("AWS_")} == {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
        }
        assert len(seen["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) >= 32
        again = child_environment(web, "--server")
        assert again["AWS_CONTAINER_AUTHORIZATION_TOKEN"] != seen["AWS_CONTAINER_AUTHORIZATION_TOKEN"]

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
    def test_signals_reach_the_child(self, web: Pki, name: str) -> None:
        script = f"trap 'echo got; exit 9' {name.removeprefix('SIG')}; echo ready; while :; do sleep 0.05; done"
        with web.start("exec", "--profile", "web", "--server", "--", "sh", "-c", script) as process:
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.Signals[name])
            assert process.stdout.read() == b"got\n"
            assert process.wait(timeout=60) == 9

    def test_a_signal_that_the_child_does_not_take_ends_both(self, web: Pki) -> None:
        with web.start("exec", "--profile", "web", "--server", "--", "sh", "-c", "echo $$; exec sleep 60") as process:
            child = int(process.stdout.readline())
            process.terminate()
            assert process.wait(timeout=60) == -signal.SIGTERM
            assert not Path(f"/proc/{child}").exists()

    def test_a_child_that_outlives_its_parent_is_not_left_behind(self, web: Pki) -> None:
        """What is in the background goes on: the command itself is what counts."""
        script = "sleep 30 >&- & echo $! $AWS_CONTAINER_CREDENTIALS_FULL_URI"
        start = time.monotonic()
        with web.start("exec", "--profile", "web", "--server", "--", "sh", "-c", script) as process:
            background, url = process.stdout.readline().decode().split()
            try:
                assert process.wait(timeout=60) == 0
                assert time.monotonic() - start < 8
                assert not listens(url), "the server has ended with the command"
            finally:
                os.kill(int(background), signal.SIGKILL)

    def test_a_service_that_hangs_does_not_hold_up_the_end(self, pki: Pki, ca: Path) -> None:
        """The command is through: nobody waits for credentials any more."""
        with running_lab(pki, "--directory", ca, "--expires-in", "4") as lab:
            configure(pki, lab, ca)
            words = (
                "exec",
                "--profile",
                "web",
                "--timeout",
                "18",
                "--attempts",
                "1",
                "--server",
                "--",
                "sh",
                "-c",
                "echo go; sleep 3; echo over",
            )
            with pki.start(*words) as process:
                assert process.stdout.readline() == b"go\n"
                lab.process.send_signal(signal.SIGSTOP)
                try:
                    # The refresh at half of the lifetime is under way by now.
                    assert process.stdout.readline() == b"over\n"
                    start = time.monotonic()
                    assert process.wait(timeout=20) == 0
                    assert time.monotonic() - start < 9
                finally:
                    lab.process.send_signal(signal.SIGCONT)

    def test_the_default_profile_does_not_win(self, pki: Pki, ca: Path, lab: Lab) -> None:
        """SDKs look at the default profile before the container endpoint; the command must get what was asked for."""
        pki.run("issue-client", "--directory", ca, "--name", "another")
        configure(pki, lab, ca, "web")
        configure(pki, lab, ca, "default", name="another")
        asked = pki.with_environment(AWS_ENDPOINT_URL_STS=lab.endpoint)
        mine = asked.run("whoami", "--profile", "web", "--format", "json").json
        assert mine["Arn"] != asked.run("whoami", "--format", "json").json["Arn"]
        for options in ((), ("--server",)):
            done = asked.run("exec", "--profile", "web", *options, "--", AWS, "sts", "get-caller-identity")
            assert done.json == mine, options

    def test_keys_of_the_default_profile_do_not_win(self, web: Pki, lab: Lab) -> None:
        """Those of the shared credentials file go before the container endpoint too."""
        keys = {name.lower(): lab.exports[name] for name in KEYS[:2]}
        lines = "\n".join(f"{name} = {value}" for name, value in keys.items())
        (web.home / ".aws/credentials").write_text(f"[default]\n{lines}\n")
        asked = web.with_environment(AWS_ENDPOINT_URL_STS=lab.endpoint)
        for options in ((), ("--server",)):
            done = asked.run("exec", "--profile", "web", *options, "--", AWS, "sts", "get-caller-identity")
            assert ":assumed-role/lab-role/" in done.json["Arn"], options


class TestWhoAmI:
    @pytest.mark.smoke
    def test_it_is_what_the_aws_cli_says(self, web: Pki, lab: Lab, ca: Path) -> None:
        pki = web.with_environment(AWS_ENDPOINT_URL_STS=lab.endpoint)
        mine = pki.run("whoami", "--profile", "web", "--format", "json")
        theirs = subprocess.run(
            [AWS, "sts", "get-caller-identity", "--profile", "web", "--output", "json"],
            env={**pki.variables(), "AWS_PAGER": ""},
            cwd=pki.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert mine.json == json.loads(theirs.stdout)
        assert list(mine.json) == ["UserId", "Account", "Arn"]
        text = pki.run("whoami", "--profile", "web").stdout
        for value in mine.json.values():
            assert value in text
        assert mine.stderr == ""

    def test_the_general_endpoint_counts_when_stss_own_is_not_set(self, web: Pki, lab: Lab) -> None:
        one = web.with_environment(AWS_ENDPOINT_URL=lab.endpoint)
        assert one.run("whoami", "--profile", "web", "--format", "json").json["Account"] == lab.account
        nowhere = web.with_environment(AWS_ENDPOINT_URL=lab.endpoint, AWS_ENDPOINT_URL_STS="http://127.0.0.1:9")
        assert "127.0.0.1:9" in nowhere.refuse("whoami", "--profile", "web", "--attempts", "1", status=69)


def evaluated(shell: str, script: str, home: Path) -> dict[str, str]:
    """The AWS variables that a shell has after it read a script, and which its children have too."""
    path = shutil.which(shell, path=clean_environment(home)["PATH"])
    if path is None:
        pytest.skip(f"there is no {shell}: run script/bootstrap")
    done = subprocess.run(
        [path, "-c", f"{script}\nenv -0"],
        env=clean_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    result = Result((shell,), done.returncode, done.stdout, done.stderr)
    assert (result.status, result.stderr) == (0, ""), result.describe()
    return {name: value for name, value in variables(done.stdout).items() if name.startswith("AWS_")}


class TestForms:
    """Every form is held against the cached answer that credential_process has."""

    @pytest.fixture
    def keys(self, web: Pki) -> dict[str, str]:
        return self.creds(web, "process").json

    def creds(self, pki: Pki, form: str) -> Result:
        return pki.run("creds", "--profile", "web", "--cache", "--format", form)

    def wanted(self, keys: dict[str, str]) -> dict[str, str]:
        return dict(zip(KEYS, (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]), strict=True))

    @pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
    def test_env(self, web: Pki, keys: dict[str, str], shell: str) -> None:
        seen = evaluated(shell, self.creds(web, "env").stdout, web.home)
        assert {name: seen[name] for name in KEYS} == self.wanted(keys)
        assert seen["AWS_CREDENTIAL_EXPIRATION"] == keys["Expiration"]

    def test_fish(self, web: Pki, keys: dict[str, str]) -> None:
        seen = evaluated("fish", self.creds(web, "fish").stdout, web.home)
        assert {name: seen[name] for name in KEYS} == self.wanted(keys)
        assert seen["AWS_CREDENTIAL_EXPIRATION"] == keys["Expiration"]

    def test_ini(self, web: Pki, keys: dict[str, str], lab: Lab) -> None:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(self.creds(web, "ini").stdout)
        [section] = parser.sections()
        for name, value in self.wanted(keys).items():
            assert parser[section][name.lower()] == value
        # Where the AWS CLI reads it.
        file = web.home / "credentials"
        file.write_text(self.creds(web, "ini").stdout)
        environment = {
            **clean_environment(web.home),
            "AWS_SHARED_CREDENTIALS_FILE": str(file),
            "AWS_CONFIG_FILE": "/none",
            "AWS_ENDPOINT_URL_STS": lab.endpoint,
            "AWS_DEFAULT_REGION": lab.region,
            "AWS_PROFILE": section,
        }
        done = subprocess.run(
            [AWS, "sts", "get-caller-identity"], env=environment, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert ":assumed-role/lab-role/" in json.loads(done.stdout)["Arn"]

    def test_powershell(self, web: Pki, keys: dict[str, str]) -> None:
        """No PowerShell is here to ask: within single quotes nothing means anything but a doubled quote."""
        seen = {}
        for line in self.creds(web, "powershell").stdout.splitlines():
            if re.fullmatch(r"\$Env:[A-Z_]+ = \$null", line):
                continue
            match = re.fullmatch(r"\$env:([A-Z_]+) ?= ?'((?:[^']|'')*)';?", line, re.IGNORECASE)
            assert match, line
            seen[match[1]] = match[2].replace("''", "'")
        assert {name: seen[name] for name in KEYS} == self.wanted(keys)

    def test_json(self, web: Pki, keys: dict[str, str]) -> None:
        told = self.creds(web, "json").json
        assert keys["SecretAccessKey"] in json.dumps(told)

    def test_another_form_is_refused(self, web: Pki) -> None:
        web.run("creds", "--profile", "web", "--format", "csh", status=USAGE)
