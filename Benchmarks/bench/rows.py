# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: how each figure is taken, and the goal that stands for it."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.fixtures import World, send_rubbish
from bench.process import HERE, Failed, Sample, Side, compiled, memory
from bench.table import Figure, Goal


@dataclass
class Extent:
    """How much is measured."""

    runs: int
    rounds: int
    seconds: int
    instructions: bool


@dataclass(frozen=True)
class Row:
    measure: Callable[[World, Extent], Iterator[Figure]]
    tools: tuple[str, ...]
    """What must be there."""
    peers: tuple[str, ...]
    """What is measured besides, when it is there."""
    kind: str
    """`goal`, `build`, or `more`: what is printed only when it is asked for."""


ROWS: dict[str, Row] = {}


def row(
    name: str, *tools: str, peers: tuple[str, ...] = (), kind: str = "goal", rows: dict[str, Row] = ROWS
) -> Callable[[Callable], Callable]:
    """Adds a row to a table."""

    def register(measure: Callable[[World, Extent], Iterator[Figure]]) -> Callable:
        rows[name] = Row(measure, tools, peers, kind)
        return measure

    return register


def compared(
    world: World,
    extent: Extent,
    own: Sequence[Side],
    peers: Sequence[Side] = (),
    goals: Mapping[str | None, Goal] = {},
    *,
    runs: int = 0,
    warm_up: int = 3,
    count: bool = True,
) -> Iterator[Figure]:
    """Runs programs in turn and yields a figure for each of ours beside each peer, with the goal of the peer's name, or of
    None where there is no peer."""
    sides = [*own, *peers]
    taken = world.interleaved(sides, runs or extent.runs, warm_up)
    counts = [counted(world, side, extent.runs + warm_up) if count and extent.instructions else None for side in sides]
    times, busy, faults, peaks = (
        [statistics.median(getattr(sample, name) for sample in samples) for samples in taken]
        for name in ("milliseconds", "cpu_milliseconds", "faults", "megabytes")
    )
    for mine in range(len(own)):
        for other in range(len(own), len(sides)) or [None]:
            costs = {
                name: (values[mine], None if other is None else values[other])
                for name, values in (("cpu", busy), ("instructions", counts), ("faults", faults), ("memory", peaks))
            }
            peer = None if other is None else sides[other].name
            yield Figure(
                own[mine].name, times[mine], "ms", peer, None if other is None else times[other],
                goals.get(peer), costs, note=span(taken[mine]),
            )  # fmt: skip


def counted(world: World, side: Side, number: int) -> float | None:
    """Millions of instructions of one round, unless valgrind cannot run the program."""
    try:
        return side.each(number, world.instructions) / 1e6  # type: ignore[operator]
    except Failed:
        return None


def span(samples: Sequence[Sample]) -> str:
    """What holds eight runs of ten."""
    ordered = sorted(sample.milliseconds for sample in samples)
    tenth = len(ordered) // 10
    return f"{ordered[tenth]:.2f} to {ordered[-1 - tenth]:.2f} ms, {len(ordered)} runs"


def peak(figure: Figure, goal: Goal | None) -> Figure:
    """The memory of a figure's runs, as a figure."""
    own, peer = figure.costs["memory"]  # type: ignore[index]
    return Figure(f"{figure.title}, memory", own or 0, "MB", figure.peer, peer, goal)


# Processes


@row("version", "openssl")
def version(world: World, extent: Extent) -> Iterator[Figure]:
    own = [Side("pki --version", [[world.pki, "--version"]])]
    peers = [Side("openssl version", [["openssl", "version"]])]
    if world.helper:
        peers.append(Side("aws_signing_helper version", [[world.helper, "version"]]))
    yield from compared(world, extent, own, peers, {"openssl version": Goal("ratio", "≤", 1.1)})


@row("hit", "openssl")
def hit(world: World, extent: Extent) -> Iterator[Figure]:
    peers = [Side("openssl version", [["openssl", "version"]])]
    yield from compared(world, extent, world.cache_hits, peers, {"openssl version": Goal("ratio", "≤", 1.3)})


@row("creds")
def creds(world: World, extent: Extent) -> Iterator[Figure]:
    identity, bundle, variables = world.over_tls
    own = [Side("creds over verified HTTPS", [[world.pki, "creds", *identity, *bundle]])]
    name = "aws_signing_helper"
    peers = [Side(name, [[world.helper, "credential-process", *identity]], variables)] if world.helper else []
    for figure in compared(world, extent, own, peers, {name if peers else None: Goal("ratio", "≤", 0.8)}):
        yield figure
        yield peak(figure, Goal("value", "≤", 17))


@row("issue", "openssl", peers=("mkcert", "certtool", "easyrsa"))
def issue(world: World, extent: Extent) -> Iterator[Figure]:
    own, *peers = world.issuers()
    yield from compared(world, extent, [own], peers, {"mkcert": Goal("ratio", "≤", 0.65)})


@row("list")
def list_rows(world: World, extent: Extent) -> Iterator[Figure]:
    for figure in listed(world, extent, [[]], Goal("value", "≤", 120)):
        yield figure
        yield peak(figure, Goal("value", "≤", 20))


@row("list-more", kind="more")
def list_more(world: World, extent: Extent) -> Iterator[Figure]:
    yield from listed(world, extent, [["--format", "csv"], ["--format", "json"], ["--expiring", "30d"]])


def listed(world: World, extent: Extent, options: Sequence[Sequence[str]], goal: Goal | None = None) -> Iterator[Figure]:
    if not (world.directory / "large").exists():
        world.fill_inventory("large", 100_000)
    sides = [
        Side(" ".join(["list", *words]) + ", 100,000 rows", [[world.pki, "list", "--directory", "large", *words]])
        for words in options
    ]
    goals = {None: goal} if goal else {}
    yield from compared(world, extent, sides, (), goals, runs=max(5, extent.runs // 5), warm_up=1)


@row("batch")
def batch(world: World, extent: Extent) -> Iterator[Figure]:
    for figure in batched(world, extent, 10_000, runs=3):
        yield replace(figure, value=figure.value / 1000, unit="s", goal=Goal("value", "≤", 9))


@row("batch-100", kind="more")
def batch_of_100(world: World, extent: Extent) -> Iterator[Figure]:
    yield from batched(world, extent, 100, runs=max(5, extent.runs // 5))


def batched(world: World, extent: Extent, count: int, runs: int) -> Iterator[Figure]:
    hosts = world.directory / f"{count}.csv"
    hosts.write_text("name,dns\n" + "".join(f"h{number},h{number}.example.com\n" for number in range(count)))
    for number in range(runs):
        world.run([world.pki, "init-ca", "--directory", f"batch-{count}-{number}"])
    command = [world.pki, "issue-client", "--directory", f"batch-{count}-{{n}}", "--batch", hosts]
    side = Side(f"issue-client --batch, {count:,} hosts", [command])
    yield from compared(world, extent, [side], runs=runs, warm_up=0, count=False)


@row("more", kind="more")
def more(world: World, extent: Extent) -> Iterator[Figure]:
    """Other processes that people wait for."""
    identity, bundle, _ = world.over_tls
    _, plain = world.lab()
    world.cache_hits
    sides = [
        Side("pki --help", [[world.pki, "--help"]]),
        Side("init-ca, issue-client", [[world.pki, word, "--directory", "new-{n}"] for word in ("init-ca", "issue-client")]),
        Side("creds over HTTP", [[world.pki, "creds", *world.identity(plain)]]),
        Side("creds --profile, not in the cache", [[world.pki, "creds", "--profile", "web"]]),
    ]
    yield from compared(world, extent, sides)


@row("rsa", kind="more")
def rsa(world: World, extent: Extent) -> Iterator[Figure]:
    """A CA and a client with RSA keys, beside a program that makes two keys and does nothing else. The time of one RSA key
    is a matter of luck, so that only means over many runs can be compared, with an interval by resampling."""
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "libcrypto"], text=True).split()
    compiled(HERE / "two_rsa_keys.c", world.directory / "two_rsa_keys", *flags)
    words = [[world.pki, word, "--directory", "rsa-{n}", "--key-type", "rsa-2048"] for word in ("init-ca", "issue-client")]
    sides = [Side("init-ca, issue-client, RSA-2048", words), Side("bare", [[world.directory / "two_rsa_keys"]])]
    own, bare = ([sample.milliseconds for sample in samples] for samples in world.interleaved(sides, extent.runs))
    resample = lambda times: statistics.fmean(random.choices(times, k=len(times)))  # noqa: E731
    ratios = sorted(resample(own) / resample(bare) for _ in range(2000))
    yield Figure(
        sides[0].name, statistics.fmean(own), "ms", f"two bare keys (95 %: {ratios[50]:.2f} to {ratios[-51]:.2f})",
        statistics.fmean(bare), Goal("ratio", "≤", 1.15),
    )  # fmt: skip


# Servers

@row("serve", "wrk")
def serve(world: World, extent: Extent) -> Iterator[Figure]:
    """Requests at 16 connections that share the machine with the server, ours and the helper's in turn."""
    servers = [world.served(program) for program in (world.pki, world.helper) if program]
    loads = [[] for _ in servers]
    for _ in range(extent.rounds):
        for server, taken in zip(servers, loads):
            taken.append(world.load(*server.ways["metadata"], extent.seconds, 16))
    peer = "aws_signing_helper" if world.helper else None
    for title, unit, values, goal in (
        ("serve, 16 connections", "/s", middle(loads, 0), Goal("ratio", "≥", 1.8)),
        ("serve, 99 of 100 within", "ms", middle(loads, 1), Goal("ratio", "≤", 1)),
        ("serve, memory", "MB", [memory(server.process) for server in servers], Goal("value", "≤", 33)),
    ):
        yield Figure(title, values[0], unit, peer, values[1] if peer else None, goal)


def middle(loads: Sequence[Sequence[tuple[float, ...]]], part: int) -> list[float]:
    return [statistics.median(load[part] for load in taken) for taken in loads]


@row("serve-more", "wrk", kind="more")
def serve_more(world: World, extent: Extent) -> Iterator[Figure]:
    """Both ways to ask, more connections, and the memory after many requests and after many that are none."""
    server = world.served(world.pki)
    total = 0
    for connections in (16, 64):
        for name, way in server.ways.items():
            loads = [world.load(*way, extent.seconds, connections) for _ in range(extent.rounds)]
            total += sum(load[2] for load in loads)
            (rate,), (late,) = middle([loads], 0), middle([loads], 1)
            note = f"99 of 100 within {late:.2f} ms, {memory(server.process):.1f} MB"
            yield Figure(f"serve, {name}, {connections} connections", rate, "/s", note=note)
    while total < 1_000_000:
        total += world.load(*server.ways["metadata"], extent.seconds, 16)[2]
    yield Figure("serve, memory after many requests", memory(server.process), "MB", note=f"{total:,} requests")
    send_rubbish(list(server.ways.values()), 100_000)
    yield Figure("serve, memory after hostile ones", memory(server.process), "MB", note="100,000 requests that are none")


@row("lab", "openssl", "wrk")
def lab(world: World, extent: Extent) -> Iterator[Figure]:
    """P-256 CreateSession that the lab verifies and grants, in turn with openssl, which only verifies."""
    process, said = world.lab()
    rates, bare = [], []
    for _ in range(extent.rounds):
        script = world.sessions(said)
        rates.append(world.load(said["ENDPOINT"], None, extent.seconds, 16, script)[0])
        words = ["openssl", "speed", "-mr", "-seconds", str(extent.seconds), "-multi", str(os.cpu_count()), "ecdsap256"]
        bare.append(float(world.output(words).rsplit(":", 1)[1]))
    yield Figure("lab, P-256 sessions", statistics.median(rates), "/s", f"openssl speed, {os.cpu_count()} processes",
                 statistics.median(bare), Goal("value", "≥", 8000))  # fmt: skip
    yield Figure("lab, memory at its highest", memory(process, "VmHWM"), "MB")


# What is built


@row("binary")
def binary(world: World, _: Extent) -> Iterator[Figure]:
    theirs = None
    if world.helper:
        stripped = world.directory / "helper"
        subprocess.run(["strip", "--strip-all", "-o", stripped, world.helper], check=True)
        theirs = stripped.stat().st_size / 1e6
    peer = "aws_signing_helper" if world.helper else None
    yield Figure("the binary, stripped", world.pki.stat().st_size / 1e6, "MB", peer, theirs, Goal("value", "≤", 17))


@row("build-release", "swift", kind="build")
def build_release(world: World, _: Extent) -> Iterator[Figure]:
    words = ["swift", "build", "-c", "release", "--static-swift-stdlib", "--disable-local-rpath", "--product", "pki"]
    yield built(world, "release build, clean", words, Goal("value", "≤", 4))


@row("build-tests", "swift", kind="build")
def build_tests(world: World, _: Extent) -> Iterator[Figure]:
    yield built(world, "test build, clean", ["swift", "build", "--build-tests"], None)


@row("suite", "swift", kind="more")
def suite(world: World, _: Extent) -> Iterator[Figure]:
    yield built(world, "script/test, clean", ["script/test"], Goal("value", "≤", 20))


def built(world: World, title: str, command: Sequence[str], goal: Goal | None) -> Figure:
    """A command in a copy of the tree's last commit, with the packages that it depends on already there."""
    copy = world.directory / "copy"
    subprocess.run(["git", "clone", "--quiet", HERE.parent, copy], check=True)
    caller = {name: value for name, value in os.environ.items() if name not in ("AWS_CA_BUNDLE", "SSL_CERT_FILE")}
    words = ["bash", "-c", 'cd "$1" && shift && exec "$@" >&2', "bash", copy]
    try:
        world.output([*words, "swift", "package", "resolve"], caller)
        taken = world.run([*words, *command], caller)
    finally:
        shutil.rmtree(copy)
    return Figure(title, taken.milliseconds / 60_000, "min", goal=goal,
                  note=f"{taken.cpu_milliseconds / 60_000:.1f} min of CPU time, {os.cpu_count()} cores")  # fmt: skip
