# SPDX-License-Identifier: Apache-2.0
"""The commit that a release names is that of its sources, and what it is built with is what the repository lists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from program import REPOSITORY
from release import output

LISTED = [line.split() for line in (REPOSITORY / "packaging/dependencies.txt").read_text().splitlines()]


def git(root: Path, *arguments: str) -> str:
    return output("git", "-C", root, "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", *arguments)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "Sources").mkdir(parents=True)
    (root / "Sources/main.swift").write_text("let a = 1\n")
    (root / ".gitignore").write_text("*.local\n.build\n")
    git(tmp_path, "init", "--quiet", str(root))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "a change")
    return root


def revision(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", REPOSITORY / "packaging/sources.py"],
        cwd=root, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD").strip()


def hidden(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        git(root, "update-index", f"--{name}", "Sources/main.swift")
        (root / "Sources/main.swift").write_text("let a = 2\n")

    return change


def untracked(root: Path) -> None:
    git(root, "config", "status.showUntrackedFiles", "no")
    (root / "Sources/new.swift").write_text("")


def ignored(root: Path) -> None:
    (root / "Sources/new.local").write_text("")


def excluded(root: Path) -> None:
    (root / ".git/info/exclude").write_text("new.swift\n")
    (root / "Sources/new.swift").write_text("")


@pytest.mark.parametrize("change", [hidden("assume-unchanged"), hidden("skip-worktree"), untracked, ignored, excluded])
def test_a_tree_that_is_not_the_commit_is_called_dirty(repository: Path, change: Callable[[Path], None]):
    (repository / "notes.local").write_text("Not read by the build.")
    assert revision(repository).stdout == f"{head(repository)}\n"
    change(repository)
    assert revision(repository).stdout == f"{head(repository)}-dirty\n"


def test_another_repository_is_not_that_of_the_sources(repository: Path, tmp_path: Path):
    other = tmp_path / "other"
    git(tmp_path, "init", "--quiet", str(other))
    git(other, "commit", "--quiet", "--allow-empty", "--message", "another")
    found = revision(repository, GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other))
    assert found.stdout == f"{head(repository)}\n"
    (other / "unpacked").mkdir()
    assert revision(other / "unpacked").stdout == "unknown\n"


def test_a_repository_that_git_cannot_read_is_refused(repository: Path):
    (repository / ".git/HEAD").write_text("broken\n")
    found = revision(repository)
    assert (found.returncode, found.stdout) == (1, "")


def test_a_checkout_that_is_not_the_listed_one_is_refused(repository: Path):
    def checked() -> int:
        code = "import sources; sources.check(sources.dependencies()[0])"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "packaging"), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, check=False).returncode

    checkout = repository / ".build/checkouts/swift-example"
    git(repository, "clone", "--quiet", str(repository), str(checkout))
    (repository / "packaging").mkdir()
    listed = repository / "packaging/dependencies.txt"
    listed.write_text(f"https://example.com/swift-example.git 1.0.0 {head(checkout)}\n")
    assert checked() == 0
    (checkout / "Sources/main.swift").write_text("let a = 2\n")
    assert checked() == 1
    git(checkout, "checkout", "--quiet", ".")
    assert checked() == 0
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "another")
    assert checked() == 1


def test_the_manifest_asks_for_the_listed_versions_exactly():
    manifest = (REPOSITORY / "Package.swift").read_text()
    direct = re.findall(r'\.package\(url: "([^"]+)", exact: "([^"]+)"\)', manifest)
    assert len(direct) == manifest.count(".package(url:")
    assert {tuple(line[:2]) for line in LISTED} >= set(direct)


def test_a_build_takes_the_listed_revisions_and_no_others(tmp_path: Path):
    root, programs = tmp_path / "root", tmp_path / "programs"
    (root / "packaging").mkdir(parents=True)
    programs.mkdir()
    (root / "packaging/dependencies.txt").write_bytes((REPOSITORY / "packaging/dependencies.txt").read_bytes())
    (root / "Package.resolved").write_text("newer")
    (programs / "swift").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >&2\n')
    (programs / "swift").chmod(0o755)
    done = subprocess.run(
        [REPOSITORY / "script/build", root],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--force-resolved-versions" in done.stderr.split()
    pins = json.loads((root / "Package.resolved").read_text())["pins"]
    assert [[pin["location"], pin["state"]["version"], pin["state"]["revision"]] for pin in pins] == LISTED
    assert [pin["identity"] for pin in pins] == [re.sub(r".*/|\.git$", "", line[0]) for line in LISTED]


def test_a_library_of_the_image_that_was_changed_is_not_called_debians(tmp_path: Path):
    library = Path("/usr/lib/x86_64-linux-gnu/libnghttp2.so.14")
    (tmp_path / "closure").write_text(f"{library}\n")
    (tmp_path / "changed").write_bytes(library.read_bytes() + b"changed")
    attest = [sys.executable, "-B", REPOSITORY / "packaging/attest.py", "packages", tmp_path / "closure"]
    assert output(*attest) == "libnghttp2-14\n"
    changed = ["unshare", "--mount", "sh", "-euc", 'mount --bind "$1" "$2"; shift 2; exec "$@"', "-", tmp_path / "changed", library]
    assert subprocess.run([*changed, *attest], capture_output=True, check=False).returncode == 1
