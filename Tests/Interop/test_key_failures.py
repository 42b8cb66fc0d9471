# SPDX-License-Identifier: Apache-2.0
"""Keys that fail while they are in use, and devices that come and go: beside what `test_key_refusals` has."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from devices import SOFTHSM, TPM, Agent, Token, softhsm, ssh_agent, swtpm
from peer import Identity, issue, pem
from program import REFUSED, USAGE, Pki, running_lab
from serving import Served, configure, serving, wait_for
from test_creds import ARNS, NOWHERE, identity_options
from test_key_refusals import SPY, secret_file
from tools import tool

UNKNOWN = "ssh-agent:SHA256:" + 43 * "A"


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue(None, "root", ca=True)


@pytest.fixture(scope="module")
def leaf(root: Identity) -> Identity:
    return issue(root, "leaf")


@pytest.fixture
def token(leaf: Identity) -> Iterator[Token]:
    with softhsm("office") as [token]:
        token.store(leaf, "leaf", "01")
        yield token


@pytest.fixture
def agent() -> Iterator[Agent]:
    with ssh_agent() as agent:
        yield agent


@pytest.fixture
def tpm() -> Iterator[TPM]:
    with swtpm() as tpm:
        yield tpm


@pytest.fixture
def certificate(leaf: Identity, tmp_path: Path) -> Path:
    return leaf.write(tmp_path, "leaf")[0]


def refused(
    pki: Pki, *options: str | Path, command: tuple[str, ...] = ("creds",), secrets: tuple[str, ...] = (),
    status: int = REFUSED,
) -> str:  # fmt: skip
    """One error, a hint, no secret, and nothing sent: a request to nowhere has another status."""
    before, after = (command[:1], command[1:])
    result = pki.run(*before, *ARNS, *NOWHERE, *options, *after, status=status)
    assert result.error
    assert re.search(r"^pki: hint: ", result.stderr, re.MULTILINE), f"no hint in:\n{result.stderr}"
    for secret in secrets:
        assert secret not in result.stderr
    return result.stderr


def spied(pki: Pki, token: Token, log: Path) -> Pki:
    """With a module that writes down every call to the token's own."""
    return pki.with_environment(**token.environment, PKCS11SPY=str(SOFTHSM), PKCS11SPY_OUTPUT=str(log))


def logins(log: Path) -> int:
    return len(re.findall(r"^\d+: C_Login$", log.read_text(), re.MULTILINE))


class TestPINs:
    @pytest.mark.parametrize(
        "command",
        [
            ("creds",), ("update",), ("serve", "--port", "0"), ("exec", "--", "/bin/true"), ("whoami",),
            ("configure", "--profile", "web"),
        ],
        ids=lambda command: command[0],
    )  # fmt: skip
    def test_a_wrong_one_is_tried_once(
        self, pki: Pki, token: Token, certificate: Path, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        """Whether the address says it or an option does, and whether the certificate is in the token or not."""
        wrong = secret_file(tmp_path, "10203040")
        address = f"pkcs11:token={token.label};object=leaf?module-path={SPY}"
        for number, options in enumerate(
            (
                ("--certificate", certificate, "--private-key", address, "--passphrase-file", wrong),
                ("--certificate", address, "--passphrase-file", wrong),
                ("--certificate", certificate, "--private-key", f"{address}&pin-source=file:{wrong}"),
            )
        ):
            log = tmp_path / f"spy-{number}.log"
            said = refused(spied(pki, token, log), *options, command=command, secrets=("10203040",))
            assert "office" in said and "refused the PIN" in said
            assert logins(log) == 1
            config = tmp_path / ".aws/config"
            assert not config.exists() or config.read_text() == "", "nothing was written"

    def test_the_right_one_is_given_once(
        self, pki: Pki, token: Token, certificate: Path, tmp_path: Path
    ) -> None:
        """Which is how it is known that the logins are counted."""
        log = tmp_path / "spy.log"
        address = f"pkcs11:token={token.label};object=leaf?module-path={SPY}&pin-source=file:{token.pin_file}"
        spied(pki, token, log).run("sign-string", "--private-key", address)
        assert logins(log) == 1

    def test_a_wrong_one_of_several_profiles_is_tried_once(
        self, pki: Pki, token: Token, certificate: Path, tmp_path: Path
    ) -> None:
        """Two keys in one token: the second profile's attempt would be the second of a few."""
        right = secret_file(tmp_path, token.pin)
        log = tmp_path / "spy.log"
        address = f"pkcs11:token={token.label};object=leaf?module-path={SPY}"
        for profile in ("a", "b"):
            spied(pki, token, tmp_path / "unseen.log").run(
                "configure", "--profile", profile, *ARNS, *NOWHERE,
                "--certificate", certificate, "--private-key", address, "--passphrase-file", right,
            )  # fmt: skip
        right.write_text("10203040")
        result = spied(pki, token, log).run("serve", "--profile", "a", "--profile", "b", "--listen", "0", status=REFUSED)
        assert "refused" in result.error
        assert logins(log) == 1

    def test_a_file_that_is_not_one(self, pki: Pki, token: Token, certificate: Path, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.touch(0o600)
        shared = tmp_path / "shared"
        shared.write_text(token.pin)
        shared.chmod(0o640)
        for place, word in (
            (tmp_path / "nowhere", "no such file"), (tmp_path, "it is a directory"), (empty, "empty"), (shared, "0640"),
        ):  # fmt: skip
            log = tmp_path / "spy.log"
            log.touch()
            address = f"pkcs11:token={token.label};object=leaf?module-path={SPY}"
            for options in (
                ("--private-key", address, "--passphrase-file", place),
                ("--private-key", f"{address}&pin-source=file:{place}"),
            ):
                said = spied(pki, token, log).run(
                    "creds", *ARNS, *NOWHERE, "--certificate", certificate, *options, status=REFUSED
                )
                assert word in said.error and str(place) in said.error and token.pin not in said.stderr
            assert logins(log) == 0

    def test_in_an_address_is_not_repeated(self, pki: Pki, token: Token, certificate: Path) -> None:
        for pin in ("10203040", "%31%30203040"):
            address = f"pkcs11:token={token.label};object=leaf?module-path={SOFTHSM}&pin-value={pin}"
            refused(
                pki.with_environment(**token.environment), "--certificate", certificate, "--private-key", address,
                secrets=("10203040", pin),
            )  # fmt: skip

    def test_for_each_signature(self, pki: Pki, root: Identity, token: Token, tmp_path: Path) -> None:
        """A file gives it as often as it is asked; the address alone does so with --reuse-pin."""
        token.tool(
            "--keypairgen", "--key-type", "EC:prime256v1", "--label", "always", "--id", "07", "--usage-sign",
            "--always-auth",
        )  # fmt: skip
        environment = pki.with_environment(**token.environment)
        by_address = ("sign-string", "--private-key", token.address("always"))
        said = environment.run(*by_address, status=1).stderr
        assert "for each signature" in said and "--reuse-pin" in said and token.pin not in said
        assert environment.run(*by_address, "--reuse-pin").stdout
        wrong = secret_file(tmp_path, "10203040")
        log = tmp_path / "spy.log"
        address = f"pkcs11:token={token.label};object=always?module-path={SPY}&pin-source=file:{wrong}"
        said = spied(pki, token, log).run("sign-string", "--private-key", address, "--reuse-pin", status=1).stderr
        assert "10203040" not in said and logins(log) == 1


class TestTokens:
    def test_two_keys_that_are_meant(self, pki: Pki, token: Token) -> None:
        for identifier in ("0a", "0b"):
            token.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin", "--id", identifier)
        environment = pki.with_environment(**token.environment)
        said = environment.run("init-ca", "--key", token.address("twin"), status=REFUSED).stderr
        assert "several private keys" in said and "id 0a" in said and "id 0b" in said and "id=" in said
        environment.run("init-ca", "--key", token.address("twin", "id=%0b"))

    def test_two_tokens_of_one_name(self, pki: Pki, leaf: Identity, certificate: Path) -> None:
        """None is given the PIN of the other."""
        with softhsm("same", "same") as tokens:
            assert len(tokens) == 2
            said = refused(
                pki.with_environment(**tokens[0].environment),
                "--certificate", certificate,
                "--private-key", f"pkcs11:token=same;object=leaf?module-path={SOFTHSM}&pin-value=10203040",
                secrets=("10203040",),
            )  # fmt: skip
        assert "several tokens" in said

    def test_without_any(self, pki: Pki, certificate: Path) -> None:
        with softhsm() as _, softhsm("none") as [token]:
            shutil.rmtree(token.folder / "tokens")
            (token.folder / "tokens").mkdir()
            said = refused(
                pki.with_environment(**token.environment),
                "--certificate", certificate, "--private-key", token.address("leaf"),
            )  # fmt: skip
            assert "no token" in said and "there is none" in said

    @pytest.mark.parametrize("text", ["pkcs11:object", "pkcs11:object=%zz", "pkcs11:token=a;token=b", "pkcs11:id=a?pin-value"])
    def test_an_address_that_is_none(self, pki: Pki, certificate: Path, text: str) -> None:
        result = pki.run(
            "creds", *ARNS, *NOWHERE, "--certificate", certificate, "--private-key", text, status=None
        )
        assert result.status in (REFUSED, USAGE) and result.stdout == "" and result.error


class TestFiles:
    def test_the_key_of_another_certificate(self, pki: Pki, root: Identity, certificate: Path, tmp_path: Path) -> None:
        for kind in ("ec-p256", "rsa-2048"):
            _, key = issue(root, "other", key_type=kind).write(tmp_path, "other")
            said = refused(pki, *identity_options(certificate, key))
            assert str(key) in said and "CN=leaf" in said

    def test_a_key_others_can_read(self, pki: Pki, leaf: Identity, tmp_path: Path) -> None:
        certificate, key = leaf.write(tmp_path, "leaf")
        key.chmod(0o640)
        assert "0640" in refused(pki, *identity_options(certificate, key))

    def test_mldsa_before_openssl_3_5(self, pki: Pki, root: Identity, tmp_path: Path) -> None:
        if "OpenSSL 3.0" not in tool("openssl", "version").stdout:
            pytest.skip("this machine's OpenSSL is newer")
        files = issue(root, "later", key_type="ml-dsa-65").write(tmp_path, "later")
        said = refused(pki, *identity_options(*files))
        assert "3.5" in said and str(files[1]) in said


@pytest.fixture
def road(pki: Pki, tmp_path: Path) -> tuple[Path, Identity]:
    """A CA's directory, and the CA."""
    pki.run("init-ca", "--directory", tmp_path / "ca")
    return tmp_path / "ca", Identity.load(tmp_path / "ca/root-cert.pem", tmp_path / "ca/root-key.pem")


@contextmanager
def served_from(
    pki: Pki, road: tuple[Path, Identity], certificate: Path, key: str, *options: str | Path
) -> Iterator[Served]:
    """`pki serve` with sessions that are over soon, so that the key is needed again and again; it has one already."""
    with running_lab(pki, "--directory", road[0], "--expires-in", "12") as lab:
        configure(
            pki, lab, road[0], "web", "--attempts", "1", "--certificate", certificate, "--private-key", key, *options
        )
        with serving(pki) as served:
            wait_for(lambda: served.container().status == 200, log=served.log)
            yield served


def assert_serves_on(served: Served, *words: str) -> None:
    """The reason is said, and what is there is served as before."""
    line = served.wait_said("no new credentials", 20)
    for word in words:
        assert word in line, line
    assert "trying again" in line
    assert served.process.poll() is None


def key_id(served: Served) -> str | None:
    answer = served.container()
    return answer.json["AccessKeyId"] if answer.status == 200 else None


def assert_recovers(served: Served, former: str | None) -> None:
    wait_for(lambda: key_id(served) not in (None, former), 60, served.log)


class TestWhileServing:
    @pytest.mark.parametrize("how", ["renamed", "deleted"])
    def test_a_token_that_goes_and_comes_back(
        self, pki: Pki, road: tuple[Path, Identity], token: Token, tmp_path: Path, how: str
    ) -> None:
        client = issue(road[1], "client")
        token.store(client, "client", "02")
        certificate, _ = client.write(tmp_path, "client")
        folder, aside = token.folder / "tokens", token.folder / "aside"
        environment = pki.with_environment(**token.environment)
        with served_from(environment, road, certificate, token.address("client")) as served:
            if how == "deleted":
                shutil.copytree(folder, aside)
                shutil.rmtree(folder)
            else:
                folder.rename(aside)
            former = key_id(served)
            assert_serves_on(served, "office")
            if folder.exists():
                shutil.rmtree(folder)
            aside.rename(folder)
            assert_recovers(served, former)
            assert token.pin not in "\n".join(served.said)

    def test_an_agent_that_dies_and_comes_back(
        self, pki: Pki, road: tuple[Path, Identity], tmp_path: Path
    ) -> None:
        client = issue(road[1], "client")
        certificate, _ = client.write(tmp_path, "client")
        with ssh_agent() as agent:
            place = agent.add(client.key)
            tool("ssh-add", "-q", "-D", environment=agent.environment)
            agent.add(client.key)
            environment = pki.with_environment(**agent.environment)
            with served_from(environment, road, certificate, place) as served:
                former = key_id(served)
                socket = agent.folder / "agent"
                socket.rename(agent.folder / "aside")
                assert_serves_on(served, "SSH agent")
                (agent.folder / "aside").rename(socket)
                assert_recovers(served, former)

    def test_a_key_that_is_taken_from_the_agent(
        self, pki: Pki, road: tuple[Path, Identity], agent: Agent, tmp_path: Path
    ) -> None:
        client = issue(road[1], "client")
        certificate, _ = client.write(tmp_path, "client")
        place = agent.add(client.key)
        environment = pki.with_environment(**agent.environment)
        with served_from(environment, road, certificate, place) as served:
            former = key_id(served)
            tool("ssh-add", "-q", "-D", environment=agent.environment)
            assert_serves_on(served, "SSH agent")
            agent.add(client.key)
            assert_recovers(served, former)


class TestAgents:
    def test_locked(self, pki: Pki, leaf: Identity, certificate: Path, agent: Agent) -> None:
        place = agent.add(leaf.key)
        lock = agent.folder / "askpass"
        lock.write_text("#!/bin/sh\necho hidden\n")
        lock.chmod(0o700)
        asking = {**agent.environment, "SSH_ASKPASS": str(lock), "SSH_ASKPASS_REQUIRE": "force"}
        tool("ssh-add", "-x", environment=asking)
        said = refused(
            pki.with_environment(**agent.environment), "--certificate", certificate, "--private-key", place
        )
        assert "locked" in said and "ssh-add -X" in said

    def test_without_any_key(self, pki: Pki, certificate: Path, agent: Agent) -> None:
        said = refused(
            pki.with_environment(**agent.environment), "--certificate", certificate, "--private-key", UNKNOWN
        )
        assert "it holds none" in said and "ssh-add" in said

    def test_ed25519(self, pki: Pki, certificate: Path, agent: Agent) -> None:
        place = agent.add(ed25519.Ed25519PrivateKey.generate())
        said = refused(
            pki.with_environment(**agent.environment), "--certificate", certificate, "--private-key", place
        )
        assert "ed25519" in said.lower() and place.removeprefix("ssh-agent:") in said

    @pytest.mark.parametrize("text", ["ssh-agent:", "ssh-agent:MD5:00:11", "ssh-agent:SHA256:short"])
    def test_what_is_no_fingerprint(self, pki: Pki, certificate: Path, agent: Agent, text: str) -> None:
        refused(pki.with_environment(**agent.environment), "--certificate", certificate, "--private-key", text,
                status=REFUSED if text.endswith("short") else USAGE)  # fmt: skip

    def test_what_is_no_agent(self, pki: Pki, certificate: Path, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.touch()
        said = refused(
            pki.with_environment(SSH_AUTH_SOCK=str(path)), "--certificate", certificate, "--private-key", UNKNOWN
        )
        assert str(path) in said


def wrong_tries(tpm: TPM) -> int:
    """What the TPM counts: at its limit it locks itself."""
    shown = tpm.tool("tpm2_getcap", "properties-variable").stdout
    return int(re.search(r"TPM2_PT_LOCKOUT_COUNTER: (0x[0-9A-Fa-f]+)", shown)[1], 16)


class TestTPMs:
    @pytest.mark.parametrize("how", ["handle", "file"])
    @pytest.mark.parametrize(
        "command", [("creds",), ("update", "--once"), ("exec", "--", "/bin/true")], ids=lambda command: command[0]
    )
    def test_a_wrong_password_is_tried_once(
        self, pki: Pki, root: Identity, tmp_path: Path, tpm: TPM, how: str, command: tuple[str, ...]
    ) -> None:
        options = self.identity(root, tmp_path, tpm, how, "right")
        wrong = secret_file(tmp_path, "mistaken")
        said = refused(
            pki.with_environment(**tpm.environment), *options, "--passphrase-file", wrong,
            command=command, secrets=("mistaken",),
        )  # fmt: skip
        assert "password" in said and "wrong" in said and (how == "handle" or str(options[3]) in said)
        assert wrong_tries(tpm) == 1

    @pytest.mark.parametrize("how", ["handle", "file"])
    def test_no_password_and_nobody_to_ask(
        self, pki: Pki, root: Identity, tmp_path: Path, tpm: TPM, how: str
    ) -> None:
        options = self.identity(root, tmp_path, tpm, how, "right")
        environment = pki.with_environment(**tpm.environment)
        for more in ((), ("--no-tpm-key-password",)):
            said = refused(environment, *options, *more)
            assert "has a password" in said and "--passphrase-file" in said

    @pytest.mark.parametrize("how", ["handle", "file"])
    @pytest.mark.parametrize("command", [("serve", "--listen", "0"), ("update",)], ids=lambda command: command[0])
    def test_a_service_tries_a_wrong_password_once(
        self, pki: Pki, road: tuple[Path, Identity], tmp_path: Path, tpm: TPM, how: str, command: tuple[str, ...]
    ) -> None:
        """However often it tries to get credentials."""
        options = self.identity(road[1], tmp_path, tpm, how, "right")
        wrong = secret_file(tmp_path, "mistaken")
        environment = pki.with_environment(**tpm.environment)
        with environment.start(*command, *ARNS, *NOWHERE, *options, "--passphrase-file", wrong) as process:
            log: Path = process.log
            wait_for(lambda: log.read_text().count("trying again") > 2 or process.poll() is not None, 40, log)
        said = log.read_text()
        assert "password" in said and "wrong" in said and "mistaken" not in said
        assert wrong_tries(tpm) == 1

    def test_a_key_of_another_tpm(self, pki: Pki, root: Identity, tmp_path: Path, tpm: TPM) -> None:
        options = self.identity(root, tmp_path, tpm, "file", None)
        with swtpm() as other:
            said = refused(pki.with_environment(**other.environment), *options)
        assert "another TPM" in said and str(tmp_path / "tss2.pem") in said

    def test_the_key_of_another_certificate(
        self, pki: Pki, certificate: Path, root: Identity, tmp_path: Path, tpm: TPM
    ) -> None:
        for how in ("handle", "file"):
            key = self.identity(root, tmp_path, tpm, how, None)[3]
            said = refused(
                pki.with_environment(**tpm.environment), "--certificate", certificate, "--private-key", key
            )
            assert "certificate" in said and str(key) in said

    def test_one_that_goes_while_serving(
        self, pki: Pki, road: tuple[Path, Identity], tmp_path: Path
    ) -> None:
        with swtpm() as tpm:
            options = self.identity(road[1], tmp_path, tpm, "handle", None)
            environment = pki.with_environment(**tpm.environment)
            with served_from(environment, road, options[1], options[3], "--no-tpm-key-password") as served:
                former = key_id(served)
                tpm.tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", options[3].removeprefix("handle:"))
                assert_serves_on(served, "TPM")
                assert former

    @pytest.mark.parametrize("how", ["handle", "file"])
    def test_one_whose_service_starts_anew(
        self, pki: Pki, road: tuple[Path, Identity], tmp_path: Path, how: str
    ) -> None:
        """As a resource manager does when it is updated."""
        with swtpm() as tpm:
            options = self.identity(road[1], tmp_path, tpm, how, "right")
            password = secret_file(tmp_path, "right")
            environment = pki.with_environment(**tpm.environment)
            with served_from(environment, road, options[1], options[3], "--passphrase-file", password) as served:
                former = key_id(served)
                tpm.stop()
                assert_serves_on(served, "TPM")
                with tpm.started():
                    assert_recovers(served, former)

    @staticmethod
    def identity(root: Identity, folder: Path, tpm: TPM, how: str, password: str | None) -> tuple[str | Path, ...]:
        if how == "handle":
            key, place = tpm.persistent_key("ec-p256", 0x81020001, password), "handle:0x81020001"
        else:
            key, place = tpm.key_file("ec-p256", folder / "tss2.pem", password), folder / "tss2.pem"
        certificate = folder / "in-tpm.pem"
        certificate.write_bytes(pem(issue(root, "in a TPM", key=key).certificate))
        return "--certificate", certificate, "--private-key", place
