# SPDX-License-Identifier: Apache-2.0
"""CA keys in devices: PINs, requests that cannot be met, addresses that lead nowhere; and who reads the certificates."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography.x509.verification import PolicyBuilder, Store

from devices import SOFTHSM, TPM, Agent, Token, softhsm, ssh_agent, swtpm
from peer import KEY_TYPES, generate_key, issue, key_type_of, load
from program import REFUSED, USAGE, Pki
from test_key_failures import logins, spied
from test_key_refusals import SPY, secret_file
from tools import openssl_verify


@pytest.fixture(scope="module")
def token() -> Iterator[Token]:
    with softhsm("authority") as [token]:
        yield token


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with ssh_agent() as agent:
        yield agent


@pytest.fixture(scope="module")
def tpm() -> Iterator[TPM]:
    with swtpm() as tpm:
        yield tpm


def assert_is_ca(pki: Pki, folder: Path, key_type: str, *options: str | Path, secrets: tuple[str, ...] = ()) -> str:
    """The directory has a CA without its key, which issues a client; returns what says where the key is."""
    address = folder / "root-key.uri"
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    assert not (folder / "root-key.pem").exists()
    for secret in secrets:
        for path in folder.rglob("*"):
            assert path.is_dir() or secret.encode() not in path.read_bytes()
    result = pki.run("issue-client", "--directory", folder, *options)
    root, client = folder / "root-cert.pem", folder / "client-cert.pem"
    assert result.stderr == ""
    assert key_type_of(load(root).public_key()) == key_type
    openssl_verify(root, client)
    for certificate in (root, client):
        load(certificate).verify_directly_issued_by(load(root))
    verifier = (
        PolicyBuilder().store(Store([load(root)])).time(datetime.now(UTC)).build_client_verifier()
    )
    assert verifier.verify(load(client), []).chain[-1] == load(root)
    [*_, line] = address.read_text().splitlines()
    return line


class TestTokens:
    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_a_key_that_is_made(self, pki: Pki, tmp_path: Path, token: Token, key_type: str) -> None:
        label = f"made-{key_type}"
        environment = pki.with_environment(**token.environment)
        result = environment.run(
            "init-ca", "--directory", tmp_path / "ca", "--key", token.address(label), "--generate-key",
            "--key-type", key_type,
        )  # fmt: skip
        line = assert_is_ca(
            environment, tmp_path / "ca", key_type, "--passphrase-file", token.pin_file, secrets=(token.pin,)
        )  # fmt: skip
        assert label in line and token.pin not in result.stdout + result.stderr
        self.assert_stays(token, label)

    @staticmethod
    def assert_stays(token: Token, label: str) -> None:
        shown = token.tool("--list-objects", "--type", "privkey", "--label", label).stdout
        # pkcs11-tool filters by label only when it reads one object.
        [found] = [part for part in shown.split("Private Key Object")[1:] if f"label:      {label}\n" in part]
        [access] = [one for one in found.splitlines() if "Access:" in one]
        for word in ("sensitive", "always sensitive", "never extractable", "local"):
            assert word in access

    def test_ways_to_give_the_pin(self, pki: Pki, tmp_path: Path, token: Token) -> None:
        environment = pki.with_environment(**token.environment)
        address = token.address("by-option", pin=False)
        file = secret_file(tmp_path, token.pin + "\n")
        folder = tmp_path / "ca"
        environment.run(
            "init-ca", "--directory", folder, "--key", address, "--generate-key", "--passphrase-file", file
        )  # fmt: skip
        issue_client = ("issue-client", "--directory", folder, "--force")
        environment.run(*issue_client, "--passphrase-file", file)
        environment.with_environment(PIN=token.pin).run(*issue_client, "--passphrase-env", "PIN")
        with file.open() as descriptor:
            environment.run(
                *issue_client, "--passphrase-fd", str(descriptor.fileno()), pass_fds=(descriptor.fileno(),)
            )  # fmt: skip
        said = environment.run(*issue_client, status=REFUSED).stderr
        assert "PIN" in said and "--passphrase-file" in said
        wrong = secret_file(tmp_path, "10203040")
        log = tmp_path / "spy.log"
        address = f"pkcs11:token={token.label};object=by-option?module-path={SPY}"
        said = spied(pki, token, log).run(
            *issue_client, "--ca-key", address, "--passphrase-file", wrong, status=REFUSED
        ).stderr  # fmt: skip
        assert logins(log) == 1 and "10203040" not in said

    def test_a_pin_in_the_address_is_not_kept(self, pki: Pki, tmp_path: Path, token: Token) -> None:
        """Who reads the directory has the CA's address, and not its PIN."""
        environment = pki.with_environment(**token.environment)
        address = f"{token.address('pin-value', pin=False)}&pin-value={token.pin}"
        result = environment.run("init-ca", "--directory", tmp_path / "ca", "--key", address, "--generate-key")
        assert token.pin not in result.stdout + result.stderr
        file = secret_file(tmp_path, token.pin)
        line = assert_is_ca(
            environment, tmp_path / "ca", "ec-p256", "--passphrase-file", file, secrets=(token.pin,)
        )
        # Nor the library, which whoever uses the directory would load.
        assert unquote(line) == f"pkcs11:token={token.label};object=pin-value"

    def test_a_request_that_cannot_be_met_makes_no_key(self, pki: Pki, tmp_path: Path, token: Token) -> None:
        """A key in a token costs room that only its owner can make again."""
        environment = pki.with_environment(**token.environment)
        leaf = tmp_path / "leaf.conf"
        leaf.write_text("[req]\ndistinguished_name = dn\nx509_extensions = v3\nprompt = no\n[dn]\nCN = x\n[v3]\n"
                        "basicConstraints = critical, CA:FALSE\n")  # fmt: skip
        for options in (
            ("--days", "0"), ("--days", "99999999"), ("--path-length", "300"), ("--subject", ""), ("--template", leaf),
            ("--permit", "dns:example.com", "--exclude", "dns:.."),
        ):  # fmt: skip
            result = environment.run(
                "init-ca", "--directory", tmp_path / "ca", "--key", token.address("unmade"), "--generate-key",
                *options, status=None,
            )  # fmt: skip
            assert result.status in (REFUSED, USAGE) and not (tmp_path / "ca").exists(), result.describe()
        assert "unmade" not in token.tool("--list-objects").stdout

    def test_a_key_that_has_the_name_already(self, pki: Pki, tmp_path: Path, token: Token) -> None:
        environment = pki.with_environment(**token.environment)
        arguments = ("init-ca", "--key", token.address("taken"), "--generate-key", "--directory")
        environment.run(*arguments, tmp_path / "one")
        said = environment.run(*arguments, tmp_path / "two", status=REFUSED)
        assert "taken already" in said.error and not (tmp_path / "two").exists()

    def test_the_wrong_key(self, pki: Pki, tmp_path: Path, token: Token) -> None:
        environment = pki.with_environment(**token.environment)
        folder = tmp_path / "ca"
        for label, where in (("mine", folder), ("theirs", tmp_path / "other")):
            environment.run("init-ca", "--directory", where, "--key", token.address(label), "--generate-key")
        issue_client = ("issue-client", "--directory", folder)
        said = environment.run(*issue_client, "--ca-key", token.address("theirs"), status=REFUSED)
        assert "theirs" in said.error and "certificate" in said.error
        issue(None, "x").write(tmp_path, "file")
        said = environment.run(*issue_client, "--ca-key", tmp_path / "file-key.pem", status=REFUSED)
        assert str(tmp_path / "file-key.pem") in said.error
        (folder / "root-key.uri").write_text(token.address("theirs") + "\n")
        said = environment.run(*issue_client, status=REFUSED)
        assert "root-key.uri" in said.stderr
        (folder / "root-key.uri").write_text(token.address("theirs").split("?")[0] + "\n")
        said = environment.run(*issue_client, "--passphrase-file", token.pin_file, status=REFUSED)
        assert "theirs" in said.error
        assert not (folder / "client-cert.pem").exists() and not (folder / "client-key.pem").exists()
        environment.run(*issue_client, "--ca-key", token.address("mine"))

    def test_a_token_that_is_absent(self, pki: Pki, tmp_path: Path) -> None:
        folder = tmp_path / "ca"
        with softhsm("lent") as [token]:
            pki.with_environment(**token.environment).run(
                "init-ca", "--directory", folder, "--key", token.address("key"), "--generate-key"
            )
        with softhsm("another") as [other]:
            said = pki.with_environment(**other.environment).run("issue-client", "--directory", folder, status=REFUSED)
        assert "token=lent" in said.error and "another" in said.error
        said = pki.run("issue-client", "--directory", folder, status=REFUSED)
        assert "pki: hint: " in said.stderr

    @pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n", "nonsense\n", "pkcs11:%zz\n", "handle:x\n"])
    def test_an_address_that_is_none(self, pki: Pki, tmp_path: Path, token: Token, text: str) -> None:
        environment = pki.with_environment(**token.environment)
        folder = tmp_path / "ca"
        label = f"damaged-{text.encode().hex()}"
        environment.run("init-ca", "--directory", folder, "--key", token.address(label), "--generate-key")
        (folder / "root-key.uri").write_text(text)
        assert environment.run("issue-client", "--directory", folder, status=None).status in (REFUSED, USAGE)

    def test_usage(self, pki: Pki, tmp_path: Path, token: Token, agent: Agent) -> None:
        for options, word in (
            (("--generate-key",), "--key"),
            (("--key", tmp_path / "key.pem"), "pkcs11:"),
            (("--key", "env:KEY"), "pkcs11:"),
            (("--key", "handle:0x81000001", "--generate-key"), "PKCS#11"),
            (("--key", "ssh-agent:SHA256:x", "--generate-key"), "PKCS#11"),
        ):
            assert word in pki.run("init-ca", *options, status=USAGE).stderr
        environment = pki.with_environment(**token.environment)
        for kind in ("ml-dsa-65",):
            said = environment.run(
                "init-ca", "--key", token.address("never"), "--generate-key", "--key-type", kind, status=REFUSED
            )
            assert kind in said.error and "ec-p256" in said.stderr
        unnamed = f"pkcs11:token={token.label}?module-path={SOFTHSM}&pin-source={token.pin_file}"
        said = environment.run("init-ca", "--key", unnamed, "--generate-key", status=USAGE)
        assert "object=" in said.stderr

    def test_a_key_type_that_the_key_is_not(self, pki: Pki, tmp_path: Path, token: Token) -> None:
        token.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "small", "--usage-sign")
        said = pki.with_environment(**token.environment).run(
            "init-ca", "--key", token.address("small"), "--key-type", "rsa-4096", status=REFUSED
        )
        assert "EC P-256" in said.error and "rsa-4096" in said.error and "small" in said.error


class TestAgents:
    @pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048", "rsa-3072"])
    def test_a_key(self, pki: Pki, tmp_path: Path, agent: Agent, key_type: str) -> None:
        environment = pki.with_environment(**agent.environment)
        place = agent.add(generate_key(key_type))
        environment.run("init-ca", "--directory", tmp_path / "ca", "--key", place)
        assert assert_is_ca(environment, tmp_path / "ca", key_type) == place

    def test_another_key_than_the_cas(self, pki: Pki, tmp_path: Path, agent: Agent) -> None:
        environment = pki.with_environment(**agent.environment)
        folder, other = tmp_path / "ca", agent.add(generate_key("ec-p256"))
        environment.run("init-ca", "--directory", folder, "--key", agent.add(generate_key("ec-p256")))
        (folder / "root-key.uri").write_text(other + "\n")
        said = environment.run("issue-client", "--directory", folder, status=REFUSED)
        assert other in said.error
        assert not (folder / "client-key.pem").exists()

    def test_no_agent(self, pki: Pki, tmp_path: Path, agent: Agent) -> None:
        place = agent.add(generate_key("ec-p256"))
        folder = tmp_path / "ca"
        pki.with_environment(**agent.environment).run("init-ca", "--directory", folder, "--key", place)
        assert "SSH_AUTH_SOCK" in pki.run("issue-client", "--directory", folder, status=REFUSED).error
        assert not (folder / "client-key.pem").exists()


class TestTPMs:
    @pytest.mark.parametrize("password", [None, "tpm secret"], ids=["open", "password"])
    @pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048"])
    def test_a_key(self, pki: Pki, tmp_path: Path, tpm: TPM, key_type: str, password: str | None) -> None:
        handle = 0x81030000 + 16 * sorted(TPM.KINDS).index(key_type) + (1 if password else 0)
        tpm.persistent_key(key_type, handle, password)
        environment = pki.with_environment(**tpm.environment)
        folder = tmp_path / "ca"
        options: tuple[str | Path, ...] = ("--no-tpm-key-password",)
        if password:
            options = ("--passphrase-file", secret_file(tmp_path, password))
        environment.run("init-ca", "--directory", folder, "--key", f"handle:{handle:#x}", *options)
        line = assert_is_ca(environment, folder, key_type, *options, secrets=(password,) if password else ())
        assert line == f"handle:{handle:#x}"
