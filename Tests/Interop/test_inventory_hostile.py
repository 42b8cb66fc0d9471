# SPDX-License-Identifier: Apache-2.0
"""What the logins of a database on PostgreSQL, and a server that is none, cannot do."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from enrolling import Authority, certificate_request, curl, enrol, one_server
from postgresql import Cluster
from program import UNAVAILABLE, Pki
from tools import openssl, tool


@pytest.fixture
def place(pki: Pki, tmp_path: Path, cluster: Cluster) -> tuple[Pki, Path, str]:
    """A CA whose inventory is on the server: the program with its address, the directory, and the database."""
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    url = cluster.url(cluster.inventory(pki))
    pki.run("inventory", "copy", "--from", directory, "--to", url)
    return pki.with_environment(PKI_INVENTORY=url), directory, urlsplit(url).path.removeprefix("/")


@pytest.fixture
def served(place: tuple[Pki, Path, str]) -> Iterator[Authority]:
    pki, directory, _ = place
    with one_server(pki, directory, "--proxy", "127.0.0.1") as authority:
        yield authority


def digest(certificate: Path) -> tuple[bytes, str, str]:
    """A certificate's encoding, and the SHA-256 of it and of its key."""
    encoded = tool("openssl", "x509", "-in", certificate, "-outform", "PEM").stdout
    der = base64.b64decode("".join(encoded.splitlines()[1:-1]))
    key = tool("openssl", "x509", "-in", certificate, "-noout", "-pubkey").stdout
    return der, hashlib.sha256(der).hexdigest(), hashlib.sha256(base64.b64decode("".join(key.splitlines()[1:-1]))).hexdigest()


def row(name: str, certificate: Path, issuer: Path, serial: str, is_ca: int) -> str:
    """The SQL with which a login of a server says that the CA has issued a certificate."""
    der, fingerprint, key = digest(certificate)
    return f"""
        WITH n AS (INSERT INTO certificates (name, serial, subject, alternative_names, profile, key_type, is_ca, not_before, not_after, place,
            issued_at, issued_by, certificate_path, issuer_key, subject_key, fingerprint, lifetime, common_name)
        VALUES ('{name}', '\\x{serial}', 'CN={name}', '', '{"intermediate" if is_ca else "client"}', 'ec-p256', {is_ca}, 1700000000, 4000000000, 0,
            1700000000, 'alex', '{name}-cert.pem', '\\x{digest(issuer)[2]}', '\\x{key}', '\\x{fingerprint}', 604800, '{name}') RETURNING id)
        INSERT INTO certificate_contents SELECT id, '\\x{der.hex()}' FROM n"""


def test_a_row_is_no_certificate(place: tuple[Pki, Path, str], tmp_path: Path, cluster: Cluster) -> None:
    pki, directory, database = place
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *ec, "-keyout", tmp_path / "evil.key", "-out", tmp_path / "evil.pem", "-subj", "/CN=evil", "-set_serial", "0x11aa")
    request, key = certificate_request(tmp_path, "/CN=vault-admin", name="vault-admin")
    openssl("x509", "-req", "-in", request, "-CA", tmp_path / "evil.pem", "-CAkey", tmp_path / "evil.key", "-set_serial", "0x11bb", "-out", tmp_path / "host.pem")
    cluster.psql(row("evil", tmp_path / "evil.pem", tmp_path / "evil.pem", "11aa", 1), database, user="machine")
    cluster.psql(row("vault-admin", tmp_path / "host.pem", tmp_path / "evil.pem", "11bb", 0), database, user="machine")
    with one_server(pki, directory, "--proxy", "127.0.0.1") as authority:
        # In its own connection the client is not known; a proxy may pass on what it likes.
        body = ("--header", "Content-Type: application/pkcs10", "--data-binary", f"@{request}")
        own = ("--cacert", authority.root, "--cert", tmp_path / "host.pem", "--key", key)
        refused = tool("curl", "--silent", *own, *body, f"{authority.est}/simplereenroll", status=None)
        assert refused.status != 0
        header = f"Client-Cert: :{base64.b64encode(digest(tmp_path / 'host.pem')[0]).decode()}:"
        assert curl(authority, "/.well-known/est/simplereenroll", "--header", header, *body).status == 403


def test_a_login_of_a_server_approves_nothing(served: Authority, place: tuple[Pki, Path, str], tmp_path: Path, cluster: Cluster) -> None:
    token = served.token("*", "--approve")
    request, _ = certificate_request(tmp_path, "/CN=web-1")
    der = tool("openssl", "req", "-in", request, "-outform", "PEM").stdout
    encoded = base64.b64decode("".join(der.splitlines()[1:-1]))
    columns = "proof, request, der, name, peer, asked_at, decision"
    values = f"'token:{token.identifier}', '\\x{hashlib.sha256(encoded).hexdigest()}', '\\x{encoded.hex()}', 'web-1', 'EST', 1790000000, 1"
    said = cluster.psql(f"INSERT INTO pending_requests ({columns}) VALUES ({values})", place[2], user="machine", status=None)
    assert "permission denied" in said
    assert enrol(served, request, token).status == 202


def test_a_reader_does_not_hold_up_the_servers(served: Authority, place: tuple[Pki, Path, str], tmp_path: Path, cluster: Cluster) -> None:
    token = served.token("*")
    assert "permission denied" in cluster.psql("BEGIN; LOCK TABLE inventory_writers IN EXCLUSIVE MODE", place[2], user="reader", status=None)
    holding = threading.Thread(target=cluster.psql, args=("SELECT pg_advisory_lock(1886087497), pg_sleep(15)", place[2]), kwargs={"user": "reader"})
    holding.start()
    assert enrol(served, certificate_request(tmp_path, "/CN=web-1")[0], token).status == 200
    assert holding.is_alive()
    holding.join()


def test_no_one_else_makes_functions_that_a_superuser_would_call(place: tuple[Pki, Path, str], cluster: Cluster) -> None:
    pki, _, database = place
    cluster.psql("GRANT CREATE ON SCHEMA public TO PUBLIC", database)
    for function in ("pg_advisory_xact_lock(integer) RETURNS void", "format(text, name) RETURNS text"):
        body = "LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''called''; END'"
        cluster.psql(f"CREATE FUNCTION public.{function} {body}", database, user="reader")
    pki.run("inventory", "init", "--inventory", cluster.url(database))
    pki.run("audit", "--verify", "--directory", place[1])


@pytest.mark.parametrize("columns", [0, 1], ids=["no-column", "one-column"])
def test_a_server_with_other_answers_is_refused(pki: Pki, tmp_path: Path, cluster: Cluster, columns: int) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    database = cluster.database()
    for statement in (f"CREATE TABLE inventory_version ({'version bigint' if columns else ''})", "INSERT INTO inventory_version DEFAULT VALUES"):
        cluster.psql(statement, database)
    cluster.psql("GRANT SELECT ON inventory_version TO PUBLIC", database)
    done = pki.run("list", "--directory", tmp_path / "ca", "--inventory", cluster.url(database), status=None)
    assert done.status in {2, 69}


def test_a_server_that_begins_a_copy_is_left(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
                connection.recv(65_536)
                connection.sendall(b"G\0\0\0\x07\0\0\0")
                while connection.recv(65_536):
                    pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"postgresql://127.0.0.1:{listener.getsockname()[1]}/pki?gssencmode=disable&sslmode=disable&user=x"
        pki.run("list", "--directory", tmp_path / "ca", "--inventory", url, status=UNAVAILABLE)
