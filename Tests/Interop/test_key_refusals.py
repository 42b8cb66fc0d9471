# SPDX-License-Identifier: Apache-2.0
"""Keys that cannot be used: a clear word, an exit status, nothing sent, and no PIN spent twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devices import SOFTHSM, TPM, Agent, Token, softhsm, ssh_agent, swtpm
from peer import Identity, issue, pem
from program import MISSING, REFUSED, USAGE, Pki
from test_creds import ARNS, NOWHERE, identity_options
from tools import tool

SPY = Path("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so")


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue(None, "root", ca=True)


@pytest.fixture(scope="module")
def leaf(root: Identity) -> Identity:
    return issue(root, "leaf")


@pytest.fixture(scope="module")
def tokens() -> Iterator[list[Token]]:
    with softhsm("first", "second") as tokens:
        yield tokens


@pytest.fixture(scope="module")
def token(tokens: list[Token], leaf: Identity) -> Token:
    tokens[0].store(leaf, "leaf", "01")
    return tokens[0]


@pytest.fixture
def certificate(leaf: Identity, tmp_path: Path) -> Path:
    return leaf.write(tmp_path, "leaf")[0]


def secret_file(folder: Path, text: str) -> Path:
    path = folder / "secret"
    path.touch(0o600)
    path.write_text(text)
    return path


def refused(pki: Pki, *options: str | Path, status: int = REFUSED) -> str:
    """All that is said; the request would have gone nowhere."""
    return pki.run("creds", *ARNS, *NOWHERE, *options, status=status).stderr


class TestTokens:
    def test_a_wrong_pin_is_tried_once(self, pki: Pki, token: Token, certificate: Path, tmp_path: Path) -> None:
        log = tmp_path / "spy.log"
        spied = pki.with_environment(**token.environment, PKCS11SPY=str(SOFTHSM), PKCS11SPY_OUTPUT=str(log))
        address = f"pkcs11:token={token.label};object=leaf?module-path={SPY}"
        wrong = secret_file(tmp_path, "00000000")
        said = refused(spied, "--certificate", certificate, "--private-key", address, "--passphrase-file", wrong)
        assert "PIN" in said and token.label in said and "00000000" not in said
        assert len(re.findall(r"C_Login\b", log.read_text())) == 1

    @pytest.mark.parametrize("command", ["serve", "update"])
    def test_a_service_with_a_wrong_pin_ends_after_one_try(
        self, pki: Pki, token: Token, certificate: Path, tmp_path: Path, command: str
    ) -> None:
        log = tmp_path / "spy.log"
        spied = pki.with_environment(**token.environment, PKCS11SPY=str(SOFTHSM), PKCS11SPY_OUTPUT=str(log))
        address = f"pkcs11:token={token.label};object=leaf?module-path={SPY}"
        wrong = secret_file(tmp_path, "00000000")
        options = ("--certificate", certificate, "--private-key", address, "--passphrase-file", wrong)
        more = ("--port", "0") if command == "serve" else ()
        result = spied.run(command, *more, *ARNS, *NOWHERE, *options, status=REFUSED)
        assert "PIN" in result.stderr
        assert len(re.findall(r"C_Login\b", log.read_text())) == 1

    def test_no_pin_and_nobody_to_ask(self, pki: Pki, token: Token, certificate: Path) -> None:
        key = token.address("leaf", pin=False)
        said = refused(pki.with_environment(**token.environment), "--certificate", certificate, "--private-key", key)
        assert "PIN" in said and "--passphrase-file" in said

    def test_a_pin_that_others_can_read(self, pki: Pki, token: Token, certificate: Path, tmp_path: Path) -> None:
        path = secret_file(tmp_path, token.pin)
        path.chmod(0o644)
        for options in (
            ("--private-key", token.address("leaf", pin=False), "--passphrase-file", path),
            ("--private-key", f"{token.address('leaf', pin=False)}&pin-source=file:{path}"),
        ):
            said = refused(pki.with_environment(**token.environment), "--certificate", certificate, *options)
            assert "0644" in said and token.pin not in said

    def test_a_token_that_is_absent(self, pki: Pki, token: Token, certificate: Path) -> None:
        key = f"pkcs11:token=elsewhere;object=leaf?module-path={SOFTHSM}"
        said = refused(pki.with_environment(**token.environment), "--certificate", certificate, "--private-key", key)
        assert "elsewhere" in said and "first" in said and "second" in said

    def test_a_key_that_is_absent(self, pki: Pki, token: Token, certificate: Path) -> None:
        said = refused(
            pki.with_environment(**token.environment),
            "--certificate", certificate, "--private-key", token.address("nothing"),
        )  # fmt: skip
        assert "nothing" in said and "leaf" in said

    @pytest.mark.parametrize("module", [str(MISSING), "/etc/passwd", "/lib/x86_64-linux-gnu/libz.so.1"])
    def test_a_module_that_is_none(self, pki: Pki, token: Token, certificate: Path, module: str) -> None:
        key = f"pkcs11:object=leaf?module-path={module}"
        assert module in refused(pki, "--certificate", certificate, "--private-key", key)

    def test_two_keys_and_none_is_the_certificates(
        self, pki: Pki, tokens: list[Token], certificate: Path
    ) -> None:
        for identifier in ("0a", "0b"):
            tokens[1].store_key(issue(None).key, "twin", identifier)
        said = refused(
            pki.with_environment(**tokens[1].environment),
            "--certificate", certificate, "--private-key", tokens[1].address("twin"),
        )  # fmt: skip
        assert "certificate" in said and "pki: hint: " in said

    def test_two_certificates_of_one_name(self, pki: Pki, tokens: list[Token]) -> None:
        for identifier in ("1a", "1b"):
            tokens[1].store_certificate(issue(None, "double").certificate, "double", identifier)
        said = refused(
            pki.with_environment(**tokens[1].environment),
            "--certificate-store", f"pkcs11:token=second?module-path={SOFTHSM}",
            "--cert-selector", "Key=x509Subject,Value=CN=double", "--passphrase-file", tokens[1].pin_file,
        )  # fmt: skip
        assert "2 certificates" in said and "--use-latest-expiring-certificate" in said

    def test_the_key_of_another_certificate(self, pki: Pki, token: Token, root: Identity, tmp_path: Path) -> None:
        other, _ = issue(root, "other").write(tmp_path, "other")
        said = refused(
            pki.with_environment(**token.environment),
            "--certificate", other, "--private-key", token.address("leaf"),
        )  # fmt: skip
        assert "not" in said and "certificate" in said

    @pytest.mark.parametrize("reuse", [True, False])
    def test_a_pin_for_each_signature(
        self, pki: Pki, tokens: list[Token], root: Identity, tmp_path: Path, reuse: bool
    ) -> None:
        """The key asks for the PIN at each signature: --reuse-pin gives it; without, and with nobody to ask, it is said."""
        label = f"always-{reuse}"
        tokens[1].tool(
            "--keypairgen", "--key-type", "EC:prime256v1", "--label", label, "--id", "2a" if reuse else "2b",
            "--usage-sign", "--always-auth",
        )  # fmt: skip
        environment = pki.with_environment(**tokens[1].environment)
        key = tokens[1].address(label)
        if reuse:
            text = environment.run("sign-string", "--private-key", key, "--format", "text", "--reuse-pin").stdout
            assert re.fullmatch("30[0-9a-f]+", text)
        else:
            said = environment.run("sign-string", "--private-key", key, status=1).stderr
            assert "PIN" in said and tokens[1].pin not in said


class TestFiles:
    def test_wrong_and_missing_passphrases(self, pki: Pki, leaf: Identity, tmp_path: Path) -> None:
        certificate, key = leaf.write(tmp_path, "leaf")
        closed, store = tmp_path / "closed.pem", tmp_path / "closed.p12"
        for path in (closed, store):
            path.touch(0o600)
        tool("openssl", "pkcs8", "-topk8", "-in", key, "-out", closed, "-passout", "pass:right")
        tool("openssl", "pkcs12", "-export", "-in", certificate, "-inkey", key, "-out", store, "-passout", "pass:right")
        wrong = secret_file(tmp_path, "wrong one")
        for options in (identity_options(certificate, closed), ("--certificate", store)):
            said = refused(pki, *options, "--passphrase-file", wrong)
            assert "passphrase" in said and str(options[-1]) in said and "wrong one" not in said
            said = refused(pki, *options)
            assert "no passphrase was given" in said and "--passphrase-file" in said

    def test_expired_and_of_the_future(self, pki: Pki, root: Identity, tmp_path: Path) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        for name, begin, end, word in (
            ("old", now - timedelta(days=9), now - timedelta(days=1), "expired"),
            ("new", now + timedelta(days=1), now + timedelta(days=9), "not valid before"),
        ):
            files = issue(root, name, not_before=begin, not_after=end).write(tmp_path, name)
            assert word in refused(pki, *identity_options(*files))

    @pytest.mark.parametrize("kind", ["openssh", "jks", "putty", "ed25519", "p12-without-key"])
    def test_forms_that_cannot_be_used(self, pki: Pki, certificate: Path, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "key"
        options: tuple[str | Path, ...] = identity_options(certificate, path)
        match kind:
            case "openssh":
                tool("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", path)
                way_out = "ssh-keygen -p -m PKCS8"
            case "jks":
                tool(
                    "keytool", "-genkeypair", "-alias", "a", "-keyalg", "EC", "-keystore", path, "-storetype", "JKS",
                    "-storepass", "changeit", "-keypass", "changeit", "-dname", "CN=a",
                )  # fmt: skip
                way_out = "keytool -importkeystore"
            case "putty":
                path.write_text("PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\n")
                way_out = "puttygen"
            case "ed25519":
                tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", path)
                way_out = "ED25519"
            case _:
                tool("openssl", "pkcs12", "-export", "-nokeys", "-in", certificate, "-out", path, "-passout", "pass:")
                options = ("--certificate", path)
                way_out = "no private key was given"
        path.chmod(0o600)
        assert way_out in refused(pki, *options)


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with ssh_agent() as agent:
        yield agent


@pytest.fixture(scope="module")
def tpm() -> Iterator[TPM]:
    with swtpm() as tpm:
        yield tpm


class TestAgents:
    def test_no_agent(self, pki: Pki, certificate: Path) -> None:
        options = ("--certificate", certificate, "--private-key", "ssh-agent:SHA256:" + 43 * "A")
        assert "SSH_AUTH_SOCK" in refused(pki, *options)
        said = refused(pki.with_environment(SSH_AUTH_SOCK=f"{MISSING}/agent"), *options)
        assert f"{MISSING}/agent" in said

    def test_an_agent_without_the_key(self, pki: Pki, leaf: Identity, certificate: Path, agent: Agent) -> None:
        held = agent.add(leaf.key)
        options = ("--certificate", certificate, "--private-key", "ssh-agent:SHA256:" + 43 * "A")
        assert held.removeprefix("ssh-agent:") in refused(pki.with_environment(**agent.environment), *options)

    def test_the_key_of_another_certificate(self, pki: Pki, root: Identity, certificate: Path, agent: Agent) -> None:
        place = agent.add(issue(root).key)
        said = refused(
            pki.with_environment(**agent.environment), "--certificate", certificate, "--private-key", place
        )
        assert place in said and "certificate" in said


class TestTPM:
    def test_no_tpm(self, pki: Pki, certificate: Path) -> None:
        options = ("--certificate", certificate, "--private-key", "handle:0x81000001", "--no-tpm-key-password")
        nowhere = pki.with_environment(TPM2OPENSSL_TCTI=f"swtpm:path={MISSING}/tpm")
        assert "TPM" in refused(nowhere, *options) and f"{MISSING}/tpm" in refused(nowhere, *options)

    def test_no_provider(self, pki: Pki, certificate: Path) -> None:
        options = ("--certificate", certificate, "--private-key", "handle:0x81000001", "--no-tpm-key-password")
        assert "tpm2-openssl" in refused(pki.with_environment(OPENSSL_MODULES=str(MISSING)), *options)

    @pytest.mark.parametrize("handle", ["handle:", "handle:x", "handle:0x80000000", "handle:0x810000010"])
    def test_handles_that_are_none(self, pki: Pki, certificate: Path, handle: str) -> None:
        assert "0x81" in refused(pki, "--certificate", certificate, "--private-key", handle)

    def test_no_key_there(self, pki: Pki, certificate: Path, tpm: TPM) -> None:
        options = ("--certificate", certificate, "--private-key", "handle:0x8101ffff", "--no-tpm-key-password")
        assert "0x8101ffff" in refused(pki.with_environment(**tpm.environment), *options).lower()

    def test_a_wrong_password_and_then_a_lockout(self, pki: Pki, root: Identity, tmp_path: Path, tpm: TPM) -> None:
        key = tpm.persistent_key("ec-p256", 0x81020001, "right")
        certificate = tmp_path / "cert.pem"
        certificate.write_bytes(pem(issue(root, "in a TPM", key=key).certificate))
        tpm.tool("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=2", "--recovery-time=1000")
        options = ("--certificate", certificate, "--private-key", "handle:0x81020001", "--passphrase-file")
        with_tpm = pki.with_environment(**tpm.environment)
        wrong = secret_file(tmp_path, "mistaken")
        said = refused(with_tpm, *options, wrong)
        assert "0x81020001" in said and "mistaken" not in said
        refused(with_tpm, *options, wrong)
        wrong.write_text("right")
        said = refused(with_tpm, *options, wrong)
        assert "lockout" in said and "tpm2_dictionarylockout" in said


def test_usage(pki: Pki, certificate: Path) -> None:
    for options, word in (
        (("--certificate", certificate, "--private-key", "fd:x"), "fd:x"),
        (("--certificate", certificate, "--private-key", "env:"), "env:"),
        (("--certificate", "ssh-agent:SHA256:x"), "--private-key"),
        (("--certificate", "handle:0x81000001"), "--private-key"),
        (("--certificate", certificate, "--cert-selector", "Key=x509Subject,Value=CN=a"), "--certificate-store"),
        (("--certificate", certificate, "--certificate-store", "."), "--certificate-store"),
        (("--certificate-store", ".", "--cert-selector", "Key=x509Color,Value=red"), "x509Color"),
    ):
        assert word in refused(pki, *options, status=USAGE)
