# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca --publish aws`: what is revoked gets no credentials from `pki lab`, without a hand between."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aws import client, creds
from enrolling import curl, serving_ca
from program import DENIED, USAGE, Lab, Pki, running_lab
from serving import wait_for
from tools import openssl

ACTIONS = ["rolesanywhere:ListCrls", "rolesanywhere:ImportCrl", "rolesanywhere:UpdateCrl"]


@pytest.fixture
def lab(pki: Pki, tmp_path: Path) -> Iterator[Lab]:
    """A lab with a CA and two clients, whose ARNs are recorded."""
    here = ("--directory", tmp_path / "ca")
    pki.run("init-ca", *here)
    for name in ("web-1", "web-2"):
        pki.run("issue-client", "--name", name, *here)
    with running_lab(pki, *here) as running:
        pki.run(
            "set-arns", *here, "--trust-anchor-arn", running.trust_anchor_arn, "--profile-arn", running.profile_arn,
            "--role-arn", running.role_arn,
        )  # fmt: skip
        yield running


def allow(lab: Lab, actions: list[str]) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    with client(lab, "iam") as asked:
        asked.put_role_policy(RoleName=lab.role_arn.rsplit("/", 1)[1], PolicyName="crl", PolicyDocument=json.dumps(document))


def lists(lab: Lab) -> list[dict[str, Any]]:
    with client(lab) as asked:
        return asked.list_crls()["crls"]


def test_a_revoked_client_gets_no_credentials(pki: Pki, lab: Lab, tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    allow(lab, ACTIONS)
    with serving_ca(pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint), directory, "--publish", "aws") as authority:
        [first] = wait_for(lambda: lists(lab), log=authority.log)
        assert (first["name"], first["enabled"], first["trustAnchorArn"]) == ("root-crl", True, lab.trust_anchor_arn)
        creds(pki, lab, directory, "web-1")
        authority.run("revoke", "web-1")
        wait_for(lambda: lists(lab)[0]["crlData"] != first["crlData"], log=authority.log)
        creds(pki, lab, directory, "web-1", status=DENIED)
        creds(pki, lab, directory, "web-2")
        # The CRL that was there was replaced: a trust anchor takes two.
        assert [one["crlId"] for one in lists(lab)] == [first["crlId"]]
        assert "AWS has CRL" in authority.said
        # The certificate by which the server asks is in the inventory.
        assert [row["status"] for row in authority.rows() if row["name"] == "serve-ca-aws"] == ["valid"]
        # If that is revoked, another gets credentials that AWS takes with the CRL.
        last = lists(lab)[0]["crlData"]
        authority.run("revoke", "serve-ca-aws")
        wait_for(lambda: lists(lab)[0]["crlData"] != last, log=authority.log)
        assert {row["status"] for row in authority.rows() if row["name"] == "serve-ca-aws"} == {"revoked", "valid"}
        assert "certificate for AWS was revoked" in authority.said
    # Another server finds the CRL of the first by its name.
    with serving_ca(pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint), directory, "--publish", "aws") as authority:
        wait_for(lambda: "AWS has CRL" in authority.said, log=authority.log)
        assert [one["crlId"] for one in lists(lab)] == [first["crlId"]]


def test_a_role_that_may_not_is_told_once_and_the_server_goes_on(pki: Pki, lab: Lab, tmp_path: Path) -> None:
    allow(lab, ["rolesanywhere:ListCrls"])
    with serving_ca(pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint), tmp_path / "ca", "--publish", "aws") as authority:
        wait_for(lambda: "AWS does not have the CRL of root" in authority.said, log=authority.log)
        assert "rolesanywhere:ImportCrl" in authority.said
        assert curl(authority, "/readyz").status == 200
        assert authority.said.count("AWS does not have") == 1


@pytest.mark.parametrize(("count", "said", "imported"), [(5_400, "AWS accepts at most 300000", 1), (6_200, "AWS does not have the CRL", 0)])
def test_a_list_near_the_limit_is_told_and_one_beyond_is_not_sent(
    pki: Pki, lab: Lab, tmp_path: Path, count: int, said: str, imported: int
) -> None:
    allow(lab, ACTIONS)
    with sqlite3.connect(tmp_path / "ca" / "inventory.sqlite") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(certificates)")]
        row = dict(zip(columns, database.execute("SELECT * FROM certificates WHERE name = 'web-1'").fetchone(), strict=True))
        row |= {"id": None, "place": 1, "revoked_at": int(time.time()), "revocation_reason": 0}
        rows = [tuple((row | {"serial": b"\x10" + secrets.token_bytes(19), "fingerprint": secrets.token_bytes(32)}).values()) for _ in range(count)]
        database.executemany(f"INSERT INTO certificates VALUES ({', '.join('?' * len(columns))})", rows)
    database.close()
    with serving_ca(pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint), tmp_path / "ca", "--publish", "aws") as authority:
        wait_for(lambda: said in authority.said, log=authority.log)
        wait_for(lambda: len(lists(lab)) == imported, log=authority.log)
        size = (tmp_path / "ca" / "root-crl.pem").stat().st_size
        assert f" {size} bytes" in authority.said
        assert (size > 300_000) is (imported == 0)
        openssl("crl", "-in", tmp_path / "ca" / "root-crl.pem", "-noout")


def test_what_is_missing_is_refused(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    assert "set-arns" in pki.refuse("serve-ca", "--directory", tmp_path / "ca", "--publish", "aws", "--listen", "0")
    pki.run("serve-ca", "--directory", tmp_path / "ca", "--role", "r", status=USAGE)
    pki.run("serve-ca", "--directory", tmp_path / "ca", "--publish", "nowhere", status=USAGE)
