# SPDX-License-Identifier: Apache-2.0
"""Two `pki serve-ca` on PostgreSQL when something fails under load: no certificate is lost, and none is issued twice.

What is true at the end of each test is in `Replicas.busy`: it compares what hosts hold with the inventory and the audit."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from machines import Clock, network, small_disk
from patroni import Cluster, patroni
from postgresql import Cluster as Single
from postgresql import OWNER, pgbouncer, postgresql, room, standby
from program import Pki, clean_environment
from replicas import Replica, Replicas, replicas
from servers import closed_port
from serving import wait_for

# Python leaves a socket to its garbage collector when the other side ends the handshake.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

BACK = 10
"""Within so many seconds every host is answered again, and both servers say that they are ready."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """A primary and its synchronous standby."""
    with patroni() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def single() -> Iterator[Single]:
    """A server that may fail, as the other tests' may not."""
    with postgresql() as cluster:
        yield cluster


def judge_outage(both: Replicas, end: Callable[[], object]) -> None:
    """Nothing can be issued until something is done: the servers say so, and then enrolment works again."""
    wait_for(lambda: all(one.readiness[-1].status == 503 for one in both.each))
    begun, polls = time.monotonic(), [len(one.readiness) + 10 for one in both.each]
    wait_for(lambda: all(len(one.readiness) > count for one, count in zip(both.each, polls, strict=True)))
    until = time.monotonic()
    end()
    took = both.wait_answered(time.monotonic())
    assert not [found for one in both.each if (found := one.said_ready(begun, until))]
    assert took < BACK


# The database


def test_the_standby_is_promoted_in_order(pki: Pki, tmp_path: Path, pair: Cluster, record_property: Callable[[str, object], None]) -> None:
    pair.healed()
    with replicas(pki, tmp_path, pair.url(pair.database("in_order"))) as both, both.busy():
        primary, standby = pair.healed()
        status, words = primary.ask("POST", "/switchover", {"leader": primary.name, "candidate": standby.name}, timeout=60)
        assert status == 200, words
        wait_for(lambda: standby.has("primary"))
        took = both.wait_answered(time.monotonic())
        record_property("seconds from the promotion", took)
        assert took < BACK


def test_the_standby_is_promoted_because_the_primary_is_killed(
    pki: Pki, tmp_path: Path, pair: Cluster, record_property: Callable[[str, object], None]
) -> None:
    pair.healed()
    with replicas(pki, tmp_path, pair.url(pair.database("killed"))) as both, both.busy(both.client()):
        primary, standby = pair.healed()
        primary.kill()
        killed = time.monotonic()
        wait_for(lambda: standby.has("primary"))
        promoted = time.monotonic()
        took = both.wait_answered(promoted)
        record_property("seconds from the promotion", took)
        assert not [found for one in both.each if (found := one.said_ready(killed, promoted))]
        assert took < BACK


@pytest.mark.parametrize("how", ["a crash", "a cancelled wait"])
def test_nobody_is_answered_with_what_the_standby_has_not_got(pki: Pki, tmp_path: Path, how: str) -> None:
    """A primary shows what was committed before the standby has it, after a crash and when the wait was cancelled."""
    with postgresql() as primary, standby(primary) as copy:
        one = f"127.0.0.1:{primary.port}"
        address = primary.url(primary.database(), target_session_attrs="read-write").replace(one, f"{one},127.0.0.1:{copy.port}")

        def waiting() -> list[str]:
            return primary.psql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'").splitlines()

        with replicas(pki, tmp_path, address) as both, both.busy(revokes=False):
            # The other one could be the first that commits again, and this one would wait for it.
            both.each[1].kill()
            copy.stop(signal.SIGQUIT)
            stopped = time.monotonic()
            [process] = wait_for(waiting)
            if how == "a crash":
                primary.stop(signal.SIGQUIT)
                primary.restart()
            else:
                primary.psql(f"SELECT pg_cancel_backend({process})")
                wait_for(lambda: "canceling wait for synchronous replication" in primary.log.read_text(), log=primary.log)
            # The server finds out what became of it.
            wait_for(lambda: waiting() or min(both.hosts.answered(stopped)) < float("inf"))
            primary.stop(signal.SIGQUIT)
            copy.restart()
            copy.psql("SELECT pg_promote()")
            both.each[1].restart()
            both.wait_answered(time.monotonic())


def test_the_database_crashes(pki: Pki, tmp_path: Path, single: Single) -> None:
    chance = random.Random(1818)
    with replicas(pki, tmp_path, single.url(single.database())) as both, both.busy():
        for _ in range(3):
            both.wait_issued(chance.randrange(5, 30))
            single.stop(signal.SIGQUIT)
            judge_outage(both, single.restart)


def test_connections_are_ended_at_any_moment(pki: Pki, tmp_path: Path, single: Single) -> None:
    """Of servers that may do what servers must do, and no more."""
    name = single.inventory(pki)
    server = (pki.with_environment(PKI_INVENTORY=single.url(name, user="machine")), "127.0.0.1")
    busy = f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND state <> 'idle' ORDER BY random() LIMIT 1"
    with replicas(pki, tmp_path, single.url(name), server, server) as both, both.busy(both.client()):
        ended = [single.psql(f"SELECT pg_terminate_backend(({busy}))") for _ in range(25)]
        assert ended.count("t") > 5
        took = both.wait_answered(time.monotonic())
        assert took < BACK


def test_the_database_is_read_only_for_a_while(pki: Pki, tmp_path: Path, single: Single) -> None:
    def reset() -> None:
        single.psql("ALTER SYSTEM RESET default_transaction_read_only")
        single.psql("SELECT pg_reload_conf()")

    with replicas(pki, tmp_path, single.url(single.database())) as both, both.busy():
        try:
            single.psql("ALTER SYSTEM SET default_transaction_read_only = on")
            single.psql("SELECT pg_reload_conf()")
            judge_outage(both, reset)
        finally:
            reset()


def test_the_disk_of_the_database_is_full(pki: Pki, tmp_path: Path) -> None:
    """PostgreSQL ends when it cannot write its log, and is started when there is room again."""
    with room() as home, small_disk(home / "disk", 192) as leave:
        shutil.chown(home / "disk", OWNER, OWNER)
        with postgresql(home / "disk", max_wal_size="32MB") as cluster, replicas(pki, tmp_path, cluster.url(cluster.database())) as both, both.busy():

            def has_ended() -> bool:
                cluster.psql("SELECT pg_switch_wal()", status=None)
                return cluster.process is not None and cluster.process.poll() is not None

            def start() -> None:
                leave(None)
                cluster.start()

            leave(0)
            wait_for(has_ended, log=cluster.log)
            judge_outage(both, start)


# PgBouncer and the network


def test_pgbouncer_is_restarted(pki: Pki, tmp_path: Path, single: Single) -> None:
    port = closed_port()
    with ExitStack() as stack:
        stack.enter_context(pgbouncer(single, port=port))
        with replicas(pki, tmp_path, single.url(single.database(), port=port)) as both, both.busy(both.client()):
            for _ in range(3):
                both.wait_issued(20)
                stack.close()
                judge_outage(both, lambda: stack.enter_context(pgbouncer(single, port=port)))


def in_the_middle(database: Single, name: str, stop: Callable[[], object]) -> None:
    """Stops something while the server whose connections are called "stopped" is between two statements of a transaction, for
    which the other one waits."""

    def count(where: str) -> int:
        return int(database.psql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND {where}"))

    socket = ("--host", database.directory, "--port", str(database.port), "--username", OWNER, "--dbname", name)
    with subprocess.Popen(["psql", "--quiet", *socket], stdin=subprocess.PIPE, env=clean_environment(database.directory)) as holder:
        # Whatever is changed is recorded there.
        holder.stdin.write(b"BEGIN; LOCK TABLE audit IN SHARE MODE;\n")
        holder.stdin.flush()
        wait_for(lambda: count("application_name = 'stopped' AND wait_event_type = 'Lock'"))
        stop()
        holder.stdin.close()
    wait_for(lambda: count("application_name = 'stopped' AND state = 'idle in transaction'") and count("wait_event_type = 'Lock'"))


def judge_without(both: Replicas, one: Replica, go_on: Callable[[], object]) -> None:
    """One server cannot do anything until something is done: the other goes on soon, and both afterwards."""
    stopped = time.monotonic()
    # What it had begun ends after 5 seconds, and its hosts have to lose their patience and ask the other.
    took = both.wait_answered(stopped, [other for other in both.each if other != one])
    assert took < BACK + 5
    both.wait_issued(50)
    until = time.monotonic()
    go_on()
    took = both.wait_answered(time.monotonic())
    assert took < BACK
    assert not one.said_ready(stopped, until)


def test_a_server_is_cut_off_in_the_middle_of_a_change(pki: Pki, tmp_path: Path, single: Single) -> None:
    """Packets are dropped, and neither side is told."""
    name = single.database()
    with network() as inner:
        near = pki.with_environment(PKI_INVENTORY=single.url(name))
        address = single.url(name, host=inner.near, sslmode="disable", application_name="stopped")
        far = pki.with_environment(PKI_INVENTORY=address).with_prefix(*inner.prefix)
        with replicas(pki, tmp_path, single.url(name), (near, "127.0.0.1"), (far, inner.far)) as both, both.busy():
            in_the_middle(single, name, lambda: inner.drop(single.port))
            judge_without(both, both.each[1], lambda: inner.drop(single.port, drops=False))


# The servers


def test_a_server_is_killed(pki: Pki, tmp_path: Path, single: Single) -> None:
    chance = random.Random(1819)
    with replicas(pki, tmp_path, single.url(single.database())) as both, both.busy():
        for turn in range(4):
            both.wait_issued(chance.randrange(5, 30))
            both.each[turn % 2].restart()
            took = both.wait_answered(time.monotonic())
            assert took < BACK


def test_a_server_freezes_in_the_middle_of_a_change(pki: Pki, tmp_path: Path, single: Single) -> None:
    name = single.database()
    addresses = (single.url(name, application_name="stopped"), single.url(name))
    servers = [(pki.with_environment(PKI_INVENTORY=address), "127.0.0.1") for address in addresses]
    with replicas(pki, tmp_path, single.url(name), *servers) as both, both.busy():
        frozen = both.each[0].authority.process
        try:
            in_the_middle(single, name, lambda: frozen.send_signal(signal.SIGSTOP))
            judge_without(both, both.each[0], lambda: frozen.send_signal(signal.SIGCONT))
        finally:
            frozen.send_signal(signal.SIGCONT)


def test_the_clock_of_a_server_jumps(pki: Pki, tmp_path: Path, single: Single, clock: Clock) -> None:
    address = single.url(single.database())
    right = pki.with_environment(PKI_INVENTORY=address)
    wrong = right.with_environment(**clock.environment)
    with replicas(pki, tmp_path, address, (right, "127.0.0.1"), (wrong, "127.0.0.1")) as both:
        # What was issued ahead of time is not valid yet for the other server.
        both.hosts.renews = False
        with both.busy():
            for days in (2, -2, 1, 0):
                numbers = [one.lists[-1][0] for one in both.each]
                clock.set(timedelta(days=days))
                if days < 0:
                    # The CA's own certificate is not valid yet.
                    wait_for(lambda: both.each[1].readiness[-1].status == 503)
                both.wait_issued(50)
                wait_for(lambda numbers=numbers: all(one.lists[-1][0] > number for one, number in zip(both.each, numbers, strict=True)))
            both.wait_answered(time.monotonic())
        for one in both.each:
            wait_for(lambda one=one: one.crl().last_update_utc <= datetime.now(UTC), log=one.authority.log)
