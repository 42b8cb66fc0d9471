# SPDX-License-Identifier: Apache-2.0
"""What somebody else's web page, client or file name may not do with `pki lab`: findings W12, B4 and B5 of the review."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.x509.oid import NameOID

from aws import SECRET_ACCESS_KEY
from peer import Reply, create_session, issue, pem, root_of
from program import REFUSED, USAGE, Lab, Pki, running_lab

PUBLISHED = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET_ACCESS_KEY)


def signed(
    lab: Lab,
    method: str,
    target: str,
    body: str = "",
    *,
    host: str,
    service: str,
    credentials: Credentials = PUBLISHED,
    **headers: str,
) -> Reply:
    """A request as a page served under the name `host` could send it: signed for that name, to the lab's address."""
    kind = "application/x-www-form-urlencoded" if service in ("iam", "sts") else "application/json"
    request = AWSRequest(method, f"http://{host}{target}", headers={"Content-Type": kind, "Host": host}, data=body)
    SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=20)
    try:
        connection.request(method, target, body, {**dict(request.headers.items()), **headers})
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def list_roles(lab: Lab, host: str, **options: str | Credentials) -> Reply:
    body = urlencode({"Action": "ListRoles", "Version": "2010-05-08"})
    return signed(lab, "POST", "/", body, host=host, service="iam", **options)  # type: ignore[arg-type]


def create_trust_anchor(lab: Lab, host: str, **options: str | Credentials) -> Reply:
    bundle = pem(issue(None, "planted", ca=True).certificate).decode()
    source = {"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": bundle}}
    body = json.dumps({"name": "planted", "source": source})
    return signed(lab, "POST", "/trustanchors", body, host=host, service="rolesanywhere", **options)  # type: ignore[arg-type]


class TestW12:
    """A page of another site, in the browser of whoever runs a lab."""

    @pytest.mark.parametrize("ask", [list_roles, create_trust_anchor])
    @pytest.mark.parametrize("host", ["evil.com:{port}", "localhost.evil.com:{port}", "127.0.0.1.evil.com", "evil.com"])
    def test_w12_a_rebound_page_cannot_sign_with_the_published_key(
        self, lab: Lab, ask: Callable[..., Reply], host: str
    ) -> None:
        assert ask(lab, f"127.0.0.1:{lab.port}").status in (200, 201)
        reply = ask(lab, host.format(port=lab.port))
        assert reply.status == 403 and b"planted" not in reply.body and b"<Roles>" not in reply.body, reply
        assert "--allow-host" in lab.said

    @pytest.mark.parametrize("ask", [list_roles, create_trust_anchor])
    @pytest.mark.parametrize(
        "origin", ["http://evil.com", "http://evil://127.0.0.1:{port}", "https://127.0.0.1:{port}", "null", "http://localhost:{port}"]
    )
    def test_w12_a_page_of_another_origin_neither(self, lab: Lab, ask: Callable[..., Reply], origin: str) -> None:
        own = f"127.0.0.1:{lab.port}"
        assert ask(lab, own, Origin=f"http://{own}").status in (200, 201)
        assert ask(lab, own, Origin=origin.format(port=lab.port)).status == 403

    @pytest.fixture
    def open_lab(self, pki: Pki, ca: Path) -> Iterator[Lab]:
        with running_lab(pki, "--directory", ca, "--listen", "0.0.0.0", "--allow-host", "lab.test") as lab:
            yield lab

    def test_w12_the_key_of_a_lab_in_the_network_is_random(self, pki: Pki, ca: Path, open_lab: Lab) -> None:
        own = f"127.0.0.1:{open_lab.port}"
        for ask in (list_roles, create_trust_anchor):
            assert ask(open_lab, own).status == 403
        found = Credentials(open_lab.exports["AWS_ACCESS_KEY_ID"], open_lab.exports["AWS_SECRET_ACCESS_KEY"])
        assert found.access_key != PUBLISHED.access_key and found.secret_key != SECRET_ACCESS_KEY
        assert len(found.access_key) == 20 and len(found.secret_key) == 40
        assert list_roles(open_lab, own, credentials=found).status == 200
        assert found.secret_key not in open_lab.said
        with running_lab(pki, "--directory", ca, "--listen", "0.0.0.0") as other:
            assert other.exports["AWS_SECRET_ACCESS_KEY"] != found.secret_key

    def test_w12_a_lab_in_the_network_knows_its_names(self, open_lab: Lab) -> None:
        found = Credentials(open_lab.exports["AWS_ACCESS_KEY_ID"], open_lab.exports["AWS_SECRET_ACCESS_KEY"])
        for host in ("lab.test", f"lab.test:{open_lab.port}", f"localhost:{open_lab.port}"):
            assert list_roles(open_lab, host, credentials=found).status == 200
        for host in (f"evil.test:{open_lab.port}", f"0.0.0.0:{open_lab.port}", f"192.0.2.1:{open_lab.port}"):
            assert list_roles(open_lab, host, credentials=found).status == 403

    def test_w12_nobody_in_the_network_makes_a_trust_anchor_without_the_key(self, open_lab: Lab) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                pytest.skip("this machine has no address but loopback")
            own = probe.getsockname()[0]
        bundle = pem(issue(None, "planted", ca=True).certificate).decode()
        for address, status in ((own, 403), ("127.0.0.1", 201)):
            connection = http.client.HTTPConnection(address, open_lab.port, timeout=20)
            body = json.dumps({"name": "planted", "bundle": bundle})
            connection.request("POST", "/lab/trust-anchors", body, {"Content-Type": "application/json"})
            assert connection.getresponse().status == status
            connection.close()

    @pytest.mark.parametrize("name", ["", "a b", "http://lab", "lab:x", "lab:99999", "[lab]", "lab/", "a@b"])
    def test_w12_a_host_that_is_none_is_refused(self, pki: Pki, ca: Path, name: str) -> None:
        assert "--allow-host" in pki.refuse("lab", "--directory", ca, f"--allow-host={name}", status=USAGE)


# A name that ends in a combining mark after each quotation mark, and does something where it is not quoted.
HOSTILE_NAMES = [
    "ca'\u0301;touch PWNED;#'\u0301.pem",
    "$(touch PWNED).pem",
    "`touch PWNED`.pem",
    "a\ntouch PWNED\n.pem",
    "a'b\"c\\d.pem",
    " -x .pem",
    "\u202e\u200d.pem",
]


class TestB4:
    @pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_b4_the_path_of_the_certificate_is_one_word(self, pki: Pki, ca: Path, shell: str, name: str) -> None:
        path = pki.home / name
        with pki.start("lab", "--port", "0", "--directory", ca, "--tls", "--tls-ca-file", path) as process:
            assert process.stdout
            script, last = b"", b"export AWS_CA_BUNDLE="
            while script.count(last) == 0 or script.count(b"\n", script.index(last)) < 1 + name.count("\n"):
                part = os.read(process.stdout.fileno(), 65536)
                assert part
                script += part
            done = subprocess.run(
                [shell, "-c", 'eval "$(cat)"; printf "%s" "$AWS_CA_BUNDLE"'],
                input=script, capture_output=True, cwd=pki.home, env=pki.variables(), check=True,
            )  # fmt: skip
        assert done.stdout.decode() == str(path)
        assert path.read_text().startswith("-----BEGIN CERTIFICATE-----")
        assert not (pki.home / "PWNED").exists()

    def test_b4_a_hostile_temporary_directory(self, pki: Pki, ca: Path) -> None:
        parent = pki.home / "t'\u0301;touch PWNED;#'\u0301"
        parent.mkdir()
        with running_lab(pki.with_environment(TMPDIR=str(parent)), "--directory", ca, "--tls") as lab:
            made = list(parent.iterdir())
            assert len(made) == 1 and stat.S_IMODE(made[0].stat().st_mode) == 0o700
            line = f"export AWS_CA_BUNDLE={shlex.quote(str(made[0] / 'ca.pem'))}"
            assert f"export AWS_CA_BUNDLE='{lab.exports['AWS_CA_BUNDLE']}'" in (line, line.replace("'\"'\"'", "'\\''"))
        assert list(parent.iterdir()) == []

    @pytest.mark.parametrize("kind", ["device", "pipe", "socket", "directory", "link", "dangling"])
    def test_b4_only_a_regular_file_is_replaced(self, pki: Pki, ca: Path, kind: str) -> None:
        folder = pki.home / "there"
        folder.mkdir()
        path, target = folder / "ca.pem", pki.home / "target"
        target.write_text("mine")
        match kind:
            case "device":
                try:
                    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
                except PermissionError:
                    pytest.skip("only root makes devices")
            case "pipe":
                os.mkfifo(path)
            case "socket":
                with socket.socket(socket.AF_UNIX) as made:
                    made.bind(str(path))
            case "directory":
                path.mkdir()
            case "link":
                path.symlink_to(target)
            case "dangling":
                path.symlink_to(pki.home / "nowhere")
        before = os.lstat(path)
        said = pki.refuse("lab", "--port", "0", "--directory", ca, "--tls", "--tls-ca-file", path, status=REFUSED)
        assert str(path) in said
        after = os.lstat(path)
        assert (before.st_mode, before.st_ino, before.st_rdev) == (after.st_mode, after.st_ino, after.st_rdev)
        assert target.read_text() == "mine" and not (pki.home / "nowhere").exists()
        assert [one.name for one in folder.iterdir()] == ["ca.pem"]


# What a client may call itself, and whether the hint can hold the name.
COMMON_NAMES = [
    ("db-1;touch PWNED;$(touch PWNED)", True),
    ("`touch PWNED`", True),
    ("'\u0301;touch PWNED;#'\u0301", True),
    ("' && touch PWNED || '", True),
    ("--trust-anchor-arn=x", True),
    ("-x", True),
    ("a\\", True),
    ('"$(touch PWNED)"', True),
    ("plain", True),
    ("x\ntouch PWNED\n", False),
    ("x\rtouch PWNED", False),
    ("x\u202e\u200b", False),
    ("x\u0085touch PWNED", False),
    ("*", False),
]


class TestB5:
    @pytest.fixture
    def picky(self, pki: Pki, ca: Path) -> Iterator[Lab]:
        """A lab whose role wants another issuer than there is."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "rolesanywhere.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
            "Condition": {"StringEquals": {"aws:PrincipalTag/x509Issuer/CN": "somebody else"}},
        }
        seed = {
            "trustAnchors": [{"name": "lab"}],
            "roles": [{"name": "picky", "trustPolicy": {"Version": "2012-10-17", "Statement": [statement]}}],
            "profiles": [{"name": "lab", "roles": ["picky"]}],
        }
        file = pki.home / "seed.json"
        file.write_text(json.dumps(seed))
        with running_lab(pki, "--directory", ca, "--seed", file) as lab:
            yield lab

    def test_b5_a_hint_that_is_pasted_is_one_command(self, pki: Pki, ca: Path, picky: Lab) -> None:
        stub = pki.home / "bin/pki"
        stub.parent.mkdir()
        stub.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n')
        stub.chmod(0o755)
        root = root_of(ca)
        arns = {"trustAnchorArn": picky.trust_anchor_arn, "profileArn": picky.profile_arn, "roleArn": picky.role_arn}
        address = f"127.0.0.1:{picky.port}"
        for name, is_kept in COMMON_NAMES:
            leaf = issue(root, subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            assert create_session(leaf, address, arns).send(picky.endpoint).status == 403
            wanted = ["print-trust-policy", "--trust-anchor-arn", picky.trust_anchor_arn]
            wanted += [f"--subject-cn={name}"] if is_kept else []
            trace = json.loads(pki.run("lab", "log", "--endpoint", picky.endpoint, "--format", "json").stdout.splitlines()[-1])
            text = pki.run("lab", "log", "--endpoint", picky.endpoint).stdout
            shown = [line for line in text.splitlines() if "hint: " in line][-1]
            said = [line for line in picky.said.splitlines() if "print one that allows it" in line][-1]
            for hint in (
                trace["checks"][-1]["hint"],
                shown.split("hint: ")[1],
                said.split(" (print one")[1].removesuffix(")").replace(" that allows it", "print one that allows it", 1),
            ):
                command = hint.split("print one that allows it: ")[1]
                for shell in ("sh", "bash", "dash"):
                    done = subprocess.run(
                        [shell, "-c", command], capture_output=True, cwd=pki.home, check=True,
                        env={**pki.variables(), "PATH": f"{stub.parent}:/usr/bin:/bin"},
                    )  # fmt: skip
                    assert done.stdout.decode().split("\0")[:-1] == wanted, (name, command)
                assert not (pki.home / "PWNED").exists(), (name, command)
