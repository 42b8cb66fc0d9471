# SPDX-License-Identifier: Apache-2.0
"""What the memory of pki gives away when it dies, to its neighbours, and to the swap (W4)."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from program import DONE, REFUSED, REPOSITORY, USAGE, Lab, Pki
from serving import configure, serving

NOBODY = 65534


@pytest.fixture
def web(pki: Pki, ca: Path, lab: Lab) -> Pki:
    configure(pki, lab, ca)
    return pki


def status(process: subprocess.Popen[bytes], name: str) -> int:
    """A figure of proc(5)."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1])


def core_limits(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    text = Path(f"/proc/{process.pid}/limits").read_text()
    return re.search(r"^Max core file size +(\S+) +(\S+)", text, re.MULTILINE).groups()


class TestW4:
    def test_a_core_limit_of_zero_and_no_dump(self, web: Pki) -> None:
        with serving(allowing_cores(web)) as served:
            assert served.container().status == 200
            assert core_limits(served.process)[0] == "0"
            # Of a process that may be dumped, these are its user's.
            assert os.stat(f"/proc/{served.process.pid}/environ").st_uid == 0

    def test_neither_its_memory_nor_its_environment_is_its_users(self, web: Pki, lab: Lab, ca: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root")
        for folder in (web.home, *web.home.parents[:3]):
            os.chmod(folder, folder.stat().st_mode | 0o711)
        for path in [ca, *ca.glob("client-*"), web.home / ".aws", web.home / ".aws/config"]:
            os.chown(path, NOBODY, NOBODY)
        other = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        tokens = web.home / "tokens"
        tokens.mkdir(mode=0o700)
        os.chown(tokens, NOBODY, NOBODY)
        with serving(web.with_prefix(*other), "--token-file", tokens / "token") as served:
            assert status(served.process, "Uid") == NOBODY
            for name in ("environ", "mem", "maps", "fd", "auxv"):
                path = f"/proc/{served.process.pid}/{name}"
                tried = subprocess.run([*other, "head", "-c1", path], capture_output=True, text=True, check=False)
                if name == "fd":
                    tried = subprocess.run([*other, "ls", path], capture_output=True, text=True, check=False)
                assert tried.returncode != 0 and "denied" in tried.stderr, (name, tried)

    def test_death_leaves_no_core(self, web: Pki) -> None:
        """As `kill -ABRT` under `ulimit -c unlimited` once left one with the key and the session in it."""
        before = set(web.home.rglob("*"))
        # A debug build's runtime would first take a minute to say where it was.
        quiet = web.with_environment(SWIFT_BACKTRACE="enable=no")
        with serving(allowing_cores(quiet)) as served:
            assert served.container().status == 200
            served.process.send_signal(signal.SIGABRT)
            # waitid tells whether there was a core, wherever the system would have put it.
            end = os.waitid(os.P_PID, served.process.pid, os.WEXITED | os.WNOWAIT)
            assert (end.si_code, end.si_status) == (os.CLD_KILLED, signal.SIGABRT), "CLD_DUMPED is 3"
            served.process.wait()
        assert not [path for path in set(web.home.rglob("*")) - before if "core" in path.name]

    def test_keys_are_locked_where_the_limit_allows(self, web: Pki) -> None:
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        with serving(web) as served:
            assert served.container().status == 200
            locked = status(served.process, "VmLck")
        # libcrypto's keys have four MiB; the pages of other secrets come one by one.
        assert locked > (4096 if limit == resource.RLIM_INFINITY or limit > 5 << 20 or os.geteuid() == 0 else 0)

    def test_without_any_locked_memory_it_works_as_before(self, web: Pki) -> None:
        limited = web.with_prefix("prlimit", "--memlock=0:0", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock")
        assert limited.run("creds", "--profile", "web").status == DONE

    @pytest.mark.parametrize("server", [(), ("--server",)], ids=["exec", "server"])
    def test_a_command_has_the_limit_that_pki_was_given(self, web: Pki, server: tuple[str, ...]) -> None:
        for hard in ("4096", "unlimited"):
            limited = web.with_prefix("prlimit", f"--core=2048:{hard}")
            words = ("exec", "--profile", "web", *server, "--", "prlimit", "--core", "--noheadings", "--output=SOFT,HARD")
            assert limited.run(*words).stdout.split() == ["2048", hard]

    def test_a_command_may_be_looked_at(self, web: Pki) -> None:
        """What pki keeps to itself is its own memory: a debugger can look at the command."""
        if os.geteuid() == 0:
            pytest.skip("of root, everything is root's")
        script = 'test "$(stat -c %u /proc/self/environ)" = "$(id -u)"'
        web.run("exec", "--profile", "web", "--", "sh", "-c", script)

    def test_the_units_forbid_cores_too(self) -> None:
        for unit in (REPOSITORY / "templates/systemd").glob("*.service"):
            assert "\nLimitCORE=0\n" in unit.read_text(), unit


def allowing_cores(pki: Pki) -> Pki:
    return pki.with_prefix("prlimit", "--core=unlimited")


@pytest.mark.parametrize("library", ["libcrypto.so.3", "libsqlite3.so.0"])
def test_a_library_that_cannot_be_opened_is_named_when_it_is_needed(pki: Pki, ca: Path, tmp_path: Path, library: str) -> None:
    (tmp_path / library).write_text("no library, but as long as the header of one, so that the loader reads it as that\n")
    without = pki.with_environment(LD_LIBRARY_PATH=str(tmp_path))
    assert without.run("--version").status == DONE
    failed = without.run("issue-client", "new", "--directory", ca, status=REFUSED)
    assert library in failed.stderr and "pki: hint: " in failed.stderr
    assert not (ca / "new-cert.pem").exists() and not (ca / "new-key.pem").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take /proc away")
def test_without_proc_nothing_is_done_in_silence(pki: Pki) -> None:
    """Swift reads the arguments in /proc; in a bare chroot each command was the help, with status 0."""
    bare = pki.with_prefix("unshare", "--mount", "sh", "-c", 'umount --lazy /proc && exec "$@"', "sh")
    assert "/proc" in bare.refuse("version", status=USAGE)
