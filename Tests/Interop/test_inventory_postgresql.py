# SPDX-License-Identifier: Apache-2.0
"""The inventory on PostgreSQL: the same commands, the same output, and what a database adds."""

from __future__ import annotations

from pathlib import Path

from postgresql import Cluster, pgbouncer
from program import Pki


def test_a_variable_names_the_inventory(pki: Pki, tmp_path: Path, cluster: Cluster) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    for path in (tmp_path / "ca").glob("inventory.sqlite*"):
        path.unlink()
    with pgbouncer(cluster) as port:
        served = pki.with_environment(PKI_INVENTORY=cluster.url(cluster.inventory(pki), port=port))
        served.run("token", "create", "--directory", tmp_path / "ca", "--name", "web-1")
        assert [token["names"] for token in served.run("token", "list", "--directory", tmp_path / "ca", "--format", "json").json] == [["web-1"]]
    assert not list((tmp_path / "ca").glob("inventory.sqlite*"))
