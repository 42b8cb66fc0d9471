# SPDX-License-Identifier: Apache-2.0
"""Who gets which name: what a request says is not what its certificate says (W2), a constrained CA is one for its domain only
(W13, F13), harmless requests are signed (F9), and names stay out of the files of the CA (W17)."""

from __future__ import annotations

import csv
import datetime
import ipaddress
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from peer import load
from program import REFUSED, USAGE, Pki
from tools import certtool, openssl, openssl_verify, tool

KEY = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def name(*parts: tuple[ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def common(text: str) -> x509.Name:
    return name((NameOID.COMMON_NAME, text))


def request(
    path: Path,
    subject: x509.Name,
    *extensions: tuple[x509.ExtensionType, bool],
    names: tuple[x509.GeneralName, ...] = (),
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = KEY,
) -> Path:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def issued(folder: Path, entry: str) -> x509.Certificate:
    return load(folder / f"{entry}-cert.pem")


def alternatives(certificate: x509.Certificate) -> list[x509.GeneralName]:
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


@pytest.fixture
def authority(pki: Pki, tmp_path: Path) -> Path:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    return tmp_path / "ca"


class TestRequestsW2:
    def test_w2_the_name_is_the_operator_s_not_the_requester_s(self, pki: Pki, authority: Path, tmp_path: Path) -> None:
        asked = request(
            tmp_path / "x.csr",
            name((NameOID.ORGANIZATIONAL_UNIT_NAME, "admins"), (NameOID.COMMON_NAME, "web-1")),
            names=(x509.DNSName("web-1.example.com"),),
        )
        said = pki.run("issue-client", "--directory", authority, "--name", "db-1", "--csr", asked).stderr
        certificate = issued(authority, "db-1")
        assert certificate.subject == common("db-1") and certificate.public_key() == KEY.public_key()
        assert alternatives(certificate) == [x509.DirectoryName(common("db-1"))]
        assert "CN=web-1" in said and "web-1.example.com" in said and "--accept-names" in said

    def test_w2_a_request_that_says_what_was_asked_is_taken_without_a_word(
        self, pki: Pki, authority: Path, tmp_path: Path
    ) -> None:
        asked = request(tmp_path / "x.csr", common("db.example.com"), names=(x509.DNSName("db.example.com"),))
        said = pki.run("issue-client", "--directory", authority, "--name", "db.example.com", "--csr", asked).stderr
        assert said == ""
        assert alternatives(issued(authority, "db.example.com")) == [x509.DNSName("db.example.com")]

    def test_w2_what_is_accepted_is_shown_before_there_is_a_certificate(
        self, pki: Pki, authority: Path, tmp_path: Path
    ) -> None:
        asked = request(tmp_path / "x.csr", common("db-1"), names=(x509.DNSName("db-1.example.com"),))
        options = ("--directory", authority, "--name", "db-1", "--csr", asked, "--accept-subject", "--accept-names")
        (authority / "root-key.pem").rename(tmp_path / "away")
        assert "DNS:db-1.example.com" in pki.refuse("issue-client", *options)
        (tmp_path / "away").rename(authority / "root-key.pem")
        assert "taken from" in pki.run("issue-client", *options).stderr
        assert alternatives(issued(authority, "db-1")) == [x509.DNSName("db-1.example.com")]

    def test_w2_without_a_name_nobody_is_certified(self, pki: Pki, authority: Path, tmp_path: Path) -> None:
        asked = request(tmp_path / "x.csr", common("web-1"))
        assert "--accept-subject" in pki.refuse("issue-client", "--directory", authority, "--csr", asked)
        pki.run("issue-client", "--directory", authority, "--name", "x", "--accept-subject", status=USAGE)

    @pytest.mark.parametrize(
        "odd",
        [
            x509.DirectoryName(common("admin")),
            x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05admin"),
            x509.DNSName("*.com"),
            x509.UniformResourceIdentifier("javascript:alert(1)"),
            x509.UniformResourceIdentifier("data:text/html,x"),
        ],
    )
    @pytest.mark.parametrize("accepts", [(), ("--accept-names",)])
    def test_w2_odd_names_of_a_request_are_refused(
        self, pki: Pki, authority: Path, tmp_path: Path, odd: x509.GeneralName, accepts: tuple[str, ...]
    ) -> None:
        asked = request(tmp_path / "x.csr", common("x"), names=(odd,))
        pki.refuse("issue-client", "--directory", authority, "--name", "x", "--csr", asked, *accepts)
        assert not (authority / "x-cert.pem").exists()

    HOSTILE = {
        "Cyrillic among Latin": "аdmin",
        "Greek among Latin": "αdmin-1",
        "all Cyrillic, and looks Latin": "асе",
        "zero width": "web\u200b-1",
        "a joiner": "web\u200d-1",
        "right to left": "web\u202e1-bew",
        "an escape": "web\x1b[2J",
        "C1": "web\u009b2J",
        "a soft hyphen": "web\u00ad-1",
        "a filler": "web\u3164",
        "a variation selector": "web\ufe0f-1",
        "a blank without break": "web\u00a01",
        "fullwidth": "ｗeb-1",
        "mathematical": "𝐰eb-1",
        "a tag": "web\U000e0041",
        "private use": "web\ue000",
    }

    @pytest.mark.parametrize("case", HOSTILE)
    def test_w2_names_that_look_like_others_are_refused_wherever_they_enter(
        self, pki: Pki, authority: Path, tmp_path: Path, case: str
    ) -> None:
        text = self.HOSTILE[case]
        asked = request(tmp_path / "x.csr", common(text))
        options = ("--directory", authority)
        table = tmp_path / "hosts.csv"
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([["name", "subject"], ["y", f"CN={text}"]])
        ways: list[tuple[str | Path, ...]] = [
            ("issue-client", *options, "--name", "y", "--csr", asked, "--accept-subject"),
            ("issue-client", *options, "--name", "y", "--subject", f"CN={text}"),
            ("issue-client", *options, "--batch", table),
            ("issue-intermediate", *options, "--name", "y", "--subject", f"CN={text}"),
            ("issue-intermediate", *options, "--name", "y", "--csr", asked, "--accept-subject"),
            ("init-ca", "--directory", tmp_path / "other", "--subject", f"CN={text}"),
        ]
        for way in ways:
            result = pki.run(*way, status=None)
            assert result.status in (REFUSED, USAGE), result.describe()
            said = result.stderr if result.status == REFUSED else ""
            assert not any(scalar in said for scalar in ("\x1b", "\u009b", "\u200b", "\u202e")), (way, said)
        assert not (authority / "y-cert.pem").exists() and not (tmp_path / "other").exists()

    @pytest.mark.parametrize("text", ["Müller", "Иванов", "ООО Ромашка", "東京サーバ 1", "NTTデータ", "Ελλάδα", "web-1"])
    def test_names_of_one_script_pass(self, pki: Pki, authority: Path, text: str) -> None:
        pki.run("issue-client", "--directory", authority, "--name", "y", "--subject", f"CN={text}")

    def test_w2_insecure_names_are_for_those_who_insist(self, pki: Pki, authority: Path) -> None:
        options = ("--directory", authority, "--name", "y")
        pki.run("issue-client", *options, "--subject", "CN=аdmin", "--insecure-names")
        assert issued(authority, "y").subject == common("аdmin")
        assert "--insecure-names" in pki.refuse("renew", "--directory", authority, "y")
        pki.run("renew", "--directory", authority, "y", "--insecure-names")

    def test_w2_no_certificate_gets_the_common_name_of_another(self, pki: Pki, authority: Path, tmp_path: Path) -> None:
        options = ("--directory", authority)
        pki.run("issue-client", *options, "--name", "web-1")
        asked = request(tmp_path / "x.csr", common("web-1"))
        table = tmp_path / "hosts.csv"
        for subject in ("CN=web-1", "O=Other,CN=Web-1"):
            table.write_text(f'name,subject\ndb-3,"{subject}"\n')
            pki.refuse("issue-client", *options, "--name", "db-1", "--subject", subject)
            assert "web-1" in pki.refuse("issue-client", *options, "--batch", table)
        pki.refuse("issue-client", *options, "--name", "db-1", "--csr", asked, "--accept-subject")
        table.write_text('name,subject\na,CN=same\nb,CN=same\n')
        pki.refuse("issue-client", *options, "--batch", table)
        assert not list(authority.glob("db-*")) and not list(authority.glob("[ab]-*"))
        # A renewal keeps its name, and so does a successor under the same name.
        pki.run("renew", *options, "web-1")
        pki.run("issue-client", *options, "--name", "web-1", "--force")
        pki.run("issue-client", *options, "--name", "db-1", "--subject", "CN=web-1", "--force")
        pki.run("renew", *options, "db-1")

    def test_w2_an_intermediate_s_request_does_not_name_it(self, pki: Pki, authority: Path, tmp_path: Path) -> None:
        asked = request(tmp_path / "x.csr", common("TEST ROOT"))
        said = pki.run("issue-intermediate", "--directory", authority, "--name", "sub", "--csr", asked).stderr
        assert issued(authority, "sub").subject == common("sub") and "--accept-subject" in said

    def test_w17_names_are_counted(self, pki: Pki, authority: Path, tmp_path: Path) -> None:
        many = tuple(x509.DNSName(f"h{number}.example.com") for number in range(3000))
        asked = request(tmp_path / "x.csr", common("x"), names=many)
        options = ("issue-client", "--directory", authority, "--name", "x", "--csr", asked, "--accept-names")
        assert "--max-names" in pki.refuse(*options)
        pki.run(*options, "--max-names", "3000")
        said = pki.run(*options[:-1], "--force").stderr
        assert len(said) < 2000


class TestHarmlessRequestsF9:
    def issue(self, pki: Pki, authority: Path, asked: Path, *options: str) -> str:
        said = pki.run("issue-client", "--directory", authority, "--name", "r", "--csr", asked, *options).stderr
        openssl_verify(authority / "root-cert.pem", authority / "r-cert.pem")
        return said

    def test_f9_keytool(self, pki: Pki, authority: Path, tmp_path: Path) -> None:
        store = ("-keystore", str(tmp_path / "k.p12"), "-storepass", "changeit", "-alias", "kt")
        tool("keytool", "-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=r", *store)
        tool("keytool", "-certreq", "-file", str(tmp_path / "kt.csr"), *store)
        assert "subjectKeyIdentifier" in self.issue(pki, authority, tmp_path / "kt.csr")

    @pytest.mark.parametrize("key", [KEY, RSA])
    def test_f9_cert_manager(
        self, pki: Pki, authority: Path, tmp_path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    ) -> None:
        asked = request(
            tmp_path / "cm.csr",
            x509.Name([]),
            (x509.KeyUsage(True, False, True, False, False, False, False, False, False), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.BasicConstraints(False, None), True),
            names=(x509.DNSName("r.example.com"),),
            key=key,
        )
        assert "extendedKeyUsage" in self.issue(pki, authority, asked, "--accept-names")

    def test_f9_certreq(self, pki: Pki, authority: Path, tmp_path: Path) -> None:
        asked = request(
            tmp_path / "ms.csr",
            common("r"),
            (x509.KeyUsage(True, False, True, False, False, False, False, False, False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.2.840.113549.1.9.15"), b"\x30\x00"), False),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.311.20.2"), b"\x1e\x02\x00A"), False),
            (x509.SubjectKeyIdentifier(b"\1" * 20), False),
            key=RSA,
        )
        self.issue(pki, authority, asked)
        own = issued(authority, "r").extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert own == x509.SubjectKeyIdentifier.from_public_key(RSA.public_key())

    @pytest.mark.parametrize(
        ("extension", "critical", "named"),
        [
            (x509.BasicConstraints(True, None), False, "CA:TRUE"),
            (x509.KeyUsage(True, False, False, False, False, True, False, False, False), False, "keyCertSign"),
            (x509.KeyUsage(True, False, False, False, False, False, True, False, False), False, "cRLSign"),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False, "serverAuth"),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False, "anyExtendedKeyUsage"),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True, "critical"),
        ],
    )
    def test_f9_what_asks_for_more_is_refused_by_name(
        self, pki: Pki, authority: Path, tmp_path: Path, extension: x509.ExtensionType, critical: bool, named: str
    ) -> None:
        asked = request(tmp_path / "x.csr", common("r"), (extension, critical))
        assert named in pki.refuse("issue-client", "--directory", authority, "--name", "r", "--csr", asked)


class TestConstrainedAuthoritiesW13:
    @pytest.fixture
    def constrained(self, pki: Pki, tmp_path: Path) -> Path:
        said = pki.run("init-ca", "--directory", tmp_path / "one", "--permit", "dns:example.com").stderr
        assert "dns:example.com" in said and "IP addresses" in said
        return tmp_path / "one"

    @pytest.mark.parametrize(
        "options",
        [
            ("--name", "x", "--ip", "127.0.0.1"),
            ("--name", "x", "--ip", "::1"),
            ("--name", "x", "--uri", "https://evil.com/"),
            ("--name", "x", "--uri", "urn:x"),
            ("--name", "x", "--email", "me@example.com"),
            ("--name", "x", "--dns", "evil.com"),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=evil.com"),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=Evil.COM."),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=*.evil.com"),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=a_b.evil.com"),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=évil.com"),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=10.0.0.1"),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=me@evil.com"),
            ("--name", "x", "--dns", "a.example.com", "--subject", "CN=x,emailAddress=me@evil.com"),
            ("--name", "x", "--dns", "a.example.com", "--dns", "b.notexample.com"),
        ],
    )
    def test_w13_for_one_domain_only(self, pki: Pki, constrained: Path, options: tuple[str, ...]) -> None:
        assert "may not issue" in pki.refuse("issue-client", "--directory", constrained, *options)
        assert not (constrained / "x-cert.pem").exists()

    def test_w13_what_is_within_is_issued(self, pki: Pki, constrained: Path) -> None:
        for entry in ("web-1", "web-1.example.com", "example.com"):
            pki.run("issue-client", "--directory", constrained, "--name", entry)
            openssl_verify(constrained / "root-cert.pem", constrained / f"{entry}-cert.pem")
        pki.refuse("issue-intermediate", "--directory", constrained, "--name", "sub", "--subject", "CN=evil.com")

    def outside(self, folder: Path, path: Path, alternative: x509.GeneralName) -> Path:
        """What pki does not issue, by other means."""
        root = issued(folder, "root")
        signer = serialization.load_pem_private_key((folder / "root-key.pem").read_bytes(), None)
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(common("outside"))
            .issuer_name(root.subject)
            .public_key(KEY.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(signer, hashes.SHA256())  # type: ignore[arg-type]
        )
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    @pytest.mark.parametrize(
        ("permit", "alternative"),
        [
            ("dns:example.com", x509.IPAddress(ipaddress.ip_address("127.0.0.1"))),
            ("dns:example.com", x509.IPAddress(ipaddress.ip_address("::1"))),
            ("dns:example.com", x509.RFC822Name("me@evil.com")),
            ("dns:example.com", x509.UniformResourceIdentifier("https://evil.com/")),
            ("dns:example.com", x509.DNSName("evil.com")),
            ("ip:10.0.0.0/8", x509.DNSName("evil.com")),
            ("ip:10.0.0.0/8", x509.IPAddress(ipaddress.ip_address("::1"))),
            ("email:example.com", x509.DNSName("evil.com")),
        ],
    )
    def test_w13_foreign_verifiers_refuse_it_too(
        self, pki: Pki, tmp_path: Path, permit: str, alternative: x509.GeneralName
    ) -> None:
        folder = tmp_path / "one"
        pki.run("init-ca", "--directory", folder, "--permit", permit)
        leaf = self.outside(folder, tmp_path / "leaf.pem", alternative)
        judged = openssl("verify", "-x509_strict", "-CAfile", folder / "root-cert.pem", leaf, status=None)
        assert judged.status != 0 and "subtree violation" in judged.stderr
        judged = certtool("--verify", "--load-ca-certificate", folder / "root-cert.pem", "--infile", leaf, status=None)
        assert judged.status != 0, judged.stdout

    @pytest.mark.parametrize(
        ("permit", "options"),
        [
            ("dns:example.com", ("--dns", "a.example.com")),
            ("ip:10.0.0.0/8", ("--ip", "10.1.1.1")),
            ("uri:.example.com", ("--uri", "https://a.example.com/")),
            ("email:example.com", ("--email", "me@example.com")),
        ],
    )
    def test_w13_foreign_verifiers_accept_what_is_permitted(
        self, pki: Pki, tmp_path: Path, permit: str, options: tuple[str, str]
    ) -> None:
        folder = tmp_path / "one"
        pki.run("init-ca", "--directory", folder, "--permit", permit)
        pki.run("issue-client", "--directory", folder, "--name", "x", *options)
        openssl_verify(folder / "root-cert.pem", folder / "x-cert.pem")
        if not permit.startswith("uri"):  # GnuTLS refuses every name of a kind whose constraints it does not know.
            certtool("--verify", "--load-ca-certificate", folder / "root-cert.pem", "--infile", folder / "x-cert.pem")

    @pytest.mark.parametrize("wildcard", ["*.example.com", "*.evil.example.com", "*.com"])
    def test_f13_a_wildcard_over_an_excluded_host_is_not_issued(self, pki: Pki, tmp_path: Path, wildcard: str) -> None:
        folder = tmp_path / "ca"
        pki.run("init-ca", "--directory", folder, "--exclude", "dns:evil.example.com")
        options = ("issue-client", "--directory", folder, "--name", "w", "--profile", "server")
        pki.refuse(*options, "--dns", wildcard)
        pki.run(*options, "--dns", "*.example.org")


class TestEntriesW17:
    @pytest.mark.parametrize(
        "entry",
        ["inventory.sqlite", "inventory.sqlite-wal", "Inventory.SQLite", "archive", ".new", "root-crl", "x-cert.pem", "root"],
    )
    def test_w17_no_name_is_one_of_the_directory_s_own_files(self, pki: Pki, authority: Path, entry: str) -> None:
        before = {path.name for path in authority.iterdir()}
        pki.refuse("issue-client", "--directory", authority, "--name", entry, status=USAGE)
        pki.refuse("issue-intermediate", "--directory", authority, "--name", entry, status=USAGE)
        assert {path.name for path in authority.iterdir()} == before
        pki.run("doctor", "--directory", authority)

    @pytest.mark.parametrize("entry", ["../x", "/tmp/x", "a/b", "..", ".", "-x", "x\n", "x\x1b"])
    def test_w17_a_name_from_an_option_is_no_path(self, pki: Pki, authority: Path, tmp_path: Path, entry: str) -> None:
        (tmp_path / "x-cert.pem").write_bytes((authority / "root-cert.pem").read_bytes())
        (tmp_path / "x-key.pem").write_bytes((authority / "root-key.pem").read_bytes())
        (tmp_path / "x-key.pem").chmod(0o600)
        options = ("--directory", authority)
        pki.refuse("issue-client", *options, "--name=y", f"--issuer={entry}", status=USAGE)
        pki.refuse("issue-intermediate", *options, "--name=y", f"--issuer={entry}", status=USAGE)
        pki.refuse("crl", *options, f"--issuer={entry}", status=USAGE)
        pki.refuse("export", *options, "--format=pkcs12", f"--output={tmp_path / 'o'}", "--generate-passphrase",
                   tmp_path / "p", "--", entry, status=USAGE)  # fmt: skip
        assert not (authority / "y-cert.pem").exists() and not (tmp_path / "x-crl.pem").exists()

    def test_w17_a_list_does_not_outlive_its_ca(self, pki: Pki, authority: Path) -> None:
        root = issued(authority, "root")
        made = pki.run("crl", "--directory", authority, "--next-update", "99999d")
        found = x509.load_pem_x509_crl(made.stdout.encode())
        assert found.next_update_utc == root.not_valid_after_utc and "expires with its CA" in made.stderr


def test_b4_the_command_for_aws_is_one_command_whatever_the_directory_is_called(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "ca'\u0301;touch PWNED;#'\u0301"
    pki.run("init-ca", "--directory", folder)
    command = pki.run("crl", "--directory", folder, "--format", "aws-cli", "--crl-id", "x").stdout
    programs, record = tmp_path / "programs", tmp_path / "record"
    programs.mkdir()
    (programs / "aws").write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > '{record}'\n")
    (programs / "aws").chmod(0o700)
    subprocess.run(
        ["sh", "-c", command], env={"PATH": f"{programs}:/usr/bin:/bin"}, cwd=tmp_path, check=True, timeout=60
    )
    assert f"fileb://{folder}/root-crl.pem" in record.read_text().split("\0")
    assert not (tmp_path / "PWNED").exists()


def test_w2_a_common_name_among_several_is_taken_too(pki: Pki, ca: Path) -> None:
    """AWS joins several common names with a slash; blanks and case do not tell names apart."""
    pki.run("issue-client", "--directory", ca, "--name", "a1", "--subject", "CN=shared one")
    for subject in ("CN=shared one,CN=other", "CN=o2,CN=shared one", "CN=o3+CN=shared one", "CN=SHARED  one", "CN=shared one\\20"):
        said = pki.refuse("issue-client", "--directory", ca, "--name", "a2", "--subject", subject)
        assert "common name" in said, subject
    # A directory service's containers are shared by everybody in them.
    for name in ("alice", "bob"):
        pki.run("issue-client", "--directory", ca, "--name", name, "--subject", f"CN={name},CN=Users,DC=example,DC=com")


def test_w13_a_host_with_a_port_or_a_path_is_one_too(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "constrained"
    pki.run("init-ca", "--directory", folder, "--permit", "dns:example.com")
    for name in ("evil.com:443", "EVIL.com/", "[::1]", "http:evil", "localhost", "127.0.0.1:80"):
        said = pki.refuse("issue-client", "--directory", folder, "--name", "a", "--subject", f"CN={name}", "--dns", "a.example.com")
        assert "may not issue" in said, name
    for name in ("db-1", "aa:bb:cc:dd:ee:ff", "device:17", "a.example.com:8443"):
        pki.run("issue-client", "--directory", folder, "--name", "a", "--subject", f"CN={name}", "--dns", "a.example.com", "--force")
