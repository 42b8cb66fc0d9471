# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md names tests that exist, one or more for each requirement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from program import REPOSITORY

PAGE = (REPOSITORY / "docs/conformance.md").read_text()
NAMED = re.compile(r"`(\w+\.(?:py|swift))::([^`]+)`")
FILES = {path.name: path for kind in ("py", "swift") for path in (REPOSITORY / "Tests").glob(f"**/*.{kind}")}
FUNCTION = {".py": r"^ *def (test_\w+)\(", ".swift": r"func `([^`]+)`"}


def functions(path: Path) -> set[str]:
    return set(re.findall(FUNCTION[path.suffix], path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED.findall(PAGE)}))
def test_every_test_that_the_page_names_exists(file: str) -> None:
    assert {name for own, name in NAMED.findall(PAGE) if own == file} <= functions(FILES[file])


def test_every_requirement_has_a_test() -> None:
    rows = re.findall(r"^\| ((?:\d|A\.).*) \|$", PAGE.split("\n## ACME\n")[1], re.MULTILINE)
    assert len(rows) > 100
    for row in rows:
        section, requirement, done, tests = row.split(" | ")
        assert re.fullmatch(r"(\d{4} §)?[\dA.]+(, [\d.]+)*", section), row
        assert requirement and done and re.sub(NAMED, "x", tests).replace("x, ", "") == "x", row


def test_the_tests_of_conformance_are_in_the_page() -> None:
    for path in (REPOSITORY / "Tests/Interop").glob("test_conformance_*.py"):
        assert functions(path) - {name for own, name in NAMED.findall(PAGE) if own == path.name} == set()
