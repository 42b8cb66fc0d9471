# SPDX-License-Identifier: Apache-2.0
"""`pki help` on a terminal: with the pager that the user named, and never without its text."""

from __future__ import annotations

import shutil
from pathlib import Path

import pexpect
import pytest

from program import DONE, Pki

WHOLE = ("OVERVIEW: ", "--trust-anchor-arn", "--version")
"""What is at the beginning, in the middle and at the end of the help of `creds`, which is longer than a screen."""


class Run:
    """A command on a terminal of 24 lines, to its end or to a pager's prompt."""

    def __init__(self, pki: Pki, *words: str, **variables: str | None) -> None:
        given = {**pki.variables(), "TERM": "xterm", "LESSHISTFILE": "-", **variables}
        environment = {name: value for name, value in given.items() if value is not None}
        self.child = pexpect.spawn(
            str(pki.path), list(words), env=environment, cwd=str(pki.home), dimensions=(24, 80), timeout=60, encoding="utf-8")

    def end(self, keys: str = "") -> str:
        """What it printed until it ended, with success."""
        self.child.send(keys)
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert self.child.exitstatus == DONE, (self.child.exitstatus, self.child.signalstatus, self.child.before)
        return self.child.before.replace("\r\n", "\n")


@pytest.fixture
def plain(pki: Pki) -> str:
    return pki.run("help", "creds").stdout


def test_a_long_text_waits_in_less_for_a_key(pki: Pki) -> None:
    run = Run(pki, "help", "creds")
    run.child.expect("OVERVIEW: ")
    run.child.expect("\n:")
    # An interruption is less's, which stays; q ends both.
    run.child.sendintr()
    run.child.send("G")
    run.child.expect("--version")
    run.end("q")


def test_a_short_text_stays_on_the_screen(pki: Pki) -> None:
    assert "USAGE: pki version" in Run(pki, "help", "version").end()
    Run(pki, "help", "version", LESS="R").end("q")


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"PAGER": "sed s/^/1:/"}, "1:OVERVIEW: "),
        ({"PKI_PAGER": "sed s/^/2:/", "PAGER": "sed s/^/1:/"}, "2:OVERVIEW: "),
        ({"PAGER": "tr a-z A-Z | head -n 3; echo $LESS $LV"}, "FRX -c"),
        ({"PAGER": "head -n 1; echo $LESS", "LESS": "S"}, "\nS\n"),
    ],
)
def test_the_users_pager_is_a_command_of_the_shell(pki: Pki, variables: dict[str, str], shown: str) -> None:
    assert shown in Run(pki, "help", "creds", **variables).end()


@pytest.mark.parametrize(
    "variables",
    [
        {"PAGER": ""}, {"PAGER": "cat"}, {"PAGER": " "}, {"PKI_PAGER": "", "PAGER": "touch ran"}, {"PKI_PAGER": "cat", "PAGER": "touch ran"},
        {"TERM": "dumb", "PAGER": "touch ran"}, {"TERM": None, "PAGER": "touch ran"},
    ],
)  # fmt: skip
def test_a_user_without_a_pager_gets_the_text(pki: Pki, plain: str, variables: dict[str, str | None]) -> None:
    assert Run(pki, "help", "creds", **variables).end() == plain
    assert not (pki.home / "ran").exists()


@pytest.mark.parametrize("pager", ["/nonexistent/pager", "exit 3", "kill -9 $$", "cat >/dev/null; exit 1", "((", "<&- false"])
def test_a_pager_that_fails_loses_nothing(pki: Pki, plain: str, pager: str) -> None:
    assert Run(pki, "help", "creds", PAGER=pager).end().endswith(plain)


def test_without_less_it_is_more_and_without_both_the_text(pki: Pki, plain: str, tmp_path: Path) -> None:
    (tmp_path / "more").symlink_to(shutil.which("more") or "/bin/more")
    run = Run(pki, "help", "creds", PATH=str(tmp_path))
    run.child.expect("--More--")
    run.end("q")
    assert Run(pki, "help", "creds", PATH=str(tmp_path / "none")).end() == plain


@pytest.mark.parametrize("words", [("creds", "--help"), ("--help",), ("--version",)])
def test_only_help_as_a_command_uses_it(pki: Pki, words: tuple[str, ...]) -> None:
    assert Run(pki, *words, PAGER="touch ran").end() == pki.run(*words).stdout
    assert not (pki.home / "ran").exists()


def test_a_pipe_gets_the_text(pki: Pki, plain: str) -> None:
    assert all(part in plain for part in WHOLE)
    assert pki.with_environment(PAGER="touch ran", TERM="xterm").run("help", "creds").stdout == plain
    assert not (pki.home / "ran").exists()
