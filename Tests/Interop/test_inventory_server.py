# SPDX-License-Identifier: Apache-2.0
"""What pki inventory init makes, as psql and pg_dump see it, and what the commands of a directory say where a server has the inventory."""

from __future__ import annotations

from pathlib import Path

from postgresql import OWNER, ROLE, Cluster, postgresql
from program import CHECK_FAILED, Pki
from tools import tool


def failures(pki: Pki, place: Path) -> set[str]:
    """The checks of pki doctor that fail: of a server of the tests, that it does not write through to the disk."""
    checks = pki.run("doctor", "--format", "json", "--directory", place, status=CHECK_FAILED).json["checks"]
    return {check["name"] for check in checks if check["verdict"] == "failed"}


def dump(cluster: Cluster, database: str) -> str:
    where = ("--host", cluster.directory, "--port", str(cluster.port), "--username", OWNER)
    lines = tool("pg_dump", *where, "--schema-only", database).stdout.splitlines()
    # A word against injection, which is another one in each dump.
    return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


def test_what_is_printed_for_psql_is_what_init_makes(pki: Pki, cluster: Cluster) -> None:
    script = pki.home / "inventory.sql"
    script.write_text(pki.with_environment(PKI_INVENTORY="postgresql://127.0.0.1:1/none").run("inventory", "init", "--print").stdout)
    printed, made = cluster.database(), cluster.database()
    where = ("--host", cluster.directory, "--port", str(cluster.port), "--username", ROLE, "--dbname", printed)
    for _ in range(2):
        tool("psql", *where, "--no-psqlrc", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1", "--file", script)
    for _ in range(2):
        pki.run("inventory", "init", "--inventory", cluster.url(made))
    assert dump(cluster, printed) == dump(cluster, made)
    pki.run("inventory", "init", "--inventory", cluster.url(printed))


def test_a_login_that_may_not_make_roles_makes_tables(pki: Pki) -> None:
    with postgresql() as cluster:
        cluster.psql(f"ALTER ROLE {ROLE} NOCREATEROLE")
        url = cluster.url(cluster.database())
        said = pki.run("inventory", "init", "--inventory", url).stderr
        roles = ("pki_server", "pki_admin", "pki_reader")
        assert all(f"CREATE ROLE {role} NOLOGIN;" in said for role in roles)
        # What it says works.
        cluster.psql(said[said.index("CREATE ROLE") :].splitlines()[0])
        assert "CREATE ROLE" not in pki.run("inventory", "init", "--inventory", url).stderr
        name = url.partition("?")[0].rpartition("/")[2]
        asked = "SELECT has_table_privilege('{}', 'audit', 'INSERT'), has_table_privilege('{}', 'audit', 'UPDATE')"
        assert [cluster.psql(asked.format(role, role), name) for role in roles] == ["t|f", "t|f", "f|f"]


def test_a_backup_of_a_server_becomes_a_directory(pki: Pki, tmp_path: Path, cluster: Cluster) -> None:
    place = tmp_path / "ca"
    pki.run("init-ca", "--directory", place)
    pki.run("issue-intermediate", "issuing", "--directory", place)
    pki.run("issue-client", "web-1", "--issuer", "issuing", "--directory", place)
    url = cluster.url(cluster.database())
    pki.run("inventory", "init", "--inventory", url)
    pki.run("inventory", "copy", "--from", place, "--to", url)
    for path in [*place.glob("inventory.sqlite*"), *place.glob("web-1-*")]:
        path.unlink()
    served = pki.with_environment(PKI_INVENTORY=url)
    served.run("backup", tmp_path / "backup", "--directory", place)
    pki.run("restore", tmp_path / "backup", "--directory", tmp_path / "restored")
    pki.run("doctor", "--directory", tmp_path / "restored")
    chain = ("-CAfile", tmp_path / "restored/root-cert.pem", "-untrusted", tmp_path / "restored/web-1-chain.pem")
    tool("openssl", "verify", *chain, tmp_path / "restored/web-1-cert.pem")
    pki.run("renew", "web-1", "--directory", tmp_path / "restored")
    other = cluster.url(cluster.database())
    pki.run("inventory", "init", "--inventory", other)
    for _ in range(2):
        pki.run("inventory", "copy", "--from", tmp_path / "restored", "--to", other)


def test_a_command_that_does_not_use_a_server_does_not_work_beside_it(pki: Pki, tmp_path: Path, cluster: Cluster) -> None:
    place = tmp_path / "ca"
    pki.run("init-ca", "--directory", place)
    served = pki.with_environment(PKI_INVENTORY=cluster.url(cluster.inventory(pki)))
    # The variable is for directories without an inventory of their own.
    served.run("issue-client", "web-0", "--directory", place)
    served.run("revoke", "web-0", "--directory", place)
    assert [entry["name"] for entry in pki.run("list", "--revoked", "--format", "json", "--directory", place).json] == ["web-0"]
    for path in place.glob("inventory.sqlite*"):
        path.unlink()
    for command in (("issue-client", "web-1"), ("issue-intermediate", "issuing"), ("renew", "--all"), ("rotate-ca",), ("change-passphrase",)):
        served.refuse(*command, "--directory", place)
    assert not list(place.glob("inventory.sqlite*"))


def test_doctor_finds_what_protects_the_audit_missing(pki: Pki, tmp_path: Path, cluster: Cluster) -> None:
    place = tmp_path / "ca"
    pki.run("init-ca", "--directory", place)
    database = cluster.copied(pki, place)
    for path in place.glob("inventory.sqlite*"):
        path.unlink()
    served = pki.with_environment(PKI_INVENTORY=cluster.url(database))
    assert failures(served, place) == {"database"}
    cluster.psql("ALTER TABLE audit DISABLE TRIGGER ALL", database)
    assert failures(served, place) == {"database", "audit"}
    served.run("inventory", "init")
    assert failures(served, place) == {"database"}
