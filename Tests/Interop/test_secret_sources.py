# SPDX-License-Identifier: Apache-2.0
"""Where secrets come from: what can be read once is read once (F2), and no child process gets what carried one (W1)."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devices import SOFTHSM, softhsm
from program import DONE, USAGE, Lab, Pki
from serving import configure
from tools import openssl

SECRET = "only once, and never again"


@pytest.fixture
def closed(ca: Path, tmp_path: Path) -> Path:
    """The client's key under a passphrase."""
    path = tmp_path / "closed.pem"
    path.touch(0o600)
    openssl("pkcs8", "-topk8", "-in", ca / "client-key.pem", "-out", path, "-passout", f"pass:{SECRET}")
    return path


def run(pki: Pki, *arguments: str | Path, variables: dict[str, str] | None = None, **options: Any) -> Any:
    """Runs to the end, in ten seconds: what waits for a second look at a pipe waits for ever."""
    options = {"stdin": subprocess.DEVNULL} | options
    return subprocess.run(
        pki.command(*arguments),
        cwd=pki.home,
        env=pki.variables() | (variables or {}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        **options,
    )


@contextmanager
def pipe(content: str | bytes) -> Iterator[int]:
    """The reading end of a pipe that holds this, as a shell makes one for `<(…)`."""
    data = content.encode() if isinstance(content, str) else content
    reading, writing = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writing, data), os.close(writing)))
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


@contextmanager
def fifo(folder: Path, content: str) -> Iterator[Path]:
    """A named pipe that somebody writes into once."""
    path = folder / "fifo"
    os.mkfifo(path, 0o600)
    writer = subprocess.Popen(["sh", "-c", 'printf %s "$0" > "$1"', content, path])
    try:
        yield path
    finally:
        writer.kill()
        writer.wait()


def substitution(pki: Pki, option: str, content: str, *arguments: str | Path, **more: Any) -> Any:
    """A command with one more option, whose value is a path such as /dev/fd/63."""
    with pipe(content) as descriptor:
        return run(pki, *arguments, option, f"/dev/fd/{descriptor}", pass_fds=(descriptor,), **more)


def client(ca: Path, key: Path, lab: Lab) -> tuple[str | Path, ...]:
    return ("--certificate", ca / "client-cert.pem", "--private-key", key, *lab.arguments)


class TestF2:
    """`--passphrase-file <(…)` was refused, and a FIFO waited for ever."""

    COMMANDS = {
        "creds": lambda: (("creds",), ()),
        "exec": lambda: (("exec",), ("--", "true")),
        "exec --server": lambda: (("exec", "--server"), ("--", "true")),
        "whoami": lambda: (("whoami",), ()),
        "update": lambda: (("update", "--once"), ()),
        "doctor": lambda: (("doctor", "--session"), ()),
        "sign-string": lambda: (("sign-string",), ()),
        "credential-process": lambda: (("credential-process",), ()),
    }

    def words(self, name: str, options: tuple[str | Path, ...]) -> tuple[tuple[str | Path, ...], tuple[str, ...]]:
        before, after = self.COMMANDS[name]()
        if name == "sign-string":
            options = options[2:4]
        return (*before, *options), after

    @pytest.mark.parametrize("place", ["substitution", "stdin", "dev stdin", "fifo", "fd"])
    @pytest.mark.parametrize("name", COMMANDS)
    def test_a_passphrase(self, pki: Pki, ca: Path, lab: Lab, closed: Path, tmp_path: Path, name: str, place: str) -> None:
        pki = pki.with_environment(AWS_ENDPOINT_URL_STS=lab.endpoint)
        words, after = self.words(name, client(ca, closed, lab))
        match place:
            case "substitution":
                with pipe(SECRET) as descriptor:
                    option = ("--passphrase-file", f"/dev/fd/{descriptor}")
                    done = run(pki, *words, *option, *after, pass_fds=(descriptor,))
            case "fd":
                with pipe(SECRET) as descriptor:
                    done = run(pki, *words, "--passphrase-fd", str(descriptor), *after, pass_fds=(descriptor,))
            case "fifo":
                with fifo(tmp_path, SECRET) as path:
                    done = run(pki, *words, "--passphrase-file", path, *after)
            case _:
                option = ("--passphrase-fd", "0") if place == "stdin" else ("--passphrase-file", "/dev/stdin")
                with pipe(SECRET) as descriptor:
                    done = run(pki, *words, *option, *after, stdin=descriptor)
        assert done.returncode == DONE, (done.stdout, done.stderr)

    @pytest.mark.parametrize("option", ["--certificate", "--private-key"])
    @pytest.mark.parametrize("name", [one for one in COMMANDS if one != "sign-string"])
    def test_a_certificate_or_a_key(self, pki: Pki, ca: Path, lab: Lab, name: str, option: str) -> None:
        pki = pki.with_environment(AWS_ENDPOINT_URL_STS=lab.endpoint)
        kind = "cert" if option == "--certificate" else "key"
        options = list(client(ca, ca / "client-key.pem", lab))
        place = options.index(option)
        del options[place : place + 2]
        words, after = self.words(name, tuple(options))
        with pipe((ca / f"client-{kind}.pem").read_text()) as descriptor:
            done = run(pki, *words, option, f"/dev/fd/{descriptor}", *after, pass_fds=(descriptor,))
        assert done.returncode == DONE, (done.stdout, done.stderr)

    def test_a_certificate_with_its_key(self, pki: Pki, ca: Path, lab: Lab) -> None:
        both = (ca / "client-cert.pem").read_text() + (ca / "client-key.pem").read_text()
        done = substitution(pki, "--certificate", both, "whoami", *lab.arguments, variables={
            "AWS_ENDPOINT_URL_STS": lab.endpoint
        })  # fmt: skip
        assert done.returncode == DONE, done.stderr

    def test_one_pipe_under_two_names_is_one_source(self, pki: Pki, ca: Path, lab: Lab) -> None:
        both = (ca / "client-cert.pem").read_text() + (ca / "client-key.pem").read_text()
        with pipe(both) as descriptor:
            options = ("--certificate", "/dev/stdin", "--private-key", "-")
            done = run(pki, "creds", *options, *lab.arguments, stdin=descriptor)
        assert done.returncode == DONE, done.stderr

    def test_configure(self, pki: Pki, ca: Path, lab: Lab, closed: Path, tmp_path: Path) -> None:
        """Neither a descriptor nor a pipe is a place for a profile: both end with a process."""
        options = ("configure", "--profile", "web", *client(ca, closed, lab))
        for option in ("--passphrase-file", "--certificate", "--private-key"):
            refused = substitution(pki, option, SECRET, *options)
            assert refused.returncode == USAGE and "/dev/fd/" in refused.stderr, refused.stderr
        assert not (tmp_path / ".aws").exists()
        with fifo(tmp_path, SECRET) as path:
            done = run(pki, *options, "--passphrase-file", path)
        assert done.returncode == USAGE and "it ends with a process" in done.stderr
        assert not (tmp_path / ".aws").exists()

    @pytest.mark.parametrize(
        "words",
        [
            ("issue-client", "--name", "second"),
            ("issue-intermediate", "--name", "below"),
            ("crl",),
            ("renew", "client"),
            ("change-passphrase", "--no-passphrase"),
        ],
        ids=lambda words: words[0],
    )
    def test_a_ca_key(self, pki: Pki, tmp_path: Path, words: tuple[str, ...]) -> None:
        folder = tmp_path / "closed-ca"
        secret = pki.with_environment(SECRET=SECRET)
        secret.run("init-ca", "--directory", folder, "--passphrase-env", "SECRET")
        secret.run("issue-client", "--directory", folder, "--passphrase-env", "SECRET")
        done = substitution(pki, "--passphrase-file", SECRET, *words, "--directory", folder)
        assert done.returncode == DONE, done.stderr

    def test_init_ca_and_inspect(self, pki: Pki, closed: Path, tmp_path: Path) -> None:
        done = substitution(pki, "--passphrase-file", SECRET, "init-ca", "--directory", tmp_path / "other")
        assert done.returncode == DONE and "ENCRYPTED" in (tmp_path / "other/root-key.pem").read_text()
        done = substitution(pki, "--passphrase-file", SECRET, "inspect", closed)
        assert done.returncode == DONE, done.stderr

    def test_two_passphrases_from_one_pipe_are_refused(self, pki: Pki, tmp_path: Path) -> None:
        """Both would be its first line."""
        folder = tmp_path / "closed-ca"
        pki.with_environment(SECRET=SECRET).run("init-ca", "--directory", folder, "--passphrase-env", "SECRET")
        before = (folder / "root-key.pem").read_bytes()
        file = tmp_path / "two-lines"
        file.write_text(f"{SECRET}\nanother\n")
        file.chmod(0o600)
        with pipe(file.read_text()) as reading, file.open() as opened:
            for number in (reading, opened.fileno()):
                options = ("--passphrase-fd", str(number), "--key-passphrase-fd", str(number))
                done = run(pki, "change-passphrase", "--directory", folder, *options, pass_fds=(number,))
                assert done.returncode == USAGE and "--key-passphrase" in done.stderr, done.stderr
        assert (folder / "root-key.pem").read_bytes() == before

    def test_a_pin_source(self, pki: Pki, tmp_path: Path) -> None:
        with softhsm("once") as (token,):
            pki = pki.with_environment(**token.environment)
            place = f"pkcs11:token={token.label};object=once?module-path={SOFTHSM}"
            with pipe(token.pin) as descriptor:
                address = f"{place}&pin-source=/dev/fd/{descriptor}"
                options = ("--key", address, "--generate-key", "--directory", tmp_path / "token-ca")
                done = run(pki, "init-ca", *options, pass_fds=(descriptor,))
            assert done.returncode == DONE, done.stderr

    def test_another_user(self, pki: Pki, ca: Path, lab: Lab, closed: Path, tmp_path: Path) -> None:
        """/proc/self is not the process's own once it keeps to itself; its descriptors are."""
        if os.geteuid() != 0:
            pytest.skip("needs root")
        for folder in (tmp_path, *tmp_path.parents[:3]):
            os.chmod(folder, folder.stat().st_mode | 0o711)
        os.chown(closed, 65534, 65534)
        other = pki.with_prefix("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        with pipe(SECRET) as descriptor:
            os.fchmod(descriptor, 0o666)
            options = ("--passphrase-file", f"/dev/fd/{descriptor}")
            (ca / "client-cert.pem").chmod(0o644)
            ca.chmod(0o755)
            done = run(other, "creds", *client(ca, closed, lab), *options, pass_fds=(descriptor,))
        assert done.returncode == DONE, done.stderr


# Prints what a child can find of a secret: its variables, and whatever its descriptors still give.
SEARCH = """
import os, sys
found = [name for name, value in os.environb.items() if WORD in value]
for number in map(int, os.listdir("/proc/self/fd")):
    try:
        # A fresh look at the file, from its beginning.
        with open(f"/proc/self/fd/{number}", "rb", buffering=0, opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
            if WORD in (file.read(1 << 16) or b""): found.append(number)
    except OSError:
        pass
for name in ("environ", "cmdline"):
    try:
        if WORD in open(f"/proc/{os.getppid()}/{name}", "rb").read() and "--parent" in sys.argv: found.append(name)
    except OSError:
        pass
print(found)
"""


def search(word: str) -> str:
    # Put together in the child, so that its own command line does not hold the word.
    return f"WORD = bytes.fromhex('{word.encode().hex()}')\n{SEARCH}"


class TestW1:
    """A command that pki runs gets no variable and no descriptor that carried a secret."""

    @pytest.mark.pairwise
    @pytest.mark.parametrize("server", [(), ("--server",), ("--cache",)], ids=["exec", "server", "cache"])
    @pytest.mark.parametrize("place", ["env", "fd", "dev-fd", "stdin", "dev-stdin"])
    @pytest.mark.parametrize("what", ["key", "passphrase"])
    def test_exec(
        self, pki: Pki, ca: Path, lab: Lab, closed: Path, tmp_path: Path, server: tuple[str, ...], place: str, what: str
    ) -> None:
        content = (ca / "client-key.pem").read_text() if what == "key" else SECRET
        word = content.splitlines()[1][:40] if what == "key" else SECRET
        # A regular file can be read again by whoever gets the descriptor.
        file = tmp_path / "secret"
        file.write_text(content)
        file.chmod(0o600)
        with file.open("rb") as opened:
            number = opened.fileno()
            places = {
                "env": ("env:K", ("--passphrase-env", "K")),
                "fd": (f"fd:{number}", ("--passphrase-fd", str(number))),
                "dev-fd": (f"/dev/fd/{number}", ("--passphrase-file", f"/dev/fd/{number}")),
                "stdin": ("-", ("--passphrase-fd", "0")),
                "dev-stdin": ("/dev/stdin", ("--passphrase-file", "/dev/stdin")),
            }
            key, passphrase = places[place]
            options = client(ca, closed, lab)
            if what == "key":
                options = client(ca, Path("PLACE"), lab)
                options = tuple(key if one == Path("PLACE") else one for one in options)
                passphrase = ()
            # The second time, what is in the cache is used, and the key is not opened at all.
            for _ in range(2):
                done = run(
                    pki, "exec", *server, *options, *passphrase, "--", "python3", "-c", search(word),
                    variables={"K": content} if place == "env" else {},
                    stdin=opened if "stdin" in place else subprocess.DEVNULL,
                    pass_fds=(number,),
                )  # fmt: skip
                opened.seek(0)
                assert done.returncode == DONE, done.stderr
                found = done.stdout.strip()
                # The same file under another number is taken as well.
                assert found == (f"[{number}]" if place == "env" else "[]"), found

    @pytest.mark.parametrize("place", ["env", "fd"])
    def test_hook(self, pki: Pki, tmp_path: Path, place: str) -> None:
        folder = tmp_path / "closed-ca"
        secret = pki.with_environment(SECRET=SECRET)
        secret.run("init-ca", "--directory", folder, "--passphrase-env", "SECRET")
        secret.run("issue-client", "--directory", folder, "--passphrase-env", "SECRET")
        script = tmp_path / "search.py"
        script.write_text(search(SECRET))
        file = tmp_path / "secret"
        file.write_text(SECRET)
        file.chmod(0o600)
        with file.open("rb") as opened:
            option = ("--passphrase-env", "CAPASS") if place == "env" else ("--passphrase-fd", str(opened.fileno()))
            done = run(
                pki, "renew", "client", "--directory", folder, *option, "--exec", f"python3 {script} --parent",
                variables={"CAPASS": SECRET} if place == "env" else {},
                pass_fds=(opened.fileno(),) if place == "fd" else (),
            )  # fmt: skip
        assert done.returncode == DONE, done.stderr
        # As root, a child can read its parent's environment: root can read everything.
        assert "[]\n" in done.stderr or (os.geteuid() == 0 and "['environ']\n" in done.stderr), done.stderr

    def test_a_profile_names_the_variable(self, pki: Pki, ca: Path, lab: Lab) -> None:
        content = (ca / "client-key.pem").read_text()
        secret = pki.with_environment(K=content)
        configure(secret, lab, ca, "web", "--private-key", "env:K")
        done = secret.run("exec", "--profile", "web", "--", "sh", "-c", 'echo "<$K>"')
        assert done.stdout == "<>\n"

    def test_other_variables_stay(self, pki: Pki, ca: Path, lab: Lab) -> None:
        kept = pki.with_environment(OTHER=SECRET)
        done = kept.run("exec", *client(ca, ca / "client-key.pem", lab), "--", "sh", "-c", 'printf %s "$OTHER"')
        assert done.stdout == SECRET


class TestW15:
    """A key or passphrase that somebody else wrote is somebody else's too."""

    @pytest.mark.parametrize("through", ["file", "link"])
    def test_a_secret_of_another_user(self, pki: Pki, ca: Path, lab: Lab, closed: Path, tmp_path: Path, through: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root")
        key = ca / "client-key.pem"
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        for path in (key, secret):
            os.chown(path, 65534, 65534)
        link = tmp_path / "link"
        link.symlink_to(key)
        given = link if through == "link" else key
        options = client(ca, given, lab)
        for words in (("creds", *options), ("sign-string", *options[2:4]), ("whoami", *options)):
            done = run(pki, *words)
            assert done.returncode in (1, 2) and "belongs to user 65534" in done.stderr, done.stderr
            assert "--insecure-permissions" in done.stderr
        assert run(pki, "creds", *options, "--insecure-permissions").returncode == DONE
        done = run(pki, "creds", *client(ca, closed, lab), "--passphrase-file", secret)
        assert done.returncode == 2 and "belongs to user 65534" in done.stderr, done.stderr
        # For a passphrase there is no such option.
        assert "--insecure-permissions" not in done.stderr
