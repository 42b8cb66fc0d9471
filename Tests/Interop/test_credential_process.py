# SPDX-License-Identifier: Apache-2.0
"""The credential_process that `pki configure` writes, read by everybody who reads one (W6, F3).

Go, Java, JavaScript, Ruby, Rust and .NET give it to a shell; botocore and the CRT split it into words themselves."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import botocore.session
import pytest

from program import USAGE, Lab, Pki

ACUTE = "\u0301"

PROFILES = [
    "web", "R&D", "a$b", "a(b)", "$(touch PWNED)", "`touch PWNED`", "-x", "--cache", "a b", "a b$c", "a|b",
    "a<b>c", "a*b?", "~", "!x", "a=b", "%h", "{a,b}", f"a{ACUTE}", "&" + ACUTE, "x\u00a0y", "Audit/AWS.a@b+c%d:e", "é", "日本",
    "a&&b", "$HOME", "a%b", "default",
]  # fmt: skip

FOLDERS = [
    "plain", "it's", "R&D", "a(b)", "a$HOME", 'a"b', "a b", f"it'{ACUTE}s", "$(touch PWNED)", "`touch PWNED`", "a\\b", "-x",
    "a;b", "~", "é", "a*", "'", "''", '"', "=x", "a=b", "!x", f"'{ACUTE};touch PWNED;#'{ACUTE}",
]  # fmt: skip

SHELLS = ["sh", "bash", "dash"]

FAKE = r"""#!/usr/bin/env python3
import json, os, sys
with open(os.environ["ARGV_FILE"], "w") as file:
    json.dump(sys.argv, file)
print(json.dumps({"Version": 1, "AccessKeyId": "ASIAFAKE", "SecretAccessKey": "secret", "SessionToken": "token",
                  "Expiration": "2099-01-01T00:00:00Z"}))
"""


def options(ca: Path, lab: Lab) -> tuple[str | Path, ...]:
    return ("--certificate", ca / "client-cert.pem", "--private-key", ca / "client-key.pem", *lab.arguments)


def written(pki: Pki) -> str:
    """The line, as it stands in the file."""
    lines = (pki.home / ".aws/config").read_text().splitlines()
    return next(line for line in lines if line.startswith("credential_process = ")).removeprefix("credential_process = ")


def arguments(program: Path, profile: str) -> list[str]:
    option = [f"--profile={profile}"] if profile.startswith("-") else ["--profile", profile]
    return [str(program), "creds", *option, "--cache"]


def check_every_reader(pki: Pki, program: Path, profile: str) -> None:
    """Shells, shlex and botocore come to the same words, and nothing else is run."""
    line, wanted = written(pki), arguments(program, profile)
    assert shlex.split(line) == wanted
    # From here on the program is one that says what it was given.
    program.unlink()
    program.write_text(FAKE)
    program.chmod(0o755)
    argv = pki.home / "argv.json"
    environment = {**pki.variables(), "ARGV_FILE": str(argv)}

    def recorded() -> list[str]:
        words = json.loads(argv.read_text())
        argv.unlink()
        return words

    for shell in SHELLS:
        subprocess.run([shell, "-c", line], env=environment, cwd=pki.home, capture_output=True, check=True)
        assert recorded() == wanted, shell
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", str(pki.home / ".aws/config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        patch.setenv("ARGV_FILE", str(argv))
        session = botocore.session.Session(profile=profile)
        assert session.get_credentials().access_key == "ASIAFAKE"
    assert recorded() == wanted
    assert not list(pki.home.rglob("PWNED"))


def placed(pki: Pki, folder: Path) -> Pki:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "pki"
    program.symlink_to(pki.path)
    return replace(pki, path=program)


class TestF3:
    @pytest.mark.parametrize("profile", PROFILES)
    def test_any_profile(self, pki: Pki, ca: Path, lab: Lab, tmp_path: Path, profile: str) -> None:
        pki = placed(pki, tmp_path / "bin")
        report = pki.run("configure", f"--profile={profile}", *options(ca, lab)).stdout
        # The proposed command is one that a shell understands as it stands.
        following = next(line for line in report.splitlines() if line.startswith("next ")).removeprefix("next").strip()
        option = [f"--profile={profile}"] if profile.startswith("-") else ["--profile", profile]
        script = f'aws() {{ printf "%s\\0" aws "$@"; }}; {following}'
        shown = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert shown.split("\0")[:-1] == ["aws", "sts", "get-caller-identity", *option]
        # It finds its own again.
        pki.run("configure", f"--profile={profile}", "--session-duration", "900")
        told = pki.run("doctor", f"--profile={profile}", "--offline", status=None).stdout
        assert "calls pki" in told or "not every SDK finds a name" in told
        check_every_reader(pki, pki.path, profile)

    @pytest.mark.parametrize("name", FOLDERS)
    def test_any_place_of_the_program(self, pki: Pki, ca: Path, lab: Lab, tmp_path: Path, name: str) -> None:
        moved = placed(pki, tmp_path / name)
        moved.run("configure", "--profile", "web", *options(ca, lab))
        moved.run("configure", "--profile", "web", "--session-duration", "900")
        check_every_reader(moved, moved.path, "web")

    def test_a_place_that_cannot_be_written_down_is_refused(self, pki: Pki, ca: Path, lab: Lab, tmp_path: Path) -> None:
        for name in ("a\nb", "a #b", "a\x1bb"):
            moved = placed(pki, tmp_path / name)
            moved.refuse("configure", "--profile", "web", *options(ca, lab), status=USAGE)
            assert not (tmp_path / ".aws/config").exists()

    @pytest.mark.parametrize(
        "profile", ["a\nb", "a\rb", "a]b", "a[b", "a\x1b[2Jb", "a\x85b", "a\u2028b", "a\u202eb", " a", "a\tb", "a'b", 'a"b', "a\\b", "a;b"]
    )
    def test_a_name_that_no_section_can_have_is_refused(self, pki: Pki, ca: Path, lab: Lab, profile: str) -> None:
        stderr = pki.refuse("configure", f"--profile={profile}", *options(ca, lab), status=USAGE)
        assert "profile's name" in stderr
        assert not any(ord(one) < 32 and one != "\n" or 0x7F <= ord(one) < 0xA0 for one in stderr)
        assert not (pki.home / ".aws/config").exists()

    def test_a_hint_is_a_command(self, pki: Pki, ca: Path) -> None:
        """What is proposed about a profile can be pasted."""
        stderr = pki.refuse("creds", "--profile", "x$(touch PWNED)", status=USAGE)
        assert "pki configure --profile 'x$(touch PWNED)' " in stderr
        found = pki.run("doctor", "--profile", "x;touch PWNED", status=None).stdout
        assert "pki configure --profile 'x;touch PWNED' " in found
