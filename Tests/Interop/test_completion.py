# SPDX-License-Identifier: Apache-2.0
"""The completion scripts for shells: keys are pressed in each shell, and what then stands in its line is what a program would get."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

import shells
from program import Pki
from sampling import scaled
from shells import Shell

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
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        done = subprocess.run((*CHECKS[shell], path), capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")

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


ANCHOR, PROFILE, ROLE = (
    "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/3bcfd5f9-be2d-4494-a79b-309aa24ac690",
    "arn:aws:rolesanywhere:eu-central-1:123456789012:profile/46284bfe-cc6d-4a8b-9f92-b64b383625a6",
    "arn:aws:iam::123456789012:role/web",
)

# Names of profiles that a shell could take for something else; each begins in its own way.
HOSTILE = (
    "a b", "$(touch hacked)", "`touch hacked`", "it's \"q\"", "schön;touch hacked", "<x>&|*?#", "~root", "!!", "{1,2}",
    "%s%n", "=ls", "é\N{COMBINING ACUTE ACCENT}'\"",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A home with two CAs, recorded ARNs, profiles and files."""
    pki = Pki(tmp_path_factory.mktemp("house"))
    pki.run("init-ca")
    for name in ("web-1", "db-1"):
        pki.run("issue-client", name)
    pki.run("issue-intermediate", "inner")
    pki.run("init-ca", "--directory", "other ca")
    pki.run("issue-client", "elsewhere", "--directory", "other ca")
    pki.run("set-arns", "--trust-anchor-arn", ANCHOR, "--profile-arn", PROFILE, "--role-arn", ROLE)
    (pki.home / ".aws").mkdir()
    sections = ["[default]", *(f"[profile {name}]" for name in ("plain", *HOSTILE)), r'[profile "back\\slash"]']
    other = "[profile with-role]\npki_role_arn = arn:aws-cn:iam::123456789012:role/$(touch hacked)"
    (pki.home / ".aws/config").write_text("\n".join((*sections, other, "")))
    for file in ("some $file.pem", "at home.pem"):
        (pki.home / file).touch()
    return pki


def serial(pki: Pki, name: str) -> str:
    return next(entry["serialNumber"] for entry in pki.run("list", "-o", "json").json if entry["name"] == name)


@pytest.mark.parametrize("name", shells.ALL)
class TestInAShell:
    """What stands in the line after Tab, as a program would get it."""

    def test_values_are_completed_in_place(self, house: Pki, tmp_path: Path, name: str) -> None:
        number = serial(house, "web-1")
        with Shell(name, house, tmp_path, PKI_TEST_SECRET="x") as shell:
            for typed, expected in (
                ("pki stat", "status"), ("pki lab l", "log"), ("pki help stat", "status"), ("pki -v", "-v"),
                ("pki issue-client --dn", "--dns"), ("pki completion f", "fish"),
                # Names, serial numbers, CAs, in the directory that is named.
                ("pki revoke we", "web-1"), ("pki revoke db-1 we", "web-1"), (f"pki renew {number[:12]}", number),
                ("pki list we", "web-1"), ("pki export ro", "root"), ("pki crl --issuer in", "inner"),
                ("pki issue-client x --issuer=in", "--issuer=inner"), ("pki configure --client we", "web-1"),
                ("pki revoke --directory 'other ca' el", "elsewhere"), ("pki revoke --directory='other ca' el", "elsewhere"),
                ("pki revoke --directory 'other ca' we", "we"),
                # ARNs: a colon divides words for readline.
                ("pki creds --trust-anchor-arn a", ANCHOR), ("pki creds --profile-arn arn:aws:roles", PROFILE),
                ("pki creds --role-arn arn:aws:i", ROLE), ("pki creds --role-arn=arn:aws:iam::", f"--role-arn={ROLE}"),
                ("pki creds --role-arn 'arn:aws:i", ROLE), ("pki configure --client web-1 --role w", "web"),
                ("pki creds --role-arn arn:aws-", "arn:aws-cn:iam::123456789012:role/$(touch hacked)"),
                # Values from a list.
                ("pki init-ca --key-type ml-dsa-4", "ml-dsa-44"), ("pki creds -o fi", "fish"), ("pki creds --format=fi", "--format=fish"),
                ("pki print-template sp", "spiffe"), ("pki revoke web-1 --reason key", "keyCompromise"),
                ("pki print-setup --partition aws-u", "aws-us-gov"), ("pki configure --unset session-", "session-duration"),
                ("pki creds --passphrase-env PKI_TEST_", "PKI_TEST_SECRET"),
                # What the shell knows itself.
                ("pki inspect so", "some $file.pem"), ("pki creds --certificate so", "some $file.pem"),
                ("pki creds --certificate=so", "--certificate=some $file.pem"), ("pki verify 'so", "some $file.pem"),
                ("pki inspect ~/at", f"{house.home}/at home.pem"), ("pki creds --certificate $HOME/at", f"{house.home}/at home.pem"),
                ("pki list --directory ot", "other ca/"), ("pki list --directory=~/ot", "--directory=~/other ca/"),
                ("pki list --directory so", "so"), ("pki inspect nosuch", "nosuch"), ("pki inspect -- nosuch", "nosuch"),
                ("pki exec -- mktem", "mktemp"), ("pki exec -- ls so", "some $file.pem"),
            ):  # fmt: skip
                assert shell.complete(typed) == expected, (typed, shell.screen)

    def test_names_that_mean_something_to_a_shell_stay_names(self, house: Pki, tmp_path: Path, name: str) -> None:
        """Typed bare as far as one can, and between quotation marks. Nothing is run: neither then nor by the line."""
        with Shell(name, house, tmp_path) as shell:
            for profile in (*HOSTILE, r"back\slash"):
                first = profile[:2]
                beginnings = [f"'{first}"] if "'" not in first else []
                if first.isalpha():
                    beginnings += [first, f'"{first}']
                for beginning in beginnings:
                    assert shell.complete(f"pki creds --profile {beginning}") == profile, (beginning, shell.screen)
            # All of them are listed, or offered one after the other.
            shell.press("pki creds --profile " + shells.TAB * 2)
            assert shell.press("pki creds --profile plai" + shells.TAB).strip() == "pki creds --profile plain"
        assert not list(house.home.rglob("hacked")) and not list(tmp_path.rglob("hacked"))

    def test_what_is_typed_is_not_run(self, house: Pki, tmp_path: Path, name: str) -> None:
        with Shell(name, house, tmp_path) as shell:
            values = ("pki revoke $(touch hacked) we", 'pki revoke --directory "$(touch hacked)" we', 'pki revoke "`touch hacked')
            # zsh itself expands the path of a file that it completes.
            files = () if name == "zsh" else ("pki inspect $(touch hacked)/x", 'pki inspect "$(touch hacked)/x', "pki lint (touch hacked)/x")
            for typed in (*values, *files):
                shell.press(typed + shells.TAB)
        assert not list(house.home.rglob("hacked")) and not list(tmp_path.rglob("hacked"))


    def test_a_hostile_directory_runs_nothing(self, pki: Pki, tmp_path: Path, name: str) -> None:
        """Somebody else made the inventory and the list of ARNs."""
        pki.run("init-ca")
        ca = pki.home / "credential-process-data"
        names = ["$(touch hacked)", "`touch hacked`", "x;touch hacked", "x\ttouch hacked", "x\ntouch hacked", "x\x1b[31m", "-x", "x y"]
        for each in (*names, "good"):
            pki.run("issue-client", "--name", f"n{names.index(each)}" if each in names else each)
        with closing(sqlite3.connect(ca / "inventory.sqlite")) as connection, connection as database:
            for index, each in enumerate(names):
                database.execute("UPDATE certificates SET name = ? WHERE name = ?", (each, f"n{index}"))
        role = {"name": "$(touch hacked)", "roleArn": f"{ROLE}$(touch hacked)", "profileArn": PROFILE, "trustAnchorArn": ANCHOR}
        (ca / "aws-arns.json").write_text(json.dumps({"trustAnchors": [], "roles": [role]}))
        with Shell(name, pki, tmp_path) as shell:
            for typed in ("pki revoke ", "pki revoke x", "pki revoke '", "pki crl --issuer ", "pki creds --role-arn ", "pki set-arns --role "):
                shell.press(typed + shells.TAB)
                shell.press(typed + shells.TAB * 2)
            # A range of names without a hostile one is of use.
            assert shell.complete("pki revoke go") == "good"
            assert b"\x1b[31m" not in shell.screen
        assert not list(pki.home.rglob("hacked")) and not list(tmp_path.rglob("hacked"))


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_loads_the_script_from_its_path(house: Pki, tmp_path: Path) -> None:
    """As a package installs it: read at the first Tab, which it has to answer."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "_pki").write_text(house.run("completion", "zsh").stdout)
    with Shell("zsh", house, tmp_path, setup=f"fpath=({site} $fpath)", reads_script=False) as shell:
        assert shell.complete("pki revoke we") == "web-1"
        assert shell.complete("pki revoke db") == "db-1"


def test_many_certificates_do_not_delay_the_shell(pki: Pki) -> None:
    """Of 100,000 names as many as are of use, with which no more is in common than with all."""
    pki.run("init-ca")
    pki.run("issue-client", "web-1")
    with closing(sqlite3.connect(pki.home / "credential-process-data/inventory.sqlite")) as connection, connection as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(certificates)")]
        new = {"id": "1000 + n", "name": "printf('host-%06d', n)", "certificate_path": "printf('host-%06d-cert.pem', n)",
               "key_path": "NULL", "serial": "randomblob(20)", "fingerprint": "randomblob(32)", "subject_key": "randomblob(32)"}
        database.execute(
            f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) "
            f"INSERT INTO certificates ({', '.join(columns)}) "
            f"SELECT {', '.join(new.get(column, column) for column in columns)} FROM certificates, c WHERE name = 'web-1'")
    for word, count, last in (("", 1000, "web-1"), ("host-", 1000, "host-100000"), ("host-0777", 100, "host-077799")):
        began = time.monotonic()
        lines = pki.run("---complete", "zsh", "revoke", word).stdout.splitlines()
        assert time.monotonic() - began < 1
        names = [line.partition("\t")[0] for line in lines[1:]]
        assert (lines[0], len(names), names[-1]) == ("values", count, last)
        assert all(name.startswith(word) for name in names)
    began = time.monotonic()
    found = pki.run("---complete", "zsh", "revoke", "0").stdout.splitlines()
    assert time.monotonic() - began < 1 and 100 < len(found) <= 1001


@pytest.mark.parametrize("words", [(), ("revoke", ""), ("creds", "--profile", ""), ("creds", "--role-arn", ""), ("nosuch", "")])
def test_nothing_that_is_missing_or_damaged_is_an_error(pki: Pki, words: tuple[str, ...]) -> None:
    (pki.home / ".aws").mkdir()
    (pki.home / ".aws/config").write_bytes(b"\xff[profile\0\n]]\n\n= x\n")
    ca = pki.home / "credential-process-data"
    for damage in (lambda: None, ca.mkdir, lambda: (ca / "inventory.sqlite").write_bytes(b"x" * 5000),
                   lambda: (ca / "aws-arns.json").write_text("[")):  # fmt: skip
        damage()
        done = pki.run("---complete", "fish", *words)
        assert done.stdout.startswith("values\n") and done.stderr == ""
