# SPDX-License-Identifier: Apache-2.0
"""What `pki inspect` says, judged by Python's cryptography and by OpenSSL; what Roles Anywhere makes of it, by `pki lab`."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from peer import KEY_TYPES, Identity, create_session, generate_key, issue, key_usage, load, pem, root_of
from program import REFUSED, Lab, Pki, running_lab
from tools import openssl

NAMES: dict[str, list[x509.GeneralName]] = {
    "none": [],
    "one-of-each": [
        x509.DNSName("web-1.example.com"), x509.UniformResourceIdentifier("spiffe://example.com/web"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.1")), x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.RFC822Name("ops@example.com"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Inner")])),
    ],
    "two-of-a-kind": [
        x509.DNSName("b.example.com"), x509.DNSName("a.example.com"),
        x509.UniformResourceIdentifier("x:1"), x509.UniformResourceIdentifier("x:2"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one")])),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "two")])),
    ],
    "not-taggable": [x509.UniformResourceIdentifier("x:a,b"), x509.DNSName("*.example.com")],
}  # fmt: skip

SUBJECTS: dict[str, list[tuple[x509.ObjectIdentifier, str]]] = {
    "plain": [(NameOID.COMMON_NAME, "web-1")],
    "long": [(NameOID.COMMON_NAME, "a" * 62)],
    "just-short": [(NameOID.COMMON_NAME, "a" * 61)],
    "no-cn": [(NameOID.ORGANIZATION_NAME, "Acme"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "Ops")],
    "repeated": [
        (NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "outer"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "inner"), (NameOID.COMMON_NAME, "x"),
    ],
    "letters": [(NameOID.ORGANIZATION_NAME, "Größe 東京"), (NameOID.COMMON_NAME, "é")],
    "special": [(NameOID.ORGANIZATION_NAME, 'a,b+c"d\\e;f<g>'), (NameOID.COMMON_NAME, " #x ")],
}  # fmt: skip


def name_of(parts: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def client(root: Identity, subject: str = "plain", names: str = "none", key_type: str = "ec-p256") -> Identity:
    """A client's certificate with alternative names."""
    key = generate_key(key_type)
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(SUBJECTS[subject]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage("digital_signature", "key_agreement"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.certificate.public_key()), critical=False)
    )
    if NAMES[names]:
        builder = builder.add_extension(x509.SubjectAlternativeName(NAMES[names]), critical=False)
    return Identity(builder.sign(root.key, hashes.SHA256()), key)


def inspect(pki: Pki, *arguments: str | Path) -> dict[str, Any]:
    return pki.run("inspect", "--format", "json", *arguments).json


def inspected(pki: Pki, *arguments: str | Path) -> dict[str, Any]:
    [found] = inspect(pki, *arguments)["objects"]
    return found


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def shown(name: x509.GeneralName) -> tuple[str, str]:
    """An alternative name as pki writes it."""
    match name:
        case x509.DNSName():
            return "DNS", name.value
        case x509.UniformResourceIdentifier():
            return "URI", name.value
        case x509.RFC822Name():
            return "email", name.value
        case x509.IPAddress():
            return "IP", str(name.value)
        case x509.DirectoryName():
            return "dirName", name.value.rfc4514_string()
    raise AssertionError(name)


def spki(key: Any) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class TestFields:
    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_keys(self, pki: Pki, ca: Path, tmp_path: Path, key_type: str):
        made = client(root_of(ca), key_type=key_type)
        (tmp_path / "c.pem").write_bytes(pem(made.certificate))
        found = inspected(pki, "c.pem")
        self.compare(found, made.certificate)
        kind, _, size = key_type.partition("-")
        assert found["key"]["name"] == (f"RSA {size}" if kind == "rsa" else f"EC P-{size[1:]}")
        assert found["key"].get("bits") == (int(size) if kind == "rsa" else None)
        algorithm = found["rolesAnywhere"]["signingAlgorithm"]
        assert algorithm == made.sign(b"")[0]

    @pytest.mark.parametrize("names", NAMES)
    @pytest.mark.parametrize("subject", SUBJECTS)
    def test_names(self, pki: Pki, ca: Path, tmp_path: Path, subject: str, names: str):
        made = client(root_of(ca), subject, names).certificate
        (tmp_path / "c.der").write_bytes(made.public_bytes(Encoding.DER))
        found = inspected(pki, "c.der")
        self.compare(found, made)
        shown_by_openssl = openssl(
            "x509", "-in", tmp_path / "c.der", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8"
        ).stdout.strip()
        assert shown_by_openssl == f"subject={found['subject']}"
        if subject not in ("special",):
            assert found["subject"] == made.subject.rfc4514_string()

    @pytest.mark.smoke
    def test_what_pki_makes(self, pki: Pki, ca: Path):
        for name in ("root", "client"):
            made = load(ca / f"{name}-cert.pem")
            found = inspected(pki, ca / f"{name}-cert.pem")
            self.compare(found, made)
            assert found["selfSigned"] == (name == "root")

    @pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
    def test_every_root_of_the_system(self, pki: Pki):
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        if not bundle.exists():
            pytest.skip("there is no bundle of the system's")
        certificates = x509.load_pem_x509_certificates(bundle.read_bytes())
        found = inspect(pki, bundle)["objects"]
        assert len(found) == len(certificates)
        for one, certificate in zip(found, certificates, strict=True):
            assert one["sha256"] == certificate.fingerprint(hashes.SHA256()).hex()
            assert one["notAfter"] == certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
            assert one["key"]["sha256"] == spki(certificate.public_key())

    def compare(self, found: dict[str, Any], made: x509.Certificate) -> None:
        assert found["kind"] == "certificate" and found["version"] == 3
        assert int(found["serialNumber"], 16) == made.serial_number
        assert found["serialNumberDecimal"] == str(made.serial_number)
        assert moment(found["notBefore"]) == made.not_valid_before_utc
        assert moment(found["notAfter"]) == made.not_valid_after_utc
        assert found["sha256"] == made.fingerprint(hashes.SHA256()).hex()
        assert found["key"]["sha256"] == spki(made.public_key())
        assert x509.load_pem_x509_certificate(found["pem"].encode()) == made
        key = serialization.load_pem_public_key(found["key"]["pem"].encode())
        assert spki(key) == spki(made.public_key())
        assert not found["signatureIsWeak"]
        extensions = made.extensions
        assert [one["identifier"] for one in found["extensions"]] == [one.oid.dotted_string for one in extensions]
        assert [one["critical"] for one in found["extensions"]] == [one.critical for one in extensions]
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (found["ca"], found.get("pathLength")) == (constraints.ca, constraints.path_length)
        identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert found["subjectKeyIdentifier"] == identifier.digest.hex()
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        assert ("digitalSignature" in found["keyUsage"]) == usage.digital_signature
        assert ("keyCertSign" in found["keyUsage"]) == usage.key_cert_sign
        assert ("keyAgreement" in found["keyUsage"]) == usage.key_agreement
        try:
            names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            names = []
        told = [(name["kind"], name["value"]) for name in found["subjectAlternativeNames"]]
        assert told == [shown(name) for name in names]

    def test_name_constraints(self, pki: Pki, tmp_path: Path):
        key = generate_key("ec-p256")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Constrained")])
        now = datetime.now(UTC)
        constraints = x509.NameConstraints(
            [
                x509.DNSName("example.com"), x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")),
                x509.IPAddress(ipaddress.ip_network("2001:db8::/33")), x509.UniformResourceIdentifier(".example.com"),
                x509.DirectoryName(name),
            ],
            [x509.RFC822Name("bad@example.com")],
        )  # fmt: skip
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
            .not_valid_before(now).not_valid_after(now + timedelta(days=1))
            .add_extension(constraints, critical=True).sign(key, hashes.SHA256())
        )  # fmt: skip
        (tmp_path / "c.pem").write_bytes(pem(made))
        found = inspected(pki, "c.pem")
        assert found["permittedNames"] == [
            "dns:example.com", "ip:10.0.0.0/8", "ip:2001:db8::/33", "uri:.example.com", "dirName:CN=Constrained",
        ]  # fmt: skip
        assert found["excludedNames"] == ["email:bad@example.com"]


class TestContainers:
    @pytest.mark.smoke
    def test_any_form(self, pki: Pki, ca: Path, tmp_path: Path):
        made = client(root_of(ca))
        root = root_of(ca).certificate
        key = made.key.private_bytes(
            Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (tmp_path / "mess.pem").write_bytes(
            "prose äöü\r\n".encode() + pem(root).replace(b"\n", b"\r\n") + b"Bag Attributes\n  x: y\n" + key + pem(made.certificate)
        )
        found = inspect(pki, "mess.pem")
        assert found["form"] == "pem"
        assert [one["kind"] for one in found["objects"]] == ["certificate", "privateKey", "certificate"]
        upper, private, lower = found["objects"]
        assert lower["issuedBy"] == upper["sha256"] and upper["selfSigned"]
        assert private["form"] == "sec1" and private["encrypted"] is False
        assert private["certificates"] == [lower["sha256"]]
        assert private["key"]["sha256"] == spki(made.key.public_key())

        (tmp_path / "store.p12").write_bytes(
            pkcs12.serialize_key_and_certificates(
                b"web", made.key, made.certificate, [root], serialization.BestAvailableEncryption(b"secret")
            )
        )
        with_passphrase = pki.with_environment(PASSPHRASE="secret")
        store = inspect(with_passphrase, "--passphrase-env", "PASSPHRASE", "store.p12")
        assert store["form"] == "pkcs12"
        assert {one["kind"] for one in store["objects"]} == {"certificate", "privateKey"}
        assert {one["sha256"] for one in store["objects"] if "sha256" in one} == {upper["sha256"], lower["sha256"]}
        [private] = [one for one in store["objects"] if one["kind"] == "privateKey"]
        assert private["certificates"] == [lower["sha256"]]
        refused = pki.refuse("inspect", "store.p12")
        assert "store.p12" in refused and "--passphrase-file" in refused
        wrong = pki.with_environment(PASSPHRASE="hunter2").refuse("inspect", "--passphrase-env", "PASSPHRASE", "store.p12")
        assert "hunter2" not in wrong

        (tmp_path / "chain.p7b").write_bytes(pkcs7.serialize_certificates([made.certificate, root], Encoding.PEM))
        assert {one["sha256"] for one in inspect(pki, "chain.p7b")["objects"]} == {upper["sha256"], lower["sha256"]}

    def test_an_encrypted_key_is_described_without_its_passphrase(self, pki: Pki, ca: Path, tmp_path: Path):
        openssl("pkcs8", "-topk8", "-in", ca / "client-key.pem", "-out", tmp_path / "k.pem", "-passout", "pass:secret")
        found = inspected(pki, "k.pem")
        assert (found["kind"], found["encrypted"], "key" in found) == ("privateKey", True, False)
        assert "PBES2" in found["encryption"]
        (tmp_path / "word").write_text("secret\n")
        (tmp_path / "word").chmod(0o600)
        opened = inspected(pki, "--passphrase-file", "word", "k.pem")
        key = serialization.load_pem_private_key((ca / "client-key.pem").read_bytes(), None)
        assert opened["key"]["sha256"] == spki(key.public_key())

    @pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
    def test_private_keys_are_never_shown(self, pki: Pki, tmp_path: Path, key_type: str):
        key = generate_key(key_type)
        text = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / "k.pem").write_bytes(text)
        numbers = key.private_numbers()
        secret = numbers.private_value if key_type.startswith("ec") else numbers.d
        for form in ("text", "json"):
            said = pki.run("inspect", "--format", form, "k.pem").stdout
            assert f"{secret:x}" not in said and str(secret) not in said
            body = "".join(text.decode().splitlines()[1:-1])
            assert not any(body[at : at + 40] in said.replace("\\n", "") for at in range(0, len(body) - 40, 8)[3:])

    def test_several_files_are_several_documents(self, pki: Pki, ca: Path):
        said = pki.run("inspect", "--format", "json", ca / "client-key.pem", ca / "client-cert.pem").stdout
        first, end = json.JSONDecoder().raw_decode(said)
        second = json.loads(said[end:])
        assert first["objects"][0]["certificates"] == [second["objects"][0]["sha256"]]

    def test_places_that_are_no_files(self, pki: Pki, ca: Path):
        certificate = ca / "client-cert.pem"
        wanted = inspected(pki, certificate)["sha256"]
        assert inspected(pki.with_environment(CERTIFICATE=certificate.read_text()), "env:CERTIFICATE")["sha256"] == wanted
        with certificate.open("rb") as file:
            number = file.fileno()
            said = pki.run("inspect", "--format", "json", f"fd:{number}", pass_fds=(number,)).json
        assert (said["file"], said["objects"][0]["sha256"]) == (f"fd:{number}", wanted)
        done = subprocess.run(
            pki.command("inspect", "--format", "json", "-"), env=pki.variables(), input=certificate.read_bytes(),
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout)["objects"][0]["sha256"] == wanted
        assert "ABSENT" in pki.refuse("inspect", "env:ABSENT")

    @pytest.mark.parametrize("content", [b"", b"hello\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    def test_what_cannot_be_read(self, pki: Pki, ca: Path, tmp_path: Path, content: bytes):
        (tmp_path / "x").write_bytes(content)
        assert "x: " in pki.run("inspect", ca / "client-cert.pem", "x", status=REFUSED).error

    @pytest.mark.smoke
    def test_a_request(self, pki: Pki, tmp_path: Path):
        key = generate_key("ec-p384")
        request = (
            x509.CertificateSigningRequestBuilder().subject_name(name_of(SUBJECTS["repeated"]))
            .add_extension(x509.SubjectAlternativeName(NAMES["one-of-each"]), critical=False)
            .add_extension(key_usage("digital_signature"), critical=True)
            .sign(key, hashes.SHA384())
        )  # fmt: skip
        (tmp_path / "r.csr").write_bytes(request.public_bytes(Encoding.PEM))
        found = inspected(pki, "r.csr")
        assert found["kind"] == "certificateRequest" and found["signatureIsGood"] is True
        assert found["subject"] == request.subject.rfc4514_string()
        told = [(name["kind"], name["value"]) for name in found["subjectAlternativeNames"]]
        assert told == [shown(name) for name in NAMES["one-of-each"]]
        assert found["key"]["sha256"] == spki(key.public_key())
        assert [one["name"] for one in found["extensions"]] == ["subjectAltName", "keyUsage"]
        assert x509.load_pem_x509_csr(found["pem"].encode()) == request
        # One bit of the subject is another: the signature is not of this request.
        altered = request.public_bytes(Encoding.DER).replace(b"outer", b"Outer")
        (tmp_path / "r.der").write_bytes(altered)
        assert inspected(pki, "r.der")["signatureIsGood"] is False
        assert "WRONG" in pki.run("inspect", "r.der").stdout

    @pytest.mark.parametrize("count", [0, 1, 12])
    def test_a_revocation_list(self, pki: Pki, ca: Path, tmp_path: Path, count: int):
        root = root_of(ca)
        now = datetime.now(UTC).replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder().issuer_name(root.certificate.subject)
            .last_update(now - timedelta(days=2)).next_update(now + timedelta(days=1 if count else -1))
            .add_extension(x509.CRLNumber(1 << 70), critical=False)
        )  # fmt: skip
        for serial in range(1, count + 1):
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=serial))
                .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False).build()
            )  # fmt: skip
        made = builder.sign(root.key, hashes.SHA256())
        (tmp_path / "l.crl").write_bytes(made.public_bytes(Encoding.DER))
        found = inspected(pki, "l.crl")
        assert found["kind"] == "revocationList" and "issuedBy" not in found
        assert found["validity"] == ("valid" if count else "expired")
        assert found["number"] == str(1 << 70)
        assert found["revokedCount"] == count == len(found["revoked"])
        assert [int(one["serialNumber"], 16) for one in found["revoked"]] == list(range(1, count + 1))
        assert {one["reason"] for one in found["revoked"]} <= {"keyCompromise"}
        assert found["size"] == len(made.public_bytes(Encoding.PEM)) and found["sizeLimit"] == 300_000
        assert found["rolesAnywhere"]["acceptable"]
        text = pki.run("inspect", "l.crl", ca / "root-cert.pem").stdout
        assert "signed by         #2 CA certificate" in text
        assert ("STALE" in text) == (count == 0)
        assert ("and 2 more" in text) == (count == 12)


class TestHostile:
    HOSTILE = "a\x1b[31mred\r\nverdict  can be\u202egnp\u2066\x9b2J\u2028"

    def test_names_steer_no_terminal(self, pki: Pki, tmp_path: Path):
        key = generate_key("ec-p256")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.HOSTILE)])
        made = issue(None, key=key, subject=name).certificate
        (tmp_path / "c.pem").write_bytes(pem(made))
        for form in ("text", "json"):
            said = pki.run("inspect", "--format", form, "c.pem").stdout
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", said)
        assert "\nverdict" not in pki.run("inspect", "c.pem").stdout

    def test_thousands_of_names_are_cut(self, pki: Pki, ca: Path, tmp_path: Path):
        root = root_of(ca)
        made = issue(root, hosts=[f"host-{number}.example.com" for number in range(3000)]).certificate
        (tmp_path / "c.pem").write_bytes(pem(made))
        said = pki.run("inspect", "c.pem").stdout
        assert len(said.splitlines()) < 100 and "… and 2980 more" in said
        assert len(inspected(pki, "c.pem")["subjectAlternativeNames"]) == 3000

    def test_many_certificates_of_one_name_take_no_time(self, pki: Pki, tmp_path: Path):
        key = generate_key("ec-p256")
        certificates = [issue(None, "same", key=key, ca=True).certificate for _ in range(300)]
        (tmp_path / "many.pem").write_bytes(b"".join(map(pem, certificates)))
        assert len(inspect(pki, "many.pem")["objects"]) == 300


@dataclass(frozen=True)
class Court:
    """A lab over a CA, and the means to ask it."""

    pki: Pki
    lab: Lab
    root: Identity

    def judge(self, made: Identity) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """The status of a CreateSession, its answer, and the lab's trace of it."""
        arns = {
            "trustAnchorArn": self.lab.trust_anchor_arn, "profileArn": self.lab.profile_arn, "roleArn": self.lab.role_arn,
        }  # fmt: skip
        address = self.lab.endpoint.partition("://")[2]
        reply = create_session(made, address, arns).send(self.lab.endpoint)
        lines = self.pki.run("lab", "log", "--format", "json", "--endpoint", self.lab.endpoint).stdout.splitlines()
        return reply.status, reply.document, json.loads(lines[-1])


@pytest.fixture(scope="module")
def court(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    home = tmp_path_factory.mktemp("court")
    pki = Pki(home, built)
    pki.run("init-ca", "--directory", home / "ca")
    with running_lab(pki, "--directory", home / "ca") as lab:
        yield Court(pki, lab, root_of(home / "ca"))


def recorded(trace: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The tags that the lab made of a certificate, and the keys of those that it dropped."""
    [check] = [one for one in trace["checks"] if one["check"] == "sessionTags"]
    made, _, dropped = check["detail"].partition("dropped for a character in the value: ")
    tags = dict(part.split("=", 1) for part in made.removesuffix("; ").split(", ") if "=" in part)
    return tags, dropped.split(", ") if dropped else []


class TestRolesAnywhere:
    @pytest.mark.parametrize("names", NAMES)
    @pytest.mark.parametrize("subject", SUBJECTS)
    def test_the_session_is_as_foretold(self, court: Court, tmp_path: Path, subject: str, names: str):
        made = client(court.root, subject, names)
        (tmp_path / "c.pem").write_bytes(pem(made.certificate))
        told = inspected(court.pki, tmp_path / "c.pem")["rolesAnywhere"]
        status, answer, trace = court.judge(made)
        assert (status, told["acceptable"], told["rulesBroken"]) == (201, True, []), trace
        tags, dropped = recorded(trace)
        assert told["tags"] == tags
        assert [one["key"] for one in told["droppedValues"] if one["reason"] == "character"] == dropped
        [credentials] = answer["credentialSet"]
        assert told["sourceIdentity"] == credentials["sourceIdentity"]
        assert told["roleSessionName"] == credentials["assumedRoleUser"]["arn"].rsplit("/", 1)[1]
        # Of each kind of name the first counts, and whatever is not taken is told.
        every = [shown(name) for name in NAMES[names]]
        lost = [one for one in told["droppedValues"] if one["key"].startswith("x509SAN/") and one["reason"] != "character"]
        kinds = [kind for kind, _ in every]
        expected = sum(kinds[:at].count(kind) > 0 or kind in ("IP", "email") for at, kind in enumerate(kinds))
        assert len(lost) == expected

    def test_the_verdict_is_the_lab_s(self, court: Court, tmp_path: Path):
        now = datetime.now(UTC).replace(microsecond=0)
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        made: dict[str, tuple[Identity, set[str]]] = {
            "good": (issue(court.root), set()),
            "rsa": (issue(court.root, key=rsa_key), set()),
            "wrong-usage": (issue(court.root, usage=key_usage("key_agreement")), {"aws-client-key-usage"}),
            "no-subject": (issue(court.root, subject=x509.Name([])), {"aws-client-subject"}),
            "expired": (issue(court.root, not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)), {"aws-client-validity"}),
            "early": (issue(court.root, not_before=now + timedelta(days=1)), {"aws-client-validity"}),
            "several": (
                issue(
                    court.root, subject=x509.Name([]), usage=key_usage("key_agreement"),
                    not_before=now - timedelta(days=9), not_after=now - timedelta(days=1),
                ),
                {"aws-client-subject", "aws-client-key-usage", "aws-client-validity"},
            ),
        }  # fmt: skip
        for name, (identity, rules) in made.items():
            (tmp_path / "c.pem").write_bytes(pem(identity.certificate))
            told = inspected(court.pki, tmp_path / "c.pem")["rolesAnywhere"]
            assert {one["rule"] for one in told["rulesBroken"]} == rules, name
            assert told["acceptable"] == (not rules), name
            status, _, trace = court.judge(identity)
            assert (status == 201) == told["acceptable"], f"{name}: {trace}"

    def test_a_key_that_roles_anywhere_does_not_know(self, pki: Pki, ca: Path, tmp_path: Path):
        root = root_of(ca)
        made = issue(root, key=ed25519.Ed25519PrivateKey.generate(), key_type="")  # type: ignore[arg-type]
        (tmp_path / "c.pem").write_bytes(pem(made.certificate))
        told = inspected(pki, "c.pem")["rolesAnywhere"]
        assert [one["rule"] for one in told["rulesBroken"]] == ["aws-client-key"]
        assert "signingAlgorithm" not in told
        odd = issue(root, key=ec.generate_private_key(ec.SECP521R1()))
        (tmp_path / "c.pem").write_bytes(pem(odd.certificate))
        told = inspected(pki, "c.pem")["rolesAnywhere"]
        assert told["acceptable"] and "P-521" in told["doubts"][0]

    def test_old_signatures_and_versions(self, pki: Pki, tmp_path: Path):
        key = tmp_path / "k.pem"
        for name, arguments, rule in (
            ("sha1", ("-sha1", "-x509"), "signature"),
            ("v1", ("-sha256",), "version"),
        ):
            request = ("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", "/CN=old", "-days", "9")
            openssl(*request, *arguments, "-out", tmp_path / f"{name}.pem")
            if name == "v1":
                openssl("req", "-in", tmp_path / "v1.pem", "-out", tmp_path / "v1.csr")
                openssl("x509", "-req", "-in", tmp_path / "v1.csr", "-signkey", key, "-out", tmp_path / "v1.pem")
            found = inspected(pki, f"{name}.pem")
            assert rule in {one["rule"].rsplit("-", 1)[1] for one in found["rolesAnywhere"]["rulesBroken"]}
            assert found["signatureIsWeak"] == (name == "sha1")
        assert "WEAK" in pki.run("inspect", "sha1.pem").stdout

    def test_a_ca_is_judged_as_print_bundle_judges_it(self, pki: Pki, ca: Path, tmp_path: Path):
        now = datetime.now(UTC).replace(microsecond=0)
        for name, made, accepted in (
            ("good", root_of(ca), True),
            ("no-sign", issue(None, ca=True, usage=key_usage("crl_sign")), False),
            ("expired", issue(None, ca=True, not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)), False),
        ):
            (tmp_path / f"{name}.pem").write_bytes(pem(made.certificate))
            told = inspected(pki, f"{name}.pem")["rolesAnywhere"]
            assert told["role"] == "trustAnchor" and told["acceptable"] == accepted
            printed = pki.run("print-bundle", "--certificate", tmp_path / f"{name}.pem", status=None)
            assert (printed.status == 0) == accepted
            for rule in told["rulesBroken"]:
                assert rule["finding"] in printed.stderr

    def test_one_judge_for_what_aws_does_not_ask_for(self, pki: Pki, tmp_path: Path):
        """A root and a client as many hand-made CAs have them: no critical basicConstraints, no key identifiers."""
        root, leaf = tmp_path / "root-cert.pem", tmp_path / "leaf-cert.pem"
        config = tmp_path / "x.cnf"
        config.write_text(
            "[req]\ndistinguished_name = dn\n[dn]\n[ca]\nbasicConstraints = CA:TRUE\nkeyUsage = keyCertSign, cRLSign\n"
            "subjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n"
            "[leaf]\nkeyUsage = digitalSignature\nsubjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n"
        )
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", config)
        openssl("req", "-x509", *key, "-keyout", tmp_path / "root-key.pem", "-subj", "/CN=loose", "-extensions", "ca",
                "-days", "9", "-out", root)  # fmt: skip
        openssl("req", "-new", *key, "-keyout", tmp_path / "leaf-key.pem", "-subj", "/CN=web", "-out", tmp_path / "l.csr")
        openssl("x509", "-req", "-in", tmp_path / "l.csr", "-CA", root, "-CAkey", tmp_path / "root-key.pem", "-extfile",
                config, "-extensions", "leaf", "-days", "5", "-out", leaf)  # fmt: skip
        (tmp_path / "leaf-key.pem").chmod(0o600)
        for path in (root, leaf):
            told = inspected(pki, path)["rolesAnywhere"]
            assert told["acceptable"] and told["doubts"], told
        assert "basicConstraints" in pki.run("print-bundle", "--certificate", root).stderr
        with running_lab(pki, "--trust-anchor", root) as lab:
            identity = Identity.load(leaf, tmp_path / "leaf-key.pem")
            status, _, trace = Court(pki, lab, Identity.load(root, tmp_path / "root-key.pem")).judge(identity)
            assert status == 201 and "warning: it has no authorityKeyIdentifier" in json.dumps(trace)
            doctor = pki.run(
                "doctor", "--offline", "--format", "json", "--trust-anchor-arn", lab.trust_anchor_arn, "--profile-arn",
                lab.profile_arn, "--role-arn", lab.role_arn, "--certificate", leaf, "--private-key",
                tmp_path / "leaf-key.pem",
            )  # fmt: skip
            [rules] = [check for check in doctor.json["checks"] if check["name"] == "rules"]
            assert rules["verdict"] == "warning" and "authorityKeyIdentifier" in rules["found"]
