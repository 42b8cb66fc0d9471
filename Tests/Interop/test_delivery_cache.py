# SPDX-License-Identifier: Apache-2.0
"""`creds --cache`: one session for any number of processes, and nothing in the cache that should not be believed."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from delivery import Home, secrets
from program import DONE, UNAVAILABLE, USAGE, Lab, Pki, Result, running_lab
from serving import wait_for

PROCESSES = 64


@pytest.fixture
def home(pki: Pki, ca: Path, lab: Lab) -> Home:
    return Home(pki, lab, ca)


def start(home: Home, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        home.pki.command("creds", *arguments, "--cache"),
        cwd=home.pki.home,
        env=home.pki.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Result:
    stdout, stderr = process.communicate(timeout=90)
    return Result(tuple(map(str, process.args)), process.returncode, stdout, stderr)


def entry(home: Home) -> Path:
    [path] = home.cache.glob("*.credentials")
    return path


def locks(home: Home) -> tuple[int, int]:
    """How many processes hold the lock of the one entry, and how many wait for it (proc(5))."""
    found = list(home.cache.glob("*.lock"))
    if not found:
        return (0, 0)
    inode = f":{found[0].stat().st_ino} "
    lines = [line for line in Path("/proc/locks").read_text().splitlines() if inode in line]
    waiting = sum("->" in line for line in lines)
    return (len(lines) - waiting, waiting)


def make_older(path: Path, seconds: float) -> None:
    """Takes time from the credentials in a file, as if they had been there for so long."""

    def earlier(match: re.Match[str]) -> str:
        moment = datetime.strptime(match[2], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return match[1] + (moment - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    text, count = re.subn(r"^((?:issued|expiration) )(\S+)", earlier, path.read_text(), flags=re.MULTILINE)
    assert count == 2
    path.write_text(text)


@contextmanager
def nowhere(home: Home) -> Iterator[None]:
    """While the lab is stopped: whoever asks it gets no answer, and no refusal either."""
    home.lab.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        home.lab.process.send_signal(signal.SIGCONT)


class TestOneSession:
    def test_for_sixty_four_processes_at_once(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--delay", "1") as lab:
            home = Home(pki, lab, ca)
            results = [finish(process) for process in [start(home, *home.options()) for _ in range(PROCESSES)]]
            assert [result.status for result in results] == [DONE] * PROCESSES, results[0].describe()
            assert len({result.stdout for result in results}) == 1
            assert home.sessions == 1, lab.said

    def test_for_every_command_and_both_ways_to_ask(self, home: Home) -> None:
        home.configure("web")
        first = home.pki.run("creds", "--profile", "web", "--cache").json
        with nowhere(home):
            assert home.pki.run("creds", "--profile", "web", "--cache").json == first
            assert home.pki.run("creds", "--cache", "--profile", "web", "--format", "json").json["accessKeyId"] == (
                first["AccessKeyId"]
            )
            assert home.pki.run("creds", *home.options(), "--cache").json == first
            inside = home.pki.run("exec", "--profile", "web", "--cache", "--", "printenv", "AWS_ACCESS_KEY_ID")
            assert inside.stdout.strip() == first["AccessKeyId"]
        assert home.sessions == 1

    def test_no_library_is_opened_for_what_is_there(self, home: Home) -> None:
        home.configure("web")
        home.pki.run("creds", "--profile", "web", "--cache")
        traced = home.pki.with_environment(LD_DEBUG="files").run("creds", "--profile", "web", "--cache")
        assert "libc.so" in traced.stderr
        assert not any(library in traced.stderr for library in ("libcrypto", "libssl", "libsqlite", "libcurl"))

    def test_ends_the_wait_when_its_holder_is_killed(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        state = tmp_path / "lab.sqlite"
        with running_lab(pki, "--directory", ca, "--state", state, "--delay", "30") as slow:
            home = Home(pki, slow, ca)
            first = start(home, *home.options())
            wait_for(lambda: locks(home) == (1, 0))
            second = start(home, *home.options())
            wait_for(lambda: locks(home) == (1, 1))
            port = slow.port
        with running_lab(pki, "--directory", ca, "--state", state, port=port):
            first.kill()
            first.communicate()
            assert finish(second).status == DONE


class TestFreshness:
    """Lifetimes of sessions, and how many seconds must be left of them."""

    @pytest.mark.parametrize(("lifetime", "margin"), [(3600, 1200), (900, 450), (1800, 900)])
    def test_as_long_as_enough_is_left(self, home: Home, lifetime: int, margin: int) -> None:
        options = [*home.options(), "--session-duration", str(lifetime)]
        first = home.pki.run("creds", *options, "--cache").json
        make_older(entry(home), lifetime - margin - 30)
        assert home.pki.run("creds", *options, "--cache").json["AccessKeyId"] == first["AccessKeyId"]
        make_older(entry(home), 31)
        second = home.pki.run("creds", *options, "--cache").json
        assert second["AccessKeyId"] != first["AccessKeyId"]

    def test_what_is_valid_is_handed_out_when_no_more_can_be_had(self, home: Home) -> None:
        first = home.pki.run("creds", *home.options(), "--cache").json
        make_older(entry(home), 3000)
        home.lab.stop()
        result = home.pki.run("creds", *home.options(), "--cache", "--attempts", "1")
        assert result.json["AccessKeyId"] == first["AccessKeyId"]
        assert "pki: warning: " in result.stderr and "127.0.0.1" in result.stderr
        for secret in secrets(result.stdout):
            assert secret not in result.stderr
        make_older(entry(home), 601)
        home.pki.refuse("creds", *home.options(), "--cache", "--attempts", "1", status=UNAVAILABLE)

    def test_a_refusal_is_not_hidden_by_what_has_expired(self, home: Home) -> None:
        home.pki.run("creds", *home.options(), "--cache")
        make_older(entry(home), 3601)
        assert home.pki.run("creds", *home.options(), "--cache").json["Version"] == 1
        assert home.sessions == 2


def test_those_who_wait_share_a_failure(pki: Pki, ca: Path) -> None:
    with running_lab(pki, "--directory", ca, "--delay", "2", "--fail-next", "1000", "--fail-status", "503") as lab:
        home = Home(pki, lab, ca)
        results = [finish(one) for one in [start(home, *home.options(), "--attempts", "1") for _ in range(12)]]
        assert {result.status for result in results} == {UNAVAILABLE}
        assert {result.stdout for result in results} == {""}
        # Each took two seconds: twelve in turn would have asked twelve times.
        wait_for(lambda: " 503 " in lab.said)
        assert len(re.findall(r" 503 ", lab.said)) <= 2, lab.said


@pytest.mark.parametrize(
    "other",
    [
        ["--session-duration", "900"],
        ["--role-session-name", "batch"],
        ["--endpoint", "http://localhost:{port}"],
    ],
)
def test_what_is_asked_for_otherwise_is_another_entry(home: Home, other: list[str]) -> None:
    home.pki.run("creds", *home.options(), "--cache")
    more = [word.replace("{port}", str(home.lab.port)) for word in other]
    home.pki.run("creds", *home.options(), *more, "--cache", status=None)
    with nowhere(home):
        home.pki.run("creds", *home.options(), "--cache")
    assert len(re.findall(r" CreateSession ", home.lab.said)) == 2


def test_another_certificate_is_another_entry(home: Home) -> None:
    home.pki.run("issue-client", "--directory", home.ca, "--name", "two")
    one = home.pki.run("creds", *home.options(), "--cache").json
    two = home.pki.run("creds", *home.options("two"), "--cache").json
    assert one["AccessKeyId"] != two["AccessKeyId"]
    assert len(list(home.cache.glob("*.credentials"))) == 2


class TestSafety:
    @pytest.mark.parametrize("umask", ["000", "022", "077"])
    def test_the_cache_is_the_users_alone(self, home: Home, umask: str) -> None:
        home.pki.with_prefix("sh", "-c", f'umask {umask} && exec "$@"', "sh").run("creds", *home.options(), "--cache")
        assert stat.S_IMODE(home.cache.stat().st_mode) == 0o700
        assert stat.S_IMODE(home.cache.parent.stat().st_mode) == 0o700
        files = list(home.cache.iterdir())
        assert len(files) == 2 and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)

    @pytest.mark.parametrize("damage", ["empty", "half", "rubbish", "readable", "link", "folder"])
    def test_a_file_that_is_none_is_not_believed(self, home: Home, damage: str) -> None:
        first = home.pki.run("creds", *home.options(), "--cache").json
        path = entry(home)
        text = path.read_text()
        match damage:
            case "empty":
                path.write_text("")
            case "half":
                path.write_text(text[: len(text) // 2])
            case "rubbish":
                path.write_bytes(os.urandom(3000))
            case "readable":
                path.chmod(0o640)
            case "link":
                path.rename(home.pki.home / "elsewhere")
                path.symlink_to(home.pki.home / "elsewhere")
            case "folder":
                path.unlink()
                path.mkdir()
        second = home.pki.run("creds", *home.options(), "--cache").json
        assert second["AccessKeyId"] != first["AccessKeyId"]
        if damage != "folder":
            assert home.pki.run("creds", *home.options(), "--cache").json == second

    @pytest.mark.parametrize("damage", ["writable", "link", "link above", "file", "read-only"])
    def test_a_folder_that_is_not_safe_is_not_used(self, home: Home, damage: str) -> None:
        home.pki.run("creds", *home.options(), "--cache")
        match damage:
            case "writable":
                home.cache.chmod(0o770)
            case "link":
                home.cache.rename(home.pki.home / "elsewhere")
                home.cache.symlink_to(home.pki.home / "elsewhere")
            case "link above":
                home.cache.parent.rename(home.pki.home / "elsewhere")
                home.cache.parent.symlink_to(home.pki.home / "elsewhere")
            case "file":
                for path in home.cache.iterdir():
                    path.unlink()
                home.cache.rmdir()
                home.cache.write_text("")
            case "read-only":
                pki = home.pki.with_environment(XDG_CACHE_HOME="/proc/nowhere")
                result = pki.run("creds", *home.options(), "--cache")
                assert result.json["Version"] == 1
                assert "pki: warning: no cache is used" in result.stderr
                return
        result = home.pki.run("creds", *home.options(), "--cache")
        assert result.json["Version"] == 1
        assert "pki: warning: no cache is used" in result.stderr
        assert home.sessions == 2

    def test_another_users_folder_is_not_used(self, home: Home) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory away")
        home.pki.run("creds", *home.options(), "--cache")
        os.chown(home.cache, 12345, 12345)
        assert "pki: warning: no cache is used" in home.pki.run("creds", *home.options(), "--cache").stderr


class TestCommand:
    @pytest.mark.smoke
    def test_shows_what_is_there_and_no_secret(self, home: Home) -> None:
        assert home.pki.run("cache", "list").stdout == "the cache is empty\n"
        assert home.pki.run("cache", "list", "--format", "json").json == []
        printed = home.pki.run("creds", *home.options(), "--cache").stdout
        text = home.pki.run("cache", "list").stdout
        [found] = home.pki.run("cache", "list", "--format", "json").json
        assert home.lab.role_arn in text and json.loads(printed)["AccessKeyId"] in text
        assert found["accessKeyId"] == json.loads(printed)["AccessKeyId"] and found["isFresh"] is True
        assert found["expiration"] == json.loads(printed)["Expiration"]
        assert found["parameters"]["endpoint"] == home.lab.endpoint
        for secret in secrets(printed):
            assert secret not in text and secret not in json.dumps(found)

    @pytest.mark.smoke
    def test_removes_what_has_expired_or_all(self, home: Home) -> None:
        home.pki.run("creds", *home.options(), "--cache")
        first = entry(home)
        home.pki.run("creds", *home.options(), "--session-duration", "900", "--cache")
        make_older(first, 4000)
        assert "expired" in home.pki.run("cache").stdout
        assert "1 entry removed" in home.pki.run("cache", "clear", "--expired").stderr
        assert len(list(home.cache.glob("*.credentials"))) == 1
        assert "1 entry removed" in home.pki.run("cache", "clear").stderr
        assert list(home.cache.iterdir()) == []
        assert "0 entries removed" in home.pki.run("cache", "clear").stderr

    def test_what_has_expired_goes_with_the_next_that_is_obtained(self, home: Home) -> None:
        home.pki.run("creds", *home.options(), "--cache")
        first = entry(home)
        make_older(first, 4000)
        home.pki.run("creds", *home.options(), "--session-duration", "900", "--cache")
        assert not first.exists() and not first.with_suffix(".lock").exists()
        assert len(list(home.cache.glob("*.credentials"))) == 1

    def test_may_clear_at_any_time(self, home: Home) -> None:
        processes = [start(home, *home.options()) for _ in range(12)]
        for _ in range(20):
            home.pki.run("cache", "clear")
        assert {finish(process).status for process in processes} == {DONE}

    def test_has_no_other_subcommands(self, home: Home) -> None:
        home.pki.refuse("cache", "fill", status=USAGE)
