# SPDX-License-Identifier: Apache-2.0
"""Other people's ACME clients, unmodified, at `pki serve-ca`: each gets a certificate by a join token without any
challenge, renews it, and revokes it where it can."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from acme import Client
from enrolling import Authority, Token, certificate_request, serving_ca
from program import REPOSITORY, Pki, clean_environment, running_lab
from serving import wait_for
from tools import openssl


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    home = tmp_path_factory.mktemp("acme-clients")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    with serving_ca(pki, home / "ca") as running:
        yield running


def run(program: str | Path, *arguments: str | Path, home: Path, **variables: str | Path) -> str:
    """Runs a client, which must succeed; skips the test where there is none. Returns all that it said."""
    found = shutil.which(str(program), path=clean_environment(home)["PATH"] + ":/usr/sbin")
    if found is None:
        pytest.skip(f"there is no {program}: run script/bootstrap")
    environment = {**clean_environment(home), **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run([found, *map(str, arguments)], env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said[-4000:]
    return said


def serial(certificate: Path) -> str:
    return openssl("x509", "-in", certificate, "-noout", "-serial").stdout.strip().removeprefix("serial=").lower()


def checked(authority: Authority, certificate: Path, name: str) -> str:
    """The serial number of a certificate that OpenSSL verifies for a name."""
    openssl("verify", "-CAfile", authority.root, "-verify_hostname", name, certificate)
    return serial(certificate)


def statuses(authority: Authority, name: str) -> list[str]:
    """Those of the certificates of a name, the newest last."""
    rows = [row for row in authority.rows() if row["name"] == name]
    return [str(row["status"]) for row in sorted(rows, key=lambda row: str(row["issuedAt"]))]


@pytest.fixture
def directory(authority: Authority) -> str:
    return f"https://localhost:{authority.port}/acme/directory"


class TestCertbot:
    @pytest.mark.parametrize("program", ["certbot", REPOSITORY / ".venv/bin/certbot"], ids=["debian", "pypi"])
    def test_it_gets_renews_and_revokes(self, authority: Authority, directory: str, tmp_path: Path, program: str | Path) -> None:
        name = f"certbot-{'debian' if program == 'certbot' else 'pypi'}.example.com"
        token = authority.token(name)
        places = [word for kind in ("config", "work", "logs") for word in (f"--{kind}-dir", tmp_path / kind)]

        def certbot(*arguments: str | Path) -> str:
            return run(program, *arguments, "--non-interactive", *places, home=tmp_path, REQUESTS_CA_BUNDLE=authority.root)

        certbot(
            "certonly", "--server", directory, "--agree-tos", "--register-unsafely-without-email", "--eab-kid", token.identifier,
            "--eab-hmac-key", token.secret, "--standalone", "-d", name,
        )  # fmt: skip
        live = tmp_path / "config" / "live" / name
        first = checked(authority, live / "cert.pem", name)
        certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
        assert checked(authority, live / "cert.pem", name) != first
        certbot("revoke", "--cert-name", name, "--no-delete-after-revoke", "--server", directory)
        assert statuses(authority, name)[-1] == "revoked"


class TestLego:
    def test_it_gets_renews_and_revokes(self, authority: Authority, directory: str, tmp_path: Path) -> None:
        name = "lego.example.com"
        token = authority.token(name)
        common = ("--server", directory, "--path", tmp_path / "lego", "--accept-tos", "--email", "ops@example.com", "--domains", name, "--http", "--http.port", "127.0.0.1:0", "--eab", "--kid", token.identifier, "--hmac", token.secret)

        def lego(*arguments: str) -> str:
            return run("lego", *common, *arguments, home=tmp_path, LEGO_CA_CERTIFICATES=authority.root)

        lego("run")
        certificate = tmp_path / "lego" / "certificates" / f"{name}.crt"
        first = checked(authority, certificate, name)
        lego("renew", "--days", "4000", "--no-random-sleep")
        assert checked(authority, certificate, name) != first
        lego("revoke")
        assert statuses(authority, name)[-1] == "revoked"


class TestUacme:
    """It trusts the machine's certificates alone, so that the root is put in their place, in a mount namespace."""

    def test_it_gets_renews_and_revokes(self, authority: Authority, directory: str, tmp_path: Path) -> None:
        name = "uacme.example.com"
        token = authority.token(name)
        store = "/etc/ssl/certs/ca-certificates.crt"
        if shutil.which("uacme") is None or not Path(store).exists():
            pytest.skip("there is no uacme, or no store of certificates")
        private = ("--map-root-user", "--mount") if os.geteuid() else ("--mount",)
        if subprocess.run(["unshare", *private, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this machine has no mount namespaces")

        def uacme(*arguments: str | Path) -> str:
            script = f'mount --bind "$0" {store} && exec uacme "$@"'
            common = ("-a", directory, "-c", tmp_path / "uacme")
            return run("unshare", *private, "sh", "-c", script, authority.root, *common, *arguments, home=tmp_path)

        uacme("-y", "-e", f"{token.identifier}:{token.secret}", "new")
        uacme("issue", name)
        certificate = tmp_path / "uacme" / name / "cert.pem"
        first = checked(authority, certificate, name)
        uacme("-f", "issue", name)
        assert checked(authority, certificate, name) != first
        uacme("revoke", certificate)
        assert statuses(authority, name)[-1] == "revoked"


class TestDehydrated:
    def test_it_gets_renews_and_revokes(self, authority: Authority, directory: str, tmp_path: Path) -> None:
        name = "dehydrated.example.com"
        token = authority.token(name)
        (tmp_path / "well-known").mkdir()
        configuration = tmp_path / "config"
        configuration.write_text(
            f'CA="{directory}"\nBASEDIR="{tmp_path}"\nWELLKNOWN="{tmp_path}/well-known"\nCURL_OPTS="--cacert {authority.root}"\n'
            f'EAB_KID="{token.identifier}"\nEAB_HMAC_KEY="{token.secret}"\n'
        )

        def dehydrated(*arguments: str | Path) -> str:
            return run("dehydrated", "--config", configuration, *arguments, home=tmp_path)

        dehydrated("--register", "--accept-terms")
        dehydrated("--cron", "--domain", name)
        certificate = tmp_path / "certs" / name / "cert.pem"
        first = checked(authority, certificate, name)
        dehydrated("--cron", "--domain", name, "--force")
        assert checked(authority, certificate, name) != first
        dehydrated("--revoke", certificate.resolve())
        assert statuses(authority, name)[-1] == "revoked"


class TestAcmeTiny:
    """It knows no external account binding: its account was made before, with the same key."""

    def test_it_gets_and_renews(self, authority: Authority, directory: str, tmp_path: Path) -> None:
        name = "acme-tiny.example.com"
        own = rsa.generate_private_key(65537, 2048)
        Client(authority, own).register(authority.token(name))
        (tmp_path / "account.pem").write_bytes(
            own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        )
        request, _ = certificate_request(tmp_path, f"/CN={name}", f"subjectAltName=DNS:{name}")
        serials = set()
        for number in range(2):
            said = run(
                "acme-tiny", "--account-key", tmp_path / "account.pem", "--csr", request, "--acme-dir", tmp_path, "--quiet",
                "--directory-url", directory, home=tmp_path, SSL_CERT_FILE=authority.root,
            )  # fmt: skip
            certificate = tmp_path / f"{number}.pem"
            certificate.write_text(said)
            serials.add(checked(authority, certificate, name))
        assert len(serials) == 2


def free_port() -> int:
    """A port that the system chose a moment ago, for servers that cannot say which one they got."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def running(*command: str | Path, home: Path) -> Iterator[Path]:
    """A server that stops at SIGTERM. Gives its log."""
    log = home / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*map(str, command)], env=clean_environment(home), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


class TestCaddy:
    def test_it_serves_with_a_certificate_and_renews(self, authority: Authority, directory: str, tmp_path: Path) -> None:
        if shutil.which("caddy") is None:
            pytest.skip("there is no caddy: run script/bootstrap")
        name = "caddy.example.com"
        token = authority.token(name)
        secure = free_port()
        configuration = tmp_path / "Caddyfile"
        configuration.write_text(
            "{\n"
            f"admin off\nhttp_port {free_port()}\nhttps_port {secure}\nauto_https disable_redirects\ndefault_bind 127.0.0.1\n"
            f"storage file_system {tmp_path}/storage\nacme_ca {directory}\nacme_ca_root {authority.root}\n"
            f"acme_eab {{\nkey_id {token.identifier}\nmac_key {token.secret}\n}}\n"
            f'}}\n{name} {{\nrespond "hello"\n}}\n'
        )
        serials = []
        for _ in range(2):
            with running("caddy", "run", "--config", configuration, "--adapter", "caddyfile", home=tmp_path) as log:
                certificate = wait_for(lambda: next((tmp_path / "storage").glob(f"certificates/*/{name}/{name}.crt"), None), log=log)
                done = wait_for(
                    lambda: (
                        "hello" in (said := subprocess.run(
                            ["curl", "--silent", "--insecure", "--resolve", f"{name}:{secure}:127.0.0.1", f"https://{name}:{secure}/"],
                            capture_output=True, text=True, timeout=30, check=False,
                        ).stdout) and said
                    ), log=log,
                )  # fmt: skip
                assert done == "hello"
                serials.append(checked(authority, certificate, name))
            # It renews when the time comes; here the certificate is lost and the account is not.
            shutil.rmtree(tmp_path / "storage" / "certificates")
        assert len(set(serials)) == 2


class TestApache:
    @pytest.fixture
    def home(self) -> Iterator[Path]:
        """A directory that Apache's own user reaches: root's tests are closed to it."""
        with tempfile.TemporaryDirectory(prefix="apache-") as name:
            Path(name).chmod(0o711)
            yield Path(name)

    def test_mod_md_gets_a_certificate_and_renews(self, authority: Authority, directory: str, home: Path) -> None:
        modules = Path("/usr/lib/apache2/modules")
        if not (modules / "mod_md.so").exists():
            pytest.skip("there is no Apache with mod_md: run script/bootstrap")
        name = "mod-md.example.com"
        token = authority.token(name)
        plain, secure = free_port(), free_port()
        root = Path(shutil.copy(authority.root, home / "root.pem"))
        root.chmod(0o644)
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        configuration = home / "httpd.conf"
        configuration.write_text(
            "".join(f"LoadModule {one}_module {modules}/mod_{one}.so\n" for one in ["mpm_event", "authz_core", "ssl", "md"])
            + f"ServerRoot {home}\nServerName {name}\nPidFile {home}/pid\nDefaultRuntimeDir {home}\nMutex file:{home}\n{user}"
            f"ErrorLog {home}/server.log\nListen 127.0.0.1:{plain}\nListen 127.0.0.1:{secure} https\n"
            f"MDStoreDir {home}/md\nMDCertificateAuthority {directory}\nMDCACertificateFile {root}\n"
            f"MDCertificateAgreement accepted\nMDContactEmail ops@example.com\nMDExternalAccountBinding {token.identifier} {token.secret}\n"
            f"MDPortMap http:{plain} https:{secure}\nMDStapling off\nMDomain {name}\n"
            f"<VirtualHost 127.0.0.1:{secure}>\nServerName {name}\nSSLEngine on\n</VirtualHost>\n"
        )
        staged, active = home / "md" / "staging" / name, home / "md" / "domains" / name
        job = staged / "job.json"

        def obtained() -> str:
            with running("apache2", "-D", "FOREGROUND", "-f", configuration, home=home) as log:
                wait_for(lambda: job.exists() and json.loads(job.read_text()).get("finished"), log=log)
                return checked(authority, staged / "pubcert.pem", name)

        first = obtained()
        # The next start takes it, and the account, into use.
        with running("apache2", "-D", "FOREGROUND", "-f", configuration, home=home) as log:
            wait_for((active / "pubcert.pem").exists, log=log)
        # It renews when the time comes; here the certificate is lost and the account is not.
        shutil.rmtree(active)
        assert obtained() != first


def test_such_a_certificate_gets_credentials_for_aws(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca") as own:
        name = "aws.example.com"
        token: Token = own.token(name)
        home = tmp_path / "home"
        home.mkdir()
        run(
            "lego", "--server", f"https://localhost:{own.port}/acme/directory", "--path", home, "--accept-tos", "--email", "ops@example.com",
            "--domains", name, "--http", "--http.port", "127.0.0.1:0", "--eab", "--kid", token.identifier, "--hmac", token.secret, "run",
            home=home, LEGO_CA_CERTIFICATES=own.root,
        )  # fmt: skip
        files = home / "certificates"
        with running_lab(own.pki, "--directory", own.directory) as lab:
            identity = ("--certificate", files / f"{name}.crt", "--private-key", files / f"{name}.key", *lab.arguments)
            assert own.pki.run("creds", *identity).json["AccessKeyId"].startswith("ASIA")
