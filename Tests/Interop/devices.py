# SPDX-License-Identifier: Apache-2.0
"""Places where keys live and never leave: a token (SoftHSM), a TPM (swtpm), an agent (OpenSSH's). Each is private to a test."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from peer import Identity, PrivateKey
from tools import openssl, tool

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


@dataclass(frozen=True)
class PublicHalf:
    """What `peer.issue` needs of a key that cannot be had."""

    key: object

    @classmethod
    def read(cls, text: str) -> PublicHalf:
        return cls(load_pem_public_key(text.encode()))

    def public_key(self) -> object:
        return self.key


@contextmanager
def short_folder() -> Iterator[Path]:
    """A directory whose path leaves room for the name of a socket, which may have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="pki-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens in the block, the process is gone after it."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_socket(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        assert time.monotonic() < end, f"{process.args} makes no {path}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Token:
    """One token of SoftHSM, with a PIN that is in a file too."""

    folder: Path
    label: str
    pin: str

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    @property
    def pin_file(self) -> Path:
        path = self.folder / f"{self.label}.pin"
        if not path.exists():
            path.touch(0o600)
            path.write_text(self.pin + "\n")
        return path

    def address(self, label: str, *path: str, pin: bool = True) -> str:
        """The URI of an object, with the module and, unless told otherwise, where the PIN is."""
        query = f"module-path={SOFTHSM}" + (f"&pin-source=file:{self.pin_file}" if pin else "")
        return ";".join([f"pkcs11:token={self.label}", f"object={label}", *path]) + "?" + query

    def tool(self, *arguments: str | Path, **options):
        return tool(
            "pkcs11-tool", "--module", SOFTHSM, "--token-label", self.label, "--login", "--pin", self.pin, *arguments,
            environment=self.environment, **options,
        )  # fmt: skip

    def store_key(self, key: PrivateKey, label: str, identifier: str) -> None:
        path = self.folder / f"{label}-{identifier}.p8"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        tool(
            "softhsm2-util", "--import", path, "--token", self.label, "--label", label, "--id", identifier,
            "--pin", self.pin, environment=self.environment,
        )  # fmt: skip
        path.unlink()

    def store_certificate(self, certificate: x509.Certificate, label: str, identifier: str) -> None:
        path = self.folder / f"{label}-{identifier}.der"
        path.write_bytes(certificate.public_bytes(Encoding.DER))
        self.tool("--write-object", path, "--type", "cert", "--label", label, "--id", identifier)

    def store(self, identity: Identity, label: str, identifier: str) -> None:
        self.store_key(identity.key, label, identifier)
        self.store_certificate(identity.certificate, label, identifier)


@contextmanager
def softhsm(*labels: str) -> Iterator[list[Token]]:
    with short_folder() as folder:
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        tokens = [Token(folder, label, f"{secrets.randbelow(10**8):08}") for label in labels]
        for token in tokens:
            tool(
                "softhsm2-util", "--init-token", "--free", "--label", token.label, "--so-pin", "87654321",
                "--pin", token.pin, environment=token.environment,
            )  # fmt: skip
        yield tokens


@dataclass(frozen=True)
class Agent:
    """OpenSSH's agent."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SSH_AUTH_SOCK": str(self.folder / "agent")}

    def add(self, key: PrivateKey) -> str:
        """Gives the agent a key; returns the place that pki knows it by."""
        path = self.folder / f"key-{time.monotonic_ns()}"
        path.touch(0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        tool("ssh-add", "-q", path, environment=self.environment)
        fingerprint = tool("ssh-keygen", "-lf", path).stdout.split()[1]
        path.unlink()
        return f"ssh-agent:{fingerprint}"


@contextmanager
def ssh_agent() -> Iterator[Agent]:
    with short_folder() as folder:
        process = subprocess.Popen(
            ["/usr/bin/ssh-agent", "-D", "-a", str(folder / "agent")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        )
        with stopped(process):
            wait_for_socket(folder / "agent", process)
            yield Agent(folder)


@dataclass(frozen=True)
class TPM:
    """A TPM 2.0 in software."""

    folder: Path

    @contextmanager
    def started(self) -> Iterator[None]:
        """While it answers; it may be started again with what it held when it was stopped."""
        for name in ("tpm", "tpm.ctrl"):
            (self.folder / name).unlink(missing_ok=True)
        process = subprocess.Popen(
            [
                "/usr/bin/swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/state",
                "--server", f"type=unixio,path={self.folder}/tpm", "--ctrl", f"type=unixio,path={self.folder}/tpm.ctrl",
                "--pid", f"file={self.folder}/pid", "--flags", "not-need-init,startup-clear",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with stopped(process):
            wait_for_socket(self.folder / "tpm", process)
            yield

    def stop(self) -> None:
        """Ends it, as a machine that goes down would: what is in its memory is lost, its persistent keys are not."""
        process = int((self.folder / "pid").read_text())
        os.kill(process, signal.SIGKILL)
        end = time.monotonic() + 60
        while Path(f"/proc/{process}/exe").exists() and time.monotonic() < end:
            time.sleep(0.02)

    KINDS = {"ec-p256": "ecc256", "ec-p384": "ecc384", "rsa-2048": "rsa2048", "rsa-3072": "rsa3072"}

    @property
    def environment(self) -> dict[str, str]:
        tcti = f"swtpm:path={self.folder}/tpm"
        return {"TPM2OPENSSL_TCTI": tcti, "TPM2TOOLS_TCTI": tcti}

    def tool(self, name: str, *arguments: str | Path, **options):
        """Runs one of tpm2-tools. Nobody manages this TPM's few places for objects: what a tool leaves in them is taken out."""
        result = tool(name, *arguments, environment=self.environment, **options)
        self.flush()
        return result

    def flush(self) -> None:
        tool("tpm2_flushcontext", "-t", environment=self.environment)

    def persistent_key(self, key_type: str, handle: int, password: str | None = None) -> PublicHalf:
        """Makes a key that signs and keeps it under a handle."""
        primary, public, private, context = (self.folder / f"{name}-{handle:x}" for name in ("prim", "pub", "priv", "ctx"))
        self.tool("tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", primary)
        attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
        self.tool(
            "tpm2_create", "-Q", "-C", primary, "-G", self.KINDS[key_type], "-u", public, "-r", private, "-a", attributes,
            *(["-p", password] if password else []),
        )  # fmt: skip
        self.tool("tpm2_load", "-Q", "-C", primary, "-u", public, "-r", private, "-c", context)
        self.tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", context, f"{handle:#x}")
        self.tool("tpm2_readpublic", "-Q", "-c", f"{handle:#x}", "-f", "pem", "-o", public)
        return PublicHalf.read(public.read_text())

    PROVIDER = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")

    def key_file(self, key_type: str, path: Path, password: str | None = None) -> PublicHalf:
        """Makes a key by OpenSSL's provider, in a file that only this TPM can open."""
        kind = ["EC", "-pkeyopt", f"group:P-{key_type[4:]}"]
        if key_type.startswith("rsa"):
            kind = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{key_type[4:]}"]
        openssl(
            "genpkey", *self.PROVIDER, "-algorithm", *kind, "-out", path,
            *(["-pkeyopt", f"user-auth:{password}"] if password else []), environment=self.environment,
        )  # fmt: skip
        self.flush()
        path.chmod(0o600)
        public = openssl(
            "pkey", *self.PROVIDER, "-in", path, "-pubout", "-passin", f"pass:{password or ''}",
            environment=self.environment,
        )  # fmt: skip
        self.flush()
        return PublicHalf.read(public.stdout)


@contextmanager
def swtpm() -> Iterator[TPM]:
    with short_folder() as folder:
        (folder / "state").mkdir()
        tpm = TPM(folder)
        with tpm.started():
            yield tpm
