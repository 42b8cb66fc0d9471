# SPDX-License-Identifier: Apache-2.0
"""pki in the place of aws_signing_helper: the same bytes on standard output, and 1 for whatever fails."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from devices import SOFTHSM, softhsm
from peer import KEY_TYPES, MLDSA_TYPES, Identity, issue
from program import REFUSED, Lab, Pki
from test_creds import ARNS, NOWHERE, identity_options
from verifier import Verifier, serving

FAILED = 1


@pytest.fixture(params=["link", "pki"])
def helper(pki: Pki, tmp_path: Path, request: pytest.FixtureRequest) -> Pki:
    """The program by the helper's name, and by its own."""
    if request.param == "pki":
        return pki
    link = tmp_path / "bin/aws_signing_helper"
    link.parent.mkdir()
    link.symlink_to(pki.path)
    return replace(pki, path=link)


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue(None, "root", ca=True)


def fixed_string(key: object) -> bytes:
    """What the helper signs, put together from its description."""
    text = b"AWS Roles Anywhere Credential Helper Signing Test1"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return text + hashlib.sha256(b"IAM RA" + key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).digest()
    if isinstance(key, rsa.RSAPublicKey):
        return text + hashlib.sha256(b"IAM RA" + key.public_bytes(Encoding.DER, PublicFormat.PKCS1)).digest()
    return text


def verify(key: object, signature: bytes, digest: hashes.HashAlgorithm) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, fixed_string(key), ec.ECDSA(digest))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, fixed_string(key), padding.PKCS1v15(), digest)
    else:
        key.verify(signature, fixed_string(key))


class TestCredentialProcess:
    @pytest.mark.smoke
    def test_the_helpers_bytes(self, helper: Pki, root: Identity, tmp_path: Path) -> None:
        options = identity_options(*issue(root).write(tmp_path, "leaf"))
        with serving(Verifier([root.certificate])) as server:
            result = helper.run("credential-process", *options, *ARNS, "--endpoint", server.endpoint)
        session = server.sessions[0]
        # encoding/json of Go, members in the order of the helper's structure.
        assert result.stdout == json.dumps(
            {
                "Version": 1,
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key,
                "SessionToken": session.session_token,
                "Expiration": session.expiration,
            },
            separators=(",", ":"),
        )

    def test_flags_with_values(self, pki: Pki, lab: Lab, ca: Path, tmp_path: Path) -> None:
        link = tmp_path / "aws_signing_helper"
        link.symlink_to(pki.path)
        helper = replace(pki, path=link)
        options = identity_options(ca / "client-cert.pem", ca / "client-key.pem")
        joined = [f"{name}={value}" for name, value in zip(options[::2], options[1::2], strict=True)]
        result = helper.run(
            "credential-process", *joined, *lab.arguments, "--debug=true", "--with-proxy=false", "--no-verify-ssl=false",
            "--session-duration=900",
        )  # fmt: skip
        assert "debug:" in result.stderr
        secret = result.json["SecretAccessKey"]
        assert secret not in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ("credential-process",),
            ("credential-process", "--certificate", "absent.pem", *ARNS),
            ("credential-process", "--no-such-flag"),
            ("credential-process", "--system-store-name", "ROOT"),
            ("credential-process", "--cert-selector", "Key=x509Subject,Value=CN=a"),
            ("sign-string",),
            ("sign-string", "--private-key", "absent.pem"),
            ("sign-string", "--digest", "MD5"),
            ("sign-string", "--digest", "sha256"),
            ("read-certificate-data",),
            ("read-certificate-data", "--certificate", "absent.pem"),
        ],
        ids=" ".join,
    )
    def test_every_failure_is_one(self, helper: Pki, arguments: tuple[str, ...]) -> None:
        result = helper.run(*arguments, status=FAILED)
        assert result.stdout == "" and "pki: error: " in result.stderr

    def test_what_is_not_the_helpers_keeps_its_status(self, pki: Pki) -> None:
        pki.run("creds", "--certificate", "absent.pem", *ARNS, *NOWHERE, status=REFUSED)

    @pytest.mark.parametrize("option", ["--pkcs8-password", "--tpm-key-password"])
    def test_a_password_that_everybody_sees_is_warned_of(self, pki: Pki, ca: Path, option: str) -> None:
        options = identity_options(ca / "client-cert.pem", ca / "client-key.pem")
        result = pki.run("sign-string", *options, option, "seen")
        assert "list of processes" in result.stderr and "--passphrase-file" in result.stderr


class TestSignString:
    @pytest.mark.parametrize("digest", ["SHA256", "SHA384", "SHA512"])
    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_signature(self, helper: Pki, tmp_path: Path, key_type: str, digest: str) -> None:
        identity = issue(None, key_type=key_type)
        _, key = identity.write(tmp_path, "leaf")
        run: Callable[[str], str] = lambda form: helper.run(
            "sign-string", "--private-key", key, "--digest", digest, "--format", form
        ).stdout
        algorithm = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}[digest]
        text = run("text")
        assert re.fullmatch("[0-9a-f]+", text)
        verify(identity.key.public_key(), bytes.fromhex(text), algorithm)
        quoted = run("json")
        assert re.fullmatch('"[0-9a-f]+"', quoted)
        verify(identity.key.public_key(), bytes.fromhex(quoted[1:-1]), algorithm)

    @pytest.mark.smoke
    def test_bytes(self, helper: Pki, tmp_path: Path) -> None:
        identity = issue(None, key_type="rsa-2048")
        _, key = identity.write(tmp_path, "leaf")
        done = subprocess.run(
            helper.command("sign-string", "--private-key", key, "--format", "bin"),
            env=helper.variables(), cwd=tmp_path, capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        verify(identity.key.public_key(), done.stdout, hashes.SHA256())

    @pytest.mark.parametrize("key_type", MLDSA_TYPES)
    def test_mldsa(self, pki: Pki, tmp_path: Path, key_type: str, newer: dict[str, str]) -> None:
        identity = issue(None, key_type=key_type)
        _, key = identity.write(tmp_path, "leaf")
        text = pki.with_environment(**newer).run("sign-string", "--private-key", key, "--format", "text").stdout
        verify(identity.key.public_key(), bytes.fromhex(text), hashes.SHA256())


class TestReadCertificateData:
    @pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
    def test_file(self, helper: Pki, tmp_path: Path, key_type: str) -> None:
        identity = issue(None, key_type=key_type)
        certificate, _ = identity.write(tmp_path, "leaf")
        kind = {"ec": "EC", "rsa": "RSA"}[key_type.split("-")[0]]
        lines = certificate.read_text().splitlines()
        assert helper.run("read-certificate-data", "--certificate", certificate).stdout == json.dumps(
            {
                "keyType": kind,
                "certificateData": "".join(lines[1:-1]),
                "serialNumber": str(identity.certificate.serial_number),
                "supportedAlgorithms": [f"{kind}SHA256", f"{kind}SHA384", f"{kind}SHA512"],
            },
            separators=(",", ":"),
        )

    @pytest.mark.smoke
    def test_store(self, helper: Pki, tmp_path: Path) -> None:
        store = tmp_path / "store"
        store.mkdir()
        one, other = issue(None, "one"), issue(None, "other")
        one.write(store, "one")
        other.write(store, "other")
        listed = helper.run("read-certificate-data", "--certificate-store", store).stdout
        assert listed.startswith("Matching identities\n1) Hex Fingerprint: ")
        selected = helper.run(
            "read-certificate-data", "--certificate-store", store, "--cert-selector", "Key=x509Subject,Value=CN=one"
        )
        assert selected.stdout == (
            "Matching identities\n"
            f"1) Hex Fingerprint: {one.certificate.fingerprint(hashes.SHA1()).hex()}\n"
            f"Subject: CN=one\nIssuer: CN=one\nSerial Number: {one.certificate.serial_number:X}\n\n"
        )
        nothing = helper.run(
            "read-certificate-data", "--certificate-store", store, "--cert-selector", "Key=x509Subject,Value=CN=none"
        )
        assert nothing.stdout == "No matching identities\n"

    def test_token(self, helper: Pki) -> None:
        with softhsm("listed") as (token,):
            identity = issue(None, "in a token")
            token.store_certificate(identity.certificate, "one", "01")
            address = f"pkcs11:token=listed?module-path={SOFTHSM}"
            listed = helper.with_environment(**token.environment).run("read-certificate-data", "--certificate", address)
        assert "Subject: CN=in a token\n" in listed.stdout and "URI: pkcs11:token=listed" in listed.stdout


@pytest.mark.smoke
def test_version(helper: Pki) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", helper.run("version").stdout)


@pytest.mark.smoke
def test_update_and_serve_are_there(pki: Pki, lab: Lab, ca: Path, tmp_path: Path) -> None:
    link = tmp_path / "aws_signing_helper"
    link.symlink_to(pki.path)
    helper = replace(pki, path=link)
    options = identity_options(ca / "client-cert.pem", ca / "client-key.pem")
    helper.run("update", "--once", *options, *lab.arguments)
    assert "[default]" in (tmp_path / ".aws/credentials").read_text()
    helper.run("update", "--once", "--profile", "other", *options, *lab.arguments)
    assert "[other]" in (tmp_path / ".aws/credentials").read_text()
    helper.run("serve", "--port", "70000", *options, *lab.arguments, status=FAILED)
    assert "--hop-limit" in helper.run("serve", "--help").stdout
