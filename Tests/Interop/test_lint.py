# SPDX-License-Identifier: Apache-2.0
"""What `pki lint` finds: a certificate or a list for each rule, which breaks that rule and no other; and none in clean ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

import handmade as h
from defects import CERTIFICATES, Case, client, crl, intermediate, root, server, with_names
from handmade import Made
from list_defects import LISTS
from peer import Identity, issue, pem
from program import CHECK_FAILED, Pki
from tools import certtool, openssl


def written(folder: Path, made: bytes | list[bytes]) -> Path:
    """One object in DER, several in PEM."""
    if isinstance(made, bytes):
        path = folder / "case.der"
        path.write_bytes(made)
        return path
    path = folder / "case.pem"
    texts = []
    for der in made:
        try:
            x509.load_der_x509_crl(der)
            label = "X509 CRL"
        except ValueError:
            label = "CERTIFICATE"
        texts.append(wrapped(label, der))
    path.write_text("".join(texts))
    return path


def wrapped(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def rules(pki: Pki, *arguments: str | Path) -> list[set[str]]:
    """The rules that are broken by each object."""
    result = pki.run("lint", "--format", "json", *arguments, status=None)
    assert result.status in (0, CHECK_FAILED), result.describe()
    found = [
        {finding["rule"] for finding in made["findings"]} for file in result.json["files"] for made in file["objects"]
    ]
    errors = any(
        finding["severity"] == "error"
        for file in result.json["files"] for made in file["objects"] for finding in made["findings"]
    )  # fmt: skip
    assert (result.status == CHECK_FAILED) == errors, result.describe()
    return found


ALL = [
    pytest.param(case, id=f"{kind} {title}")
    for kind, table in (("certificate:", CERTIFICATES), ("list:", LISTS)) for title, case in table.items()
]  # fmt: skip


@pytest.mark.parametrize("case", ALL)
def test_finds_the_defect_and_nothing_else(pki: Pki, tmp_path: Path, case: Case) -> None:
    rule, role, make = case
    made = make()
    options = ["--as", role] if role else []
    assert rules(pki, *options, written(tmp_path, made))[0] == set(rule.split())


def test_every_rule_of_a_certificate_and_a_list_has_a_case(pki: Pki) -> None:
    listed = pki.run("lint", "--list-rules", "--format", "json").json["rules"]
    names = [rule["name"] for rule in listed]
    assert len(set(names)) == len(names)
    assert all(rule["source"] and rule["summary"] and rule["hint"] for rule in listed)
    shown = {name for rule, _, _ in (*CERTIFICATES.values(), *LISTS.values()) for name in rule.split()}
    assert shown <= set(names)
    # A path's rules are the business of `pki verify`. What a general rule says, AWS's need not say again.
    said_already = {
        "aws-client-version", "aws-client-ca", "aws-client-signature", "aws-anchor-version", "aws-anchor-ca",
        "aws-intermediate-signature",
        "aws-anchor-key-usage", "aws-crl-version", "aws-crl-extensions", "aws-crl-signature",
    }  # fmt: skip
    alone = {rule["name"] for rule in listed if rule["appliesTo"] != ["path"]}
    assert alone - shown == said_already
    text = pki.run("lint", "--list-rules").stdout
    assert all(f"{name} " in text for name in names)


@pytest.mark.parametrize(
    "made",
    [root, intermediate, client, server, crl, lambda: crl().revoking(h.entry(5, h.reason(1)), h.entry(6))],
    ids=["root", "intermediate", "client", "server", "crl", "crl with entries"],
)
def test_finds_nothing_in_what_the_cases_are_made_from(pki: Pki, tmp_path: Path, made: Callable[[], Made]) -> None:
    assert rules(pki, written(tmp_path, made().der())) == [set()]


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048", "rsa-4096"])
def test_finds_nothing_in_what_pki_makes(pki: Pki, tmp_path: Path, key_type: str) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca", "--key-type", key_type)
    pki.run("issue-client", "--directory", tmp_path / "ca", "--name", "web", "--key-type", key_type, "--dns", "web.example")
    pki.run("lint", "--strict", tmp_path / "ca/root-cert.pem", tmp_path / "ca/web-cert.pem")
    assert rules(pki, *(tmp_path / "ca" / name for name in ("root-cert.pem", "web-cert.pem"))) == [set(), set()]


@pytest.mark.smoke
def test_finds_nothing_in_what_cryptography_makes(pki: Pki, tmp_path: Path) -> None:
    top = issue(None, "top", ca=True)
    sub = issue(top, "sub", ca=True, path_length=0)
    leaf = issue(sub, "leaf", not_after=datetime.now(UTC) + timedelta(days=3), hosts=["a.example", "10.0.0.1"])
    path = tmp_path / "all.pem"
    path.write_bytes(b"".join(pem(one.certificate) for one in (leaf, sub, top)) + list_of(top))
    assert rules(pki, path) == [set()] * 4


def list_of(issuer: Identity) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - timedelta(hours=1))
        .next_update(now + timedelta(days=7))
        .add_extension(x509.CRLNumber(3), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.certificate.public_key()), critical=False)
        .add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(77)
            .revocation_date(now - timedelta(hours=2))
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            .build()
        )
    )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_finds_nothing_in_what_openssl_makes(pki: Pki, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
        "-subj", "/C=DE/O=Example/CN=Root", "-days", "30", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    leaf, request, leaf_out = tmp_path / "leaf.key", tmp_path / "leaf.csr", tmp_path / "leaf.pem"
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", leaf, "-out", request, "-subj", "/CN=web")
    options = tmp_path / "ext.cnf"
    options.write_text(
        "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n"
        "subjectAltName=DNS:web.example\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    openssl(
        "x509", "-req", "-in", request, "-CA", certificate, "-CAkey", key, "-days", "20", "-out", leaf_out,
        "-extfile", options,
    )  # fmt: skip
    configuration = tmp_path / "ca.cnf"
    (tmp_path / "index.txt").write_text("")
    (tmp_path / "crlnumber").write_text("01\n")
    configuration.write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={tmp_path}/index.txt\ncrlnumber={tmp_path}/crlnumber\n"
        "default_md=sha256\ndefault_crl_days=7\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n"
    )
    out = tmp_path / "crl.pem"
    openssl("ca", "-config", configuration, "-gencrl", "-keyfile", key, "-cert", certificate, "-out", out)
    assert rules(pki, leaf_out, certificate, out) == [set()] * 3


def test_finds_nothing_in_what_certtool_makes(pki: Pki, tmp_path: Path) -> None:
    key, template, certificate = tmp_path / "key.pem", tmp_path / "template", tmp_path / "cert.pem"
    certtool("--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile", key)
    template.write_text('cn = "Root"\nca\ncert_signing_key\ncrl_signing_key\nexpiration_days = 30\n')
    certtool("--generate-self-signed", "--load-privkey", key, "--template", template, "--outfile", certificate)
    lines, out = tmp_path / "crl.template", tmp_path / "crl.pem"
    lines.write_text("crl_next_update = 7\ncrl_number = 5\n")
    certtool(
        "--generate-crl", "--load-ca-privkey", key, "--load-ca-certificate", certificate, "--template", lines,
        "--outfile", out,
    )  # fmt: skip
    # GnuTLS writes the list of entries also when there are none, which RFC 5280 §5.1.2.6 forbids.
    assert rules(pki, certificate, out) == [set(), {"crl-revoked-empty"}]
    certtool(
        "--generate-crl", "--load-ca-privkey", key, "--load-ca-certificate", certificate, "--template", lines,
        "--load-certificate", certificate, "--outfile", out,
    )  # fmt: skip
    assert rules(pki, certificate, out) == [set(), set()]


def test_judges_every_certificate_of_this_machine(pki: Pki) -> None:
    store = Path("/etc/ssl/certs/ca-certificates.crt")
    if not store.exists():
        pytest.skip("there is no store of certificates here")
    found = rules(pki, store)
    assert len(found) == store.read_bytes().count(b"BEGIN CERTIFICATE")
    # Nothing of what nobody would have let into the store.
    unexpected = {"der-encoding", "extension-malformed", "extension-duplicate", "key-rsa-short", "ca-basic-constraints"}
    assert not set().union(*found) & unexpected


@pytest.mark.smoke
def test_exit_status_and_forms(pki: Pki, tmp_path: Path) -> None:
    clean, warned, broken = tmp_path / "clean.der", tmp_path / "warned.der", tmp_path / "broken.der"
    clean.write_bytes(client().der())
    warned.write_bytes(with_names(h.dns("web_1.example.com")).der())
    broken.write_bytes(client().but(serial=h.integer(0)).der())
    pki.run("lint", "--strict", clean)
    pki.run("lint", warned)
    pki.run("lint", "--strict", warned, status=CHECK_FAILED)
    text = pki.run("lint", broken, status=CHECK_FAILED).stdout
    for part in ("serial-zero", "RFC 5280 §4.1.2.2", "hint: ", "1 error", "has the serial number 0"):
        assert part in text
    assert pki.run("lint", clean, broken, status=CHECK_FAILED).stdout.endswith("1 error\n")
    assert json.loads(pki.run("lint", "--format", "json", clean).stdout)["counts"]["errors"] == 0
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x30\x03\x02\x01")
    assert "garbage" in pki.refuse("lint", clean, garbage)
    assert "contains no CRL" in pki.refuse("lint", "--as", "crl", clean)
    pki.refuse("lint", status=64)
    pki.refuse("lint", "--list-rules", clean, status=64)


def test_reads_every_container(pki: Pki, tmp_path: Path) -> None:
    made = issue(None, "root", ca=True)
    certificate, key = made.write(tmp_path, "root")
    bag, bundle = tmp_path / "root.p12", tmp_path / "root.p7b"
    openssl("pkcs12", "-export", "-in", certificate, "-inkey", key, "-out", bag, "-passout", "pass:secret")
    openssl("crl2pkcs7", "-nocrl", "-certfile", certificate, "-out", bundle)
    secret = pki.with_environment(PASSPHRASE="secret")
    assert rules(secret, "--passphrase-env", "PASSPHRASE", bag) == [set()]
    assert rules(pki, bundle) == [set()]
    assert "passphrase" in pki.refuse("lint", bag)
