# SPDX-License-Identifier: Apache-2.0
"""The manual pages: a page for each command, complete, and read without complaint by man-db and mandoc."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import REPOSITORY, Pki, binary

EPOCH = 1_796_000_000
HELPER = "aws_signing_helper"


def made(folder: Path, **variables: str) -> Path:
    subprocess.run(
        (sys.executable, "-I", REPOSITORY / "script/manuals", folder, "--binary", binary()),
        env={"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": str(EPOCH), **variables}, check=True, timeout=120,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("manuals"))


def commands(program: Path) -> Iterator[tuple[str, dict]]:
    """The commands that the program shows, by the names of their pages."""
    run = subprocess.run((program, "--experimental-dump-help"), check=True, capture_output=True, text=True)

    def walk(command: dict, name: str) -> Iterator[tuple[str, dict]]:
        yield name, command
        for child in command.get("subcommands", []):
            if child["shouldDisplay"] and child["commandName"] != "help":
                yield from walk(child, f"{name}-{child['commandName']}")

    yield from walk(json.loads(run.stdout)["command"], "pki")


def shown(page: Path) -> str:
    """The page as a reader without a terminal sees it."""
    run = subprocess.run(("mandoc", "-Tutf8", "-Owidth=500", page), check=True, capture_output=True, text=True)
    return re.sub(r".\x08", "", run.stdout).replace("…", "...")


def test_every_command_that_is_shown_has_a_page_and_no_other(pki: Pki, pages: Path) -> None:
    expected = {f"{name}.1" for name, _ in commands(pki.path)} | {f"{HELPER}.1", "pki.7"}
    assert {path.name for path in pages.iterdir()} == expected
    assert len(expected) > 40


def test_every_option_and_its_text_are_on_the_page(pki: Pki, pages: Path) -> None:
    for name, command in commands(pki.path):
        lines = shown(pages / f"{name}.1").splitlines()
        text = " ".join(" ".join(lines).split())
        for argument in command["arguments"]:
            spellings = [("--" if each["kind"] == "long" else "-") + each["name"] for each in argument.get("names", [])]
            heads = [line for line in lines if all(spelling in re.split(r"[ ,]+", line) for spelling in spellings)]
            if argument["shouldDisplay"]:
                assert heads or not spellings, (name, spellings)
                said = " ".join(argument.get("abstract", "").split()).replace("…", "...")
                assert said in text, (name, spellings)
            else:
                assert f"     {spellings[0]}" not in {line.rstrip() for line in lines}, (name, spellings)


def test_what_a_command_says_of_itself_is_on_its_page(pki: Pki, pages: Path) -> None:
    for name, command in commands(pki.path):
        text = " ".join(shown(pages / f"{name}.1").split())
        for block in (command.get("discussion") or "").replace("…", "...").split("\n\n"):
            # The page has headings for these.
            said = re.sub(r"^(For example(:|, )|Exit status: )", "", block)
            part = " ".join(said.split())
            assert (part if said == block else part[:1].upper() + part[1:]) in text, (name, part)
    assert "pki exec [options] -- command ..." in shown(pages / "pki-exec.1")
    assert "AWS session credentials" in shown(pages / f"{HELPER}.1")


def test_man_and_mandoc_have_nothing_to_say(pages: Path) -> None:
    """Neither about a page's source, nor about a line that does not fit."""
    paths = sorted(pages.iterdir())
    lint = subprocess.run(("mandoc", "-Tlint", "-W", "warning", *paths), capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}
    for path in paths:
        man = subprocess.run(
            ("man", "--warnings=w", "-E", "UTF-8", "-Tutf8", "-Z", "-l", path),
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (man.returncode, man.stderr) == (0, ""), path.name


def test_whatis_finds_every_page(pages: Path, tmp_path: Path) -> None:
    for path in pages.iterdir():
        section = tmp_path / f"man{path.suffix[1:]}"
        section.mkdir(exist_ok=True)
        (section / path.name).write_bytes(path.read_bytes())
    environment = {"PATH": "/usr/bin:/bin", "MANPATH": str(tmp_path), "LC_ALL": "C.UTF-8"}
    subprocess.run(("mandb", "--quiet", "--user-db", tmp_path), env=environment, check=True, capture_output=True)
    for path in pages.iterdir():
        found = subprocess.run(("whatis", path.stem), env=environment, check=True, capture_output=True, text=True).stdout
        assert re.search(rf"^{re.escape(path.stem)} \({path.suffix[1:]}\) +- \S", found, re.MULTILINE), (path.name, found)


def test_a_page_that_refers_to_a_page_of_pki_refers_to_one_that_exists(pages: Path) -> None:
    for path in pages.iterdir():
        for name, section in re.findall(r"^\.Xr (\S+) (\d)", path.read_text(), re.MULTILINE):
            if name.startswith(("pki", HELPER)):
                assert (pages / f"{name}.{section}").exists(), (path.name, name)


def test_every_variable_that_the_program_reads_is_in_pki_7(pages: Path) -> None:
    sources = {path: path.read_text() for path in (REPOSITORY / "Sources").rglob("*.swift")}
    names: set[str] = set()
    for text in sources.values():
        # A name by its form, or by what it is given to.
        names |= set(re.findall(r'"((?:AWS|PKI|SSL|XDG|TPM2[A-Z]*|LISTEN|LC|PAGER|LESS|[A-Z]+_PAGER)_?[A-Z_]*[A-Z])"', text))
        names |= set(re.findall(r'(?:environment\[|getenv\(|variable\()"([A-Za-z_]+)"', text))
        for call in re.findall(r"\bvariables\(([^)]*)\)", text):
            names |= set(re.findall(r'"(\w+)"', call))
    settings = next(text for path, text in sources.items() if path.name == "ProfileSetting.swift")
    for option in re.findall(r'option: "--([a-z-]+)",(?:(?!option:)[\s\S])*?hasVariable: true', settings):
        names.add("PKI_" + option.upper().replace("-", "_"))
    # A trust anchor's type, a kind of principal, and prefixes.
    names -= {"AWS_ACM_PCA", "AWS", "PKI", "SSL", "XDG"}
    # What every program has.
    names -= {"PATH"}
    assert {"PKI_DIRECTORY", "PKI_ROLE_SESSION_NAME", "AWS_CONFIG_FILE", "HOME", "NOTIFY_SOCKET"} <= names
    text = shown(pages / "pki.7")
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", text)) == []


def test_the_pages_say_what_the_program_is_called_and_when_they_were_made(pki: Pki, pages: Path, tmp_path: Path) -> None:
    version = pki.run("version").stdout.strip()
    for path in pages.iterdir():
        source = path.read_text(encoding="ascii")
        assert ".Dd November 30, 2026\n" in source and f".Os pki {version}\n" in source, path.name
        assert "@" not in re.sub(r"[\w,.\\-]@[\w.\\-]", "", source), path.name
    # The same again, and another date.
    again = made(tmp_path / "again", TZ="Pacific/Kiritimati", LANG="C", HOME="/nonexistent", PKI_DIRECTORY="x")
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in pages.iterdir()
    }
    later = made(tmp_path / "later", SOURCE_DATE_EPOCH=str(EPOCH + 86_400))
    assert ".Dd December 1, 2026\n" in (later / "pki.1").read_text()


def test_every_page_has_its_sections_in_the_usual_order(pages: Path) -> None:
    order = [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO",
    ]  # fmt: skip
    for path in pages.glob("*.1"):
        found = re.findall(r"^\.Sh (.*)$", path.read_text(), re.MULTILINE)
        assert found == [section for section in order if section in found], path.name
        assert {"NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"} <= set(found), path.name
