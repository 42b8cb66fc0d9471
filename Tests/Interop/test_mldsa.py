# SPDX-License-Identifier: Apache-2.0
"""ML-DSA for real: the same binary under OpenSSL 3.5, which a package of the Python index carries, and under the system's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from judges import lint_certificate
from peer import MLDSA_TYPES, Identity, PrivateKey, create_session, issue, key_type_of, load
from program import Pki, running_lab
from test_creds import ARNS, NOWHERE, assert_is_session, identity_options
from tools import openssl
from verifier import Verifier, serving


@pytest.fixture(params=MLDSA_TYPES)
def key_type(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def authority(modern: Pki, key_type: str, tmp_path: Path) -> Path:
    folder = tmp_path / "ca"
    modern.run("init-ca", "--directory", folder, "--key-type", key_type)
    modern.run("issue-client", "--directory", folder, "--key-type", key_type)
    return folder


def load_key(path: Path, newer: dict[str, str]) -> PrivateKey:
    """Reads a key through OpenSSL, which writes it as its seed alone: the only one of the three forms of RFC 9881 that
    Python's cryptography reads."""
    configuration = path.with_suffix(".cnf")
    configuration.write_text(
        "openssl_conf = init\n[init]\nproviders = providers\n[providers]\ndefault = default_provider\n"
        "[default_provider]\nactivate = 1\nml-dsa.output_formats = seed-only\n"
    )
    try:
        seed = openssl("pkey", "-in", path, environment=newer | {"OPENSSL_CONF": str(configuration)}).stdout
    finally:
        configuration.unlink()
    return load_pem_private_key(seed.encode(), None)


def test_certificates(authority: Path, key_type: str, newer: dict[str, str]) -> None:
    openssl(
        "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslclient",
        "-CAfile", authority / "root-cert.pem", authority / "client-cert.pem", environment=newer,
    )  # fmt: skip
    root, client = load(authority / "root-cert.pem"), load(authority / "client-cert.pem")
    assert key_type_of(root.public_key()) == key_type_of(client.public_key()) == key_type
    root.verify_directly_issued_by(root)
    client.verify_directly_issued_by(root)
    for name, certificate in (("root", root), ("client", client)):
        key = load_key(authority / f"{name}-key.pem", newer)
        assert key.public_key() == certificate.public_key()
    usage = client.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_encipherment


@pytest.mark.parametrize("name", ["root", "client"])
def test_pkilint_is_content(authority: Path, name: str) -> None:
    lint_certificate(authority / f"{name}-cert.pem")


def test_bundle(modern: Pki, authority: Path) -> None:
    assert modern.run("print-bundle", "--directory", authority).stdout == (authority / "root-cert.pem").read_text()


def test_mixed_with_classical_keys(modern: Pki, authority: Path, newer: dict[str, str]) -> None:
    for key_type in ("ec-p256", "rsa-2048"):
        modern.run("issue-client", "--directory", authority, "--name", key_type, "--key-type", key_type)
        openssl(
            "verify", "-x509_strict", "-CAfile", authority / "root-cert.pem", authority / f"{key_type}-cert.pem",
            environment=newer,
        )  # fmt: skip


def test_requests_made_by_openssl(modern: Pki, authority: Path, key_type: str, newer: dict[str, str], tmp_path: Path) -> None:
    request = tmp_path / "request.pem"
    openssl(
        "req", "-new", "-newkey", key_type.upper(), "-nodes", "-subj", "/CN=requested",
        "-keyout", tmp_path / "key.pem", "-out", request, environment=newer,
    )  # fmt: skip
    modern.run("issue-client", "--directory", authority, "--name", "requested", "--csr", request)
    assert key_type_of(load(authority / "requested-cert.pem").public_key()) == key_type


def test_a_key_under_a_passphrase(modern: Pki, key_type: str, newer: dict[str, str], tmp_path: Path) -> None:
    protected = modern.with_environment(SECRET="closed")
    protected.run("init-ca", "--directory", tmp_path / "ca", "--key-type", key_type, "--passphrase-env", "SECRET")
    protected.run("issue-client", "--directory", tmp_path / "ca", "--passphrase-env", "SECRET")
    openssl("pkey", "-in", tmp_path / "ca/root-key.pem", "-passin", "pass:closed", "-noout", environment=newer)


def test_creds_before_the_verifier(modern: Pki, authority: Path) -> None:
    with serving(Verifier([load(authority / "root-cert.pem")])) as server:
        options = identity_options(authority / "client-cert.pem", authority / "client-key.pem")
        result = modern.run("creds", *options, *ARNS, "--endpoint", server.endpoint)
    assert_is_session(result, server.sessions[0])
    assert server.sessions[0].algorithm == "AWS4-X509-MLDSA"


def test_creds_with_a_key_by_cryptography(modern: Pki, key_type: str, tmp_path: Path) -> None:
    root = issue(None, "root", ca=True, key_type=key_type)
    leaf = issue(root, key_type=key_type).write(tmp_path, "leaf")
    with serving(Verifier([root.certificate])) as server:
        modern.run("creds", *identity_options(*leaf), *ARNS, "--endpoint", server.endpoint)
    assert len(server.sessions) == 1


@pytest.mark.parametrize("tls", [(), ("--tls",)], ids=["http", "tls"])
def test_creds_before_the_lab(modern: Pki, authority: Path, tls: tuple[str, ...]) -> None:
    with running_lab(modern, "--directory", authority, *tls) as lab:
        options = identity_options(authority / "client-cert.pem", authority / "client-key.pem")
        result = modern.run("creds", *options, *lab.arguments)
    assert result.json["AccessKeyId"].startswith("ASIA")


def test_the_lab_before_a_peer(modern: Pki, authority: Path, newer: dict[str, str]) -> None:
    client = Identity(load(authority / "client-cert.pem"), load_key(authority / "client-key.pem", newer))
    with running_lab(modern, "--directory", authority) as lab:
        arns = {"trustAnchorArn": lab.trust_anchor_arn, "profileArn": lab.profile_arn, "roleArn": lab.role_arn}
        address = lab.endpoint.removeprefix("http://")
        good = create_session(client, address, arns).send(lab.endpoint)
        tampered = create_session(client, address, arns)
        tampered.body = tampered.body.replace(b"3600", b"1800")
        refused = tampered.send(lab.endpoint)
    assert good.status == 201, good
    assert (refused.status, refused.code) == (403, "AccessDeniedException")


class TestOlderOpenSSL:
    """The system's own library, where it knows no ML-DSA: an honest word, and nothing left behind."""

    @pytest.fixture(autouse=True)
    @staticmethod
    def only_where_it_is_older() -> None:
        version = re.search(r"Library: OpenSSL (\d+)\.(\d+)", openssl("version").stdout)
        if version and (int(version[1]), int(version[2])) >= (3, 5):
            pytest.skip("the system's OpenSSL knows ML-DSA")

    def assert_honest(self, stderr: str) -> None:
        assert re.search(r"OpenSSL 3\.[0-4]", stderr) and "3.5" in stderr, stderr

    def test_init(self, pki: Pki, key_type: str, tmp_path: Path) -> None:
        self.assert_honest(pki.refuse("init-ca", "--directory", tmp_path / "ca", "--key-type", key_type))
        assert not (tmp_path / "ca").exists() or not any((tmp_path / "ca").iterdir())

    def test_issue(self, pki: Pki, ca: Path, key_type: str) -> None:
        self.assert_honest(pki.refuse("issue-client", "--directory", ca, "--name", "new", "--key-type", key_type))
        assert not (ca / "new-key.pem").exists()

    def test_a_ca_made_elsewhere(self, pki: Pki, key_type: str, tmp_path: Path) -> None:
        issue(None, ca=True, key_type=key_type).write(tmp_path, "root")
        stderr = pki.refuse("issue-client", "--directory", tmp_path)
        assert "root-" in stderr and not (tmp_path / "client-key.pem").exists()

    def test_creds(self, pki: Pki, key_type: str, tmp_path: Path) -> None:
        leaf = issue(issue(None, "root", ca=True, key_type=key_type), key_type=key_type).write(tmp_path, "leaf")
        stderr = pki.refuse("creds", *identity_options(*leaf), *ARNS, *NOWHERE)
        assert "leaf-" in stderr
