# SPDX-License-Identifier: Apache-2.0
"""script/release refuses a version on which the change log, the program, the tags and the tree do not agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from program import REPOSITORY
from release import VERSION, output

FILES = ("script/release", "CHANGELOG.md", "Sources/pki/PKI.swift")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with what script/release reads."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    change_log = tmp_path / "CHANGELOG.md"
    # Whatever is being worked on.
    change_log.write_text(re.sub(r"(?s)## Unreleased\n.*?(?=## \d)", "## Unreleased\n\n", change_log.read_text()))
    output("git", "init", "--quiet", tmp_path)
    commit(tmp_path)
    return tmp_path


def commit(clone: Path) -> None:
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    output("git", "-C", clone, "add", "--all")
    output("git", "-C", clone, *author, "commit", "--quiet", "--allow-empty", "--message", "a change")


def release(clone: Path, *arguments: str, status: int) -> str:
    done = subprocess.run([clone / "script/release", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(clone: Path) -> None:
        text = (clone / name).read_text()
        assert old in text
        (clone / name).write_text(text.replace(old, new, 1))
        commit(clone)

    return change


def tag_and_go_on(name: str) -> Callable[[Path], None]:
    def change(clone: Path) -> None:
        output("git", "-C", clone, "tag", name)
        commit(clone)

    return change


def test_the_version_of_the_tree_can_be_released(clone: Path):
    release(clone, VERSION, "--dry-run", status=0)
    output("git", "-C", clone, "tag", f"v{VERSION}")
    release(clone, VERSION, "--dry-run", status=0)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (replace("Sources/pki/PKI.swift", f'"{VERSION}"', '"9.9.9"'), "9.9.9"),
        (replace("CHANGELOG.md", f"## {VERSION} - ", "## 9.9.9 - "), "9.9.9"),
        (replace("CHANGELOG.md", f"## {VERSION} - 20", f"## {VERSION} - 2026-13-01\n\n"), "2026-13-01"),
        (replace("CHANGELOG.md", f"## {VERSION} - ", f"## {VERSION} "), "## Unreleased"),
        (replace("CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- A change.\n"), "## Unreleased"),
        (replace("CHANGELOG.md", "## Unreleased\n", ""), "## Unreleased"),
        (tag_and_go_on(f"v{VERSION}"), f"v{VERSION}"),
        (tag_and_go_on("v99.0.0"), "v99.0.0"),
        (lambda clone: (clone / "left-over").touch(), "left-over"),
    ],
    ids=["source", "change-log", "no-day", "no-date", "unreleased", "no-unreleased", "tag", "older", "unclean"],
)  # fmt: skip
def test_a_mismatch_is_refused(clone: Path, change: Callable[[Path], None], value: str):
    change(clone)
    assert value in release(clone, VERSION, "--dry-run", status=2)


def test_other_tags_do_not_count(clone: Path):
    for name in ("v99", "v99.0.0-rc1", "v99.0.0.0", "version-99.0.0"):
        output("git", "-C", clone, "tag", name)
    release(clone, VERSION, "--dry-run", status=0)


def test_a_tag_that_is_not_signed_is_named(clone: Path):
    assert "verify-tag" not in release(clone, VERSION, "--dry-run", status=0)
    output("git", "-C", clone, "tag", f"v{VERSION}")
    assert "verify-tag" in release(clone, VERSION, "--dry-run", status=0)


def test_the_commit_that_was_tested_is_released(clone: Path):
    packed = clone / "packed"
    for name, does in (("test", "git -c user.name=A -c user.email=a@example.com commit --quiet --allow-empty --message b"), ("package", "touch packed")):
        (clone / "script" / name).write_text(f"#!/bin/sh\n{does}\n")
        (clone / "script" / name).chmod(0o755)
    commit(clone)
    tested = output("git", "-C", clone, "rev-parse", "HEAD").strip()
    assert tested[:12] in release(clone, VERSION, status=2)
    assert not packed.exists()


def test_another_version_is_refused(clone: Path):
    assert "9.9.9" in release(clone, "9.9.9", "--dry-run", status=2)


@pytest.mark.parametrize("arguments", [[], ["--dry-run"], ["1.0"], ["v1.0.0"], ["01.0.0"], ["1.0.0", "2.0.0"], ["1.0.0", "-x"]])
def test_wrong_usage(clone: Path, arguments: list[str]):
    assert "usage: script/release" in release(clone, *arguments, status=64)
