# SPDX-License-Identifier: Apache-2.0
"""What `pki import` reads in the directories of easy-rsa, openssl ca, mkcert and step, each made by the real program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from peer import issue, pem
from program import MISSING, REFUSED, Pki, clean_environment
from tools import openssl, tool

EASY_RSA = Path("/usr/share/easy-rsa/easyrsa")

CONFIGURATION = """
[ ca ]
default_ca = CA_default            # the usual

[ CA_default ]
dir              = {dir}
database         = $dir/index.txt
new_certs_dir    = ${{dir}}/newcerts
certificate      = $dir/cacert.pem
private_key      = $(dir)/private/cakey.pem
serial           = $dir/serial
crlnumber        = $dir/crlnumber
default_md       = sha256
default_days     = 365
default_crl_days = 30
policy           = anything
unique_subject   = no
copy_extensions  = copy
x509_extensions  = leaf
string_mask      = utf8only

[ anything ]
countryName            = optional
organizationName       = optional
organizationalUnitName = optional
commonName             = optional
emailAddress           = optional

[ req ]
distinguished_name = name
prompt             = no

[ name ]

[ authority ]
basicConstraints       = critical, CA:TRUE
keyUsage               = critical, keyCertSign, cRLSign
subjectKeyIdentifier   = hash

[ leaf ]
basicConstraints       = CA:FALSE
authorityKeyIdentifier = keyid
"""


def read(pki: Pki, folder: Path | str, *options: str | Path) -> dict[str, Any]:
    return pki.run("import", "--dry-run", "--format", "json", folder, *options).json


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The certificates that have their names still."""
    current = [entry for entry in report["certificates"] if not entry["isReplaced"]]
    named = {entry["name"]: entry for entry in current}
    assert len(named) == len(current), "two have one name"
    return named


def rules(report: dict[str, Any]) -> list[str]:
    return sorted(finding["rule"] for finding in report["findings"])


def serial_of(path: Path) -> str:
    return openssl("x509", "-in", path, "-noout", "-serial").stdout.strip().split("=")[1].lower()


class OpenSSLCA:
    """A CA of `openssl ca`."""

    def __init__(self, folder: Path, *, dir: str | None = None, subject: str = "/O=Acme/CN=Acme Root") -> None:
        self.folder = folder
        for name in ("", "private", "newcerts", "certs", "reqs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        (folder / "crlnumber").write_text("1000\n")
        self.configuration = folder / "openssl.cnf"
        self.configuration.write_text(CONFIGURATION.format(dir=dir or folder))
        if dir:
            return
        key = folder / "private/cakey.pem"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        openssl(
            "req", "-new", "-x509", "-config", self.configuration, "-extensions", "authority", "-key", key,
            "-subj", subject, "-days", "3650", "-out", folder / "cacert.pem",
        )  # fmt: skip

    def ca(self, *arguments: str | Path) -> None:
        openssl("ca", "-batch", "-utf8", "-config", self.configuration, *arguments)

    def issue(self, name: str, *options: str | Path, subject: str | None = None, out: bool = True) -> Path:
        key = self.folder / f"private/{name}.key"
        request = self.folder / f"reqs/{name}.csr"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        openssl(
            "req", "-new", "-utf8", "-config", self.configuration, "-key", key, "-subj", subject or f"/CN={name}",
            "-out", request,
        )  # fmt: skip
        serial = (self.folder / "serial").read_text().strip()
        certificate = self.folder / (f"certs/{name}.crt" if out else "reqs/out")
        self.ca("-in", request, "-out", certificate, "-notext", *options)
        return self.folder / f"newcerts/{serial}.pem"

    def revoke(self, certificate: Path, *options: str) -> None:
        self.ca("-revoke", certificate, *options)

    def list(self) -> None:
        self.ca("-gencrl", "-out", self.folder / "crl.pem")


@pytest.fixture
def openssl_ca(tmp_path: Path) -> OpenSSLCA:
    return OpenSSLCA(tmp_path / "authority")


@pytest.mark.smoke
def test_openssl_ca(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    for name in ("web", "mail", "plain", "held", "gone", "stolen"):
        openssl_ca.issue(name)
    folder = openssl_ca.folder
    openssl_ca.revoke(folder / "certs/mail.crt", "-crl_reason", "superseded")
    openssl_ca.revoke(folder / "certs/plain.crt")
    openssl_ca.revoke(folder / "certs/held.crt", "-crl_hold", "holdInstructionReject")
    openssl_ca.revoke(folder / "certs/gone.crt", "-crl_CA_compromise", "20250102030405Z")
    openssl_ca.revoke(folder / "certs/stolen.crt", "-crl_compromise", "20260102030405Z")
    openssl_ca.list()

    report = read(pki, folder)
    assert report["kind"] == "openssl-ca"
    assert report["findings"] == report["lost"] == []
    (root,) = report["issuers"]
    assert root["name"] == "root"
    assert root["certificate"] == "cacert.pem"
    assert root["key"] == {"file": "private/cakey.pem", "isEncrypted": False, "matchedBy": "publicKey"}
    assert int(root["nextSerialNumber"], 16) == 7
    assert int(root["nextRevocationListNumber"]) == 0x1001
    assert root["revocationList"] == "crl.pem"

    found = by_name(report)
    assert found.keys() == {"root", "web", "mail", "plain", "held", "gone", "stolen"}
    assert found["web"]["status"] == "valid"
    assert found["web"]["certificate"] == "certs/web.crt"
    assert found["web"]["key"]["file"] == "private/web.key"
    assert found["web"]["serialNumber"] == serial_of(folder / "certs/web.crt")
    reasons = {name: entry["revocation"]["reason"] for name, entry in found.items() if "revocation" in entry}
    assert reasons == {
        "mail": "superseded", "plain": "unspecified", "held": "certificateHold", "gone": "cACompromise",
        "stolen": "keyCompromise",
    }  # fmt: skip
    assert found["held"]["status"] == "held"
    assert found["mail"]["status"] == "revoked"
    assert found["stolen"]["revocation"]["invalidityDate"] == "2026-01-02T03:04:05Z"
    assert found["gone"]["revocation"]["invalidityDate"] == "2025-01-02T03:04:05Z"
    lines = [line.split("\t") for line in (folder / "index.txt").read_text().splitlines()]
    for line in lines:
        entry = next(entry for entry in found.values() if entry["serialNumber"] == line[3].lower())
        assert entry["notAfter"] == datetime.strptime(line[1], "%y%m%d%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")
        if line[0] == "R":
            moment = datetime.strptime(line[2].split(",")[0], "%y%m%d%H%M%SZ")
            assert entry["revocation"]["date"] == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_names_come_from_the_subject_where_files_are_named_by_serial_numbers(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    shutil.rmtree(openssl_ca.folder / "certs")
    subjects = ["/CN=web 1", "/O=Größe/CN=Käse-é", "/O=No Name", "/CN=root", "/CN=web 1", "/O=Other/CN=web 1"]
    # Which of two of one subject replaced the other is said by the times, which have seconds only.
    for number, subject in enumerate(subjects):
        start = datetime.now(UTC) - timedelta(minutes=30 if subject.startswith("/O=Other") else 20 - number)
        openssl_ca.issue(f"n{number}", "-startdate", f"{start:%y%m%d%H%M%SZ}", subject=subject, out=False)
    (openssl_ca.folder / "reqs/out").unlink()
    report = read(pki, openssl_ca.folder)
    entries = {int(entry["serialNumber"], 16): entry for entry in report["certificates"] if entry["name"] != "root"}
    assert entries[2]["name"] == "K-se"
    assert entries[3]["name"] == "03"
    assert entries[4]["name"].startswith("root-")
    assert sorted(entries[number]["isReplaced"] for number in (1, 5)) == [False, True]
    assert entries[1]["name"] == entries[5]["name"] == "web-1"
    assert entries[6]["name"].startswith("web-1-")
    assert not entries[6]["isReplaced"]


def test_a_lost_certificate_is_told_with_its_subject(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    openssl_ca.issue("web")
    for subject in ("/C=DE/O=Größe & Co/OU=a\\/b\\+c/CN=lost one", "/CN=revoked"):
        name = "lost" if "lost" in subject else "revoked"
        file = openssl_ca.issue(name, subject=subject)
        if name == "revoked":
            openssl_ca.revoke(file, "-crl_reason", "keyCompromise")
        file.unlink()
        (openssl_ca.folder / f"certs/{name}.crt").unlink()
    report = read(pki, openssl_ca.folder)
    lost, revoked = report["lost"]
    assert lost["subject"] == "/C=DE/O=Größe & Co/OU=a/b+c/CN=lost one"
    assert (lost["file"], lost["line"], lost["serialNumber"]) == ("index.txt", 2, "02")
    assert "revocation" not in lost
    assert revoked["revocation"]["reason"] == "keyCompromise"
    assert rules(report) == ["unknownKey", "unknownKey"]
    text = pki.run("import", "--dry-run", openssl_ca.folder).stdout
    assert "2 without a file" in text
    assert "02 " in text


def test_a_configuration_file_says_where_everything_is(pki: Pki, tmp_path: Path) -> None:
    ca = OpenSSLCA(tmp_path / "first")
    ca.issue("web")
    # The configuration elsewhere, with an absolute path.
    other = tmp_path / "configuration"
    other.mkdir()
    shutil.copy(ca.configuration, other / "openssl.cnf")
    report = read(pki, other)
    assert report["kind"] == "openssl-ca"
    assert report["issuers"][0]["certificate"] == str(ca.folder / "cacert.pem")
    assert report["issuers"][0]["key"]["file"] == str(ca.folder / "private/cakey.pem")
    assert int(report["issuers"][0]["nextSerialNumber"], 16) == 2
    assert by_name(report)["web"]["certificate"] == str(ca.folder / "newcerts/01.pem")
    # A copy, whose configuration names where it was: the copy is what counts.
    shutil.copytree(ca.folder, tmp_path / "copy")
    (ca.folder / "serial").write_text("77\n")
    report = read(pki, tmp_path / "copy")
    assert int(report["issuers"][0]["nextSerialNumber"], 16) == 2
    assert all(not entry["certificate"].startswith("/") for entry in report["certificates"])


def test_the_default_folder_of_openssl(pki: Pki, tmp_path: Path) -> None:
    ca = OpenSSLCA(tmp_path / "work/demoCA")
    ca.issue("web")
    ca.configuration.unlink()
    report = read(pki, tmp_path / "work")
    assert report["directory"] == str(tmp_path / "work/demoCA")
    assert by_name(report).keys() == {"root", "web"}
    shutil.copy(tmp_path / "work/demoCA/index.txt", tmp_path / "index.txt")
    (tmp_path / "work/openssl.cnf").write_text(CONFIGURATION.format(dir="./demoCA"))
    report = read(pki, tmp_path / "work")
    assert report["issuers"][0]["certificate"] == "demoCA/cacert.pem"
    assert int(report["issuers"][0]["nextSerialNumber"], 16) == 2
    assert report["findings"] == []


def test_an_index_for_each_of_two_authorities(pki: Pki, tmp_path: Path) -> None:
    root = OpenSSLCA(tmp_path / "ca")
    inner = OpenSSLCA(tmp_path / "ca/intermediate", dir=str(tmp_path / "ca/intermediate"))
    (inner.folder / "crlnumber").write_text("2A\n")
    key = inner.folder / "private/cakey.pem"
    request = inner.folder / "ca.csr"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    openssl("req", "-new", "-config", inner.configuration, "-key", key, "-subj", "/CN=Inner", "-out", request)
    root.ca("-in", request, "-extensions", "authority", "-out", inner.folder / "cacert.pem", "-notext")
    root.issue("by-root")
    inner.issue("by-inner")
    second = inner.issue("second")
    inner.revoke(second, "-crl_reason", "cessationOfOperation")
    inner.list()
    report = read(pki, root.folder)
    assert report["findings"] == report["lost"] == []
    top, below = report["issuers"]
    assert (top["name"], below["subject"]) == ("root", "CN=Inner")
    assert below["certificate"] == "intermediate/cacert.pem"
    assert below["key"]["file"] == "intermediate/private/cakey.pem"
    assert (int(top["nextSerialNumber"], 16), int(below["nextSerialNumber"], 16)) == (3, 3)
    assert (int(top["nextRevocationListNumber"]), int(below["nextRevocationListNumber"])) == (0x1000, 0x2B)
    found = by_name(report)
    assert found["by-root"]["issuer"] == "root"
    assert found["by-inner"]["issuer"] == below["name"]
    assert found["second"]["status"] == "revoked"
    # The intermediate alone, whose root is somewhere else.
    report = read(pki, inner.folder)
    assert [issuer["subject"] for issuer in report["issuers"]] == ["CN=Inner"]
    assert by_name(report).keys() == {"root", "by-inner", "second"}


def test_lines_that_make_no_sense_are_told_by_their_numbers(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    openssl_ca.issue("web")
    index = openssl_ca.folder / "index.txt"
    good = index.read_text()
    bad = [
        "V\t300101000000Z\t\t02\tunknown", "V\tsoon\t\t02\tunknown\t/CN=x",
        "V\t301301000000Z\t\t02\tunknown\t/CN=x", "V\t300101000000Z\t\tzz\tunknown\t/CN=x",
        "R\t300101000000Z\t\t02\tunknown\t/CN=x", "R\t300101000000Z\t250101000000Z,boredom\t03\tunknown\t/CN=x",
        "R\t300101000000Z\t250101000000Z,keyTime\t04\tunknown\t/CN=x",
        "V\t300101000000Z\t\t" + "0" * 500 + "\tunknown\t/CN=x", "V" + "\t" * 5000,
    ]  # fmt: skip
    index.write_text(good + "# a comment\n\n" + "\n".join(bad) + "\r\n" + "V\t21000101000000Z\t\t0F\tunknown\t/CN=later")
    report = read(pki, openssl_ca.folder)
    findings = [finding for finding in report["findings"] if finding["rule"] == "indexLine"]
    first = good.count("\n") + 3
    assert [finding["line"] for finding in findings] == list(range(first, first + len(bad)))
    assert all(finding["file"] == "index.txt" and len(finding["message"]) < 300 for finding in findings)
    *revoked, lost = report["lost"]
    assert (lost["serialNumber"], lost["notAfter"]) == ("0f", "2100-01-01T00:00:00Z")
    reasons = {entry["serialNumber"]: entry["revocation"]["reason"] for entry in revoked}
    assert reasons == {"02": "unspecified", "03": "unspecified", "04": "keyCompromise"}


def test_a_revocation_that_cannot_be_read_is_kept(pki: Pki, openssl_ca: OpenSSLCA, tmp_path: Path) -> None:
    openssl_ca.issue("web")
    openssl_ca.revoke(openssl_ca.folder / "certs/web.crt")
    index = openssl_ca.folder / "index.txt"
    good = index.read_text()
    time = good.split("\t")[2]
    index.write_text(good.replace(time, "some day,for a reason"))
    pki.run("import", openssl_ca.folder, "--directory", tmp_path / "kept")
    rows = json.loads(pki.run("list", "--directory", tmp_path / "kept", "--format", "json").stdout)
    assert {row["name"]: row["status"] for row in rows}["web"] == "revoked"
    # Where the certificate cannot be read either, nothing is imported.
    for line in (good.replace("R\t", "R ", 1), good.replace("R\t", "?\t", 1)):
        index.write_text(line)
        pki.refuse("import", openssl_ca.folder, "--directory", tmp_path / "refused")
        assert not (tmp_path / "refused").exists()
    # In a directory of our own, an inventory that is made anew reads the index too.
    (tmp_path / "kept/index.txt").write_text(good.replace("R\t", "?\t", 1))
    (tmp_path / "kept/inventory.sqlite").unlink()
    pki.refuse("list", "--directory", tmp_path / "kept")
    index.write_text(good)
    index.chmod(0)
    if os.getuid() != 0:
        pki.refuse("import", openssl_ca.folder, "--directory", tmp_path / "refused")


def test_an_index_that_contradicts_the_certificates(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    for name in ("one", "two", "three", "four"):
        openssl_ca.issue(name)
    openssl_ca.revoke(openssl_ca.folder / "certs/two.crt")
    openssl_ca.list()
    index = openssl_ca.folder / "index.txt"
    one, two, three, four = index.read_text().splitlines()
    back = "V\t" + two.split("\t")[1] + "\t\t" + "\t".join(two.split("\t")[3:])
    later = four.replace(four.split("\t")[1], "490101000000Z")
    index.write_text("\n".join([one, one, back, later]) + "\n")
    report = read(pki, openssl_ca.folder)
    assert rules(report) == ["indexMismatch", "indexMismatch", "notInIndex", "sharedSerial"]
    found = by_name(report)
    assert found["two"]["status"] == "revoked", "a list that the CA signed counts, whatever the index says"
    assert "three.crt" in next(f["message"] for f in report["findings"] if f["rule"] == "notInIndex")


def easy_rsa(folder: Path, *arguments: str, **variables: str) -> None:
    if not EASY_RSA.exists():
        pytest.skip("there is no easy-rsa: run script/bootstrap")
    environment = {**clean_environment(folder), "EASYRSA_BATCH": "1", "EASYRSA_PKI": str(folder / "pki"), **variables}
    done = subprocess.run(
        [EASY_RSA, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize("algorithm", ["rsa", "ec"])
def test_easy_rsa(pki: Pki, tmp_path: Path, algorithm: str) -> None:
    easy_rsa(tmp_path, "init-pki")
    curve = {"EASYRSA_ALGO": algorithm, "EASYRSA_CURVE": "prime256v1"}
    easy_rsa(tmp_path, "build-ca", "nopass", EASYRSA_REQ_CN="Easy CA", **curve)
    for name in ("web-1", "web-2", "mail"):
        easy_rsa(tmp_path, "build-client-full", name, "nopass", **curve)
    easy_rsa(tmp_path, "build-server-full", "server.example.com", "nopass", **curve)
    easy_rsa(tmp_path, "revoke", "web-2", "keyCompromise")
    easy_rsa(tmp_path, "revoke", "mail")
    easy_rsa(tmp_path, "gen-crl")
    for folder in (tmp_path, tmp_path / "pki"):
        report = read(pki, folder)
        assert report["kind"] == "easy-rsa"
        assert report["directory"] == str(tmp_path / "pki")
        # Debian's easy-rsa makes roots whose basicConstraints are not critical.
        assert [finding["rule"] for finding in report["findings"]] == ["cannotIssue"]
        assert report["lost"] == []
        (root,) = report["issuers"]
        assert root["subject"] == "CN=Easy CA"
        assert root["key"]["file"] == "private/ca.key"
        assert root["revocationList"] == "crl.pem"
        found = by_name(report)
        assert found.keys() == {"root", "web-1", "web-2", "mail", "server.example.com"}
        assert found["web-1"]["certificate"] == "issued/web-1.crt"
        assert found["web-1"]["key"]["file"] == "private/web-1.key"
        assert found["web-2"]["revocation"]["reason"] == "keyCompromise"
        assert found["mail"]["revocation"]["reason"] == "unspecified"
        assert found["mail"]["key"]["file"].startswith("revoked/private_by_serial/")


def test_easy_rsa_with_passphrases(pki: Pki, tmp_path: Path) -> None:
    easy_rsa(tmp_path, "init-pki")
    (tmp_path / "pass").write_text("geheim-1234\n" * 2)
    secret = {"EASYRSA_PASSIN": f"file:{tmp_path}/pass", "EASYRSA_PASSOUT": f"file:{tmp_path}/pass"}
    easy_rsa(tmp_path, "build-ca", EASYRSA_REQ_CN="Easy CA", **secret)
    easy_rsa(tmp_path, "build-client-full", "web", **secret)
    report = read(pki, tmp_path)
    assert report["issuers"][0]["key"] == {"file": "private/ca.key", "isEncrypted": True, "matchedBy": "name"}
    assert by_name(report)["web"]["key"] == {"file": "private/web.key", "isEncrypted": True, "matchedBy": "name"}
    assert rules(report) == ["cannotIssue", "keyByName", "keyByName"]


@pytest.mark.smoke
def test_mkcert(pki: Pki, tmp_path: Path) -> None:
    root, sites = tmp_path / "root", tmp_path / "sites"
    sites.mkdir()
    environment = {"CAROOT": str(root), "HOME": str(tmp_path)}

    def mkcert(*arguments: str | Path) -> None:
        tool("mkcert", *arguments, environment=environment)

    mkcert("-cert-file", sites / "localhost+1.pem", "-key-file", sites / "localhost+1-key.pem", "localhost", "127.0.0.1")
    mkcert(
        "-client", "-ecdsa", "-cert-file", sites / "web-client.pem", "-key-file", sites / "web-client-key.pem", "web.test"
    )
    (sites / "other.pem").write_bytes(pem(issue(None, "somebody else").certificate))
    report = read(pki, root)
    assert (report["kind"], len(report["certificates"])) == ("mkcert", 1)
    assert report["issuers"][0]["key"]["file"] == "rootCA-key.pem"
    report = read(pki, root, "--certificates", sites)
    found = by_name(report)
    assert found.keys() == {"root", "localhost-1", "web-client"}
    assert found["localhost-1"]["key"]["file"] == str(sites / "localhost+1-key.pem")
    assert found["web-client"]["issuer"] == "root"
    assert rules(report) == ["foreign"]


def step_authority(folder: Path, *, flat: bool = False) -> None:
    """What `step ca init` leaves, made by openssl; flat as `step certificate create` does it."""
    certs, secrets = (folder, folder) if flat else (folder / "certs", folder / "secrets")
    suffix = ".key" if flat else "_key"
    for place in (certs, secrets):
        place.mkdir(parents=True, exist_ok=True)
    extensions = folder / "extensions"
    extensions.write_text(
        "[ca]\nbasicConstraints=critical,CA:TRUE,pathlen:1\nkeyUsage=critical,keyCertSign,cRLSign\n"
        "[leaf]\nsubjectAltName=DNS:svc.test\nauthorityKeyIdentifier=keyid\n"
    )
    previous: str | None = None
    for name in ("root_ca", "intermediate_ca", "svc"):
        key = secrets / (f"{name}{suffix}" if name != "svc" else "svc.key")
        plain = folder / "plain.tmp"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", plain)
        if name == "svc" or flat:
            shutil.copy(plain, key)
            key.chmod(0o600)
        else:
            # step's own form: PEM headers of RFC 1421.
            openssl("ec", "-in", plain, "-aes256", "-passout", "pass:geheim", "-out", key)
        request = folder / "request.csr"
        openssl("req", "-new", "-key", plain, "-subj", f"/CN=Smallstep {name}", "-out", request)
        sign = ["-CA", certs / f"{previous}.crt", "-CAkey", folder / "previous.tmp"] if previous else ["-key", plain]
        openssl(
            "x509", "-req", "-in", request, *sign, "-extfile", extensions, "-extensions",
            "leaf" if name == "svc" else "ca", "-days", "30", "-set_serial", str(0x100 + len(name)),
            "-out", certs / f"{name}.crt",
        )  # fmt: skip
        shutil.move(plain, folder / "previous.tmp")
        previous = name
    for name in ("previous.tmp", "request.csr", "extensions"):
        (folder / name).unlink()
    # step writes the intermediate behind the leaf.
    with (certs / "svc.crt").open("ab") as file:
        file.write((certs / "intermediate_ca.crt").read_bytes())


def test_step(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "step"
    step_authority(folder)
    report = read(pki, folder)
    assert report["kind"] == "step"
    root, inner = report["issuers"]
    assert root["key"] == {"file": "secrets/root_ca_key", "isEncrypted": True, "matchedBy": "name"}
    assert inner["key"] == {"file": "secrets/intermediate_ca_key", "isEncrypted": True, "matchedBy": "name"}
    assert inner["certificate"] == "certs/intermediate_ca.crt"
    found = by_name(report)
    assert found.keys() == {"root", "intermediate_ca", "svc"}
    assert found["svc"]["issuer"] == "intermediate_ca"
    assert found["svc"]["key"]["file"] == "secrets/svc.key"
    assert rules(report) == ["keyByName", "keyByName"]


def test_step_without_a_folder_for_each_kind(pki: Pki, tmp_path: Path) -> None:
    step_authority(tmp_path / "flat", flat=True)
    report = read(pki, tmp_path / "flat")
    assert report["kind"] == "step"
    assert [issuer["key"]["matchedBy"] for issuer in report["issuers"]] == ["publicKey", "publicKey"]
    assert report["findings"] == []


def test_our_own_folder_without_its_inventory(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    pki.run("init-ca", "--directory", folder)
    for name in ("a", "b", "a-b", "c"):
        pki.run("issue-client", "--directory", folder, "--name", name)
    for _ in range(3):
        pki.run("issue-client", "--directory", folder, "--name", "a", "--force")
    for file in folder.glob("inventory.sqlite*"):
        file.unlink()
    report = read(pki, folder)
    assert report["kind"] == "pki"
    assert report["findings"] == []
    assert by_name(report).keys() == {"root", "a", "b", "a-b", "c"}
    old = [entry for entry in report["certificates"] if entry["isReplaced"]]
    assert [entry["name"] for entry in old] == ["a", "a", "a"]
    assert all(entry["certificate"].startswith("archive/a-cert-") for entry in old)
    assert len({entry["key"]["file"] for entry in old}) == 3
    assert all(entry["key"]["file"].startswith("archive/a-key-") for entry in old)


def test_a_folder_of_certificates(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    root = issue(None, "the root", ca=True)
    inner = issue(root, "inner", ca=True)
    web, mail = issue(inner, "web"), issue(root, "mail", key_type="rsa-2048")
    stranger = issue(issue(None, "the root", ca=True), "stranger")
    (folder / "authority.der").write_bytes(root.certificate.public_bytes(Encoding.DER))
    (folder / "web.fullchain.pem").write_bytes(pem(web.certificate) + pem(inner.certificate) + pem(root.certificate))
    (folder / "all.pem").write_bytes(b"text before\r\n" + pem(mail.certificate).replace(b"\n", b"\r\n"))
    (folder / "stranger.pem").write_bytes(pem(stranger.certificate))
    for name, identity in {"x": mail, "y": root}.items():
        text = identity.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (folder / f"{name}.key").write_bytes(text)
        (folder / f"{name}.key").chmod(0o600)
    report = read(pki, folder)
    assert report["kind"] == "plain"
    assert [issuer["subject"] for issuer in report["issuers"]] == ["CN=the root", "CN=inner"]
    found = by_name(report)
    assert found["all"]["key"]["file"] == "x.key"
    assert found["root"]["key"]["file"] == "y.key"
    assert found["root"]["certificate"] == "authority.der"
    assert found["web"]["certificate"] == "web.fullchain.pem"
    assert found["inner"]["issuer"] == "root"
    assert rules(report) == ["foreign", "missingKey"]


def test_what_is_no_ca_is_refused(pki: Pki, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "there is no CA certificate in" in pki.refuse("import", "--dry-run", empty, status=REFUSED)
    assert "cannot be opened" in pki.refuse("import", "--dry-run", tmp_path / "nowhere", status=REFUSED)
    assert "cannot be found" in pki.refuse("import", "--dry-run", empty, "--certificates", tmp_path / "no", status=REFUSED)


def test_hostile_files_do_no_harm(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    openssl_ca.issue("web")
    folder = openssl_ca.folder
    inner = folder / "certs"
    (inner / "loop").symlink_to(folder)
    (inner / "self").symlink_to(inner / "self")
    (inner / "nowhere.pem").symlink_to(MISSING)
    (inner / "device.pem").symlink_to("/dev/zero")
    os.mkfifo(inner / "pipe.pem")
    (inner / "socket.pem").symlink_to("/dev/tty")
    with (inner / "huge.pem").open("wb") as file:
        file.truncate(1 << 40)
    (inner / "garbage.pem").write_bytes(os.urandom(100_000))
    (inner / "empty.crt").touch()
    (inner / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    (inner / "binary.der").write_bytes(b"\x30\x84\xff\xff\xff\xff" + os.urandom(100))
    (inner / "notes").write_text("-----BEGIN nonsense")
    (inner / "steer\x1b[2J.pem").write_text("x")
    (inner / os.fsdecode(b"\xff\xfe.pem")).write_text("x")
    deep = inner
    for _ in range(40):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (inner / "secret.pem").write_text("x")
    report = read(pki, folder)
    assert by_name(report).keys() == {"root", "web"}
    found = {finding.get("file"): finding["rule"] for finding in report["findings"]}
    for name, rule in {
        "loop": "unreadable", "self": "unreadable", "nowhere.pem": "unreadable", "device.pem": "unreadable",
        "pipe.pem": "unreadable", "huge.pem": "unreadable", "garbage.pem": "malformed", "empty.crt": "malformed",
        "half.pem": "malformed", "binary.der": "malformed", "secret.pem": "malformed",
    }.items():  # fmt: skip
        assert found.get(f"certs/{name}") == rule, name
    assert "limit" in found.values()
    text = pki.run("import", "--dry-run", folder).stdout
    assert "\x1b" not in text


def test_a_key_that_others_can_read_is_told(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    openssl_ca.issue("web")
    (openssl_ca.folder / "private/web.key").chmod(0o644)
    (openssl_ca.folder / "private/cakey.pem").unlink()
    (openssl_ca.folder / "private/cakey.pem").symlink_to("web.key")
    report = read(pki, openssl_ca.folder)
    assert set(rules(report)) == {"unprotectedKey", "missingKey"}
    assert "key" not in report["issuers"][0]


def test_one_serial_number_for_two_certificates(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    openssl_ca.issue("one")
    (openssl_ca.folder / "serial").write_text("01\n")
    (openssl_ca.folder / "index.txt").write_text("")
    openssl_ca.issue("two")
    report = read(pki, openssl_ca.folder)
    (finding,) = [finding for finding in report["findings"] if finding["rule"] == "sharedSerial"]
    assert "certs/one.crt" in finding["message"] and "certs/two.crt" in finding["message"]


def test_nothing_is_written(pki: Pki, openssl_ca: OpenSSLCA) -> None:
    openssl_ca.issue("web")

    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in sorted(openssl_ca.folder.rglob("*"))
        }

    before = state()
    read(pki, openssl_ca.folder)
    assert state() == before
    assert not (pki.home / "credential-process-data").exists()
