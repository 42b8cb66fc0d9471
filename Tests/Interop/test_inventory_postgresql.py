# SPDX-License-Identifier: Apache-2.0
"""The inventory on PostgreSQL: the same commands, the same output, and what a database adds."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from acme import Client, client, request_for
from enrolled import ocsp_answer, server_certificate
from enrolling import Authority, Token, certificate_request, curl, enrol, one_server
from peer import load
from postgresql import LOGINS, OWNER, ROLE, Cluster, postgresql, secret, standby
from program import CHECK_FAILED, DENIED, DONE, INVENTORIES, REFUSED, UNAVAILABLE, USAGE, Pki
from replicated import Shared, two_servers
from servers import closed_port
from serving import wait_for
from tools import openssl


@pytest.fixture(scope="module")
def filled(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with something of everything, which no test changes."""
    pki = Pki(home=tmp_path_factory.mktemp("filled"), path=built)
    here = ("--directory", pki.home / "ca")
    pki.run("init-ca", *here)
    pki.run("issue-intermediate", "issuing", *here)
    for name in ("web-1", "web-2", "web-3"):
        pki.run("issue-client", name, "--issuer", "issuing", *here)
    pki.run("renew", "web-1", *here)
    pki.run("revoke", "web-2", "--reason", "superseded", *here)
    pki.run("revoke", "web-3", "--hold", *here)
    pki.run("crl", "--issuer", "issuing", *here)
    pki.run("token", "create", "--name", "db-*", "--uses", "3", "--san", "dns:{name}.example.com", *here)
    return pki.home / "ca"


@dataclass
class Moved:
    """A directory whose inventory is on a server, and the URL of that."""

    directory: Path
    database: str
    url: str

    @property
    def options(self) -> tuple[str | Path, ...]:
        return ("--directory", self.directory, "--inventory", self.url)


def moved(pki: Pki, source: Path, cluster: Cluster) -> Moved:
    directory = shutil.copytree(source, pki.home / "moved")
    database = cluster.copied(pki, directory)
    for path in directory.glob("inventory.sqlite*"):
        path.unlink()
    return Moved(directory, database, cluster.url(database))


@pytest.fixture
def ours(pki: Pki, filled: Path, cluster: Cluster) -> Moved:
    return moved(pki, filled, cluster)


READING = [
    ("list",), ("list", "--all"), ("list", "web-*"), ("list", "--issuer", "issuing"), ("tree",), ("status",), ("audit",), ("token", "list"),
    ("pending",),
]  # fmt: skip


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_says_the_same_of_a_directory_and_of_a_server(pki: Pki, filled: Path, ours: Moved, command: tuple[str, ...]) -> None:
    reports = []
    for run, options in [
        (pki, ("--directory", filled)),
        (pki, ours.options),
        (pki.with_environment(PKI_INVENTORY=ours.url), ("--directory", ours.directory)),
    ]:
        text = run.run(*command, "--format", "json", *options, status=None).stdout
        # How the directory is called, how old something is, and that the audit says where the copy came from.
        text = text.replace(str(ours.directory), str(filled))
        reports.append(re.sub(r'"\w*(age|Age|seconds|Seconds)\w*": ?[\d.]+', "", text))
    assert reports[1] == reports[2]
    assert reports[0] == reports[1]


def test_a_server_that_is_named_goes_before_the_variable(pki: Pki, ours: Moved) -> None:
    other = pki.with_environment(PKI_INVENTORY="postgresql://127.0.0.1:1/none")
    assert len(other.run("list", "--format", "json", *ours.options).json) > 2


def test_the_servers_file_names_it(pki: Pki, ours: Moved, tmp_path: Path) -> None:
    file = secret(tmp_path / "serve-ca.conf", f"inventory = {ours.url}\nissuer = issuing\n")
    with one_server(pki, ours.directory, "--config", file) as server:
        request, _ = certificate_request(tmp_path, "/CN=db-1")
        token = Token(pki.run("token", "create", "--name", "db-1", *ours.options).stdout.strip())
        assert enrol(server, request, token).status == 200
    assert "db-1" in {row["name"] for row in pki.run("list", "--format", "json", *ours.options).json}


class TestAddresses:
    """What every user of PostgreSQL knows of libpq."""

    def test_the_second_host_when_the_first_is_dead(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        both = ours.url.replace(f"127.0.0.1:{cluster.port}", f"127.0.0.1:{closed_port()},127.0.0.1:{cluster.port}")
        assert both != ours.url
        pki.run("token", "create", "--name", "x", "--directory", ours.directory, "--inventory", both)

    def test_a_service_and_a_file_with_the_password(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        services = secret(pki.home / "services", f"[ca]\nhost=127.0.0.1\nport={cluster.port}\nuser=pki\ndbname={ours.database}\n")
        known = pki.with_environment(PGSERVICEFILE=str(services), PGPASSFILE=str(cluster.passfile))
        for address in ("postgresql://?service=ca", "postgresql:///?service=ca"):
            assert known.run("list", "--format", "json", "--directory", ours.directory, "--inventory", address).json

    def test_a_socket(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        address = f"postgresql:///{ours.database}?host={cluster.directory}&port={cluster.port}&user=pki"
        assert pki.run("list", "--format", "json", "--directory", ours.directory, "--inventory", address).json

    def test_a_password_is_in_no_message(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        where = f"@127.0.0.1:{cluster.port}/{ours.database}"
        good = f"postgresql://pki:{cluster.password}{where}"
        assert pki.run("list", "--directory", ours.directory, "--inventory", good).stdout
        said = [pki.refuse("list", "--directory", ours.directory, "--inventory", f"postgresql://pki:SECRET-1{where}", status=DENIED)]
        for wrong in (
            f"postgresql://pki:SECRET-1@127.0.0.1:{closed_port()}/x", f"postgresql://pki:SECRET-1@127.0.0.1:{cluster.port}/none?password=SECRET-1",
            f"postgresql://pki:SECRET-1{where}?nonsense=1", "postgresql://127.0.0.1:1/x?password=SECRET-1",
        ):  # fmt: skip
            for command in (("list",), ("token", "create", "--name", "x"), ("serve-ca", "--listen", "0")):
                done = pki.run(*command, "--directory", ours.directory, "--inventory", wrong, status=None)
                assert done.status in (REFUSED, UNAVAILABLE, DENIED, USAGE), done.describe()
                said.append(done.stdout + done.stderr)
        assert not any("SECRET-1" in text or cluster.password in text for text in said), said

    @pytest.mark.parametrize("wrong", ["postgresql://pki:x@SECRET-1@127.0.0.1:1/x", "postgresql://pki:SECRET-1@[::1/x", "postgresql://pki:SECRET-1%ZZ@127.0.0.1/x", "postgresql://h/x?password=SECRET-1%ZZ"])
    def test_an_address_that_cannot_be_read_is_not_repeated(self, pki: Pki, ours: Moved, wrong: str) -> None:
        assert "SECRET-1" not in pki.refuse("list", "--directory", ours.directory, "--inventory", wrong)


class TestRefusals:
    def test_there_is_no_libpq(self, pki: Pki, ours: Moved) -> None:
        libraries = [str(path) for path in Path("/usr/lib").glob("*/libpq.so*")]
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode or not libraries:
            pytest.skip("this machine has no mount namespaces")
        script = "".join(f"mount --bind /dev/null {path} && " for path in libraries) + 'exec "$@"'
        bare = pki.with_prefix("unshare", "--mount", "sh", "-c", script, "sh")
        assert "libpq" in bare.refuse("list", *ours.options)
        # No other test needs it.
        bare.run("init-ca", "--directory", pki.home / "other")

    def test_there_is_nobody(self, pki: Pki, ours: Moved) -> None:
        port = closed_port()
        said = pki.refuse("list", "--directory", ours.directory, "--inventory", f"postgresql://127.0.0.1:{port}/pki", status=UNAVAILABLE)
        assert str(port) in said

    def test_there_is_no_such_database(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        assert "nowhere" in pki.refuse("list", "--directory", ours.directory, "--inventory", cluster.url("nowhere"), status=UNAVAILABLE)

    def test_there_are_no_tables(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        url = cluster.url(cluster.database())
        for command in (("list",), ("token", "create", "--name", "x"), ("serve-ca", "--listen", "0")):
            assert "pki inventory init" in pki.refuse(*command, "--directory", ours.directory, "--inventory", url)
        pki.run("inventory", "init", "--inventory", url)
        pki.run("list", "--directory", ours.directory, "--inventory", url)
        # Once more, there is nothing to do.
        pki.run("inventory", "init", "--inventory", url)

    def test_psql_makes_them(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        text = pki.run("inventory", "init", "--print").stdout
        databases = [cluster.database(), cluster.database()]
        # As its owner would, who may do no more than that; once more changes nothing.
        for _ in range(2):
            cluster.psql(text, databases[0], user=ROLE)
        pki.run("inventory", "init", "--inventory", cluster.url(databases[1]))
        for query in (
            "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns WHERE table_schema = 'public'",
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants WHERE grantee LIKE 'pki\\_%'",
            "SELECT table_name, column_name, grantee, privilege_type FROM information_schema.column_privileges WHERE grantee LIKE 'pki\\_%'",
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
            "SELECT version FROM inventory_version",
        ):  # fmt: skip
            made = [sorted(cluster.psql(query, database).splitlines()) for database in databases]
            assert made[0] == made[1] and made[0], query
        pki.run("list", "--directory", ours.directory, "--inventory", cluster.url(databases[0], user="reader"))

    def test_several_make_them_at_once(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        url = cluster.url(cluster.database())
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: pki.run("inventory", "init", "--inventory", url), range(4)))
        pki.run("list", "--directory", ours.directory, "--inventory", url)

    def test_tables_of_a_newer_version(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        # One that this program can still use, and one that it cannot.
        cluster.psql("UPDATE inventory_version SET version = 98", ours.database)
        pki.run("token", "create", "--name", "x", *ours.options)
        cluster.psql("UPDATE inventory_version SET oldest = 97", ours.database)
        for command in (("list",), ("token", "create", "--name", "y"), ("serve-ca", "--issuer", "issuing", "--listen", "0")):
            assert "98" in pki.refuse(*command, *ours.options, timeout=20)

    def test_something_else_has_tables_of_that_name(self, pki: Pki, cluster: Cluster) -> None:
        database = cluster.database()
        cluster.psql("CREATE TABLE certificates (id INT)", database, user="pki")
        pki.refuse("inventory", "init", "--inventory", cluster.url(database))
        assert cluster.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database) == "1"

    def test_a_standby_reads_and_does_not_write(self, pki: Pki, filled: Path) -> None:
        with postgresql() as primary, standby(primary) as other:
            ours = moved(pki, filled, primary)
            url = other.url(ours.database)
            here = ("--directory", ours.directory, "--inventory")
            known = pki.run("list", "--format", "json", *ours.options).json
            wait_for(lambda: primary.psql("SELECT sum(pg_wal_lsn_diff(sent_lsn, replay_lsn)) FROM pg_stat_replication") == "0", log=other.log)
            assert pki.run("list", "--format", "json", *here, url).json == known
            pki.refuse("token", "create", "--name", "x", *here, url, status=UNAVAILABLE)
            # Of both, the one is found that can be written to.
            both = url.replace(f"127.0.0.1:{other.port}", f"127.0.0.1:{other.port},127.0.0.1:{primary.port}")
            pki.run("token", "create", "--name", "x", *here, both)


def test_the_audit_only_grows(ours: Moved, cluster: Cluster) -> None:
    before = cluster.psql("SELECT count(*) FROM audit", ours.database)
    for statement in ("UPDATE audit SET detail = ''", "DELETE FROM audit", "TRUNCATE audit", "TRUNCATE audit CASCADE"):
        for user in ("pki", OWNER):
            assert "only grows" in cluster.psql(statement, ours.database, user=user, status=1)
    assert cluster.psql("SELECT count(*) FROM audit", ours.database) == before


@pytest.fixture(scope="module")
def encrypted(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server with a certificate for db.example.com."""
    pki = Pki(home=tmp_path_factory.mktemp("tls"), path=built)
    pki.run("init-ca", "--directory", pki.home / "ca")
    pki.run("issue-client", "db", "--profile", "server", "--dns", "db.example.com", "--directory", pki.home / "ca")
    with postgresql() as cluster:
        for name, part in (("server.crt", "cert"), ("server.key", "key")):
            path = secret(cluster.data / name, (pki.home / "ca" / f"db-{part}.pem").read_text())
            shutil.chown(path, cluster.data.owner(), cluster.data.group())
        shutil.copy(pki.home / "ca" / "root-cert.pem", cluster.directory / "root.pem")
        cluster.psql("ALTER SYSTEM SET ssl = on")
        cluster.psql("SELECT pg_reload_conf()")
        wait_for(lambda: cluster.psql("SHOW ssl") == "on", log=cluster.log)
        yield cluster


class TestEncryption:
    """Another machine's certificate is verified unless sslmode says otherwise."""

    @pytest.fixture
    def remote(self, pki: Pki) -> Pki:
        return pki.with_hosts("127.0.0.1 localhost db.example.com other.example.com\n::1 localhost\n")

    def test_it_is_verified(self, pki: Pki, remote: Pki, filled: Path, encrypted: Cluster) -> None:
        ours = moved(pki, filled, encrypted)

        def said(host: str = "db.example.com", status: int = 0, **settings: str) -> str:
            url = encrypted.url(ours.database, host=host, **settings)
            return remote.run("list", "--directory", ours.directory, "--inventory", url, status=status).stderr

        root = str(encrypted.directory / "root.pem")
        # Without the root, with another, and for another name.
        assert "root.crt" in said(status=UNAVAILABLE)
        said(status=UNAVAILABLE, sslrootcert=str(filled / "root-cert.pem"))
        assert "other.example.com" in said("other.example.com", status=UNAVAILABLE, sslrootcert=root)
        said(sslrootcert=root)
        # libpq's own place for it.
        (pki.home / ".postgresql").mkdir()
        shutil.copy(root, pki.home / ".postgresql" / "root.crt")
        said()
        # What was asked for.
        said("other.example.com", sslmode="disable")
        said("other.example.com", sslmode="require", sslrootcert="/nonexistent")

    def test_a_machine_that_does_not_encrypt_is_refused(self, remote: Pki, ours: Moved, cluster: Cluster) -> None:
        url = cluster.url(ours.database, host="db.example.com", sslrootcert=str(ours.directory / "root-cert.pem"))
        remote.refuse("list", "--directory", ours.directory, "--inventory", url, status=UNAVAILABLE)


@pytest.fixture
def pair(pki: Pki, tmp_path: Path, cluster: Cluster) -> Iterator[Authority]:
    """Two servers, `servers`, behind HAProxy and PgBouncer."""
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with shared(cluster), two_servers(one_server, pki, tmp_path / "ca", "--retry-after", "1") as running:
        yield running


@contextmanager
def shared(cluster: Cluster) -> Iterator[None]:
    """The database server on which ``two_servers`` makes its databases."""
    if Shared.cluster is cluster:
        yield
    else:
        with Shared.opened(cluster):
            yield


def test_an_inventory_goes_there_and_back(pki: Pki, pair: Authority, tmp_path: Path) -> None:
    """As for what is done in a directory alone: a new root."""
    host = ("web-1", "--server", pair.url, "--directory", tmp_path / "host")
    pki.with_environment(PKI_TOKEN=pair.token("web-1").text).run("enrol", *host)
    pki.run("renew", *host)
    rows = pair.rows()
    port = pair.port
    assert pair.stop() == 0
    [server, _] = INVENTORIES[pair.directory.resolve()]
    back = tmp_path / "back"
    place = ("--from", server, "--to", back)
    pki.run("inventory", "copy", *place)
    pki.run("inventory", "copy", *place)
    for name in ("root-key.pem", "token-key"):
        shutil.copy(pair.directory / name, back)
    assert_same(pki.run("list", "--all", "--format", "json", "--directory", back).json, rows)
    pki.run("rotate-ca", "--directory", back)
    with two_servers(one_server, pki, back, port=port):
        pki.run("renew", *host)
        roots = x509.load_pem_x509_certificates((tmp_path / "host" / "root-cert.pem").read_bytes())
        assert load(back / "root-cert.pem") in roots and len(roots) == 2


def test_another_intermediate_takes_over(pki: Pki, tmp_path: Path, cluster: Cluster) -> None:
    """The root is somewhere else: its new intermediate is put into the directory of the servers."""
    laptop = ("--directory", tmp_path / "laptop")
    pki.run("init-ca", *laptop)
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(tmp_path / "laptop" / "root-cert.pem", served)

    def hand_over(name: str) -> None:
        pki.run("issue-intermediate", name, *laptop)
        for part in ("cert", "key"):
            shutil.copy(tmp_path / "laptop" / f"{name}-{part}.pem", served)

    hand_over("issuing-1")
    pki.run("crl", "--directory", served)
    hosts = tmp_path / "hosts"
    with shared(cluster):
        with two_servers(one_server, pki, served, "--issuer", "issuing-1") as running:
            port, here = running.port, ("--server", running.url, "--directory", hosts)
            pki.with_environment(PKI_TOKEN=running.token("web-1").text).run("enrol", "web-1", *here)
        hand_over("issuing-2")
        with two_servers(one_server, pki, served, "--issuer", "issuing-2", port=port) as running:
            pki.run("renew", "web-1", *here)
            issuers = {row["name"]: row["issuer"] for row in running.rows() if row["name"] == "web-1" and row["status"] == "valid"}
            assert "issuing-2" in str(issuers)
            for server in running.servers:
                wait_for(lambda server=server: curl(server, "/crl/issuing-2.pem").status == 200, log=server.log)
    openssl("verify", "-CAfile", served / "root-cert.pem", "-untrusted", served / "issuing-2-cert.pem", hosts / "web-1-cert.pem")


def assert_same(some: list[dict[str, object]], others: list[dict[str, object]]) -> None:
    """The rows that are about the same certificates."""

    def known(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
        return sorted((str(row["serialNumber"]), str(row["name"]), str(row["status"])) for row in rows)

    assert known(some) == known(others)


def test_a_backup_has_what_the_server_has(pki: Pki, ours: Moved, tmp_path: Path) -> None:
    pki.run("backup", tmp_path / "backup", *ours.options)
    pki.run("restore", tmp_path / "backup", "--directory", tmp_path / "restored")
    listing = ("list", "--all", "--format", "json")
    assert_same(pki.run(*listing, "--directory", tmp_path / "restored").json, pki.run(*listing, *ours.options).json)
    pki.run("doctor", "--directory", tmp_path / "restored", status=None)
    pki.run("issue-client", "web-9", "--issuer", "issuing", "--directory", tmp_path / "restored")


def test_doctor_looks_at_the_server(pki: Pki, ours: Moved, cluster: Cluster) -> None:
    def failed() -> str:
        options = ("--directory", ours.directory, "--inventory", cluster.url(ours.database, user="machine"))
        checks = pki.run("doctor", "--format", "json", *options, status=CHECK_FAILED).json["checks"]
        return "\n".join(check["found"] for check in checks if check["verdict"] == "failed")

    # That is for the tests' speed.
    before = failed()
    assert "fsync" in before and "\n" not in before
    cluster.psql("ALTER TABLE audit DISABLE TRIGGER audit_is_never_changed", ours.database)
    assert "audit_is_never_changed" in failed()


class TestRoles:
    """What the logins of servers, people and readers may do."""

    @pytest.fixture
    def may(self, ours: Moved, cluster: Cluster) -> Callable[[str, str], bool]:
        def may(login: str, statement: str) -> bool:
            said = cluster.psql(f"BEGIN; {statement}; ROLLBACK", ours.database, user=login, status=None)
            refused = "permission denied" in said or "must be owner" in said
            assert refused or not said, said
            return not refused

        return may

    @pytest.mark.parametrize("login", LOGINS)
    def test_rows_stay(self, may: Callable[[str, str], bool], login: str) -> None:
        for table in ("certificates", "certificate_contents", "revocation_lists", "audit", "tokens", "enrolments", "acme_accounts"):
            assert not may(login, f"DELETE FROM {table}")
            assert not may(login, f"TRUNCATE {table} CASCADE")
        assert not may(login, "UPDATE audit SET detail = ''")
        assert not may(login, "UPDATE certificate_contents SET der = ''")
        assert not may(login, "UPDATE certificates SET serial = ''")
        assert not may(login, "DROP TABLE name_locks")
        assert not may(login, "CREATE TABLE other (id INT)")
        assert not may(login, "ALTER TABLE audit DISABLE TRIGGER ALL")

    def test_who_may_make_a_token(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        for login, status in {"machine": DENIED, "person": DONE, "reader": DENIED}.items():
            url = cluster.url(ours.database, user=login)
            done = pki.run("token", "create", "--name", login, "--directory", ours.directory, "--inventory", url, status=None)
            assert done.status == status, done.describe()
            pki.run("list", "--directory", ours.directory, "--inventory", url)

    def test_a_reader_serves_nothing_and_sees_no_key(self, pki: Pki, ours: Moved, cluster: Cluster) -> None:
        url = cluster.url(ours.database, user="reader")
        for command in (("serve-ca", "--issuer", "issuing", "--listen", "0"), ("revoke", "web-1"), ("crl", "--issuer", "issuing")):
            assert "PKI_" not in pki.refuse(*command, "--directory", ours.directory, "--inventory", url, status=DENIED, timeout=20)
        assert "permission denied" in cluster.psql("SELECT * FROM acme_nonce_key", ours.database, user="reader", status=1)


class TestTwoServers:
    """What one server knows, the other knows."""

    def test_a_token_of_the_one_is_used_up_at_the_other(self, pair: Authority, tmp_path: Path) -> None:
        first, second = pair.servers
        token = second.token("web-*", "--uses", "2")
        requests = [certificate_request(tmp_path, f"/CN=web-{number}", name=f"web-{number}")[0] for number in range(3)]
        assert [enrol(one, request, token).status for one, request in zip((first, second, first), requests, strict=True)] == [200, 200, 401]
        # A request that was answered is answered again, with the same certificate.
        again = [enrol(one, requests[0], token).certificate(tmp_path / f"{one.port}.pem").read_text() for one in (first, second)]
        assert again[0] == again[1]
        assert len([row for row in pair.rows() if row["profile"] == "client"]) == 2

    def test_a_certificate_of_the_one_renews_at_the_other_once_it_was_not_revoked(self, pair: Authority, tmp_path: Path) -> None:
        first, second = pair.servers
        request, key = certificate_request(tmp_path, "/CN=web-1")
        certificate = enrol(first, request, pair.token("web-1")).certificate(tmp_path / "web-1.pem")
        proof = ("--cert", certificate, "--key", key)
        renewed = enrol(second, request, None, *proof, path="simplereenroll").certificate(tmp_path / "renewed.pem")
        # The one that was replaced is no proof any more, at either.
        following, _ = certificate_request(tmp_path, "/CN=web-1", name="following")
        assert enrol(first, following, None, *proof, path="simplereenroll").status == 403
        assert load(renewed).serial_number != load(certificate).serial_number

    def test_an_acme_account_its_order_and_its_nonces(self, pair: Authority) -> None:
        first, second = pair.servers
        one = client(pair, "web-1")
        # Not one request is asked again: a nonce of the one is good at the other, and good once.
        for server in (first, second) * 2:
            nonce = curl(server, "/acme/new-nonce", "--head").headers["replay-nonce"]
            one._nonce = nonce
            assert one.post(one.kid or "").status == 200
            one._nonce = nonce
            assert one.post(one.kid or "").error == "badNonce"
        order = one.order("web-1").json
        assert one.finalize(order, request_for(["web-1"])).json["status"] == "valid"

    def test_a_request_that_waits_is_approved_at_the_other(self, pair: Authority, tmp_path: Path) -> None:
        first, second = pair.servers
        token = first.token("web-1", "--approve")
        request, _ = certificate_request(tmp_path, "/CN=web-1")
        assert enrol(first, request, token).status == 202
        [waiting] = second.pki.run("pending", "--format", "json", "--directory", second.directory).json
        second.run("approve", str(waiting["request"]))
        assert enrol(second, request, token).status == 200

    def test_a_crl_is_made_once(self, pair: Authority, tmp_path: Path) -> None:
        certificate = enrol(pair, certificate_request(tmp_path, "/CN=web-1")[0], pair.token("web-1")).certificate(tmp_path / "web-1.pem")
        made = len(lists(pair))
        pair.run("revoke", "web-1")

        def served(server: Authority) -> bytes:
            return curl(server, "/crl/root.pem").body.encode()

        serial = load(certificate).serial_number
        for server in pair.servers:
            wait_for(lambda server=server: x509.load_pem_x509_crl(served(server)).get_revoked_certificate_by_serial_number(serial), log=server.log)
        assert served(pair.servers[0]) == served(pair.servers[1])
        assert len(lists(pair)) == made + 1

    def test_the_one_goes_on_when_the_other_is_killed(self, pair: Authority, tmp_path: Path) -> None:
        first, second = pair.servers
        token = pair.token("web-*", "--uses", "20")
        first.process.kill()
        first.process.wait()
        for number in range(10):
            request, _ = certificate_request(tmp_path, f"/CN=web-{number}", name=f"web-{number}")
            assert enrol(pair, request, token).status == 200
        assert curl(second, "/readyz").status == 200

    def test_a_servers_own_certificate_that_is_revoked_is_replaced(self, pair: Authority, tmp_path: Path) -> None:
        for server in pair.servers:
            old = server_certificate(server).serial_number
            pair.run("revoke", f"{old:x}")
            wait_for(lambda server=server, old=old: server_certificate(server).serial_number != old, log=server.log)
            assert "the server's certificate was revoked" in server.said
        certificate = enrol(pair, certificate_request(tmp_path, "/CN=web-1")[0], pair.token("web-1")).certificate(tmp_path / "web-1.pem")
        signers = {ocsp_answer(server, load(certificate)).certificates[0].serial_number for server in pair.servers}
        assert len(signers) == 2

    def test_another_key_of_tokens_is_refused(self, pair: Authority) -> None:
        first, second = pair.servers
        first.token("x")
        secret(second.directory / "token-key", "0" * 64 + "\n")
        assert "token-key" in second.pki.refuse("token", "create", "--name", "x", "--directory", second.directory)

    def test_a_server_with_another_key_of_tokens_does_not_start(self, pair: Authority) -> None:
        first, second = pair.servers
        first.token("x")
        secret(second.directory / "token-key", "0" * 64 + "\n")
        assert "token-key" in second.pki.refuse("serve-ca", "--listen", "0", "--directory", second.directory, timeout=5)

def lists(authority: Authority) -> list[dict[str, str]]:
    """The lines of the audit about CRLs."""
    return [row for row in authority.pki.run("audit", "--format", "json", "--directory", authority.directory).json if row["action"] == "crl"]


class TestOutage:
    """The database is gone for a while."""

    @pytest.fixture
    def own(self, pki: Pki, tmp_path: Path) -> Iterator[tuple[Cluster, Authority]]:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        with postgresql(fsync="on") as cluster:
            directory = moved(pki, tmp_path / "ca", cluster)
            known = pki.with_environment(PKI_INVENTORY=directory.url)
            with one_server(known, directory.directory) as server:
                yield cluster, server

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
    def test_the_server_says_so_and_goes_on(self, own: tuple[Cluster, Authority], tmp_path: Path, how: signal.Signals) -> None:
        cluster, server = own
        requests = [certificate_request(tmp_path, f"/CN=web-{number}", name=f"web-{number}")[0] for number in range(3)]
        token = server.token("web-*", "--uses", "5")
        received = enrol(server, requests[0], token).certificate(tmp_path / "web-0.pem")
        assert server.metrics()["pki_inventory_up"] == 1
        cluster.stop(how)
        wait_for(lambda: curl(server, "/readyz").status == 503, seconds=20, log=server.log)
        said = curl(server, "/readyz").body + curl(server, "/metrics").body
        assert "\npki_inventory_up 0\n" in said
        # Alive it is, and a restart would not help.
        assert curl(server, "/healthz").status == 200
        assert 'pki_enrolments_total{protocol="est",outcome="issued"} 1' in said
        cluster.start()
        wait_for(lambda: curl(server, "/readyz").status == 200, seconds=20, log=server.log)
        assert server.metrics()["pki_inventory_up"] == 1
        assert [enrol(server, request, token).status for request in requests] == [200] * 3
        rows = [row for row in server.rows() if row["profile"] == "client"]
        assert len(rows) == 3 and load(received).serial_number in {int(str(row["serialNumber"]), 16) for row in rows}
        assert cluster.password not in said + server.said

    def test_a_crl_that_was_made_is_served_on(self, own: tuple[Cluster, Authority]) -> None:
        cluster, server = own
        wait_for(lambda: curl(server, "/crl/root.pem").status == 200, log=server.log)
        cluster.stop()
        assert curl(server, "/crl/root.pem").status == 200

    def test_a_request_during_a_short_outage_is_answered_after_it(self, own: tuple[Cluster, Authority], tmp_path: Path) -> None:
        cluster, server = own
        token = server.token("web-1")
        request, _ = certificate_request(tmp_path, "/CN=web-1")
        cluster.stop(signal.SIGQUIT)
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(enrol, server, request, token)
            wait_for(lambda: any(line.endswith(" 1") for line in curl(server, "/metrics").body.splitlines() if "waiting" in line) or answer.done(), seconds=5)
            cluster.start()
            reply = answer.result()
        assert reply.status in (200, 503), reply
        if reply.status == 503:
            assert int(reply.headers["retry-after"]) >= 1
            assert enrol(server, request, token).status == 200
        assert len([row for row in server.rows() if row["profile"] == "client"]) == 1
