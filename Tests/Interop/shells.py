# SPDX-License-Identifier: Apache-2.0
"""Shells on a terminal of their own: keys are pressed, and what then stands in the line is read."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

from program import Pki

TAB = "\t"
DUMP = "\x18\x04"
"""Ctrl-X Ctrl-D: lets the shell write its line to a pipe."""

# How each shell is started without its user's files, and what lets it write its line.
STARTS = {
    "bash": (
        ("--norc", "--noprofile", "-i"),
        """bind 'set enable-bracketed-paste off'; bind 'set completion-query-items 0'; bind 'set page-completions off'
        bind -x '"\\C-x\\C-d": printf "%s\\0" "$READLINE_LINE" > "$DUMP_TO"'""",
    ),
    "zsh": (
        ("-f", "-i"),
        """zle_bracketed_paste=(); LISTMAX=10000
        autoload -U compinit && compinit -u -D
        dump() { printf '%s\\0' "$BUFFER" > "$DUMP_TO"; }
        zle -N dump; bindkey -e; bindkey '^X^D' dump""",
    ),
    "fish": (
        ("--no-config", "--private", "--interactive"),
        """set -g fish_autosuggestion_enabled 0; function fish_prompt; echo '> '; end
        bind \\cx\\cd 'printf "%s\\0" (commandline | string collect) > $DUMP_TO'""",
    ),
}

ALL = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"))
    for name in STARTS
]


class Shell:
    """An interactive shell that found `pki` on its PATH and, if nothing else is said, has read its completion script."""

    def __init__(
        self, name: str, pki: Pki, folder: Path, *, setup: str = "", reads_script: bool = True, **variables: str
    ) -> None:
        self.name = name
        self.folder = folder
        (folder / "bin").mkdir(exist_ok=True)
        link = folder / "bin/pki"
        if not link.exists():
            link.symlink_to(pki.path)
        script = folder / f"completion.{name}"
        script.write_text(pki.run("completion", name).stdout)
        pipe = folder / f"line.{name}"
        os.mkfifo(pipe)
        self.lines = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        options, usual = STARTS[name]
        (folder / f"start.{name}").write_text(f"{setup}\n{usual}\n" + (f"source {script}\n" if reads_script else ""))
        self.environment = {
            **pki.variables(), "PATH": f"{folder}/bin:/usr/bin:/bin", "TERM": "xterm", "PS1": "> ", "DUMP_TO": str(pipe),
            "HISTFILE": "/dev/null", "INPUTRC": "/dev/null", **variables,
        }  # fmt: skip
        self.child = pexpect.spawn(
            name, list(options), env=self.environment, cwd=str(pki.home), dimensions=(50, 200), timeout=60, echo=False
        )
        # The marker is not in what is typed, which the terminal may show.
        self.child.sendline(f"source {folder}/start.{name}; echo rea''dy")
        self.child.expect("ready\r")
        self.screen = b""

    def press(self, keys: str) -> str:
        """Types, and returns the line that then stands there, which is removed."""
        self.screen = b""
        self.child.send(keys.encode())
        self.child.send(DUMP)
        line = b""
        end = time.monotonic() + 60
        while not line.endswith(b"\0"):
            assert time.monotonic() < end and self.child.isalive(), (self.name, keys, line, self.screen)
            ready, _, _ = select.select([self.lines, self.child.child_fd], [], [], 1)
            if self.child.child_fd in ready:
                self.screen += os.read(self.child.child_fd, 65536)
            if self.lines in ready:
                line += os.read(self.lines, 65536)
        self.child.send("\x05\x15")
        return line[:-1].decode()

    def words(self, line: str) -> list[str]:
        """A line as this shell would pass it to a program."""
        command = f"printf '%s\\0' {line}"
        options = ("--no-config",) if self.name == "fish" else ("-f",) if self.name == "zsh" else ("--norc",)
        done = subprocess.run(
            (self.name, *options, "-c", command), env=self.environment, check=True, capture_output=True, timeout=60)
        return done.stdout.decode().split("\0")[:-1]

    def complete(self, typed: str) -> str:
        """The last word after Tab, as a program would get it."""
        return self.words(self.press(typed + TAB))[-1]

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close(force=True)
        os.close(self.lines)
