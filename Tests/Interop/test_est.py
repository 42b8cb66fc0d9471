# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca` by EST (RFC 7030, 8951): other people's clients get certificates, renew them, and use them for AWS."""

from __future__ import annotations

import base64
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from enrolled import ocsp_answer
from enrolling import Authority, Reply, certificate_request, curl, enrol, serving_ca
from peer import load
from program import REPOSITORY, Pki, running_lab
from serving import wait_for
from tools import openssl, tool


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A server that tests share which leave no trace that others see: each has names of its own."""
    home = tmp_path_factory.mktemp("est")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    with serving_ca(pki, home / "ca") as running:
        yield running


@pytest.fixture
def own(pki: Pki, tmp_path: Path) -> Iterator[Authority]:
    """A server of one test."""
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca") as running:
        yield running


def subject(certificate: Path) -> str:
    return openssl("x509", "-in", certificate, "-noout", "-subject", "-nameopt", "RFC2253").stdout.strip()


def fingerprint(certificate: Path) -> str:
    return openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256").stdout


class TestStrongSwan:
    """strongSwan's own `pki`, unmodified."""

    @staticmethod
    def est(authority: Authority, *options: str | Path) -> subprocess.CompletedProcess[bytes]:
        command = ["/usr/bin/pki", "--est", "--url", authority.url, "--cacert", str(authority.root), *map(str, options)]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)

    def test_it_gets_a_certificate_and_renews_it_with_another_key(self, authority: Authority, tmp_path: Path) -> None:
        token = authority.token("swan-1")
        request, key = certificate_request(tmp_path, "/CN=swan-1")
        done = self.est(authority, "--in", request, "--userpass", f"{token.identifier}:{token.secret}", "--outform", "pem")
        assert done.returncode == 0, done.stderr
        certificate = tmp_path / "swan-1.pem"
        certificate.write_bytes(done.stdout)
        assert subject(certificate) == "subject=CN=swan-1"

        following, _ = certificate_request(tmp_path, "/CN=swan-1", name="following")
        done = self.est(authority, "--in", following, "--cert", certificate, "--key", key, "--outform", "pem")
        assert done.returncode == 0, done.stderr
        renewed = tmp_path / "renewed.pem"
        renewed.write_bytes(done.stdout)
        openssl("verify", "-CAfile", authority.root, "-purpose", "sslclient", renewed)
        shown = openssl("x509", "-in", renewed, "-noout", "-pubkey").stdout
        assert shown == openssl("req", "-in", following, "-noout", "-pubkey").stdout

    def test_it_takes_the_cas_certificates(self, authority: Authority, tmp_path: Path) -> None:
        command = ["/usr/bin/pki", "--estca", "--url", authority.url, "--cacert", str(authority.root), "--caout", "root.pem", "--outform", "pem"]
        subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
        found = next(tmp_path.glob("root*.pem"))
        assert fingerprint(found) == fingerprint(authority.root)

    def test_it_waits_until_a_person_approves(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca", "--retry-after", "1") as own, ThreadPoolExecutor() as pool:
            token = own.token("swan-2", "--approve")
            request, _ = certificate_request(tmp_path, "/CN=swan-2")
            future = pool.submit(
                self.est, own, "--in", request, "--userpass", f"{token.identifier}:{token.secret}",
                "--interval", "1", "--maxpolltime", "60", "--outform", "pem",
            )  # fmt: skip
            number = wait_for(lambda: re.search(r"request +(\d+)", own.run("pending")))[1]
            own.run("approve", number)
            done = future.result()
            assert done.returncode == 0, done.stderr
            assert own.run("pending") == ""


class TestForms:
    """Public reports: clients write requests in every form, and read one form alone."""

    @pytest.mark.parametrize("form", ["pem", "base64", "one-line", "der", "crlf"])
    def test_a_request_may_come_in_any(self, authority: Authority, tmp_path: Path, form: str) -> None:
        token = authority.token(f"form-{form}")
        request, _ = certificate_request(tmp_path, f"/CN=form-{form}")
        der = tmp_path / "request.der"
        openssl("req", "-in", request, "-outform", "DER", "-out", der)
        body = {
            "pem": request.read_bytes(),
            "base64": base64.encodebytes(der.read_bytes()),
            "one-line": base64.b64encode(der.read_bytes()),
            "der": der.read_bytes(),
            "crlf": request.read_bytes().replace(b"\n", b"\r\n"),
        }[form]
        sent = tmp_path / "body"
        sent.write_bytes(body)
        reply = enrol(authority, sent, token)
        assert subject(reply.certificate(tmp_path / "c.pem")) == f"subject=CN=form-{form}"

    def test_the_reply_is_base64_on_one_line_with_the_types_of_the_rfcs(self, authority: Authority, tmp_path: Path) -> None:
        token = authority.token("types")
        reply = enrol(authority, certificate_request(tmp_path, "/CN=types")[0], token)
        assert reply.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
        assert reply.headers["content-transfer-encoding"] == "base64"
        assert re.fullmatch(r"[A-Za-z0-9+/]+=*", reply.body)
        authorities = curl(authority, "/.well-known/est/cacerts")
        assert authorities.headers["content-type"] == "application/pkcs7-mime"
        assert re.fullmatch(r"[A-Za-z0-9+/]+=*", authorities.body)

    def test_another_content_type_is_refused(self, authority: Authority, tmp_path: Path) -> None:
        request, _ = certificate_request(tmp_path, "/CN=type")
        token = authority.token("type")
        proof = ("--user", f"{token.identifier}:{token.secret}")
        content = ("--header", "Content-Type: text/plain", "--data-binary", f"@{request}")
        assert curl(authority, "/.well-known/est/simpleenroll", *proof, *content).status == 400

    def test_attributes_are_not_asked_for(self, authority: Authority) -> None:
        assert curl(authority, "/.well-known/est/csrattrs").status == 204

    def test_what_is_not_offered_is_not_found(self, authority: Authority, tmp_path: Path) -> None:
        request, _ = certificate_request(tmp_path, "/CN=x")
        for path in ("serverkeygen", "fullcmc", "other/simpleenroll"):
            assert enrol(authority, request, None, path=path).status == 404
        assert curl(authority, "/.well-known/est/root/cacerts").status == 200
        assert curl(authority, "/.well-known/est/client/cacerts").status == 200


class TestProofs:
    def test_without_a_proof_there_is_a_challenge(self, authority: Authority, tmp_path: Path) -> None:
        reply = enrol(authority, certificate_request(tmp_path, "/CN=x")[0])
        assert reply.status == 401
        assert reply.headers["www-authenticate"].startswith("Basic realm=")

    @pytest.mark.parametrize("user", ["unknown:{secret}", "{kid}:wrong", "{kid}:", ":{secret}", "{kid}:{secret}x"])
    def test_a_wrong_secret_is_refused(self, own: Authority, tmp_path: Path, user: str) -> None:
        token = own.token("x")
        request, _ = certificate_request(tmp_path, "/CN=x")
        said = user.format(kid=token.identifier, secret=token.secret)
        assert enrol(own, request, None, "--user", said).status == 401
        assert enrol(own, request, token).status == 200

    @pytest.mark.directory("each server counts for itself")
    def test_an_address_that_guesses_is_slowed_down(self, own: Authority, tmp_path: Path) -> None:
        request, _ = certificate_request(tmp_path, "/CN=x")
        token = own.token("x")
        statuses = [enrol(own, request, None, "--user", f"{token.identifier}:{guess}").status for guess in range(25)]
        assert statuses[:20] == [401] * 20
        assert 429 in statuses

    def test_a_token_that_is_revoked_while_it_is_used(self, own: Authority, tmp_path: Path) -> None:
        token = own.token("web-*", "--uses", "5")
        first, _ = certificate_request(tmp_path, "/CN=web-1")
        assert enrol(own, first, token).status == 200
        own.run("token", "revoke", token.identifier)
        assert enrol(own, certificate_request(tmp_path, "/CN=web-2")[0], token).status == 401

    def test_the_same_request_gets_the_same_certificate(self, authority: Authority, tmp_path: Path) -> None:
        token = authority.token("again")
        request, _ = certificate_request(tmp_path, "/CN=again")
        assert enrol(authority, request, token).body == enrol(authority, request, token).body
        assert enrol(authority, certificate_request(tmp_path, "/CN=again")[0], token).status == 401

    def test_a_replaced_certificate_locks_its_name(self, own: Authority, tmp_path: Path) -> None:
        token = own.token("web-1")
        request, key = certificate_request(tmp_path, "/CN=web-1")
        first = enrol(own, request, token).certificate(tmp_path / "first.pem")

        def renew(certificate: Path, key: Path, name: str) -> Reply:
            request, _ = certificate_request(tmp_path, "/CN=web-1", name=name)
            return enrol(own, request, None, "--cert", certificate, "--key", key, path="simplereenroll")

        second = renew(first, key, "second").certificate(tmp_path / "second.pem")
        # One host whose timers overlap.
        assert renew(first, key, "overlapping").status == 403 and "lock" not in own.run("audit")
        third = renew(second, tmp_path / "second.key", "third").certificate(tmp_path / "third.pem")
        stolen = renew(first, key, "stolen")
        assert stolen.status == 403 and "stolen" in stolen.body
        assert renew(third, tmp_path / "third.key", "fourth").status == 403
        assert "lock" in own.run("audit")
        assert "web-1 is locked" in own.said
        replacing = own.token("web-1", "--replace")
        assert enrol(own, certificate_request(tmp_path, "/CN=web-1", name="new")[0], replacing).status == 200

    @pytest.mark.directory("renews certificates in the directory")
    def test_the_cas_timer_leaves_enrolled_certificates_to_their_hosts(self, own: Authority, tmp_path: Path) -> None:
        request, key = certificate_request(tmp_path, "/CN=web-1")
        certificate = enrol(own, request, own.token("web-1")).certificate(tmp_path / "c.pem")
        own.run("renew", "--all")
        reply = enrol(own, request, None, "--cert", certificate, "--key", key, path="simplereenroll")
        assert reply.status == 200

    def test_a_revoked_certificate_does_not_renew(self, own: Authority, tmp_path: Path) -> None:
        token = own.token("web-1")
        request, key = certificate_request(tmp_path, "/CN=web-1")
        certificate = enrol(own, request, token).certificate(tmp_path / "c.pem")
        own.run("revoke", "web-1")
        assert enrol(own, request, None, "--cert", certificate, "--key", key, path="simplereenroll").status == 403

    def test_a_certificate_of_another_ca_is_no_proof(self, own: Authority, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "other")
        pki.run("issue-client", "web-1", "--directory", tmp_path / "other")
        request, _ = certificate_request(tmp_path, "/CN=web-1")
        command = [
            "curl", "--silent", "--cacert", str(own.root), "--cert", str(tmp_path / "other/web-1-cert.pem"),
            "--key", str(tmp_path / "other/web-1-key.pem"), "--header", "Content-Type: application/pkcs10",
            "--data-binary", f"@{request}", f"{own.est}/simplereenroll",
        ]  # fmt: skip
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0

    @pytest.mark.directory("the server keeps its own keys in memory")
    @pytest.mark.parametrize("name", ["serve-ca", "serve-ca-ocsp", "root"])
    def test_the_servers_own_certificates_and_the_cas_are_no_proof(self, own: Authority, tmp_path: Path, name: str) -> None:
        own.run("issue-client", "web-1")
        ocsp_answer(own, load(own.directory / "web-1-cert.pem"))
        request, _ = certificate_request(tmp_path, f"/CN={name}")
        certificate, key = (own.directory / f"{name}-{part}.pem" for part in ("cert", "key"))
        reply = enrol(own, request, None, "--cert", certificate, "--key", key, path="simplereenroll")
        assert reply.status == 403 and "cannot be used" in reply.body

    def test_a_proxys_header_is_believed_from_its_address_alone(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        request, key = certificate_request(tmp_path, "/CN=web-1")
        following, _ = certificate_request(tmp_path, "/CN=web-1", name="following")

        def header(certificate: Path) -> str:
            der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], capture_output=True, check=True).stdout
            return f"Client-Cert: :{base64.b64encode(der).decode()}:"

        with serving_ca(pki, tmp_path / "ca") as direct:
            certificate = enrol(direct, request, direct.token("web-1")).certificate(tmp_path / "c.pem")
            reply = enrol(direct, following, None, "--header", header(certificate), path="simplereenroll")
            assert reply.status == 401
        with serving_ca(pki, tmp_path / "ca", "--proxy", "127.0.0.1") as behind:
            reply = enrol(behind, following, None, "--header", header(certificate), path="simplereenroll")
            assert reply.status == 200


class TestSmuggling:
    """What is signed is what was asked for and is allowed; nothing else of a request is copied."""

    @pytest.mark.parametrize(
        "extension",
        [
            "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign",
            "subjectAltName=DNS:other.example.com", "subjectAltName=IP:10.0.0.1", "subjectAltName=email:root@example.com",
            "subjectAltName=URI:spiffe://example.com/admin", "subjectAltName=otherName:1.2.3.4;UTF8:admin",
            "extendedKeyUsage=serverAuth", "nameConstraints=critical,permitted;DNS:example.com",
        ],
    )  # fmt: skip
    def test_extensions_that_ask_for_more_are_refused(self, authority: Authority, tmp_path: Path, extension: str) -> None:
        token = authority.token("smuggler")
        request, _ = certificate_request(tmp_path, "/CN=smuggler", extension)
        assert enrol(authority, request, token).status in (400, 403)
        assert not [row for row in authority.rows() if row["name"] == "smuggler"]

    def test_the_subject_is_the_name_alone(self, authority: Authority, tmp_path: Path) -> None:
        token = authority.token("modest")
        request, _ = certificate_request(tmp_path, "/O=Administrators/OU=root/CN=modest")
        assert subject(enrol(authority, request, token).certificate(tmp_path / "c.pem")) == "subject=CN=modest"

    @pytest.mark.parametrize("name", ["/CN=root", "/CN=serve-ca", "/CN=a/CN=b", "/O=none", "/CN=..\\/x", "/CN=x\\ny"])
    def test_names_that_are_not_allowed(self, authority: Authority, tmp_path: Path, name: str) -> None:
        token = authority.token("web-*")
        assert enrol(authority, certificate_request(tmp_path, name)[0], token).status in (400, 403)

    def test_a_request_that_its_key_did_not_sign(self, authority: Authority, tmp_path: Path) -> None:
        token = authority.token("forged")
        request, _ = certificate_request(tmp_path, "/CN=forged")
        der = tmp_path / "r.der"
        openssl("req", "-in", request, "-outform", "DER", "-out", der)
        data = bytearray(der.read_bytes())
        data[-1] ^= 1
        der.write_bytes(data)
        assert enrol(authority, der, token).status == 400

    def test_a_body_that_is_too_long(self, authority: Authority, tmp_path: Path) -> None:
        body = tmp_path / "long"
        body.write_bytes(b"A" * 100_000)
        assert enrol(authority, body, authority.token("long")).status == 413


class TestOperation:
    def test_health_readiness_and_metrics(self, own: Authority, tmp_path: Path) -> None:
        assert curl(own, "/healthz").body == "ok\n"
        assert curl(own, "/readyz").body == "ok\n"
        enrol(own, certificate_request(tmp_path, "/CN=x")[0], own.token("x"))
        metrics = own.metrics()
        assert metrics['pki_enrolments_total{protocol="est",outcome="issued"}'] == 1
        assert metrics["pki_tokens_valid"] == 0

    def test_the_servers_certificate_is_replaced_while_it_runs(self, own: Authority) -> None:
        def served() -> str:
            shown = openssl(
                "s_client", "-connect", f"127.0.0.1:{own.port}", "-CAfile", own.root, "-verify_return_error", input=b"Q\n"
            )
            return shown.stdout.split("-----BEGIN")[1]

        before = served()
        own.process.send_signal(signal.SIGHUP)
        wait_for(lambda: served() != before, log=own.log)

    def test_what_a_client_received_survives_a_kill_and_nothing_is_issued_twice(self, pki: Pki, tmp_path: Path) -> None:
        """Twenty clients ask at once and again until they are answered, while the server is killed and started again."""
        directory = tmp_path / "ca"
        pki.run("init-ca", "--directory", directory)
        names = [f"web-{number}" for number in range(20)]
        for name in names:
            (tmp_path / name).mkdir()
        requests = {name: certificate_request(tmp_path / name, f"/CN={name}")[0] for name in names}
        received: dict[str, str] = {}
        over = threading.Event()
        with serving_ca(pki, directory) as first:
            token = first.token("web-*", "--uses", "20")
            port = first.port

            def ask(name: str) -> None:
                while not over.is_set():
                    command = [
                        "curl", "--silent", "--fail", "--max-time", "20", "--cacert", str(directory / "root-cert.pem"),
                        "--user", f"{token.identifier}:{token.secret}", "--header", "Content-Type: application/pkcs10",
                        "--data-binary", f"@{requests[name]}", f"https://127.0.0.1:{port}/.well-known/est/simpleenroll",
                    ]  # fmt: skip
                    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
                    if done.returncode == 0:
                        received[name] = Reply(200, {}, done.stdout.decode()).certificate(tmp_path / name / "c.pem").read_text()
                        return

            with ThreadPoolExecutor(20) as pool, ExitStack() as end:
                end.callback(over.set)
                futures = [pool.submit(ask, name) for name in names]
                wait_for(lambda: len(received) >= 3)
                first.stop(signal.SIGKILL)
                with serving_ca(pki, directory, port=port) as second:
                    wait_for(lambda: len(received) == len(names), log=second.log)
                    over.set()
                    for future in futures:
                        future.result()
                    rows = [row for row in second.rows() if row["profile"] == "client"]
        assert sorted(row["name"] for row in rows) == sorted(names)
        issued = {int(str(row["serialNumber"]), 16) for row in rows}
        assert issued == {load(tmp_path / name / "c.pem").serial_number for name in names}


@pytest.mark.smoke
def test_an_enrolled_host_gets_aws_credentials(own: Authority, tmp_path: Path) -> None:
    """The whole walk: token, EST, and `pki creds` and the AWS CLI against the lab."""
    request, key = certificate_request(tmp_path, "/CN=web-1")
    certificate = enrol(own, request, own.token("web-1")).certificate(tmp_path / "web-1-cert.pem")
    shutil.move(key, tmp_path / "web-1-key.pem")
    with running_lab(own.pki, "--directory", own.directory) as lab:
        identity = ("--certificate", certificate, "--private-key", tmp_path / "web-1-key.pem", *lab.arguments)
        assert own.pki.run("creds", *identity).json["AccessKeyId"].startswith("ASIA")
        own.pki.run("configure", "--profile", "web-1", *identity)
        command = [REPOSITORY / ".venv/bin/aws", "sts", "get-caller-identity", "--profile", "web-1", "--query", "Account"]
        environment = {**own.pki.variables(), "AWS_ENDPOINT_URL_STS": lab.endpoint, "AWS_REGION": lab.region}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
        assert done.stdout.strip().decode() == f'"{lab.account}"', done.stderr


class TestExpired:
    """A host that was off: its certificate has expired, and renews within --renewal-grace, or is told why not."""

    @pytest.mark.parametrize(("grace", "status"), [((), 403), (("--renewal-grace", "2d"), 200)])
    def test_by_the_grace_of_the_server(self, pki: Pki, tmp_path: Path, grace: tuple[str, ...], status: int) -> None:
        directory = tmp_path / "ca"
        request, key = certificate_request(tmp_path, "/CN=web-1")
        early = pki.with_prefix("faketime", "-f", "-2d")
        early.run("init-ca", "--directory", directory)
        early.run("issue-client", "--directory", directory, "--csr", request, "--name", "web-1", "--days", "1")
        with serving_ca(pki, directory, *grace) as running:
            proof = ("--cert", directory / "web-1-cert.pem", "--key", key)
            reply = enrol(running, request, None, *proof, path="simplereenroll")
        assert reply.status == status, reply
        assert status == 200 or "expired" in reply.body


def test_a_host_below_an_intermediate_renews_without_sending_its_chain(pki: Pki, tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    pki.run("issue-intermediate", "issuing", "--directory", directory)
    request, key = certificate_request(tmp_path, "/CN=web-1")
    with serving_ca(pki, directory, "--issuer", "issuing") as running:
        certificate = enrol(running, request, running.token("web-1")).certificate(tmp_path / "c.pem")
        reply = enrol(running, request, None, "--cert", certificate, "--key", key, path="simplereenroll")
        assert reply.status == 200
