# SPDX-License-Identifier: Apache-2.0
"""What `pki verify` says of chains, beside what OpenSSL, GnuTLS and Python's cryptography say of the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from chains import CHAINS, NOW, SERVER, Chain, Family, client, make, of, revocations
from peer import Identity, key_usage, pem
from program import CHECK_FAILED, DONE, USAGE, Pki
from tools import certtool, openssl


@dataclass(frozen=True)
class Files:
    leaf: Path
    between: Path
    trusted: Path
    lists: Path


def write(folder: Path, chain: Chain) -> Files:
    files = Files(*(folder / f"{name}.pem" for name in ("leaf", "between", "trusted", "lists")))
    files.leaf.write_bytes(pem(chain.leaf))
    files.between.write_bytes(b"".join(map(pem, chain.between)))
    files.trusted.write_bytes(b"".join(map(pem, chain.trusted)))
    files.lists.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain.lists))
    return files


def verify(pki: Pki, chain: Chain, files: Files, *arguments: str | Path) -> dict[str, Any]:
    command = ["verify", files.leaf, "--bundle", files.trusted, "--format", "json"]
    if chain.between:
        command += ["--intermediates", files.between]
    if chain.lists:
        command += ["--crl", files.lists]
    result = pki.run(*command, *arguments, status=None)
    assert result.status in (DONE, CHECK_FAILED), result.describe()
    report = result.json
    assert report["valid"] == (result.status == DONE)
    return report


def findings(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for part in report["path"] + report["revocationLists"] for one in part["findings"]]


def ask_openssl(chain: Chain, files: Files) -> bool:
    command = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", files.trusted]
    if chain.between:
        command += ["-untrusted", files.between]
    if chain.lists:
        command += ["-crl_check_all", "-CRLfile", files.lists]
    return openssl(*command, files.leaf, status=None).status == 0


def ask_certtool(chain: Chain, files: Files) -> bool:
    bundle = files.leaf.with_name("chain.pem")
    bundle.write_bytes(pem(chain.leaf) + b"".join(map(pem, chain.between)))
    command = ["--verify", "--verify-purpose", "1.3.6.1.5.5.7.3.2", "--load-ca-certificate", files.trusted]
    if chain.lists:
        command += ["--load-crl", files.lists]
    return certtool(*command, "--infile", bundle, status=None).status == 0


def ask_cryptography(chain: Chain) -> bool:
    verifier = PolicyBuilder().store(Store(chain.trusted)).time(NOW.replace(tzinfo=None)).build_client_verifier()
    try:
        verifier.verify(chain.leaf, chain.between)
    except (VerificationError, ValueError):
        return False
    return True


@pytest.mark.parametrize("title", CHAINS)
def test_finds_what_is_wrong_with_a_chain(pki: Pki, tmp_path: Path, title: str) -> None:
    chain = CHAINS[title]()
    report = verify(pki, chain, write(tmp_path, chain), "--purpose", "client")
    found = findings(report)
    assert {one["rule"] for one in found if one["severity"] == "error"} == chain.rules
    assert {one["rule"] for one in found if one["severity"] == "warning"} == chain.warnings
    assert report["valid"] == chain.valid
    assert all(one["finding"] and one["hint"] and one["source"] for one in found)


@pytest.mark.parametrize("title", CHAINS)
@pytest.mark.parametrize("judge", ["openssl", "certtool", "cryptography"])
def test_agrees_with_others(pki: Pki, tmp_path: Path, title: str, judge: str) -> None:
    chain = CHAINS[title]()
    files = write(tmp_path, chain)
    asked = {
        "openssl": lambda: ask_openssl(chain, files),
        "certtool": lambda: ask_certtool(chain, files),
        "cryptography": lambda: ask_cryptography(chain),
    }
    verdict = verify(pki, chain, files, "--purpose", "client")["valid"]
    assert verdict == chain.valid
    # Where a judge has come to agree, the dissent is out of date and has to go.
    assert (asked[judge]() == verdict) == (judge not in chain.dissent), chain.dissent.get(judge)


@pytest.mark.smoke
def test_says_which_certificate_and_why(pki: Pki, tmp_path: Path) -> None:
    family = Family(sub={"not_after": NOW - timedelta(days=1)}, names=["a.example.com"])
    lists = [revocations(family.sub, (family.leaf, x509.ReasonFlags.superseded))]
    chain = family.chain(lists=lists)
    files = write(tmp_path, chain)
    text = pki.run(
        "verify", files.leaf, "--bundle", files.trusted, "--intermediates", files.between, "--crl", files.lists,
        "--purpose", "server", "--hostname", "b.example.com", status=CHECK_FAILED,
    ).stdout  # fmt: skip
    blocks = text.split("\n\n")
    assert "NOT VALID for server as b.example.com" in blocks[0]
    assert blocks[1].startswith("FAILED CN=leaf, server")
    for part in ("(superseded)", "[revoked]", "[server-usage]", "[hostname-mismatch]", "it has DNS:a.example.com"):
        assert part in blocks[1]
    assert blocks[2].startswith("FAILED CN=Sub, intermediate") and "has expired: it was valid until" in blocks[2]
    assert "[revocation-unknown]" in blocks[2]
    assert blocks[3].startswith("ok CN=Root, root, in the bundle")
    assert blocks[4].startswith("ok certificate revocation list of CN=Sub")


def test_the_steps_of_the_path(pki: Pki, tmp_path: Path) -> None:
    family = Family()
    chain = family.chain()
    steps = verify(pki, chain, write(tmp_path, chain))["path"]
    assert [one["subject"] for one in steps] == ["CN=leaf", "CN=Sub", "CN=Root"]
    assert [one["role"] for one in steps] == ["client", "intermediate", "root"]
    assert [one["revocation"] for one in steps] == ["good", "good", "trusted"]
    assert [one["trusted"] for one in steps] == [False, False, True]
    for step, certificate in zip(steps, of(family.leaf, family.sub, family.root), strict=True):
        assert step["sha256"] == certificate.fingerprint(hashes.SHA256()).hex()


def test_helpers_in_the_file_itself_are_not_trusted(pki: Pki, tmp_path: Path) -> None:
    family = Family()
    other = make(None, "Other", ca=True)
    files = write(tmp_path, family.chain())
    whole = tmp_path / "whole.pem"
    whole.write_bytes(b"".join(map(pem, of(family.leaf, family.sub, family.root))))
    pki.run("verify", whole, "--bundle", files.trusted)
    files.trusted.write_bytes(pem(other.certificate))
    pki.run("verify", whole, "--bundle", files.trusted, status=CHECK_FAILED)


def test_another_moment(pki: Pki, tmp_path: Path) -> None:
    files = write(tmp_path, Family().chain())
    command = ["verify", files.leaf, "--bundle", files.trusted, "--intermediates", files.between]
    inside, outside = NOW + timedelta(days=20), NOW + timedelta(days=40)
    pki.run(*command, "--at", inside.strftime("%Y-%m-%d"))
    pki.run(*command, "--at", outside.strftime("%Y-%m-%dT%H:%M:%SZ"), status=CHECK_FAILED)
    pki.run(*command, "--at", "soon", status=USAGE)


@pytest.mark.parametrize(
    ("host", "valid"),
    [("www.example.com", True), ("WWW.EXAMPLE.COM", True), ("10.0.0.1", True), ("x.example.net", True),
     ("example.net", False), ("a.b.example.net", False), ("10.0.0.2", False), ("Sub", False)],
)  # fmt: skip
def test_host_names(pki: Pki, tmp_path: Path, host: str, valid: bool) -> None:
    family = Family(extended=[SERVER], names=["www.example.com", "*.example.net", "10.0.0.1"])
    files = write(tmp_path, family.chain())
    command = ["verify", files.leaf, "--bundle", files.trusted, "--intermediates", files.between, "--purpose", "server"]
    pki.run(*command, "--hostname", host, status=DONE if valid else CHECK_FAILED)
    option = "-verify_ip" if host[0].isdigit() else "-verify_hostname"
    judged = openssl(
        "verify", "-x509_strict", "-purpose", "sslserver", option, host, "-CAfile", files.trusted, "-untrusted",
        files.between, files.leaf, status=None,
    )  # fmt: skip
    assert (judged.status == 0) == valid


@pytest.mark.smoke
def test_roles_anywhere(pki: Pki, tmp_path: Path) -> None:
    def judge(*rules: str, between: list[Identity] | None = None, trusted: list[Identity] | None = None, **leaf: Any) -> None:
        family = Family(**leaf)
        files = write(
            tmp_path,
            Chain(family.leaf.certificate, of(*(between or [family.sub])), of(*(trusted or []), family.root)),
        )
        result = pki.run(
            "verify", files.leaf, "--bundle", files.trusted, "--intermediates", files.between, "--purpose",
            "rolesanywhere", "--format", "json", status=None,
        )  # fmt: skip
        assert {one["rule"] for one in findings(result.json)} == set(rules)
        assert result.status == (CHECK_FAILED if rules else DONE)

    judge()
    judge(extended=[SERVER])
    judge("aws-client-key-usage", usage=key_usage("content_commitment"), extended=[])
    judge("aws-client-subject", common_name="")
    judge("aws-anchor-count", trusted=[make(None, f"R{number}", ca=True) for number in range(2)])


def test_roles_anywhere_limits_the_path(pki: Pki, tmp_path: Path) -> None:
    for count, status in ((5, DONE), (6, CHECK_FAILED)):
        chain = [make(None, "Root", ca=True)]
        for number in range(count):
            chain.insert(0, make(chain[0], f"Sub {number}", ca=True))
        files = write(tmp_path, Chain(client(chain[0]).certificate, of(*chain[:-1]), of(chain[-1])))
        command = ["verify", files.leaf, "--bundle", files.trusted, "--intermediates", files.between]
        pki.run(*command)
        pki.run(*command, "--purpose", "rolesanywhere", status=status)


def test_roles_anywhere_takes_lists_of_the_trust_anchor_only(pki: Pki, tmp_path: Path) -> None:
    chain = Family().chain()
    files = write(tmp_path, chain)
    found = findings(verify(pki, chain, files, "--purpose", "rolesanywhere"))
    assert [one["rule"] for one in found] == ["aws-crl-issuer"]


def test_the_folder_of_the_ca(pki: Pki, ca: Path, tmp_path: Path) -> None:
    certificate = ca / "client-cert.pem"
    pki.run("verify", certificate, "--directory", ca, "--purpose", "rolesanywhere")
    other = tmp_path / "other"
    pki.run("init-ca", "--directory", other)
    pki.run("verify", certificate, "--directory", other, status=CHECK_FAILED)
    (other / "root-previous-cert.pem").write_bytes((ca / "root-cert.pem").read_bytes())
    pki.run("verify", certificate, "--directory", other)
    assert "--bundle" in pki.refuse("verify", certificate, "--directory", tmp_path / "nowhere")
    assert "contains no certificate" in pki.refuse("verify", ca / "client-key.pem", "--directory", ca)
    pki.run("verify", certificate, "--directory", ca, "--hostname", "x", status=USAGE)
