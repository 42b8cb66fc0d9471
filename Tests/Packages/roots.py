# SPDX-License-Identifier: Apache-2.0
"""Machines that never saw the sources: roots of Debian, made once and kept, each entered by namespaces of its own.

The roots are in PKI_ROOTS, or else in the cache directory of the user. A machine sees one through an overlay in memory,
and has a network with loopback only: what packages need is in its apt cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SUITES = {"bookworm": "12", "trixie": "13"}

NEEDED = ("ca-certificates", "libcurl4", "libssl3", "libsqlite3-0", "bash-completion")
"""What the package depends on or recommends: in apt's cache, and not installed."""

SUGGESTED = ("libpq5",)
"""What it suggests and a test installs: in apt's cache, and not installed where nothing has booted."""

CONFLICTING = ("strongswan-pki",)

BOOTED = ("systemd", "systemd-sysv", "dbus", "python3", "postgresql")
"""What is installed where systemd runs, besides what the package needs: Python is for AWS's SDK and command line, PostgreSQL for
an inventory."""


class Refused(Exception):
    """Nothing can be tested here, and why."""


def check_host() -> None:
    """Says what this machine lacks."""
    hint = "run it as root, on a machine or in a container that allows namespaces"
    if os.geteuid() != 0:
        raise Refused(f"machines are made by root only: {hint}")
    done = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "true"], capture_output=True, check=False)
    if done.returncode != 0:
        raise Refused(f"no namespaces can be made ({done.stderr.decode().strip()}): {hint}")
    for program in ("debootstrap", "ip", "nsenter", "pivot_root", "setpriv"):
        if shutil.which(program) is None:
            raise Refused(f"there is no {program}: run script/bootstrap")


# Roots.


def cached_root(suite: str, *, booted: bool) -> Path:
    """The root of a suite, which nobody changes; made if it is not there."""
    check_host()
    makers = [inspect.getsource(maker) for maker in ((build, build_booted) if booted else (build,))]
    recipe = repr((suite, NEEDED, SUGGESTED, CONFLICTING, BOOTED if booted else (), makers))
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    roots = Path(os.environ.get("PKI_ROOTS") or Path(base) / "pki/roots").absolute()
    root = roots / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if root.is_dir():
        return root
    roots.mkdir(parents=True, exist_ok=True)
    # The lock ends with its holder. What a killed holder left behind is removed by the next.
    with (roots / f".{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            draft = roots / f".{root.name}.new"
            shutil.rmtree(draft, ignore_errors=True)
            try:
                (build_booted if booted else build)(suite, draft)
                draft.rename(root)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return root


def build(suite: str, root: Path) -> None:
    """Makes a root with debootstrap, from this machine's own source of packages."""
    settings = apt_settings()
    proxy = re.search(r'^Acquire::http::Proxy "(.*)";$', settings, re.MULTILINE)
    variables = {"http_proxy": proxy[1]} if proxy else {}
    mirror = apt_mirror()
    isolated("debootstrap", "--variant=minbase", suite, root, mirror, **variables)
    (root / "etc/apt/sources.list").write_text(f"deb {mirror} {suite} main\n")
    (root / "etc/apt/apt.conf.d/90machine").write_text(settings)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    # No service starts where nothing has booted.
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    get = ("chroot", root, "apt-get", "--quiet", "--yes")
    isolated(*get, "update")
    isolated(*get, "clean")
    isolated(*get, "install", "--download-only", *NEEDED, *SUGGESTED)
    isolated(*get, "install", "--download-only", *CONFLICTING)


def build_booted(suite: str, root: Path) -> None:
    """Makes a root that boots of the one that does not."""
    isolated("cp", "--archive", "--reflink=auto", cached_root(suite, booted=False), root)
    isolated("chroot", root, "apt-get", "--quiet", "--yes", "install", "--no-install-recommends", *BOOTED, *NEEDED)
    (root / "usr/sbin/policy-rc.d").unlink()
    # Tests start it where they need it.
    isolated("systemctl", "--root", root, "disable", "postgresql")
    (root / "etc/machine-id").write_text("")
    # The kernel is the host's, its modules are none of the machine's business.
    (root / "etc/systemd/system/systemd-modules-load.service").symlink_to("/dev/null")


def apt_settings() -> str:
    """How this machine's apt reaches its sources."""
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return "".join(re.findall(r"^Acquire::(?:https?|Check|Retries)\S* .*\n", dumped, re.MULTILINE))


def apt_mirror() -> str:
    """The address from which this machine has its release of Debian."""
    release = re.search(r"^VERSION_CODENAME=(.*)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    words = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        suite, component, address = line.split()
        if release and suite == release[1] and component == "main":
            return address
    raise Refused("apt has no source of this machine's own release: see apt-get indextargets")


def isolated(*words: str | Path, **variables: str) -> None:
    """Runs a program of the building; what it mounts and starts ends with it, and it with this process."""
    done = subprocess.run(
        [*tied(), "--mount", "--pid", "--mount-proc", "--", *words],
        env={"PATH": PATH, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **variables},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise Refused(f"{' '.join(map(str, words))} failed with status {done.returncode}:\n{done.stdout[-4_000:]}")


def tied() -> list[str]:
    """Words to start namespaces that end with this process, however that ends."""
    return ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--kill-child=KILL"]


# Machines.


@dataclass(frozen=True)
class Done:
    """What a command in a machine left behind."""

    words: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"{' '.join(self.words)}\nstatus {self.status}\nstdout:\n{self.stdout}\nstderr:\n{self.stderr}"


@dataclass(frozen=True)
class Machine:
    """A running machine."""

    suite: str
    process: int
    """Its first process, as the host counts."""

    @property
    def root(self) -> Path:
        """Its root, seen from the host. An absolute link in it would lead to the host's files."""
        return Path(f"/proc/{self.process}/root")

    def command(self, *words: str | Path, user: str = "root", **variables: str) -> list[str]:
        """The words that run a command in it, in a login's environment."""
        home = "/root" if user == "root" else f"/home/{user}"
        environment = {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **variables}
        namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        be = () if user == "root" else ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--")
        settings = [f"{name}={value}" for name, value in environment.items()]
        return [
            "nsenter", "--target", str(self.process), *namespaces, "--",
            "env", "--ignore-environment", f"--chdir={home}", *settings, *be, *map(str, words),
        ]  # fmt: skip

    def run(
        self, *words: str | Path, status: int | None = 0, user: str = "root", timeout: float = 120, **variables: str
    ) -> Done:
        """Runs a command in it to the end, and asserts its status unless that is None."""
        done = subprocess.run(
            self.command(*words, user=user, **variables),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip
        result = Done(tuple(map(str, words)), done.returncode, done.stdout.decode(), done.stderr.decode())
        assert status is None or result.status == status, str(result)
        return result

    def shell(self, script: str, **options: object) -> Done:
        """Runs a script with bash, which ends at the first failure."""
        return self.run("bash", "-euo", "pipefail", "-c", script, **options)  # type: ignore[arg-type]

    @contextmanager
    def background(self, *words: str | Path, user: str = "root", **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """Runs a command in it beside what follows; it ends by SIGTERM, and with the machine at the latest."""
        process = subprocess.Popen(
            self.command(*words, user=user, **variables),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            for child in children(process.pid):
                os.kill(child, signal.SIGTERM)
            process.communicate(timeout=60)

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Writes a file, with the directories above it."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def install(self, *words: str | Path, status: int | None = 0) -> Done:
        """Installs packages with apt, asking nothing."""
        return self.run("apt-get", "--quiet", "--yes", "install", *words, status=status)


def children(process: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_running(process: int) -> bool:
    """Whether a process has not ended; it may be that nobody has asked for its status yet."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Waits for a condition of another program."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.05)


@contextmanager
def running(suite: str, *, booted: bool = False, binds: dict[Path, str] | None = None) -> Iterator[Machine]:
    """Starts a machine: with systemd if it is to be booted, or else with nothing in it."""
    root = cached_root(suite, booted=booted)
    init = ["/lib/systemd/systemd"] if booted else ["sleep", "infinity"]
    bound = [word for source, point in (binds or {}).items() for word in ("--bind", f"{source}={point}")]
    with tempfile.TemporaryDirectory(prefix="machine-") as point, control_group() as group:
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
        # In its control group before it has a namespace of its own, which begins there.
        enter = f"echo $$ >{group}/cgroup.procs && exec \"$@\""
        process = subprocess.Popen(
            ["bash", "-c", enter, "-", *tied(), *namespaces, "--", HERE / "machine.sh", root, point, *bound, "--", *init],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        first: list[int] = []
        try:
            assert process.stdout is not None and process.stderr is not None
            if process.stdout.readline() != b"ready\n":
                raise Refused(f"a machine does not start: {process.stderr.read().decode()}")
            first = children(process.pid)
            machine = Machine(suite, first[0])
            if booted:
                wait_until(lambda: started(machine), "booted")
            yield machine
        finally:
            process.kill()
            process.communicate(timeout=60)
            wait_until(lambda: not any(map(is_running, first)), "all processes ended")


def started(machine: Machine) -> bool:
    state = machine.run("systemctl", "is-system-running", status=None).stdout.strip()
    return state in ("running", "degraded")


@contextmanager
def control_group() -> Iterator[Path]:
    """A control group for one machine, in the unified hierarchy."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    hierarchy = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if hierarchy is None:
        raise Refused("no cgroup2 is mounted, which systemd needs: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    # What killed runs have left is empty.
    for left in hierarchy.glob("pki-machine-*"):
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            remove_group(left)
    group = hierarchy / f"pki-machine-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        yield group
    finally:
        wait_until(lambda: remove_group(group), f"{group} is removed")


def remove_group(group: Path) -> bool:
    """Removes a control group with those below it. Returns whether it is gone."""
    for directory, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:
            return False
    return True
