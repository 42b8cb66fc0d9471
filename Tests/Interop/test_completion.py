# SPDX-License-Identifier: Apache-2.0
"""The completion scripts for shells: well formed for their shell, and with every command and option in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from program import Pki
from sampling import scaled

# What checks a script without running it.
CHECKS = {"bash": ("bash", "-n"), "zsh": ("zsh", "-n"), "fish": ("fish", "--no-execute")}


def script(pki: Pki, shell: str, folder: Path) -> Path:
    path = folder / f"completion.{shell}"
    path.write_text(pki.run("completion", shell).stdout)
    return path


def described(pki: Pki) -> dict[str, list[str]]:
    """The long options of each command that is shown, by the command's path, as the program describes itself."""
    found: dict[str, list[str]] = {}

    def walk(command: dict, path: str) -> None:
        options = [argument for argument in command.get("arguments", []) if argument["shouldDisplay"]]
        found[path] = [name["name"] for option in options for name in option.get("names", []) if name["kind"] == "long"]
        for child in command.get("subcommands", []):
            if child["shouldDisplay"]:
                walk(child, f"{path} {child['commandName']}".strip())

    walk(json.loads(pki.run("--experimental-dump-help").stdout)["command"], "")
    return found


def variables(pki: Pki) -> dict[str, str]:
    """The environment of a shell that finds the program."""
    return {**pki.variables(), "PATH": f"{pki.path.parent}:/usr/bin:/bin"}


def fish(pki: Pki, path: Path, *lines: str) -> list[set[str]]:
    """What fish would offer at the end of each line."""
    program = "source $argv[1]; for line in $argv[2..]; complete -C $line; printf '\\0'; end"
    done = subprocess.run(
        ("fish", "--no-config", "-c", program, str(path), *lines),
        env=variables(pki), capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return [{offer.split("\t")[0] for offer in part.splitlines()} for part in done.stdout.split("\0")[:-1]]


def bash(pki: Pki, path: Path, *words: str) -> set[str]:
    """What bash would offer for the last of some words."""
    program = """
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
        COMPREPLY=()
        $(complete -p pki | sed 's/.*-F \\([^ ]*\\).*/\\1/') pki "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ("bash", "--norc", "-c", program, "bash", str(path), "pki", *words),
        env=variables(pki), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return {offer.strip() for offer in done.stdout.splitlines()}


class TestCompletion:
    @pytest.mark.parametrize("shell", CHECKS)
    def test_the_shell_can_read_its_script(self, pki: Pki, tmp_path: Path, shell: str) -> None:
        path = script(pki, shell, tmp_path)
        assert path.stat().st_size > 10_000
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        done = subprocess.run((*CHECKS[shell], path), capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("shell", CHECKS)
    def test_every_command_and_option_is_in_it(self, pki: Pki, tmp_path: Path, shell: str) -> None:
        text = script(pki, shell, tmp_path).read_text()
        commands = described(pki)
        assert len(commands) > 30
        for command, options in commands.items():
            assert command.rpartition(" ")[2] in text, command
            assert [option for option in options if option not in text] == [], command

    def test_fish_offers_commands_and_options(self, pki: Pki, tmp_path: Path) -> None:
        if shutil.which("fish") is None:
            pytest.skip("fish is not installed")
        path = script(pki, "fish", tmp_path)
        every = {command: options for command, options in described(pki).items() if command and " " not in command}
        commands = dict(list(every.items())[:: scaled(1, 6)])
        offers, formats, *offered = fish(
            pki, path, "pki ", "pki inspect --format ", *(f"pki {command} --" for command in commands)
        )
        assert every.keys() <= offers and {"text", "json"} <= formats
        for (command, options), found in zip(commands.items(), offered, strict=True):
            assert {f"--{option}" for option in options} <= found, command

    def test_bash_offers_commands_and_options(self, pki: Pki, tmp_path: Path) -> None:
        path = script(pki, "bash", tmp_path)
        offers = bash(pki, path, "")
        for command, options in described(pki).items():
            if " " not in command and command:
                assert command in offers
        assert {"--directory", "--dns", "--batch"} <= bash(pki, path, "issue-client", "--")
        assert bash(pki, path, "issue-c") == {"issue-client"}
        assert {"table", "json", "csv"} <= bash(pki, path, "list", "--format", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [(("pki", "inspect", "some-"), "some-file.pem"), (("pki", "verify", "some-"), "some-file.pem"),
     (("pki", "creds", "--ca-bundle", "some-"), "some-file.pem"),
     (("pki", "revoke", "cli"), "client"), (("pki", "stat"), "status")],
)  # fmt: skip
def test_b13_files_and_names_are_completed(pki: Pki, tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    (tmp_path / "some-file.pem").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pki").symlink_to(pki.path)
    pki.run("init-ca")
    pki.run("issue-client")
    line = " ".join(words)
    text = f"""
        . {script(pki, "bash", tmp_path)}
        COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}
        _pki pki '{words[-1]}' '{words[-2]}'; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**pki.variables(), "PATH": f"{tmp_path}/bin:{pki.variables()['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert expected in done.stdout.split(), done
