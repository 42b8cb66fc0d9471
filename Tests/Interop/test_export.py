# SPDX-License-Identifier: Apache-2.0
"""What `pki export` writes is what other programs take, and is written whole, for its owner alone, or not at all."""

from __future__ import annotations

import base64
import os
import re
import shutil
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from moments import KILLED, KillMoments
from peer import Identity, issue, pem
from program import DONE, MISSING, REFUSED, USAGE, Pki
from sampling import scaled
from test_damage import mount, tiny_disk, tree  # noqa: F401
from tools import certtool, openssl, tool

PASSWORD = "2 words, a number & Co"
KEY_TYPES = ("ec-p256", "ec-p384", "rsa-2048")
FORMS = ((), ("--legacy",))


@pytest.fixture
def secretive(pki: Pki) -> Pki:
    return pki.with_environment(EXPORT=PASSWORD)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CA with an intermediate, `issuing`, and two clients, `web` of the intermediate and `direct` of the root."""
    folder = tmp_path / "authority"
    folder.mkdir(mode=0o700)
    root = issue(None, "Root: of #all", ca=True)
    root.write(folder, "root")
    issuing = issue(root, "Issuing", ca=True, path_length=0)
    issuing.write(folder, "issuing")
    issue(issuing, "web").write(folder, "web")
    (folder / "web-chain.pem").write_bytes(pem(issuing.certificate))
    issue(root, "direct").write(folder, "direct")
    return folder


def stored(folder: Path, name: str) -> Identity:
    return Identity.load(folder / f"{name}-cert.pem", folder / f"{name}-key.pem")


def export(pki: Pki, folder: Path, name: str, form: str, output: Path | str, *arguments: str | Path, **options):
    return pki.run("export", name, "--directory", folder, "--format", form, "--output", output, *arguments, **options)


def refused(pki: Pki, folder: Path, name: str, form: str, output: Path, *arguments: str | Path, status: int = REFUSED):
    """Asserts that nothing is written, and returns what was said."""
    before = tree(folder), tree(output.parent)
    result = export(pki, folder, name, form, output, *arguments, status=status)
    assert (tree(folder), tree(output.parent)) == before
    return result.stderr


class TestPKCS12:
    @pytest.mark.parametrize("key_type", KEY_TYPES)
    @pytest.mark.parametrize("legacy", FORMS)
    def test_others_read_it(
        self, secretive: Pki, tmp_path: Path, key_type: str, legacy: tuple[str, ...]
    ) -> None:
        ca, file = tmp_path / "ca", tmp_path / "client.p12"
        secretive.run("init-ca", "--directory", ca, "--key-type", key_type)
        secretive.run("issue-client", "--directory", ca, "--name", "Client", "--key-type", key_type)
        export(secretive, ca, "Client", "pkcs12", file, "--export-passphrase-env", "EXPORT", *legacy)
        client, root = stored(ca, "Client"), stored(ca, "root")

        read = pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())
        assert read.key.private_numbers() == client.key.private_numbers()
        assert read.cert.certificate == client.certificate and read.cert.friendly_name == b"Client"
        assert [one.certificate for one in read.additional_certs] == [root.certificate]
        with pytest.raises(ValueError):
            pkcs12.load_pkcs12(file.read_bytes(), b"wrong")

        opened = ("-in", file, "-passin", "env:P")
        shown = openssl("pkcs12", *opened, "-info", "-nodes", environment={"P": PASSWORD})
        key = re.search(r"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----\n", shown.stdout, re.DOTALL)
        assert load_pem_private_key(key[0].encode(), None).private_numbers() == client.key.private_numbers()
        # The identifier joins the key and its certificate, and no other.
        identifiers = re.findall(r"localKeyID: (.*?) *\n", shown.stdout)
        assert len(identifiers) == 2 and len(set(identifiers)) == 1
        cipher = "pbeWithSHA1And3-KeyTripleDES-CBC" if legacy else "PBES2, PBKDF2, AES-256-CBC"
        rounds = [int(number) for number in re.findall(r"Iteration (\d+)", shown.stderr)]
        assert shown.stderr.count(cipher) == 2 and len(rounds) == 3 and min(rounds) >= 100_000
        assert f"MAC: {'sha1' if legacy else 'sha256'}," in shown.stderr
        assert "invalid password" in openssl(
            "pkcs12", *opened, "-noout", status=1, environment={"P": "wrong"}
        ).stderr

        shown = certtool("--p12-info", "--inder", "--infile", file, "--password", PASSWORD)
        assert shown.stdout.count("BEGIN CERTIFICATE") == 2 and "BEGIN ENCRYPTED PRIVATE KEY" in shown.stdout
        certtool("--p12-info", "--inder", "--infile", file, "--password", "wrong", status=1)

        listed = tool("keytool", "-list", "-v", "-keystore", file, "-storepass:env", "P", environment={"P": PASSWORD})
        assert "Alias name: client\n" in listed.stdout and "Entry type: PrivateKeyEntry" in listed.stdout
        assert "Certificate chain length: 2" in listed.stdout
        tool("keytool", "-list", "-keystore", file, "-storepass:env", "P", status=1, environment={"P": "wrong"})

        # And its maker, whose own road to AWS can begin with it.
        facts = secretive.with_environment(P=PASSWORD).run("inspect", file, "--passphrase-env", "P")
        assert "Client" in facts.stdout

    def test_java_takes_the_key(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        """keytool copies only an entry whose key it can decrypt, and signs with it."""
        file = tmp_path / "web.p12"
        for legacy in FORMS:
            export(secretive, folder, "web", "pkcs12", file, "--export-passphrase-env", "EXPORT", "--force", *legacy)
            request = tool(
                "keytool", "-certreq", "-alias", "web", "-keystore", file, "-storepass:env", "P",
                environment={"P": PASSWORD},
            )  # fmt: skip
            made = x509.load_pem_x509_csr(request.stdout.encode())
            assert made.is_signature_valid
            assert made.public_key() == stored(folder, "web").certificate.public_key()

    @pytest.mark.smoke
    def test_the_chain_is_in_it(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        file = tmp_path / "web.p12"
        export(secretive, folder, "web", "pkcs12", file, "--legacy", "--export-passphrase-env", "EXPORT")
        read = pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())
        above = [stored(folder, "issuing").certificate, stored(folder, "root").certificate]
        assert [one.certificate for one in read.additional_certs] == above

    def test_a_ca_can_be_exported(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        for name, count in (("root", 0), ("issuing", 1)):
            file = tmp_path / f"{name}.p12"
            export(secretive, folder, name, "pkcs12", file, "--legacy", "--export-passphrase-env", "EXPORT")
            read = pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())
            assert read.cert.certificate == stored(folder, name).certificate
            assert len(read.additional_certs) == count

    def test_a_generated_passphrase(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        seen = set()
        for number in range(3):
            file, word = tmp_path / f"{number}.p12", tmp_path / f"{number}.pass"
            result = export(pki, folder, "web", "pkcs12", file, "--legacy", "--generate-passphrase", word)
            assert str(file) in result.stdout and str(word) in result.stdout
            text = word.read_text()
            assert re.fullmatch(r"([a-km-np-z2-9]{4}-){6}[a-km-np-z2-9]{4}\n", text), "28 of 32 characters: 140 bits"
            assert text.strip() not in result.stdout + result.stderr
            openssl("pkcs12", "-in", file, "-noout", "-passin", f"file:{word}")
            pkcs12.load_pkcs12(file.read_bytes(), text.strip().encode())
            seen.add(text)
        assert len(seen) == 3

    def test_passphrases_from_files_and_descriptors(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        word = tmp_path / "word"
        word.write_text(f"{PASSWORD}\nnot this\n")
        file = tmp_path / "web.p12"
        said = refused(pki, folder, "web", "pkcs12", file, "--export-passphrase-file", word)
        assert "chmod 600" in said
        word.chmod(0o600)
        export(pki, folder, "web", "pkcs12", file, "--legacy", "--export-passphrase-file", word)
        pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())
        with word.open("rb") as opened:
            number = opened.fileno()
            export(
                pki, folder, "web", "pkcs12", file, "--legacy", "--force", "--export-passphrase-fd", str(number),
                pass_fds=(number,),
            )  # fmt: skip
        pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())

    @pytest.mark.parametrize("legacy", FORMS)
    def test_a_passphrase_that_java_does_not_take(
        self, pki: Pki, folder: Path, tmp_path: Path, legacy: tuple[str, ...]
    ) -> None:
        """Java derives no key for decryption from what is not ASCII; all others do."""
        text = "Grüße an 2 Leser 🔑"
        pki = pki.with_environment(EXPORT=text)
        option = ("--export-passphrase-env", "EXPORT", *legacy)
        file = tmp_path / "web.p12"
        assert "Java" in export(pki, folder, "web", "pkcs12", file, *option).stderr
        pkcs12.load_pkcs12(file.read_bytes(), text.encode())
        openssl("pkcs12", "-in", file, "-noout", "-passin", "env:P", environment={"P": text})
        certtool("--p12-info", "--inder", "--infile", file, "--password", text)
        listed = tool("keytool", "-list", "-keystore", file, "-storepass:env", "P", status=1, environment={"P": text})
        assert "password was incorrect" in listed.stdout
        assert "--generate-passphrase" in refused(pki, folder, "web", "java-truststore", tmp_path / "t", *option)

    def test_passphrases_that_are_none(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        file = tmp_path / "web.p12"
        assert "--generate-passphrase" in refused(pki, folder, "web", "pkcs12", file, status=USAGE)
        option = ("--export-passphrase-env", "EXPORT")
        refused(pki, folder, "web", "pkcs12", file, *option)
        refused(pki.with_environment(EXPORT=""), folder, "web", "pkcs12", file, *option)
        latin = pki.with_prefix("/bin/bash", "-c", r"""EXPORT=$'gr\xfc\xdfe' exec "$0" "$@" """)
        assert "UTF-8" in refused(latin, folder, "web", "pkcs12", file, *option)
        refused(
            pki.with_environment(EXPORT="a"), folder, "web", "pkcs12", file, *option,
            "--generate-passphrase", tmp_path / "word", status=USAGE,
        )  # fmt: skip
        refused(pki, folder, "web", "pkcs12", file, "--generate-passphrase", file, status=USAGE)
        refused(pki, folder, "web", "pkcs12", file, "--generate-passphrase", "-", status=USAGE)


class TestTruststore:
    @pytest.mark.parametrize("legacy", FORMS)
    @pytest.mark.parametrize("name", ["root", "web"])
    def test_java_trusts_the_root(
        self, secretive: Pki, folder: Path, tmp_path: Path, name: str, legacy: tuple[str, ...]
    ) -> None:
        file = tmp_path / "trust.p12"
        export(secretive, folder, name, "java-truststore", file, "--export-passphrase-env", "EXPORT", *legacy)
        listed = tool("keytool", "-list", "-keystore", file, "-storepass:env", "P", environment={"P": PASSWORD})
        assert "Your keystore contains 1 entry" in listed.stdout
        assert re.search(r"^root: of #all, .*trustedCertEntry", listed.stdout, re.MULTILINE)
        read = pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())
        assert read.key is None and read.cert is None
        assert [one.certificate for one in read.additional_certs] == [stored(folder, "root").certificate]
        shown = openssl("pkcs12", "-in", file, "-passin", "env:P", environment={"P": PASSWORD}).stdout
        assert "2.16.840.1.113894.746875.1.1" in shown or "Trusted key usage" in shown

    def test_both_roots_while_one_replaces_the_other(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        former = issue(None, "Root: of #all", ca=True)
        former.write(folder, "root-previous")
        issue(former, "older").write(folder, "older")
        file = tmp_path / "trust.p12"
        for name in ("direct", "older"):
            option = ("--export-passphrase-env", "EXPORT")
            export(secretive, folder, name, "java-truststore", file, *option, "--legacy", "--force")
            listed = tool("keytool", "-list", "-keystore", file, "-storepass:env", "P", environment={"P": PASSWORD})
            assert listed.stdout.count("trustedCertEntry") == 2
            text = export(secretive, folder, name, "kubernetes-secret", "-").stdout
            roots = x509.load_pem_x509_certificates(base64.b64decode(yaml.safe_load(text)["data"]["ca.crt"]))
            assert roots == [stored(folder, "root").certificate, former.certificate]

    def test_no_key_is_needed(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        for key in folder.glob("*-key.pem"):
            key.unlink()
        export(secretive, folder, "root", "java-truststore", tmp_path / "t", "--export-passphrase-env", "EXPORT")


class TestKubernetes:
    def secret(self, text: str) -> dict[str, bytes]:
        secret = yaml.safe_load(text)
        assert secret["apiVersion"] == "v1" and secret["kind"] == "Secret" and secret["type"] == "kubernetes.io/tls"
        return {name: base64.b64decode(value, validate=True) for name, value in secret["data"].items()}

    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_the_secret_holds_the_identity(self, pki: Pki, tmp_path: Path, key_type: str) -> None:
        ca = tmp_path / "ca"
        pki.run("init-ca", "--directory", ca)
        pki.run("issue-client", "--directory", ca, "--key-type", key_type)
        data = self.secret(export(pki, ca, "client", "kubernetes-secret", "-").stdout)
        assert list(data) == ["tls.crt", "tls.key", "ca.crt"]
        client = stored(ca, "client")
        assert data["tls.crt"] == (ca / "client-cert.pem").read_bytes()
        assert data["ca.crt"] == (ca / "root-cert.pem").read_bytes()
        assert load_pem_private_key(data["tls.key"], None).private_numbers() == client.key.private_numbers()

    @pytest.mark.smoke
    def test_a_server_accepts_who_has_it(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        """Both sides of a handshake from the files of the Secret: the server trusts only ca.crt."""
        data = self.secret(export(pki, folder, "web", "kubernetes-secret", "-").stdout)
        for name, contents in data.items():
            (tmp_path / name).write_bytes(contents)
        assert x509.load_pem_x509_certificates(data["tls.crt"]) == [
            stored(folder, name).certificate for name in ("web", "issuing")
        ]
        server_files = issue(stored(folder, "root"), "server", hosts=["localhost"]).write(tmp_path, "server")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*server_files)
        server.load_verify_locations(tmp_path / "ca.crt")
        server.verify_mode = ssl.CERT_REQUIRED
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
        client.load_verify_locations(tmp_path / "ca.crt")
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        sides = [
            client.wrap_bio(to_client, to_server, server_hostname="localhost"),
            server.wrap_bio(to_server, to_client, server_side=True),
        ]
        for _ in range(4):
            for side in sides:
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    pass
        assert ((("commonName", "web"),),) == sides[1].getpeercert()["subject"]

    @pytest.mark.parametrize(
        ("name", "object_name"),
        [("Web_1", "web-1"), ("a@b.example.COM", "a-b.example.com"), ("1e3", "1e3"), ("on", "on"), ("x-", "x"),
         ("null", "null"), ("a._b", "a.b"), ("007", "007")],
    )  # fmt: skip
    def test_names_are_made_fit_and_stay_text(self, pki: Pki, folder: Path, name: str, object_name: str) -> None:
        issue(stored(folder, "root"), "x").write(folder, name)
        made = yaml.safe_load(export(pki, folder, name, "kubernetes-secret", "-", "--namespace", "1234").stdout)
        assert made["metadata"] == {"name": object_name, "namespace": "1234"}

    def test_names_that_are_none(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        issue(stored(folder, "root"), "x").write(folder, "_._")
        file = tmp_path / "secret.yaml"
        assert "--secret-name" in refused(pki, folder, "_._", "kubernetes-secret", file)
        bad = ("Upper", "a_b", "-a", "a-", "a..b", ".a", "a.", "a b", "a\nb", 'a"b', "ä", "a" * 254, "a.-b")
        for name in bad:
            refused(pki, folder, "web", "kubernetes-secret", file, f"--secret-name={name}")
        for name in (*bad, "a.b", "a" * 64):
            refused(pki, folder, "web", "kubernetes-secret", file, f"--namespace={name}")
        for name in ("a", "a" * 253, "a.b-c.9"):
            made = yaml.safe_load(export(pki, folder, "web", "kubernetes-secret", "-", "--secret-name", name).stdout)
            assert made["metadata"] == {"name": name}

    @pytest.mark.pairwise
    @pytest.mark.parametrize("name", ["root", "issuing"])
    @pytest.mark.parametrize("cluster", [False, True])
    @pytest.mark.parametrize("namespace", [None, "shop"])
    def test_an_issuer(self, pki: Pki, folder: Path, name: str, cluster: bool, namespace: str | None) -> None:
        options = (*(("--cluster",) if cluster else ()), *(("--namespace", namespace) if namespace else ()))
        result = export(pki, folder, name, "cert-manager-issuer", "-", *options)
        assert ("warning" in result.stderr) == (name == "root")
        secret_text, issuer_text = result.stdout.split("---\n")
        data = self.secret(secret_text)
        assert x509.load_pem_x509_certificates(data["tls.crt"]) == [stored(folder, name).certificate]
        assert load_pem_private_key(data["tls.key"], None).public_key() == stored(folder, name).key.public_key()
        assert x509.load_pem_x509_certificates(data["ca.crt"]) == [stored(folder, "root").certificate]
        place = namespace or ("cert-manager" if cluster else None)
        assert yaml.safe_load(secret_text)["metadata"] == {"name": name} | ({"namespace": place} if place else {})
        issuer = yaml.safe_load(issuer_text)
        where = {"namespace": namespace} if namespace and not cluster else {}
        assert issuer == {
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer" if cluster else "Issuer",
            "metadata": {"name": name, **where},
            "spec": {"ca": {"secretName": name}},
        }

    def test_a_client_is_no_issuer(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        said = refused(pki, folder, "web", "cert-manager-issuer", tmp_path / "issuer.yaml")
        assert "not a CA" in said and "kubernetes-secret" in said

    def test_kubectl_reads_it(self, pki: Pki, folder: Path) -> None:
        text = export(pki, folder, "web", "kubernetes-secret", "-", "--namespace", "shop").stdout
        read = tool(
            "kubectl", "annotate", "--local", "-f", "-", "a=b", "-o", "yaml",
            input=text.encode(), environment={"KUBECONFIG": str(MISSING)},
        )  # fmt: skip
        assert yaml.safe_load(read.stdout)["data"] == yaml.safe_load(text)["data"]


class TestKeys:
    OPTION = ("--export-passphrase-env", "EXPORT", "--legacy")

    def test_an_encrypted_key(self, secretive: Pki, ca: Path, tmp_path: Path) -> None:
        pki = secretive.with_environment(KEY="key word", WRONG="wrong")
        pki.run("issue-client", "--directory", ca, "--name", "safe", "--key-passphrase-env", "KEY")
        file = tmp_path / "safe.p12"
        said = refused(pki, ca, "safe", "pkcs12", file, *self.OPTION)
        assert "safe-key.pem" in said and "--passphrase-" in said
        assert "safe-key.pem" in refused(
            pki, ca, "safe", "pkcs12", file, *self.OPTION, "--passphrase-env", "WRONG"
        )
        export(pki, ca, "safe", "pkcs12", file, *self.OPTION, "--passphrase-env", "KEY")
        key = load_pem_private_key((ca / "safe-key.pem").read_bytes(), b"key word")
        read = pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())
        assert read.key.private_numbers() == key.private_numbers()

    def test_a_key_of_another(self, secretive: Pki, ca: Path, tmp_path: Path) -> None:
        secretive.run("issue-client", "--directory", ca, "--name", "other")
        shutil.copy(ca / "other-key.pem", ca / "client-key.pem")
        said = refused(secretive, ca, "client", "pkcs12", tmp_path / "x", *self.OPTION)
        assert "client-key.pem" in said
        assert "client-key.pem" in refused(secretive, ca, "client", "kubernetes-secret", tmp_path / "x")

    def test_a_key_that_others_can_read(self, secretive: Pki, ca: Path, tmp_path: Path) -> None:
        (ca / "client-key.pem").chmod(0o640)
        assert "chmod 600" in refused(secretive, ca, "client", "pkcs12", tmp_path / "x", *self.OPTION)

    @pytest.mark.parametrize("form", ["pkcs12", "kubernetes-secret"])
    def test_a_key_that_is_elsewhere(self, secretive: Pki, ca: Path, tmp_path: Path, form: str) -> None:
        options = self.OPTION if form == "pkcs12" else ()
        key = tmp_path / "k.pem"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", "/CN=theirs", "-out", tmp_path / "theirs.csr")
        secretive.run("issue-client", "--directory", ca, "--name", "theirs", "--csr", tmp_path / "theirs.csr")
        said = refused(secretive, ca, "theirs", form, tmp_path / "out" , *options)
        assert "theirs-key.pem" in said and "openssl pkcs12 -export" in said
        (ca / "root-key.pem").rename(tmp_path / "offline.pem")
        assert "hint: " in refused(secretive, ca, "root", form, tmp_path / "out", *options)
        (ca / "root-key.uri").write_text("pkcs11:token=CA;object=root?pin-value=123456\n")
        said = refused(secretive, ca, "root", form, tmp_path / "out", *options)
        assert "root-key.uri" in said and "123456" not in said and "hint: " in said

    def test_a_chain_that_is_none(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        (folder / "web-chain.pem").unlink()
        assert "web-chain.pem" in refused(secretive, folder, "web", "pkcs12", tmp_path / "x", *self.OPTION)
        # A root of the same name that did not sign it.
        issue(None, "Root: of #all", ca=True).write(folder, "root")
        assert "root" in refused(
            secretive, folder, "direct", "pkcs12", tmp_path / "x", *self.OPTION
        )

    def test_an_expired_certificate_is_said(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        old = issue(
            stored(folder, "root"), "old", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
        )
        old.write(folder, "old")
        assert "expired" in export(secretive, folder, "old", "pkcs12", tmp_path / "x", *self.OPTION).stderr

    @pytest.mark.parametrize("name", ["../authority/web", "", ".", "web\n", "absent", "web-cert.pem"])
    def test_names_that_are_not_there(self, secretive: Pki, folder: Path, tmp_path: Path, name: str) -> None:
        status = REFUSED if name in ("web-2", "nobody") else None
        refused(secretive, folder, name, "pkcs12", tmp_path / "x", *self.OPTION, status=status)

    def test_options_that_do_not_go_together(self, secretive: Pki, folder: Path, tmp_path: Path) -> None:
        for form, *options in (
            ("kubernetes-secret", "--legacy"), ("kubernetes-secret", "--export-passphrase-env", "EXPORT"),
            ("kubernetes-secret", "--cluster"), ("pkcs12", *self.OPTION, "--namespace", "a"),
            ("java-truststore", *self.OPTION, "--secret-name", "a"), ("pkcs12", *self.OPTION, "--cluster"),
        ):  # fmt: skip
            refused(secretive, folder, "web", form, tmp_path / "x", *options, status=USAGE)


class TestFiles:
    """Who can read what is written, what it may replace, and what is left when it cannot be written."""

    WRITES = (("pkcs12", "--legacy"), ("java-truststore", "--legacy"), ("kubernetes-secret",))

    def arguments(self, word: Path, form: str, *options: str) -> tuple[str, ...]:
        return (form, *options, *(() if form == "kubernetes-secret" else ("--generate-passphrase", str(word))))

    @pytest.mark.parametrize("umask", ["000", "022", "777"])
    @pytest.mark.parametrize("write", WRITES)
    def test_for_the_owner_alone(
        self, pki: Pki, folder: Path, tmp_path: Path, umask: str, write: tuple[str, ...]
    ) -> None:
        target = tmp_path / "target"
        target.mkdir()
        careless = pki.with_prefix("/bin/bash", "-c", f'umask {umask}; exec "$0" "$@"')
        form, *options = self.arguments(target / "word", *write)
        for force in ((), ("--force",)):
            export(careless, folder, "web", form, target / "file", *options, *force)
            assert {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()} == {0o600}
            assert {path.name for path in target.iterdir()} <= {"file", "word"}

    @pytest.mark.parametrize("write", WRITES)
    def test_nothing_is_replaced_without_force(
        self, pki: Pki, folder: Path, tmp_path: Path, write: tuple[str, ...]
    ) -> None:
        target = tmp_path / "target"
        target.mkdir()
        form, *options = self.arguments(target / "word", *write)
        for taken in ("file", "word"):
            (target / taken).write_text("mine")
            if taken in ("file", *(name for name in ("word",) if options[-1:] == [str(target / "word")])):
                assert "--force" in refused(pki, folder, "web", form, target / "file", *options)
                export(pki, folder, "web", form, target / "file", *options, "--force")
                assert (target / taken).read_bytes() != b"mine"
            for path in target.iterdir():
                path.unlink()

    def test_links_and_folders(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        target, mine = tmp_path / "target", tmp_path / "mine"
        target.mkdir()
        mine.write_text("mine")
        for link in (mine, tmp_path / "nowhere"):
            (target / "link").symlink_to(link)
            refused(pki, folder, "web", "kubernetes-secret", target / "link")
            # A link is never replaced, and nothing is written through it.
            export(pki, folder, "web", "kubernetes-secret", target / "link", "--force", status=REFUSED)
            assert (target / "link").is_symlink() and mine.read_text() == "mine"
            assert not (tmp_path / "nowhere").exists()
            (target / "link").unlink()
        os.mkfifo(target / "pipe")
        (target / "folder").mkdir()
        for name in ("pipe", "folder", "folder/", "folder/..", "absent/file"):
            said = export(
                pki, folder, "web", "kubernetes-secret", f"{target}/{name}", "--force", status=REFUSED
            ).stderr
            assert str(target) in said
        assert {path.name for path in target.rglob("*")} == {"pipe", "folder"}

    def test_standard_output_that_is_full(self, pki: Pki, folder: Path, tmp_path: Path) -> None:
        full = pki.with_prefix("/bin/bash", "-c", 'exec "$0" "$@" > /dev/full')
        for form, *options in (self.arguments(tmp_path / "word", *write) for write in self.WRITES):
            export(full, folder, "web", form, "-", *options, status=REFUSED)
            assert not (tmp_path / "word").exists()

    @pytest.mark.parametrize("write", WRITES)
    def test_a_full_disk_keeps_what_was_there(
        self, pki: Pki, folder: Path, tiny_disk: tuple[Path, None], write: tuple[str, ...]  # noqa: F811
    ) -> None:
        disk, page = tiny_disk[0], os.sysconf("SC_PAGESIZE")
        form, *options = self.arguments(disk / "word", *write)
        limits = [f"size={page * pages},nr_inodes=64" for pages in range(1, 8)]
        limits += [f"size=1m,nr_inodes={number}" for number in range(1, 6)]
        for force in ((), ("--force",)):
            outcomes = set()
            for limit in limits:
                mount(disk, limit)
                if force:
                    try:
                        (disk / "file").write_text("old")
                    except OSError:
                        continue
                before = tree(disk)
                result = export(pki, folder, "web", form, disk / "file", *options, *force, status=None)
                outcomes.add(result.status)
                if result.status != DONE:
                    assert result.status == REFUSED and "o space left" in result.stderr, result.describe()
                    assert tree(disk) == before, limit
                else:
                    assert {path.name for path in disk.iterdir()} <= {"file", "word"}
            assert outcomes == {DONE, REFUSED}

    @pytest.mark.parametrize("force", [False, True])
    def test_killed_at_any_moment(
        self, pki: Pki, folder: Path, tmp_path: Path, force: bool
    ) -> None:
        """A file is there whole or not at all. What is replaced has a hidden second name for a moment."""
        target = tmp_path / "target"
        target.mkdir()
        file, word = target / "file", target / "word"
        arguments = (
            "export", "direct", "--directory", folder, "--format", "pkcs12", "--legacy",
            "--output", file, "--generate-passphrase", word, *(("--force",) if force else ()),
        )  # fmt: skip
        moments = KillMoments.of(lambda: pki.run(*arguments), 2027, earliest=0.5)
        for _ in range(scaled(40, 25)):
            if not force:
                for path in (file, word):
                    path.unlink(missing_ok=True)
            status, *_ = moments.kill(pki.popen(*arguments))
            assert status in (DONE, KILLED)
            left = {path.name for path in target.iterdir()}
            hidden = {name for name in left if name.startswith(".pki-new.")}
            # The next run takes away what a killed one kept of the replaced passphrase.
            assert ".pki-new.old.word" not in hidden or status == KILLED
            left -= hidden
            assert force or not hidden
            assert left in ({"file", "word"}, *(() if force else ({"word"}, set())))
            for path in target.iterdir():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
            if "word" in left:
                assert len(word.read_text()) == 35
            if status == DONE:
                pkcs12.load_pkcs12(file.read_bytes(), word.read_text().strip().encode())
            elif "file" in left:
                openssl("asn1parse", "-inform", "der", "-in", file)
        moments.assert_spread()
