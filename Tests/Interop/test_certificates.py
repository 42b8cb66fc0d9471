# SPDX-License-Identifier: Apache-2.0
"""What `pki init-ca` and `pki issue-client` make, judged by OpenSSL, GnuTLS, Python's cryptography and pkilint."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import judges
from peer import KEY_TYPES, Identity, generate_key, issue, key_type_of, key_usage, load, root_of
from program import REPOSITORY, Pki
from tools import certtool, openssl, openssl_verify, shown_extensions


def subject_alternative_names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def common_name(name: x509.Name) -> str:
    [attribute] = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


@pytest.fixture(scope="module")
def authorities(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each type of key, a CA and a client of that type."""
    folders = {}
    for key_type in KEY_TYPES:
        home = tmp_path_factory.mktemp(key_type)
        pki = Pki(home, built)
        folders[key_type] = home / "ca"
        pki.run("init-ca", "--directory", home / "ca", "--key-type", key_type)
        pki.run("issue-client", "--directory", home / "ca", "--key-type", key_type)
    return folders


@pytest.fixture(params=KEY_TYPES)
def authority(authorities: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    return authorities[request.param]


class TestEveryKeyType:
    def test_is_what_was_asked_for(self, authorities: dict[str, Path]) -> None:
        for key_type, folder in authorities.items():
            for name in ("root", "client"):
                certificate = load(folder / f"{name}-cert.pem")
                key = load_pem_private_key((folder / f"{name}-key.pem").read_bytes(), None)
                assert key_type_of(certificate.public_key()) == key_type
                assert key.public_key() == certificate.public_key()

    def test_every_judge(self, authority: Path, tmp_path: Path) -> None:
        root, client = authority / "root-cert.pem", authority / "client-cert.pem"
        openssl_verify(root, client)
        judges.certtool_accepts(client, root, None, tmp_path)
        judges.cryptography_accepts(client, root, [], server=None)
        for name in ("root", "client"):
            openssl("pkey", "-check", "-noout", "-in", authority / f"{name}-key.pem")
            judges.lint_certificate(authority / f"{name}-cert.pem")

    def test_pkilint_would_speak(self, tmp_path: Path) -> None:
        subject = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "se", _validate=False)])
        identity = issue(None, subject=subject, ca=True, usage=key_usage("digital_signature"))
        certificate, _ = identity.write(tmp_path, "faulty")
        with pytest.raises(AssertionError):
            judges.lint_certificate(certificate)

    def test_key_usage_is_what_client_authentication_allows(self, authorities: dict[str, Path]) -> None:
        for folder in authorities.values():
            usage = load(folder / "client-cert.pem").extensions.get_extension_for_class(x509.KeyUsage)
            assert usage.critical and usage.value.digital_signature
            assert not usage.value.content_commitment and not usage.value.key_encipherment


class TestMixedKeyTypes:
    @pytest.mark.parametrize("client", ["ec-p256", "rsa-3072"])
    @pytest.mark.parametrize("root", ["ec-p384", "rsa-2048"])
    def test_openssl_verifies(self, pki: Pki, authorities: dict[str, Path], root: str, client: str) -> None:
        folder = authorities[root]
        name = f"mixed-{client}"
        pki.run("issue-client", "--directory", folder, "--name", name, "--key-type", client)
        openssl_verify(folder / "root-cert.pem", folder / f"{name}-cert.pem")
        judges.lint_certificate(folder / f"{name}-cert.pem")


class TestDefaults:
    """What the shell script that pki follows made, with its faults mended."""

    @pytest.mark.smoke
    def test_root(self, ca: Path) -> None:
        root = ca / "root-cert.pem"
        assert openssl("x509", "-in", root, "-noout", "-subject", "-issuer").stdout.split("\n")[:2] == [
            "subject=CN = TEST ROOT",
            "issuer=CN = TEST ROOT",
        ]
        identifier = openssl("x509", "-in", root, "-noout", "-ext", "subjectKeyIdentifier").stdout.split()[-1]
        names = "basicConstraints", "keyUsage", "subjectKeyIdentifier", "authorityKeyIdentifier"
        assert shown_extensions(root, *names) == {
            "X509v3 Basic Constraints: critical": "CA:TRUE, pathlen:1",
            "X509v3 Key Usage: critical": "Digital Signature, Certificate Sign, CRL Sign",
            "X509v3 Subject Key Identifier:": identifier,
            "X509v3 Authority Key Identifier:": identifier,
        }
        assert len(load(root).extensions) == 4

    @pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
    def test_client(self, authorities: dict[str, Path], key_type: str) -> None:
        folder = authorities[key_type]
        client = folder / "client-cert.pem"
        shown = openssl("x509", "-in", client, "-noout", "-subject", "-issuer").stdout.split("\n")
        assert shown[:2] == ["subject=CN = TEST CLIENT", "issuer=CN = TEST ROOT"]
        root_identifier = load(folder / "root-cert.pem").extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        extensions = load(client).extensions
        authority = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert authority.key_identifier == root_identifier.value.digest
        assert authority.authority_cert_issuer is None and authority.authority_cert_serial_number is None
        shown_usage = shown_extensions(client, "basicConstraints", "keyUsage")
        assert shown_usage["X509v3 Key Usage: critical"] == "Digital Signature"
        assert [value for name, value in shown_usage.items() if "Basic" in name] == ["CA:FALSE"]
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        # A bare label is no domain name to a linter: the subject stands as a directory name.
        assert subject_alternative_names(load(client)) == [str(load(client).subject)]

    def test_default_key_type_is_p256(self, ca: Path) -> None:
        for name in ("root", "client"):
            assert key_type_of(load(ca / f"{name}-cert.pem").public_key()) == "ec-p256"

    @pytest.mark.smoke
    def test_default_directory(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca")
        pki.run("issue-client")
        bundle = pki.run("print-bundle").stdout
        made = sorted(path.name for path in (tmp_path / "credential-process-data").iterdir() if path.suffix == ".pem")
        assert made == ["client-cert.pem", "client-key.pem", "root-cert.pem", "root-key.pem"]
        assert bundle == (tmp_path / "credential-process-data/root-cert.pem").read_text()

    def test_lifetimes(self, ca: Path) -> None:
        for name, days in (("root", 3650), ("client", 365)):
            file = ca / f"{name}-cert.pem"
            now, certificate = datetime.fromtimestamp(file.stat().st_mtime, UTC), load(file)
            assert timedelta(0) <= now + timedelta(days=days) - certificate.not_valid_after_utc < timedelta(minutes=1)
            assert timedelta(minutes=5, seconds=-1) <= now - certificate.not_valid_before_utc < timedelta(minutes=6)
        root, client = load(ca / "root-cert.pem"), load(ca / "client-cert.pem")
        assert root.not_valid_before_utc <= client.not_valid_before_utc

    def test_a_client_starts_no_earlier_than_its_ca(self, pki: Pki, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        root = issue(None, ca=True, not_before=now - timedelta(minutes=1), not_after=now + timedelta(days=400))
        root.write(tmp_path, "root")
        pki.run("issue-client", "--directory", tmp_path)
        assert load(tmp_path / "client-cert.pem").not_valid_before_utc == root.certificate.not_valid_before_utc

    def test_serials(self, pki: Pki, ca: Path) -> None:
        for number in range(12):
            pki.run("issue-client", "--directory", ca, "--name", f"client-{number}")
        serials = [load(path).serial_number for path in ca.glob("*-cert.pem")]
        assert len(set(serials)) == len(serials) == 14
        assert all(0 < serial < 1 << 159 for serial in serials)
        assert max(serial.bit_length() for serial in serials) > 150

    @pytest.mark.smoke
    def test_modes_whatever_the_umask(self, pki: Pki, tmp_path: Path) -> None:
        folder = tmp_path / "deep/er/ca"
        loose = pki.with_prefix("/bin/sh", "-c", 'umask 0000; exec "$0" "$@"')
        loose.run("init-ca", "--directory", folder)
        loose.run("issue-client", "--directory", folder)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.pem")}
        assert modes["root-key.pem"] == modes["client-key.pem"] == 0o600
        assert modes["root-cert.pem"] & 0o022 == modes["client-cert.pem"] & 0o022 == 0
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_keys_are_pkcs8(self, ca: Path) -> None:
        for name in ("root", "client"):
            assert (ca / f"{name}-key.pem").read_text().startswith("-----BEGIN PRIVATE KEY-----\n")

    def test_sees_no_configuration_of_openssl(self, pki: Pki, tmp_path: Path) -> None:
        faulty = tmp_path / "openssl.cnf"
        faulty.write_text("openssl_conf = absent\n[ broken\n")
        pki.with_environment(OPENSSL_CONF=str(faulty)).run("init-ca", "--directory", tmp_path / "ca")


class TestReport:
    """What the commands say of what they made."""

    @pytest.mark.smoke
    def test_json(self, pki: Pki, tmp_path: Path) -> None:
        folder = tmp_path / "ca"
        root = pki.run("init-ca", "--directory", folder, "--format", "json").json
        client = pki.run("issue-client", "--directory", folder, "--format", "json").json
        for report, name in ((root, "root"), (client, "client")):
            certificate = load(folder / f"{name}-cert.pem")
            assert report["certificate"] == str(folder / f"{name}-cert.pem")
            assert report["key"] == str(folder / f"{name}-key.pem")
            assert int(report["serialNumber"], 16) == certificate.serial_number
            assert report["fingerprint"] == certificate.fingerprint(hashes.SHA256()).hex()
            assert report["subject"] == certificate.subject.rfc4514_string()
            assert datetime.fromisoformat(report["notAfter"]) == certificate.not_valid_after_utc

    def test_text_names_the_files_and_the_end(self, pki: Pki, tmp_path: Path) -> None:
        text = pki.run("init-ca", "--directory", tmp_path / "ca").stdout
        end = load(tmp_path / "ca/root-cert.pem").not_valid_after_utc
        assert "root-cert.pem" in text and "root-key.pem" in text and end.strftime("%Y-%m-%d") in text


class TestLifetime:
    def test_past_2049_in_generalized_time(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path, "--days", "20000")
        times = re.findall(r"(UTCTIME|GENERALIZEDTIME)", openssl("asn1parse", "-in", tmp_path / "root-cert.pem").stdout)
        assert times == ["UTCTIME", "GENERALIZEDTIME"]
        judges.lint_certificate(tmp_path / "root-cert.pem")

    def test_not_after(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path, "--not-after", "2049-12-31T23:59:59Z")
        end = load(tmp_path / "root-cert.pem").not_valid_after_utc
        assert end == datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)

    def test_a_client_is_clamped_to_its_ca_with_a_warning(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path, "--days", "30")
        result = pki.run("issue-client", "--directory", tmp_path)
        assert "pki: warning: " in result.stderr
        assert load(tmp_path / "client-cert.pem").not_valid_after_utc == load(tmp_path / "root-cert.pem").not_valid_after_utc

    def test_days_past_the_ca_are_refused(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path, "--days", "30")
        pki.refuse("issue-client", "--directory", tmp_path, "--days", "31")
        assert not (tmp_path / "client-cert.pem").exists() and not (tmp_path / "client-key.pem").exists()


class TestNames:
    def test_subject_in_utf8(self, pki: Pki, tmp_path: Path) -> None:
        subject = r"CN=Zoë Ödmark\, d.ä.,OU=Nät+L=Kiruna,O=Ünïon 東京,C=SE"
        pki.run("init-ca", "--directory", tmp_path, "--subject", subject)
        name = load(tmp_path / "root-cert.pem").subject
        assert [(a.oid._name, a.value) for rdn in name.rdns for a in sorted(rdn, key=lambda a: str(a.value))] == [
            ("countryName", "SE"),
            ("organizationName", "Ünïon 東京"),
            ("localityName", "Kiruna"),
            ("organizationalUnitName", "Nät"),
            ("commonName", "Zoë Ödmark, d.ä."),
        ]
        judges.lint_certificate(tmp_path / "root-cert.pem")

    def test_issuer_is_the_subject_byte_for_byte(self, pki: Pki, tmp_path: Path) -> None:
        """Another program's choice of string types is kept: the name is copied, never encoded anew."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Union", _type=x509.name._ASN1Type.PrintableString),
                x509.NameAttribute(NameOID.COMMON_NAME, "Root", _type=x509.name._ASN1Type.T61String),
            ]
        )
        issue(None, subject=subject, ca=True, not_after=datetime.now(UTC) + timedelta(days=400)).write(tmp_path, "root")
        pki.run("issue-client", "--directory", tmp_path)
        root, client = load(tmp_path / "root-cert.pem"), load(tmp_path / "client-cert.pem")
        assert client.issuer.public_bytes() == root.subject.public_bytes()
        openssl_verify(tmp_path / "root-cert.pem", tmp_path / "client-cert.pem")

    def test_name_takes_the_place_of_the_common_name(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "--directory", ca, "--name", "batch-7")
        certificate = load(ca / "batch-7-cert.pem")
        assert common_name(certificate.subject) == "batch-7"
        assert subject_alternative_names(certificate) == [str(certificate.subject)]
        pki.run("issue-client", "--directory", ca, "--name", "batch-7.example.test")
        assert subject_alternative_names(load(ca / "batch-7.example.test-cert.pem")) == ["batch-7.example.test"]

    def test_subject_goes_before_name(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "--directory", ca, "--name", "batch-8", "--subject", "CN=Eight,O=Union")
        assert load(ca / "batch-8-cert.pem").subject.rfc4514_string() == "CN=Eight,O=Union"

    @pytest.mark.smoke
    def test_alternative_names_of_every_kind(self, pki: Pki, ca: Path) -> None:
        pki.run(
            "issue-client", "--directory", ca, "--name", "many",
            "--dns", "a.example.test", "--dns", "*.b.example.test", "--ip", "192.0.2.7", "--ip", "2001:db8::7",
            "--uri", "spiffe://example.test/ns/one", "--email", "one@example.test",
        )  # fmt: skip
        shown = shown_extensions(ca / "many-cert.pem", "subjectAltName")["X509v3 Subject Alternative Name:"]
        assert sorted(shown.split(", ")) == sorted(
            [
                "DNS:a.example.test",
                "DNS:*.b.example.test",
                "IP Address:192.0.2.7",
                "IP Address:2001:DB8:0:0:0:0:0:7",
                "URI:spiffe://example.test/ns/one",
                "email:one@example.test",
            ]
        )
        openssl_verify(ca / "root-cert.pem", ca / "many-cert.pem")


class TestNameConstraints:
    CONSTRAINTS = (
        "--permit", "dns:example.test", "--permit", "ip:192.0.2.0/24", "--permit", "email:example.test",
        "--permit", "uri:.example.test", "--exclude", "dns:secret.example.test",
    )  # fmt: skip

    @pytest.fixture
    def constrained(self, pki: Pki, tmp_path: Path) -> Path:
        pki.run("init-ca", "--directory", tmp_path / "ca", *self.CONSTRAINTS)
        return tmp_path / "ca"

    def test_are_in_the_root(self, constrained: Path) -> None:
        extension = load(constrained / "root-cert.pem").extensions.get_extension_for_class(x509.NameConstraints)
        assert extension.critical
        assert sorted(str(name.value) for name in extension.value.permitted_subtrees or []) == [
            ".example.test",
            "192.0.2.0/24",
            "example.test",
            "example.test",
        ]
        assert [name.value for name in extension.value.excluded_subtrees or []] == ["secret.example.test"]
        judges.lint_certificate(constrained / "root-cert.pem")

    def test_a_name_within_passes_openssl(self, pki: Pki, constrained: Path) -> None:
        pki.run(
            "issue-client", "--directory", constrained, "--subject", "CN=within",
            "--dns", "a.example.test", "--ip", "192.0.2.9", "--email", "me@example.test", "--uri", "https://a.example.test/",
        )  # fmt: skip
        openssl_verify(constrained / "root-cert.pem", constrained / "client-cert.pem")

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            (x509.DNSName("a.example.net"), "permitted subtree violation"),
            (x509.DNSName("a.secret.example.test"), "excluded subtree violation"),
            (x509.IPAddress(ipaddress.ip_address("198.51.100.1")), "permitted subtree violation"),
            (x509.RFC822Name("me@example.net"), "permitted subtree violation"),
            (x509.UniformResourceIdentifier("https://example.net/"), "permitted subtree violation"),
        ],
    )
    def test_a_name_outside_fails_openssl(
        self, constrained: Path, tmp_path: Path, name: x509.GeneralName, error: str
    ) -> None:
        root = root_of(constrained)
        key = generate_key("ec-p256")
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "outside")]))
            .issuer_name(root.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.certificate.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(root.key, hashes.SHA256())
        )
        path, _ = Identity(certificate, key).write(tmp_path, "outside")
        result = openssl_verify(constrained / "root-cert.pem", path, status=None)
        assert result.status != 0 and error in result.stderr

    @pytest.mark.parametrize(
        "names",
        [
            ("--dns", "a.example.net"),
            ("--dns", "secret.example.test"),
            ("--ip", "198.51.100.1"),
            ("--email", "me@example.net"),
            ("--uri", "https://example.net/"),
        ],
    )
    def test_pki_does_not_issue_what_would_not_verify(self, pki: Pki, constrained: Path, names: tuple[str, str]) -> None:
        stderr = pki.refuse("issue-client", "--directory", constrained, "--subject", "CN=outside", *names)
        assert names[1].removeprefix("DNS:") in stderr
        assert not (constrained / "client-cert.pem").exists() and not (constrained / "client-key.pem").exists()


class TestPassphrases:
    PASSPHRASE = "correct hörse ‘battery’"

    def give(self, pki: Pki, way: str, option: str, tmp_path: Path) -> tuple[Pki, list[str], dict]:
        if way == "env":
            return pki.with_environment(CA_SECRET=self.PASSPHRASE), [f"{option}-env", "CA_SECRET"], {}
        if way == "file":
            path = tmp_path / "passphrase"
            path.write_text(self.PASSPHRASE + "\n")
            path.chmod(0o600)
            return pki, [f"{option}-file", str(path)], {}
        reader, writer = os.pipe()
        os.write(writer, self.PASSPHRASE.encode())
        os.close(writer)
        return pki, [f"{option}-fd", str(reader)], {"pass_fds": (reader,)}

    def run(self, pki: Pki, way: str, option: str, tmp_path: Path, *arguments: str | Path) -> None:
        given, words, options = self.give(pki, way, option, tmp_path)
        try:
            given.run(*arguments, *words, **options)
        finally:
            for descriptor in options.get("pass_fds", ()):
                os.close(descriptor)

    @pytest.mark.parametrize("way", ["env", "file", "fd"])
    def test_protects_the_key_of_the_ca(self, pki: Pki, tmp_path: Path, way: str) -> None:
        folder = tmp_path / "ca"
        self.run(pki, way, "--passphrase", tmp_path, "init-ca", "--directory", folder)
        key = folder / "root-key.pem"
        assert key.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        secret = {"environment": {"SECRET": self.PASSPHRASE}}
        openssl("pkey", "-in", key, "-passin", "env:SECRET", "-noout", "-check", **secret)
        assert openssl("pkey", "-in", key, "-passin", "pass:wrong", "-noout", status=None).status != 0
        parsed = openssl("asn1parse", "-in", key).stdout
        assert all(name in parsed for name in (":PBES2", ":scrypt", ":aes-256-cbc")), parsed
        self.run(pki, way, "--passphrase", tmp_path, "issue-client", "--directory", folder)
        openssl_verify(folder / "root-cert.pem", folder / "client-cert.pem")

    @pytest.mark.parametrize("way", ["env", "file", "fd"])
    def test_protects_the_key_of_the_client(self, pki: Pki, ca: Path, tmp_path: Path, way: str) -> None:
        self.run(pki, way, "--key-passphrase", tmp_path, "issue-client", "--directory", ca, "--name", "closed")
        secret = {"environment": {"SECRET": self.PASSPHRASE}}
        openssl("pkey", "-in", ca / "closed-key.pem", "-passin", "env:SECRET", "-noout", "-check", **secret)
        key = load_pem_private_key((ca / "closed-key.pem").read_bytes(), self.PASSPHRASE.encode())
        assert key.public_key() == load(ca / "closed-cert.pem").public_key()

    def test_opens_a_key_that_openssl_closed(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        closed = tmp_path / "closed.pem"
        openssl("pkcs8", "-topk8", "-in", ca / "root-key.pem", "-out", closed, "-passout", "pass:secret", "-v2", "aes-256-cbc")
        (ca / "root-key.pem").write_bytes(closed.read_bytes())
        protected = pki.with_environment(CA_SECRET="secret")
        protected.run("issue-client", "--directory", ca, "--name", "second", "--passphrase-env", "CA_SECRET")
        openssl_verify(ca / "root-cert.pem", ca / "second-cert.pem")

    def test_refuses_a_wrong_one_and_none(self, pki: Pki, tmp_path: Path) -> None:
        folder = tmp_path / "ca"
        self.run(pki, "env", "--passphrase", tmp_path, "init-ca", "--directory", folder)
        before = sorted(folder.iterdir())
        stderr = pki.with_environment(WRONG="not it").refuse(
            "issue-client", "--directory", folder, "--passphrase-env", "WRONG"
        )
        assert "root-key.pem" in stderr and "not it" not in stderr
        stderr = pki.refuse("issue-client", "--directory", folder)
        assert "root-key.pem" in stderr and "--passphrase" in stderr
        stderr = pki.refuse("issue-client", "--directory", folder, "--passphrase-env", "UNSET", status=2)
        assert "UNSET" in stderr
        assert sorted(folder.iterdir()) == before

    def test_refuses_an_empty_one(self, pki: Pki, tmp_path: Path) -> None:
        pki.with_environment(EMPTY="").refuse("init-ca", "--directory", tmp_path / "ca", "--passphrase-env", "EMPTY")
        assert not (tmp_path / "ca/root-key.pem").exists()


class TestRequests:
    """Certificates for keys that pki never sees."""

    @pytest.mark.smoke
    def test_by_openssl(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        request, key = tmp_path / "request.pem", tmp_path / "key.pem"
        openssl(
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/O=Union/CN=by openssl",
            "-addext", "subjectAltName=DNS:one.example.test,IP:192.0.2.1,URI:https://u.example.test/x,email:a@example.test",
        )  # fmt: skip
        pki.run("issue-client", "--directory", ca, "--name", "requested", "--csr", request, "--accept-subject", "--accept-names")
        certificate = load(ca / "requested-cert.pem")
        assert certificate.public_key() == load_pem_private_key(key.read_bytes(), None).public_key()
        assert certificate.subject.rfc4514_string() == "CN=by openssl,O=Union"
        assert sorted(subject_alternative_names(certificate)) == [
            "192.0.2.1",
            "a@example.test",
            "https://u.example.test/x",
            "one.example.test",
        ]
        assert not (ca / "requested-key.pem").exists()
        openssl_verify(ca / "root-cert.pem", ca / "requested-cert.pem")
        judges.lint_certificate(ca / "requested-cert.pem")

    def test_leaves_the_requester_s_key_alone(self, pki: Pki, ca: Path) -> None:
        """The key may lie where pki would have put its own: it is neither overwritten nor moved."""
        request, key = ca / "mine.csr", ca / "mine-key.pem"
        options = ("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mine")
        openssl(*options, "-keyout", key, "-out", request)
        before = key.read_bytes()
        pki.run("issue-client", "--directory", ca, "--name", "mine", "--csr", request)
        pki.run("issue-client", "--directory", ca, "--name", "mine", "--csr", request, "--force")
        assert key.read_bytes() == before
        assert [file.name for file in (ca / "archive").iterdir()] == [next((ca / "archive").glob("mine-cert-*.pem")).name]

    @pytest.mark.smoke
    def test_by_gnutls(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """certtool asks for a key usage unasked, which the profile gives anyway."""
        key, request, template = tmp_path / "key.pem", tmp_path / "request.pem", tmp_path / "template"
        certtool("--generate-privkey", "--key-type=ecdsa", "--curve=secp384r1", "--outfile", key)
        template.write_text('organization = "Union"\ncn = "by gnutls"\ndns_name = "two.example.test"\n')
        certtool("--generate-request", "--load-privkey", key, "--template", template, "--outfile", request)
        said = pki.run("issue-client", "--directory", ca, "--name", "requested", "--csr", request).stderr
        assert "keyUsage" in said and "request.pem" in said
        openssl_verify(ca / "root-cert.pem", ca / "requested-cert.pem")

    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_by_cryptography(self, pki: Pki, ca: Path, tmp_path: Path, key_type: str) -> None:
        key = generate_key(key_type)
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "by cryptography")]))
            .add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"passed over")
            .sign(key, hashes.SHA256())
        )
        (tmp_path / "request.pem").write_bytes(request.public_bytes(Encoding.PEM))
        pki.run(
            "issue-client", "--directory", ca, "--name", "requested", "--csr", tmp_path / "request.pem", "--accept-subject"
        )  # fmt: skip
        certificate = load(ca / "requested-cert.pem")
        assert certificate.public_key() == key.public_key()
        assert common_name(certificate.subject) == "by cryptography"
        openssl_verify(ca / "root-cert.pem", ca / "requested-cert.pem")

    @pytest.mark.parametrize(
        ("extension", "name"),
        [
            (x509.BasicConstraints(ca=True, path_length=None), "basicConstraints"),
            (key_usage("key_cert_sign"), "keyUsage"),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), "extendedKeyUsage"),
            (x509.NameConstraints([x509.DNSName("example.test")], None), "nameConstraints"),
            (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)]), "certificatePolicies"),
        ],
    )
    def test_refuses_what_is_not_for_the_requester_to_say(
        self, pki: Pki, ca: Path, tmp_path: Path, extension: x509.ExtensionType, name: str
    ) -> None:
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "greedy")]))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("greedy.example.test")]), critical=False)
            .add_extension(extension, critical=False)
            .sign(generate_key("ec-p256"), hashes.SHA256())
        )
        path = tmp_path / "request.pem"
        path.write_bytes(request.public_bytes(Encoding.PEM))
        stderr = pki.refuse("issue-client", "--directory", ca, "--name", "requested", "--csr", path)
        assert name in stderr and "request.pem" in stderr
        assert not (ca / "requested-cert.pem").exists()

    def test_refuses_a_request_that_its_key_did_not_sign(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]))
            .sign(generate_key("ec-p256"), hashes.SHA256())
        )
        der = bytearray(request.public_bytes(Encoding.DER))
        der[-1] ^= 1
        path = tmp_path / "request.der"
        path.write_bytes(bytes(der))
        pem = tmp_path / "request.pem"
        openssl("req", "-inform", "DER", "-in", path, "-out", pem)
        stderr = pki.refuse("issue-client", "--directory", ca, "--name", "requested", "--csr", pem)
        assert "request.pem" in stderr and "signature" in stderr


class TestTemplates:
    CONFIGURATION = """\
[ req ]
prompt = no
distinguished_name = req_distinguished_name
x509_extensions = v3
string_mask = utf8only
utf8 = yes

[ req_distinguished_name ]
C = SE
O = Ünïon
OU = Drift
CN = Template root

[ v3 ]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
nameConstraints = critical, permitted;DNS:example.test
certificatePolicies = 1.3.6.1.4.1.99999.1, @policy

[ policy ]
policyIdentifier = 1.3.6.1.4.1.99999.2
CPS.1 = https://example.test/cps
"""

    def test_an_existing_file_means_what_it_means_to_openssl(self, pki: Pki, tmp_path: Path) -> None:
        template = tmp_path / "existing.cnf"
        template.write_text(self.CONFIGURATION)
        ours = tmp_path / "ca"
        pki.run("init-ca", "--directory", ours, "--template", template)
        theirs = tmp_path / "theirs.pem"
        openssl(
            "req", "-x509", "-new", "-key", ours / "root-key.pem", "-config", template, "-out", theirs, "-days", "3650"
        )
        mine, other = load(ours / "root-cert.pem"), load(theirs)
        assert mine.subject.public_bytes() == other.subject.public_bytes()
        assert {e.oid: (e.critical, e.value) for e in mine.extensions} == {
            e.oid: (e.critical, e.value) for e in other.extensions
        }
        openssl("verify", "-x509_strict", "-check_ss_sig", "-CAfile", ours / "root-cert.pem", ours / "root-cert.pem")

    @pytest.mark.smoke
    def test_a_client_template(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        template = tmp_path / "client.cnf"
        template.write_text(
            "[ req ]\nprompt = no\ndistinguished_name = req_distinguished_name\nx509_extensions = v3\n"
            "[ req_distinguished_name ]\nO = Union\nCN = From template\n"
            "[ v3 ]\nbasicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature\n"
            "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
            "subjectAltName = DNS:template.example.test\n"
        )
        pki.run("issue-client", "--directory", ca, "--name", "templated", "--template", template)
        certificate = load(ca / "templated-cert.pem")
        assert certificate.subject.rfc4514_string() == "CN=templated,O=Union"
        assert "template.example.test" in subject_alternative_names(certificate)
        openssl_verify(ca / "root-cert.pem", ca / "templated-cert.pem")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[ v3 ]\nkeyUsage = critical, digitalSignature, flying\n", "flying"),
            ("[ v3 ]\nnoSuchExtension = 1\n", "noSuchExtension"),
            ("[ v3\n", "broken.cnf"),
        ],
    )
    def test_refuses_a_broken_one(self, pki: Pki, tmp_path: Path, text: str, says: str) -> None:
        template = tmp_path / "broken.cnf"
        head = "[ req ]\nprompt = no\ndistinguished_name = req_distinguished_name\nx509_extensions = v3\n"
        template.write_text(f"{head}[ req_distinguished_name ]\nCN = x\n{text}")
        stderr = pki.refuse("init-ca", "--directory", tmp_path / "ca", "--template", template)
        assert says in stderr and "broken.cnf" in stderr
        assert not (tmp_path / "ca/root-key.pem").exists()

    def test_the_built_in_ones_are_those_of_the_repository(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "b", "--template", REPOSITORY / "templates/root.conf")
        pki.run("issue-client", "--directory", tmp_path / "b", "--template", REPOSITORY / "templates/client.conf")
        for name in ("root", "client"):
            built_in, named = load(ca / f"{name}-cert.pem"), load(tmp_path / f"b/{name}-cert.pem")
            assert built_in.subject == named.subject
            assert [(e.oid, e.critical) for e in built_in.extensions] == [(e.oid, e.critical) for e in named.extensions]


class TestFromOtherAuthorities:
    """A CA that other software made is as good as one of ours."""

    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_by_cryptography(self, pki: Pki, tmp_path: Path, key_type: str) -> None:
        now = datetime.now(UTC)
        issue(None, "Peer root", ca=True, key_type=key_type, not_after=now + timedelta(days=900)).write(tmp_path, "root")
        pki.run("issue-client", "--directory", tmp_path)
        openssl_verify(tmp_path / "root-cert.pem", tmp_path / "client-cert.pem")

    @pytest.mark.parametrize("form", ["traditional", "crlf", "text before", "no newline at the end"])
    def test_in_other_dress(self, pki: Pki, ca: Path, form: str) -> None:
        key, certificate = ca / "root-key.pem", ca / "root-cert.pem"
        if form == "traditional":
            key.write_text(openssl("pkey", "-in", key, "-traditional").stdout)
            assert "BEGIN EC PRIVATE KEY" in key.read_text()
        elif form == "crlf":
            for path in (key, certificate):
                path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        elif form == "text before":
            certificate.write_text(openssl("x509", "-in", certificate, "-text").stdout)
        else:
            for path in (key, certificate):
                path.write_bytes(path.read_bytes().rstrip(b"\n"))
        pki.run("issue-client", "--directory", ca, "--name", "second")
        openssl_verify(certificate, ca / "second-cert.pem")
