# SPDX-License-Identifier: Apache-2.0
"""What the sources are, as git and packaging/dependencies.txt have them.

    sources.py      prints the commit of the sources: with `-dirty` if files differ from it or are not in it, `unknown` where
                    there is no repository
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

CHECKOUTS = Path(".build/checkouts")
READ = ("Sources", "docs", "packaging", "templates")
"""Where a file that git ignores would be built or packed."""


class Dependency(NamedTuple):
    location: str
    version: str
    revision: str

    @property
    def name(self) -> str:
        return self.location.rpartition("/")[2].removesuffix(".git")

    @property
    def checkout(self) -> Path:
        return CHECKOUTS / self.name


def git(root: Path, *arguments: str, **variables: str) -> str:
    """The output of git in the repository of this directory, whatever other one the environment names."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", f"--git-dir={root / '.git'}", f"--work-tree={root}", "-c", "core.fsmonitor=false", *arguments]
    done = subprocess.run(command, env={**environment, **variables}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"sources: git {arguments[0]} fails in {root}: {done.stderr.strip()}")
    return done.stdout


def changes(root: Path) -> list[str]:
    """What differs from the commit. The index is made anew, as one can tell git to take a file for unchanged."""
    with tempfile.TemporaryDirectory() as directory:
        index = f"{directory}/index"
        git(root, "read-tree", "HEAD", GIT_INDEX_FILE=index)
        status = git(
            root, "-c", "core.quotePath=false", "status", "--porcelain", "--untracked-files=all", "--ignored=matching",
            GIT_INDEX_FILE=index,
        )  # fmt: skip
    return [line for line in status.splitlines() if not line.startswith("!! ") or line[3:].strip('"').split("/")[0] in READ]


def revision(root: Path) -> str:
    if not (root / ".git").exists():
        return "unknown"
    return git(root, "rev-parse", "HEAD").strip() + ("-dirty" if changes(root) else "")


def dependencies() -> list[Dependency]:
    lines = Path("packaging/dependencies.txt").read_text().splitlines()
    return [Dependency(*line.split()) for line in lines]


def check(dependency: Dependency) -> None:
    """Refuses a checkout that is not what packaging/dependencies.txt says."""
    found = revision(dependency.checkout)
    if found != dependency.revision:
        sys.exit(f"sources: {dependency.checkout} is {found}, not {dependency.revision}: remove it, and run script/build")


if __name__ == "__main__":
    print(revision(Path.cwd()))
