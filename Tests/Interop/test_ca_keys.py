# SPDX-License-Identifier: Apache-2.0
"""A CA whose key is in a token, an agent or a TPM: the directory says where, and clients are signed there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import SOFTHSM, TPM, Agent, Token, softhsm, ssh_agent, swtpm
from peer import generate_key, issue, key_type_of, load
from program import MISSING, REFUSED, USAGE, Pki, is_bookkeeping, running_lab
from tools import openssl_verify


@pytest.fixture(scope="module")
def token() -> Iterator[Token]:
    with softhsm("ca") as tokens:
        yield tokens[0]


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with ssh_agent() as agent:
        yield agent


@pytest.fixture(scope="module")
def tpm() -> Iterator[TPM]:
    with swtpm() as tpm:
        yield tpm


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not is_bookkeeping(path)}


def assert_is_ca(pki: Pki, folder: Path, *options: str | Path) -> None:
    """The directory has no key, and clients are issued all the same."""
    assert {"root-cert.pem", "root-key.uri"} <= names(folder) and "root-key.pem" not in names(folder)
    assert (folder / "root-key.uri").stat().st_mode & 0o777 == 0o600
    pki.run("issue-client", "--directory", folder, "--name", "web-1", *options)
    openssl_verify(folder / "root-cert.pem", folder / "web-1-cert.pem")
    root, client = (load(folder / f"{name}-cert.pem") for name in ("root", "web-1"))
    client.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert pki.run("print-bundle", "--directory", folder).stdout == (folder / "root-cert.pem").read_text()


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048"])
def test_a_key_made_in_a_token(pki: Pki, tmp_path: Path, token: Token, key_type: str) -> None:
    """It can never leave the token; the PIN is not written down."""
    pki = pki.with_environment(**token.environment)
    folder, label = tmp_path / "ca", f"made {key_type}"
    key = f"pkcs11:token=ca;object={label.replace(' ', '%20')}?module-path={SOFTHSM}"
    pin = ("--passphrase-file", token.pin_file)
    pki.run("init-ca", "--directory", folder, "--key", key, "--generate-key", "--key-type", key_type, *pin)
    root = load(folder / "root-cert.pem")
    assert key_type_of(root.public_key()) == key_type
    assert_is_ca(pki, folder, *pin)
    assert token.pin not in (folder / "root-key.uri").read_text()
    shown = token.tool("--list-objects", "--type", "privkey", "--label", label).stdout
    assert "never extractable" in shown and "sensitive" in shown


def test_a_key_that_is_there(pki: Pki, tmp_path: Path, token: Token) -> None:
    pki = pki.with_environment(**token.environment)
    token.store_key(generate_key("rsa-2048"), "there", "77")
    pki.run("init-ca", "--directory", tmp_path / "ca", "--key", token.address("there"))
    assert_is_ca(pki, tmp_path / "ca", "--passphrase-file", token.pin_file)
    with running_lab(pki, "--directory", tmp_path / "ca") as lab:
        options = ("--certificate", tmp_path / "ca/web-1-cert.pem", "--private-key", tmp_path / "ca/web-1-key.pem")
        assert pki.run("creds", *options, *lab.arguments).json["AccessKeyId"].startswith("ASIA")


def test_a_year_with_keys_in_a_token(pki: Pki, tmp_path: Path, token: Token) -> None:
    """Root and intermediate stay in the token; renewing either leaves the directory able to issue."""
    pki = pki.with_environment(**token.environment)
    for label, identifier in (("year-root", "a1"), ("year-issuing", "a2")):
        token.store_key(generate_key("ec-p256"), label, identifier)
    folder = tmp_path / "ca"
    pin = ("--passphrase-file", token.pin_file)
    pki.run("init-ca", "--directory", folder, "--key", token.address("year-root"))
    pki.run("issue-intermediate", "--directory", folder, "--name", "issuing", "--key", token.address("year-issuing"), *pin)
    assert (folder / "issuing-key.uri").stat().st_mode & 0o777 == 0o600
    for number in range(2):
        assert {"root-key.uri", "issuing-key.uri"} <= names(folder)
        pki.run("issue-client", "--directory", folder, "--name", f"direct-{number}", *pin)
        pki.run("issue-client", "--directory", folder, "--name", f"deep-{number}", "--issuer", "issuing", *pin)
        openssl_verify(folder / "root-cert.pem", folder / f"direct-{number}-cert.pem")
        chain = folder / f"deep-{number}-chain.pem"
        openssl_verify(folder / "root-cert.pem", folder / f"deep-{number}-cert.pem", "-untrusted", chain)
        pki.run("renew", "root", "issuing", "--directory", folder, *pin)
    pki.run("doctor", "--directory", folder)


def test_a_root_in_a_token_is_not_followed_by_one_in_an_open_file(pki: Pki, tmp_path: Path, token: Token) -> None:
    pki = pki.with_environment(**token.environment)
    for label, identifier in (("first", "b1"), ("second", "b2")):
        token.store_key(generate_key("ec-p256"), label, identifier)
    folder = tmp_path / "ca"
    pin = ("--passphrase-file", token.pin_file)
    pki.run("init-ca", "--directory", folder, "--key", token.address("first"))
    before = names(folder)
    assert "--key" in pki.refuse("rotate-ca", "--directory", folder, *pin)
    assert names(folder) == before
    pki.run("rotate-ca", "--directory", folder, "--key", token.address("second"), *pin)
    assert {"root-key.uri", "root-previous-key.uri"} <= names(folder) and "root-key.pem" not in names(folder)
    pki.run("issue-client", "--directory", folder, *pin)
    openssl_verify(folder / "root-cert.pem", folder / "client-cert.pem")
    pki.run("rotate-ca", "--finish", "--directory", folder, *pin)
    assert_is_ca(pki, folder, *pin)


def test_nothing_is_made_in_the_token_for_a_ca_that_is_there(pki: Pki, ca: Path, token: Token) -> None:
    pki = pki.with_environment(**token.environment)
    key = ("--key", token.address("never-made"), "--generate-key")
    said = pki.refuse("init-ca", "--directory", ca, *key)
    assert "exists already" in said
    assert "never-made" not in token.tool("--list-objects").stdout
    pki.run("init-ca", "--directory", ca, *key, "--force")
    assert "root-key.pem" not in names(ca) and len(list((ca / "archive").glob("root-key-*.pem"))) == 1
    said = pki.refuse("init-ca", "--directory", ca, *key, "--force")
    assert "never-made" in said
    pki.run("init-ca", "--directory", ca, "--force")
    assert "root-key.uri" not in names(ca) and len(list((ca / "archive").glob("root-key-*.uri"))) == 1


def test_another_key_than_the_cas(pki: Pki, tmp_path: Path, token: Token) -> None:
    pki = pki.with_environment(**token.environment)
    for label, identifier in (("right", "81"), ("wrong", "82")):
        token.store_key(generate_key("ec-p256"), label, identifier)
    folder = tmp_path / "ca"
    pki.run("init-ca", "--directory", folder, "--key", token.address("right"))
    said = pki.refuse("issue-client", "--directory", folder, "--ca-key", token.address("wrong"))
    assert "not" in said and "certificate" in said and names(folder) == {"root-cert.pem", "root-key.uri"}
    pki.run("issue-client", "--directory", folder, "--ca-key", token.address("right"))


def test_a_token_that_is_away(pki: Pki, tmp_path: Path, token: Token) -> None:
    token.store_key(generate_key("ec-p256"), "away", "91")
    pki.with_environment(**token.environment).run("init-ca", "--directory", tmp_path / "ca", "--key", token.address("away"))
    empty = tmp_path / "empty.conf"
    empty.write_text(f"directories.tokendir = {tmp_path}\n")
    said = pki.with_environment(SOFTHSM2_CONF=str(empty)).refuse("issue-client", "--directory", tmp_path / "ca")
    assert "token" in said and not (tmp_path / "ca/client-cert.pem").exists()


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-3072"])
def test_a_key_in_an_agent(pki: Pki, tmp_path: Path, agent: Agent, key_type: str) -> None:
    pki = pki.with_environment(**agent.environment)
    pki.run("init-ca", "--directory", tmp_path / "ca", "--key", agent.add(generate_key(key_type)))
    assert_is_ca(pki, tmp_path / "ca")


def test_a_key_in_a_tpm(pki: Pki, tmp_path: Path, tpm: TPM) -> None:
    pki = pki.with_environment(**tpm.environment)
    tpm.persistent_key("ec-p256", 0x81030001, "secret")
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("secret")
    options = ("--passphrase-file", password)
    pki.run("init-ca", "--directory", tmp_path / "ca", "--key", "handle:0x81030001", *options)
    assert_is_ca(pki, tmp_path / "ca", *options)


def test_usage(pki: Pki, tmp_path: Path) -> None:
    _, key = issue(None).write(tmp_path, "leaf")
    assert "--key" in pki.refuse("init-ca", "--key", key, status=USAGE)
    assert "--key" in pki.refuse("init-ca", "--generate-key", status=USAGE)
    assert "PKCS#11" in pki.refuse("init-ca", "--generate-key", "--key", "handle:0x81000001", status=USAGE)
    assert pki.run("init-ca", "--key", f"pkcs11:object=x?module-path={MISSING}", status=REFUSED).stdout == ""
    assert not (tmp_path / "credential-process-data").exists()
