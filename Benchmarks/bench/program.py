# SPDX-License-Identifier: Apache-2.0
"""What the programs beside this directory share: their options, the tools that they need, and the table that they print."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import postgresql
from bench.fixtures import EASY_RSA, World
from bench.process import HERE, Failed
from bench.rows import Extent, Row
from bench.table import HEADING, Figure

RELEASE = HERE.parent / ".build/release/pki"
BUILD = "script/build"
PACKAGES = {"openssl": "openssl", "mkcert": "mkcert", "certtool": "gnutls-bin", "easyrsa": "easy-rsa", "wrk": "wrk", "ab": "apache2-utils",
            "valgrind": "valgrind", "strip": "binutils", "caddy": "caddy", "initdb": "postgresql", "pgbouncer": "pgbouncer"}  # fmt: skip


def parser(description: str, rows: Mapping[str, Row]) -> argparse.ArgumentParser:
    """The options of every program."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--binary", type=Path, default=RELEASE, help="what is measured (default: the release build)")
    parser.add_argument("--only", action="append", metavar="NAME", choices=rows,
                        help=f"measure only this row; repeatable: {', '.join(rows)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="runs of each load (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each load lasts (default: 3)")
    parser.add_argument("--no-install", action="store_true", help="do not install the peers that are missing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser


def missing(tools: set[str]) -> set[str]:
    elsewhere = {"easyrsa": EASY_RSA.exists, "initdb": postgresql.is_here}
    return {tool for tool in tools if not elsewhere.get(tool, lambda: shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin"))()}


def install(tools: set[str]) -> None:
    packages = sorted(PACKAGES[tool] for tool in missing(tools) & PACKAGES.keys())
    if packages:
        bootstrap = [HERE.parent / "script/bootstrap", "--packages", *packages]
        subprocess.run(bootstrap, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def measure(
    world: World, rows: Mapping[str, Row], names: list[str], extent: Extent, absent: set[str]
) -> tuple[list[Figure], int]:
    """Prints the table; returns the figures, and 1 if one could not be taken."""
    figures, status = [], 0
    print(HEADING, flush=True)
    for name in names:
        if lacking := absent & set(rows[name].tools):
            print(f"{name:<34} not measured: there is no {', '.join(sorted(lacking))}", flush=True)
            continue
        try:
            for figure in rows[name].measure(world, extent):
                figures.append(figure)
                print(figure.line(), flush=True)
        except Failed as failed:
            status = 1
            print(f"{name:<34} {failed}", flush=True)
    return figures, status


@contextmanager
def workplace(options: argparse.Namespace, tools: set[str], helper: Path | None = None) -> Iterator[tuple[World, set[str]]]:
    """A world of the binary, and which of the tools are missing."""
    if not options.binary.exists():
        sys.exit(f"there is no {options.binary}: {BUILD}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    tools = {"strip", *tools}
    if not options.no_install:
        install(tools)
    with tempfile.TemporaryDirectory(prefix="pki-measured-") as directory:
        world = World(Path(directory), options.binary.absolute(), helper and helper.absolute())
        with world.closing:
            yield world, missing(tools)


def run(
    options: argparse.Namespace, rows: Mapping[str, Row], names: list[str], extent: Extent, helper: Path | None = None
) -> None:
    """Measures, and ends the program."""
    if min(extent.runs, extent.rounds, extent.seconds) < 1:
        sys.exit("a count must be positive")
    tools = set().union(*(rows[name].tools + rows[name].peers for name in names))
    if extent.instructions:
        tools.add("valgrind")
    with workplace(options, tools, helper) as (world, absent):
        if "valgrind" in absent:
            extent.instructions = False
        figures, status = measure(world, rows, names, extent, absent)
    if options.json:
        machine = {"system": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
        document = {"machine": machine, "figures": [figure.document() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.exit(status)
