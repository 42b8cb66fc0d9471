# SPDX-License-Identifier: Apache-2.0
"""`pki enrol --key`: the host's key is made where it will live, in a token or a TPM, and gets credentials from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import SOFTHSM, TPM, Token, softhsm, ssh_agent, swtpm
from enrolling import Authority, serving_ca
from peer import generate_key, load
from program import DONE, REFUSED, UNAVAILABLE, USAGE, Pki, running_lab
from tools import openssl_verify


@pytest.fixture
def ca(pki: Pki, tmp_path: Path) -> Iterator[Authority]:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca", "--retry-after", "1") as running:
        yield running


@pytest.fixture(scope="module")
def token() -> Iterator[Token]:
    with softhsm("host") as (token,):
        yield token


@pytest.fixture(scope="module")
def tpm() -> Iterator[TPM]:
    with swtpm() as tpm:
        yield tpm


def enrol(pki: Pki, ca: Authority, join: str, host: Path, *options: str | Path, status: int = DONE) -> str:
    given = pki.with_environment(PKI_TOKEN=join)
    return given.run("enrol", "web-1", "--server", ca.url, "--directory", host, *options, status=status).stdout


def names(host: Path) -> list[str]:
    return sorted(path.name for path in host.iterdir())


def assert_gets_credentials(pki: Pki, ca: Authority, host: Path, key: str, *options: str | Path) -> None:
    assert names(host) == ["root-cert.pem", "web-1-cert.pem", "web-1-key.uri"]
    assert (host / "web-1-key.uri").stat().st_mode & 0o777 == 0o600
    openssl_verify(ca.root, host / "web-1-cert.pem")
    with running_lab(pki, "--directory", ca.directory) as lab:
        identity = ("--certificate", host / "web-1-cert.pem", "--private-key", key, *options, *lab.arguments)
        assert pki.run("creds", *identity).json["AccessKeyId"].startswith("ASIA")


def address(host: Path) -> str:
    return (host / "web-1-key.uri").read_text().splitlines()[-1]


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_a_key_made_in_a_token(pki: Pki, ca: Authority, tmp_path: Path, token: Token, key_type: str) -> None:
    pki = pki.with_environment(**token.environment)
    host, label = tmp_path / "host", f"made-{key_type}"
    place = ("--key", f"pkcs11:token=host;object={label}", "--pkcs11-lib", SOFTHSM)
    pin = ("--key-passphrase-file", token.pin_file)
    enrol(pki, ca, ca.token("web-1").text, host, *place, "--generate-key", "--key-type", key_type, *pin)
    assert_gets_credentials(pki, ca, host, address(host), "--pkcs11-lib", SOFTHSM, "--passphrase-file", token.pin_file)
    assert token.pin not in (host / "web-1-key.uri").read_text()
    shown = token.tool("--list-objects", "--type", "privkey", "--label", label).stdout
    assert "never extractable" in shown and "sensitive" in shown
    # Nothing of it is replaced.
    before = {path.name: path.read_bytes() for path in host.iterdir()}
    enrol(pki, ca, ca.token("web-1", "--replace").text, host, *place, *pin)
    enrol(pki, ca, ca.token("web-1", "--replace").text, host, status=REFUSED)
    assert {path.name: path.read_bytes() for path in host.iterdir()} == before


def test_an_interrupted_run_is_continued_with_the_key_that_it_made(pki: Pki, ca: Authority, tmp_path: Path, token: Token) -> None:
    pki = pki.with_environment(**token.environment)
    host, join = tmp_path / "host", ca.token("web-1", "--approve")
    key = ("--key", "pkcs11:token=host;object=waits", "--generate-key", "--pkcs11-lib", SOFTHSM, "--key-passphrase-file", token.pin_file)
    enrol(pki, ca, join.text, host, *key, "--wait", "0m", status=UNAVAILABLE)
    draft = (host / ".web-1.enrolment").read_text()
    assert "PRIVATE KEY" not in draft
    # With another key, or one in a file, it would be another request.
    enrol(pki, ca, join.text, host, status=REFUSED)
    ca.run("approve", "1")
    enrol(pki, ca, join.text, host, *key)
    assert token.tool("--list-objects", "--type", "privkey").stdout.split().count("waits") == 1
    assert_gets_credentials(pki, ca, host, address(host), "--pkcs11-lib", SOFTHSM, "--passphrase-file", token.pin_file)


def test_a_key_in_a_tpm(pki: Pki, ca: Authority, tmp_path: Path, tpm: TPM) -> None:
    pki, host, password = pki.with_environment(**tpm.environment), tmp_path / "host", tmp_path / "password"
    tpm.persistent_key("ec-p256", 0x81030002, "secret")
    password.touch(0o600)
    password.write_text("secret\n")
    enrol(pki, ca, ca.token("web-1").text, host, "--key", "handle:0x81030002", "--key-passphrase-file", password)
    assert address(host) == "handle:0x81030002"
    assert_gets_credentials(pki, ca, host, address(host), "--passphrase-file", password)


def test_a_key_in_an_agent(pki: Pki, ca: Authority, tmp_path: Path) -> None:
    with ssh_agent() as agent:
        pki, host, key = pki.with_environment(**agent.environment), tmp_path / "host", generate_key("ec-p256")
        enrol(pki, ca, ca.token("web-1").text, host, "--key", agent.add(key))
        assert load(host / "web-1-cert.pem").public_key() == key.public_key()
        assert_gets_credentials(pki, ca, host, address(host))


def test_a_key_in_a_device_does_not_renew_by_tls(pki: Pki, ca: Authority, tmp_path: Path) -> None:
    """Its certificate is replaced by enrolling again; what is there stays."""
    with ssh_agent() as agent:
        pki, host, place = pki.with_environment(**agent.environment), tmp_path / "host", agent.add(generate_key("ec-p256"))
        enrol(pki, ca, ca.token("web-1").text, host, "--key", place)
        before = {path.name: path.read_bytes() for path in host.iterdir()}
        said = pki.refuse("renew", "web-1", "--server", ca.url, "--directory", host)
        assert place in said
        assert {path.name: path.read_bytes() for path in host.iterdir()} == before
        enrol(pki, ca, ca.token("web-1", "--replace").text, tmp_path / "again", "--key", place)


def test_usage(pki: Pki, ca: Authority, tmp_path: Path) -> None:
    for wrong in (("--generate-key",), ("--key", tmp_path / "key.pem"), ("--key", "handle:0x81000000", "--generate-key")):
        enrol(pki, ca, ca.token("web-1").text, tmp_path / "host", *wrong, status=USAGE)
