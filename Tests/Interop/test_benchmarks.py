# SPDX-License-Identifier: Apache-2.0
"""`Benchmarks/compare` and `fleet` print their tables, the first against a stand-in for aws_signing_helper, and leave nothing
behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from program import REPOSITORY, Pki

COMPARE = REPOSITORY / "Benchmarks/compare"
FLEET = REPOSITORY / "Benchmarks/fleet"


def command(pki: Pki, *options: str | Path) -> list[str | Path]:
    return [sys.executable, COMPARE, "--binary", pki.path, "--no-install", "--no-instructions", *options]


def test_table_and_figures(pki: Pki, tmp_path: Path) -> None:
    helper = tmp_path / "aws_signing_helper"
    helper.symlink_to(pki.path)
    temporary = tmp_path / "odd 'directory"
    temporary.mkdir()
    rows = [word for name in ("version", "hit", "creds", "issue", "binary") for word in ("--only", name)]
    few = ["--runs", "1", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(
        command(pki, *rows, *few, "--helper", helper, "--json", tmp_path / "figures.json"),
        env={**os.environ, "TMPDIR": str(temporary), "AWS_CA_BUNDLE": "/none", "SSL_CERT_FILE": "/none"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert len(done.stdout.splitlines()) == 1 + len(figures)
    assert {figure["peer"] for figure in figures} >= {"openssl version", "aws_signing_helper", "mkcert", "easy-rsa"}
    for figure in figures:
        assert figure["value"] > 0 and figure["ratio"] == figure["value"] / figure["peerValue"], figure
        if goal := figure["goal"]:
            assert figure["met"] == (figure[goal["of"]] <= goal["bound"]) and goal["sign"] == "≤", figure
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "names, enrolments, count",
    [(("est", "acme", "ocsp", "memory", "inventory"), "128", 8), (("postgresql", "postgresql-rows"), "64", 14)],
    ids=["directory", "postgresql"],
)
def test_table_of_a_served_ca(pki: Pki, tmp_path: Path, names: tuple[str, ...], enrolments: str, count: int) -> None:
    few = ["--rounds", "1", "--seconds", "1", "--enrolments", enrolments, "--certificates", "256", "--rows", "1000", "--idle", "1"]
    done = fleet(pki, tmp_path, *few, "--json", tmp_path / "figures.json", *(word for name in names for word in ("--only", name)))
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert len(done.stdout.splitlines()) == 1 + len(figures)
    assert len(figures) == count and all(figure["value"] >= 0 for figure in figures)
    assert [entry.name for entry in tmp_path.iterdir()] == ["figures.json"]


def test_day_of_a_fleet(pki: Pki, tmp_path: Path) -> None:
    """A day with revocations, new hosts and three restarts, at whose end every host holds the inventory's current certificate."""
    done = fleet(pki, tmp_path, "--simulate", "--hosts", "100", "--minutes", "0.2")
    assert done.returncode == 0 and "WRONG" not in done.stdout, done.stdout + done.stderr
    hours = [line.split() for line in done.stdout.splitlines() if re.match(" +[0-9]+ +[0-9]+ +[0-9.]+ ", line)]
    assert [int(hour[0]) for hour in hours] == list(range(1, 25))
    # One and a half renewals of each, three after a revocation, and ten new hosts.
    assert 130 < sum(int(hour[1]) for hour in hours) < 180
    assert list(tmp_path.iterdir()) == []


def fleet(pki: Pki, temporary: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FLEET, "--binary", pki.path, "--no-install", *options],
        env={**os.environ, "TMPDIR": str(temporary)}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_what_it_started(pki: Pki, tmp_path: Path, number: signal.Signals) -> None:
    words = command(pki, "--only", "creds", "--runs", "1000000")
    process = subprocess.Popen(
        words, env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while not (started_in(tmp_path, "lab") and started_in(tmp_path, "creds")):
            assert time.monotonic() < end and process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number
    finally:
        process.kill()
        process.wait()
    # The quick command that was being measured ends by itself.
    while started_in(tmp_path):
        assert time.monotonic() < end + 60
    assert list(tmp_path.iterdir()) == []


def started_in(directory: Path, word: str = "") -> int | None:
    """A process whose command line names a program in a directory."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if words and words[0].startswith(str(directory)) and (not word or word in words):
            return int(entry.name)
    return None
