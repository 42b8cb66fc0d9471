# SPDX-License-Identifier: Apache-2.0
"""Programs of two versions on one inventory on PostgreSQL, while the tables are those of the newer one."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from enrolling import certificate_request, enrol, one_server
from postgresql import Cluster
from program import Pki

NEXT = """
BEGIN;
LOCK TABLE inventory_writers IN EXCLUSIVE MODE;
ALTER TABLE certificates ADD COLUMN region TEXT COLLATE "C";
CREATE INDEX certificates_by_region ON certificates (region);
CREATE TABLE regions (name TEXT PRIMARY KEY);
UPDATE inventory_version SET version = version + 1, oldest = version;
COMMIT;
"""
"""What the next version's `pki inventory init` does: it adds."""

LAST = "UPDATE inventory_version SET oldest = version"
"""What the version after does, once no server of this version runs: it removes, and says so."""


@pytest.fixture
def served(pki: Pki, tmp_path: Path, cluster: Cluster) -> tuple[Pki, Path, str]:
    """A CA whose inventory is on the server: the program with its address, the directory, and the database."""
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    url = cluster.url(cluster.inventory(pki))
    pki.run("inventory", "copy", "--from", directory, "--to", url)
    for path in directory.glob("inventory.sqlite*"):
        path.unlink()
    return pki.with_environment(PKI_INVENTORY=url), directory, urlsplit(url).path.removeprefix("/")


def test_a_server_goes_on_while_the_tables_become_those_of_the_next_version(served: tuple[Pki, Path, str], tmp_path: Path, cluster: Cluster) -> None:
    pki, directory, database = served
    with one_server(pki, directory) as authority:
        token = authority.token("*", "--uses", "1000")
        requests = [certificate_request(tmp_path, f"/CN=web-{number}", name=f"web-{number}")[0] for number in range(30)]
        replies: list[int] = []

        def load() -> None:
            for request in requests:
                replies.append(enrol(authority, request, token).status)

        thread = threading.Thread(target=load)
        thread.start()
        while len(replies) < 10 and thread.is_alive():
            pass
        cluster.psql(NEXT, database)
        thread.join()
        assert replies == [200] * len(requests)
        assert len([row for row in authority.rows() if row["name"].startswith("web-")]) == len(requests)  # type: ignore[attr-defined]
        # What starts now finds the newer tables, and so does a second server.
        pki.run("revoke", "web-3", "--directory", directory)
        with one_server(pki, directory) as another:
            assert enrol(another, certificate_request(tmp_path, "/CN=late", name="late")[0], token).status == 200
    assert pki.run("audit", "--verify", "--directory", directory).status == 0
    # The tables are never brought back to an earlier version.
    pki.refuse("inventory", "init", "--inventory", pki.environment["PKI_INVENTORY"])
    assert cluster.psql("SELECT version - oldest FROM inventory_version", database) == "1"


def test_a_program_is_refused_once_its_version_has_gone(served: tuple[Pki, Path, str], cluster: Cluster) -> None:
    pki, directory, database = served
    cluster.psql(NEXT, database)
    cluster.psql(LAST, database)
    assert "newer" in pki.refuse("list", "--directory", directory)
    assert "newer" in pki.refuse("token", "create", "--directory", directory, "--name", "web-1")
