# SPDX-License-Identifier: Apache-2.0
"""A role's trust policy decides who gets a session from `pki lab`; `pki creds` asks, `pki lab log` says why not.

Every policy comes to the lab by both roads that there are: declared in a seed, and set through IAM by boto3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aws import client
from program import DENIED, DONE, Lab, Pki, running_lab

ACTIONS = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
SERVICE = {"Service": "rolesanywhere.amazonaws.com"}
ANCHOR = "${trustAnchor:lab}"
ACCOUNT = "123456789012"

# The clients: what a certificate says of itself, and the names of its files.
CLIENTS: dict[str, tuple[str, ...]] = {
    "db": ("--subject", "CN=db-1,OU=databases,O=Example", "--uri", "spiffe://example.com/db"),
    "web": ("--subject", "CN=web-1,OU=frontends,O=Example", "--dns", "web-1.example.com", "--uri", "spiffe://example.com/web"),
    "twin": ("--subject", "CN=twin,OU=inner,OU=outer,O=Example"),
    "bare": ("--subject", "CN=bare"),
    "comma": ("--subject", "CN=db\\,1,OU=databases"),
}


def allow(**changes: Any) -> dict[str, Any]:
    """A statement that lets every client in, changed; `...` takes an element away."""
    statement = {"Sid": "Clients", "Effect": "Allow", "Principal": SERVICE, "Action": ACTIONS, **changes}
    return {name: value for name, value in statement.items() if value is not ...}


@dataclass(frozen=True)
class Case:
    """A policy, who gets in, and who does not with a word of the reason."""

    name: str
    statements: list[dict[str, Any]]
    admitted: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)

    def policy(self, anchor: str, version: str = "2012-10-17") -> dict[str, Any]:
        """The policy with the ARN of the trust anchor in it."""
        text = json.dumps({"Version": version, "Statement": self.statements})
        return json.loads(text.replace(ANCHOR, anchor))


def only(name: str, operator: str, key: str, value: Any, admitted: tuple[str, ...] = (), **refused: str) -> Case:
    """One statement with one condition."""
    return Case(name, [allow(Condition={operator: {key: value}})], admitted, refused)


CN, OU = (f"aws:PrincipalTag/x509Subject/{part}" for part in ("CN", "OU"))

# How a policy decides is a Swift test's (TrustPolicyTests, with 62 of them); here, that it arrives, and that it is asked of
# what `pki creds` sends.
CASES = [
    Case("no-condition", [allow()], ("db", "bare")),
    only("cn", "StringEquals", CN, "db-1", ("db",), web="web-1", comma="x509Subject/CN"),
    only("ou-twice", "StringEquals", OU, "outer/inner", ("twin",), db="databases"),
    only("dns", "StringEquals", "aws:PrincipalTag/x509SAN/DNS", "web-1.example.com", ("web",), db="no such key"),
    only("not-equal", "StringNotEquals", CN, "db-1", ("web", "comma"), db="db-1"),
    only("source-arn", "ArnEquals", "aws:SourceArn", ANCHOR, ("db", "web")),
    only("another-address", "IpAddress", "aws:SourceIp", ["192.0.2.0/24", "2001:db8::/32"], (), db="127.0.0.1"),
    only("tls", "Bool", "aws:SecureTransport", "true", ("db",)),
    only("since-late", "DateGreaterThanEquals", "aws:EpochTime", "32503680000", (), db="aws:EpochTime"),
    only("shorter", "NumericLessThan", "sts:DurationSeconds", "901", (), db="3600"),
    only("session-name", "StringLike", "sts:RoleSessionName", "build-*", (), db="sts:RoleSessionName"),
    only("variable-that-fits", "StringEquals", "sts:SourceIdentity", "CN=${aws:PrincipalTag/x509Subject/CN}", ("db", "web"), comma="x509Subject/CN"),
    Case(
        "deny-wins",
        [allow(), allow(Sid="NotThese", Effect="Deny", Condition={"StringEquals": {OU: "databases"}})],
        ("web", "bare"),
        {"db": "NotThese", "comma": "NotThese"},
    ),
    Case("no-tag-session", [allow(Action=["sts:AssumeRole", "sts:SetSourceIdentity"])], (), {"db": "sts:TagSession"}),
]  # fmt: skip

BY_NAME = {case.name: case for case in CASES}
PAIRS = [(case.name, name) for case in CASES for name in (*case.admitted, *case.refused)]


def seed(cases: list[Case]) -> dict[str, Any]:
    return {
        "trustAnchors": [{"name": "lab"}],
        "roles": [{"name": case.name, "trustPolicy": case.policy(ANCHOR)} for case in cases],
        "profiles": [{"name": "lab", "roles": [case.name for case in cases]}],
    }


@pytest.fixture(scope="module")
def clients(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A CA and its clients, in the home's `ca`."""
    pki = Pki(tmp_path_factory.mktemp("trust-policy"), built)
    folder = pki.home / "ca"
    pki.run("init-ca", "--directory", folder)
    for name, options in CLIENTS.items():
        pki.run("issue-client", "--directory", folder, "--name", name, *options)
    return pki


@pytest.fixture(scope="module")
def seeded(clients: Pki) -> Iterator[Lab]:
    file = clients.home / "seed.json"
    file.write_text(json.dumps(seed(CASES)))
    with running_lab(clients, "--directory", clients.home / "ca", "--seed", file) as lab:
        yield lab


@pytest.fixture(scope="module")
def plain(clients: Pki) -> Iterator[Lab]:
    with running_lab(clients, "--directory", clients.home / "ca") as lab:
        yield lab


def ask(pki: Pki, lab: Lab, name: str, role: str, *options: str) -> tuple[int, str]:
    """`pki creds` for a client and a role; the status, and what it said."""
    done = pki.run(
        "creds",
        "--certificate", pki.home / f"ca/{name}-cert.pem",
        "--private-key", pki.home / f"ca/{name}-key.pem",
        "--trust-anchor-arn", lab.trust_anchor_arn,
        "--profile-arn", lab.profile_arn,
        "--role-arn", role,
        "--endpoint", lab.endpoint,
        *options,
        status=None,
    )  # fmt: skip
    return done.status, done.stderr


def last_trace(pki: Pki, lab: Lab) -> dict[str, Any]:
    traces = [json.loads(line) for line in pki.run("lab", "log", "--endpoint", lab.endpoint, "--format", "json").stdout.splitlines()]
    return [trace for trace in traces if trace["operation"] == "CreateSession"][-1]


def assert_decided(pki: Pki, lab: Lab, case: Case, name: str, role: str) -> None:
    status, stderr = ask(pki, lab, name, role)
    trace = last_trace(pki, lab)
    checks = {check["check"]: check for check in trace["checks"]}
    decision = checks["trustPolicy"]
    if name in case.admitted:
        assert status == DONE, stderr
        assert decision["passed"] and trace["status"] == 201
        assert ":assumed-role/" in trace["assumedRole"]
        return
    assert status == DENIED, stderr
    assert f"Unable to assume role for arn: {role}" in stderr
    assert trace["status"] == 403 and trace["code"] == "AccessDeniedException"
    assert trace["checks"][-1] == decision and not decision["passed"]
    assert all(check["passed"] for check in trace["checks"][:-1])
    assert role.rsplit("/", 1)[1] in decision["detail"]
    assert case.refused[name] in decision["detail"] + (decision["hint"] or "")
    assert decision["hint"]


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_declared_in_a_seed(clients: Pki, seeded: Lab, case: str, name: str) -> None:
    assert_decided(clients, seeded, BY_NAME[case], name, f"arn:aws:iam::{ACCOUNT}:role/{case}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_set_through_iam(clients: Pki, plain: Lab, case: Case) -> None:
    role = plain.role_arn.rsplit("/", 1)[1]
    with client(plain, "iam") as iam:
        iam.update_assume_role_policy(
            RoleName=role, PolicyDocument=json.dumps(case.policy(plain.trust_anchor_arn), indent=2)
        )
        assert iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"] == case.policy(plain.trust_anchor_arn)
    for name in (*case.admitted, *case.refused):
        assert_decided(clients, plain, case, name, plain.role_arn)


def test_the_names_of_sessions(clients: Pki, tmp_path: Path) -> None:
    """A condition on sts:RoleSessionName looks at what the request asks for."""
    declared = seed([BY_NAME["session-name"]])
    declared["profiles"][0]["acceptRoleSessionName"] = True
    (tmp_path / "seed.json").write_text(json.dumps(declared))
    with running_lab(clients, "--directory", clients.home / "ca", "--seed", tmp_path / "seed.json") as lab:
        assert ask(clients, lab, "db", lab.role_arn, "--role-session-name", "build-7")[0] == DONE
        assert ask(clients, lab, "db", lab.role_arn, "--role-session-name", "deploy-7")[0] == DENIED


def test_attributes_that_are_not_mapped_are_not_there(clients: Pki, tmp_path: Path) -> None:
    """Without its mapping, the CN of a certificate is no tag, and the policy that asks for it admits nobody."""
    (tmp_path / "seed.json").write_text(json.dumps(seed([BY_NAME["cn"], BY_NAME["not-equal"]])))
    with running_lab(clients, "--directory", clients.home / "ca", "--seed", tmp_path / "seed.json") as lab:
        roles = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("cn", "not-equal")]
        assert ask(clients, lab, "db", roles[0])[0] == DONE
        assert ask(clients, lab, "db", roles[1])[0] == DENIED
        with client(lab) as asked:
            asked.delete_attribute_mapping(profileId=lab.profile_arn, certificateField="x509Subject", specifiers=["*"])
            assert ask(clients, lab, "db", roles[0])[0] == DENIED
            # What StringNotEquals does of an absent key is the trap of ROLES-ANYWHERE.md §3.
            assert ask(clients, lab, "db", roles[1])[0] == DONE
            asked.put_attribute_mapping(
                profileId=lab.profile_arn, certificateField="x509Subject", mappingRules=[{"specifier": "CN"}]
            )
            assert ask(clients, lab, "db", roles[0])[0] == DONE


def test_variables_are_text_in_the_old_language(clients: Pki, tmp_path: Path) -> None:
    case = only("old", "StringEquals", "sts:SourceIdentity", "CN=${aws:PrincipalTag/x509Subject/CN}")
    declared = seed([case])
    declared["roles"][0]["trustPolicy"] = case.policy(ANCHOR, version="2008-10-17")
    (tmp_path / "seed.json").write_text(json.dumps(declared))
    with running_lab(clients, "--directory", clients.home / "ca", "--seed", tmp_path / "seed.json") as lab:
        assert ask(clients, lab, "db", lab.role_arn)[0] == DENIED


def test_a_dropped_value_is_named(clients: Pki, seeded: Lab) -> None:
    """The service drops the CN with a comma without a word; the lab has one."""
    ask(clients, seeded, "comma", f"arn:aws:iam::{ACCOUNT}:role/cn")
    checks = {check["check"]: check for check in last_trace(clients, seeded)["checks"]}
    assert "x509Subject/CN" in checks["sessionTags"]["detail"] and "dropped" in checks["sessionTags"]["detail"]
    assert "x509Subject/CN" in checks["trustPolicy"]["hint"]


class TestSeeds:
    """What is wrong with a seed is said before anything listens; the table of it is a Swift test's (LabSeedLimitTests)."""

    def test_certificates_that_are_not_there(self, clients: Pki, tmp_path: Path) -> None:
        declared = seed([CASES[0]])
        declared["trustAnchors"][0].update(certificates="absent.pem")
        file = tmp_path / "wrong.json"
        file.write_text(json.dumps(declared))
        stderr = clients.refuse("lab", "--port", "0", "--directory", clients.home / "ca", "--seed", file)
        assert "absent.pem" in stderr

    def test_a_malformed_policy(self, clients: Pki, tmp_path: Path) -> None:
        declared = seed([CASES[0]])
        declared["roles"][0]["trustPolicy"] = {"Version": "2012-10-17", "Statement": [allow(Effect="Permit")]}
        file = tmp_path / "wrong.json"
        file.write_text(json.dumps(declared))
        stderr = clients.refuse("lab", "--port", "0", "--directory", clients.home / "ca", "--seed", file)
        assert all(word in stderr for word in (str(file), CASES[0].name, "Effect"))

    def test_the_template_of_the_repository(self, built: Path, tmp_path: Path) -> None:
        from program import REPOSITORY

        pki = Pki(tmp_path, built)
        pki.run("init-ca", "--directory", tmp_path / "ca")
        for name, options in (("db", CLIENTS["db"]), ("web", CLIENTS["web"])):
            pki.run("issue-client", "--directory", tmp_path / "ca", "--name", name, *options)
        with running_lab(pki, "--directory", tmp_path / "ca", "--seed", REPOSITORY / "templates/lab.json") as lab:
            databases = f"arn:aws:iam::{ACCOUNT}:role/database-role"
            assert ask(pki, lab, "db", lab.role_arn)[0] == DONE
            assert ask(pki, lab, "web", lab.role_arn)[0] == DONE
            assert ask(pki, lab, "db", databases)[0] == DONE
            assert ask(pki, lab, "web", databases)[0] == DENIED
