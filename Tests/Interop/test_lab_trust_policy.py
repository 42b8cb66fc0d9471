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
from sampling import FULL

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


def deny(**changes: Any) -> dict[str, Any]:
    return allow(Sid="NotThese", Effect="Deny", **changes)


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


CN, OU, URI = (f"aws:PrincipalTag/x509{part}" for part in ("Subject/CN", "Subject/OU", "SAN/URI"))

CASES = [
    Case("no-condition", [allow()], ("db", "bare")),
    # The certificate's own words.
    only("cn", "StringEquals", CN, "db-1", ("db",), web="web-1", comma="x509Subject/CN"),
    only("cn-of-several", "StringEquals", CN, ["db-1", "web-1"], ("db", "web"), bare="bare"),
    only("cn-like", "StringLike", CN, "db-*", ("db",), web="web-1"),
    only("cn-with-a-star-that-is-none", "StringEquals", CN, "db-*", (), db="StringLike"),
    only("cn-in-another-case", "StringEquals", CN, "DB-1", (), db="db-1"),
    only("cn-whatever-the-case", "StringEqualsIgnoreCase", CN, "DB-1", ("db",), web="web-1"),
    only("key-in-another-case", "StringEquals", "AWS:principaltag/X509SUBJECT/cn", "db-1", ("db",), web="web-1"),
    only("ou", "StringEquals", OU, "databases", ("db", "comma"), web="frontends", bare="no such key"),
    only("ou-twice", "StringEquals", OU, "outer/inner", ("twin",), db="databases"),
    only("uri", "StringEquals", URI, "spiffe://example.com/db", ("db",), web="spiffe://example.com/web", bare="no such key"),
    only("uri-like", "StringLike", URI, "spiffe://example.com/*", ("db", "web"), bare="no such key"),
    only("dns", "StringEquals", "aws:PrincipalTag/x509SAN/DNS", "web-1.example.com", ("web",), db="no such key"),
    only("issuer", "StringEquals", "aws:PrincipalTag/x509Issuer/CN", "TEST ROOT", ("db", "bare")),
    only("another-issuer", "StringEquals", "aws:PrincipalTag/x509Issuer/CN", "OTHER", (), db="TEST ROOT"),
    only("request-tag", "StringEquals", "aws:RequestTag/x509Subject/CN", "db-1", ("db",), web="web-1"),
    only("not-equal", "StringNotEquals", CN, "db-1", ("web", "comma"), db="db-1"),
    only("not-equal-of-absent", "StringNotEquals", OU, "databases", ("web", "bare"), db="databases"),
    only("if-exists", "StringEqualsIfExists", OU, "databases", ("db", "bare"), web="frontends"),
    # Where it comes from.
    only("source-arn", "ArnEquals", "aws:SourceArn", ANCHOR, ("db", "web")),
    only("source-arn-like", "ArnLike", "aws:SourceArn", f"arn:aws:rolesanywhere:*:{ACCOUNT}:trust-anchor/*", ("db",)),
    only("another-source-arn", "ArnEquals", "aws:SourceArn", ANCHOR[:-1] + "}f", (), db="trust-anchor/"),
    only("source-account", "StringEquals", "aws:SourceAccount", ACCOUNT, ("db",)),
    only("another-source-account", "StringEquals", "aws:SourceAccount", "999999999999", (), db=ACCOUNT),
    only("address", "IpAddress", "aws:SourceIp", "127.0.0.0/8", ("db",)),
    only("another-address", "IpAddress", "aws:SourceIp", ["192.0.2.0/24", "2001:db8::/32"], (), db="127.0.0.1"),
    only("not-this-address", "NotIpAddress", "aws:SourceIp", "127.0.0.1", (), db="127.0.0.1"),
    only("region", "StringEquals", "aws:RequestedRegion", "us-east-1", ("db",)),
    # AWS is reached over TLS alone: a policy decides in a lab without it as it will there.
    only("tls", "Bool", "aws:SecureTransport", "true", ("db",)),
    Case(
        "no-plain-text",
        [allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}})],
        ("db",),
    ),
    # When.
    only("until-long-ago", "DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", (), db="2020-01-01"),
    only("until-late", "DateLessThan", "aws:CurrentTime", "2999-01-01T00:00:00Z", ("db",)),
    only("since-long-ago", "DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", ("db",)),
    only("since-late", "DateGreaterThanEquals", "aws:EpochTime", "32503680000", (), db="aws:EpochTime"),
    # What is asked for.
    only("short", "NumericLessThanEquals", "sts:DurationSeconds", "3600", ("db",)),
    only("shorter", "NumericLessThan", "sts:DurationSeconds", "901", (), db="3600"),
    only("source-identity", "StringEquals", "sts:SourceIdentity", "CN=db-1", ("db",), web="CN=web-1"),
    only("session-name", "StringLike", "sts:RoleSessionName", "build-*", (), db="sts:RoleSessionName"),
    # Whether it is there.
    only("must-have-ou", "Null", OU, "false", ("db", "twin"), bare="no such key"),
    only("must-not-have-ou", "Null", OU, "true", ("bare",), db="databases"),
    only("must-have-cn", "Null", CN, "false", ("db",), comma="no such key"),
    # Several values.
    only("any-tag-key", "ForAnyValue:StringEquals", "aws:TagKeys", ["x509SAN/URI", "x509SAN/DNS"], ("db", "web"), bare="aws:TagKeys"),
    only("all-tag-keys", "ForAllValues:StringLike", "aws:TagKeys", ["x509Subject/*", "x509Issuer/*", "x509SAN/Name/*"], ("bare", "twin"), web="x509SAN"),
    # Variables.
    only("variable", "StringLike", URI, "spiffe://example.com/${aws:PrincipalTag/x509Subject/OU}*", (), db="databases"),
    only("variable-that-fits", "StringEquals", "sts:SourceIdentity", "CN=${aws:PrincipalTag/x509Subject/CN}", ("db", "web"), comma="x509Subject/CN"),
    only("variable-default", "StringEquals", OU, "${aws:PrincipalTag/absent, 'databases'}", ("db",), web="frontends"),
    only("variable-star", "StringLike", CN, "db${*}", (), db="db-1"),
    # Several conditions, several statements.
    Case(
        "both",
        [allow(Condition={"StringEquals": {CN: "db-1", OU: "databases"}, "ArnEquals": {"aws:SourceArn": ANCHOR}})],
        ("db",),
        {"web": "web-1", "comma": "x509Subject/CN"},
    ),
    Case(
        "either",
        [allow(Condition={"StringEquals": {CN: "db-1"}}), allow(Sid="Others", Condition={"StringEquals": {CN: "web-1"}})],
        ("db", "web"),
        {"bare": "Others"},
    ),
    Case(
        "deny-wins",
        [allow(), deny(Condition={"StringEquals": {OU: "databases"}})],
        ("web", "bare"),
        {"db": "NotThese", "comma": "NotThese"},
    ),
    Case("deny-first", [deny(Action="sts:AssumeRole", Condition={"StringEquals": {CN: "db-1"}}), allow()], ("web",), {"db": "NotThese"}),
    Case("deny-unless", [allow(), deny(Condition={"StringNotEquals": {OU: "databases"}})], ("db",), {"bare": "NotThese"}),
    # Each of the three actions.
    Case("no-tag-session", [allow(Action=["sts:AssumeRole", "sts:SetSourceIdentity"])], (), {"db": "sts:TagSession"}),
    Case("no-assume-role", [allow(Action=["sts:TagSession", "sts:SetSourceIdentity"])], (), {"db": "sts:AssumeRole"}),
    Case("no-source-identity", [allow(Action=["sts:AssumeRole", "sts:TagSession"])], (), {"db": "sts:SetSourceIdentity"}),
    Case("actions-in-another-case", [allow(Action=["STS:assumerole", "sts:tagsession", "sts:setsourceIDENTITY"])], ("db",)),
    Case("all-actions", [allow(Action="sts:*")], ("db",)),
    Case("actions-apart", [allow(Sid=f"Part{index}", Action=action) for index, action in enumerate(ACTIONS)], ("db",)),
    Case("not-action", [allow(Action=..., NotAction="sts:AssumeRoleWithSAML")], ("db",)),
    # Who it is for.
    Case("another-service", [allow(Principal={"Service": "ec2.amazonaws.com"})], (), {"db": "rolesanywhere.amazonaws.com"}),
    Case("two-services", [allow(Principal={"Service": ["ec2.amazonaws.com", "rolesanywhere.amazonaws.com"]})], ("db",)),
    Case("an-account", [allow(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})], (), {"db": "Clients"}),
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


# What a policy decides is seen above; here, that it arrives.
@pytest.mark.parametrize("case", CASES if FULL else CASES[::5], ids=lambda case: case.name)
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


def rename(seed: dict[str, Any], name: str) -> None:
    """Gives the one role of a seed another name, in its profile too."""
    seed["roles"][0]["name"] = name
    seed["profiles"][0]["roles"] = [name]


class TestSeeds:
    """What is wrong with a seed is said before anything listens."""

    @pytest.mark.parametrize(
        ("policy", "words"),
        [
            ({"Version": "2012-10-17", "Statement": []}, ("Statement",)),
            ({"Version": "2012-10-17"}, ("Statement",)),
            ({"Version": "2026-01-01", "Statement": [allow()]}, ("Version", "2012-10-17")),
            ({"Version": "2012-10-17", "Statement": [allow(Effect="Permit")]}, ("Effect",)),
            ({"Version": "2012-10-17", "Statement": [allow(Effect=...)]}, ("Effect",)),
            ({"Version": "2012-10-17", "Statement": [allow(Principal=...)]}, ("Principal",)),
            ({"Version": "2012-10-17", "Statement": [allow(Resource="*")]}, ("Resource",)),
            ({"Version": "2012-10-17", "Statement": [allow(Action="sts:TagSessions")]}, ("sts:TagSession",)),
            ({"Version": "2012-10-17", "Statement": [allow(Conditions={})]}, ("Condition",)),
            ({"Version": "2012-10-17", "Statement": [allow(Condition={"StringEqual": {CN: "a"}})]}, ("StringEquals",)),
            ({"Version": "2012-10-17", "Statement": [allow(Condition={"IpAddress": {"aws:SourceIp": "ten"}})]}, ("ten",)),
            ({"Version": "2012-10-17", "Statement": [allow(Condition={"Null": {CN: "maybe"}})]}, ("maybe",)),
            ({"Version": "2012-10-17", "Statement": [allow(), allow()]}, ("Clients",)),
            ({"Version": "2012-10-17", "Statement": [allow(Condition={"ArnEquals": {"aws:SourceArn": "${trustAnchor:other}"}})]}, ("other",)),
        ],
    )  # fmt: skip
    def test_a_malformed_policy(self, clients: Pki, tmp_path: Path, policy: dict[str, Any], words: tuple[str, ...]) -> None:
        declared = seed([CASES[0]])
        declared["roles"][0]["trustPolicy"] = policy
        self.refuse(clients, tmp_path, json.dumps(declared), CASES[0].name, *words)

    def refuse(self, pki: Pki, folder: Path, text: str, *words: str) -> None:
        file = folder / "wrong.json"
        file.write_text(text)
        stderr = pki.refuse("lab", "--port", "0", "--directory", pki.home / "ca", "--seed", file, timeout=20)
        for word in (str(file), *words):
            assert word in stderr

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda seed: seed.update(role=[]), ("role",)),
            (lambda seed: seed["roles"][0].update(nmae="x"), ("nmae",)),
            (lambda seed: seed["roles"][0].pop("name"), ("name",)),
            (lambda seed: seed["profiles"][0].update(roles=["absent"]), ("absent",)),
            (lambda seed: seed["profiles"].append(seed["profiles"][0]), ("profiles", "lab")),
            (lambda seed: seed["roles"].append(seed["roles"][0]), ("roles", CASES[0].name)),
            (lambda seed: seed["profiles"][0].update(durationSeconds=899), ("durationSeconds",)),
            (lambda seed: seed["roles"][0].update(maxSessionDuration=43_201), ("maxSessionDuration",)),
            (lambda seed: seed["trustAnchors"][0].update(certificates="absent.pem"), ("absent.pem",)),
            (lambda seed: seed["roles"][0].update(trustPolicy="text"), ("trustPolicy",)),
            (lambda seed: rename(seed, "two words"), ("two words",)),
            (lambda seed: rename(seed, "n" * 65), ("name", "64")),
            (lambda seed: seed["roles"][0].update(path="nowhere"), ("nowhere",)),
            (lambda seed: seed["roles"][0].update(path="/with blank/"), ("with blank",)),
            # What the API refuses: names that differ in case alone, policies that there are not, ARNs of other things.
            (lambda seed: seed["roles"].append({**seed["roles"][0], "name": CASES[0].name.upper()}), ("roles", CASES[0].name)),
            (lambda seed: seed["roles"][0].update(attachedPolicyArns=["arn:aws:iam::123456789012:policy/own"]), ("policy/own",)),
            (lambda seed: seed["roles"][0].update(attachedPolicyArns=["ReadOnlyAccess-without-arn"]), ("without-arn",)),
            (lambda seed: seed["profiles"][0].update(roles=["arn:aws:iam::123456789012:user/a"]), ("user/a",)),
        ],
    )
    def test_a_wrong_member(self, clients: Pki, tmp_path: Path, change: Any, words: tuple[str, ...]) -> None:
        declared = seed([CASES[0]])
        change(declared)
        file = tmp_path / "wrong.json"
        file.write_text(json.dumps(declared))
        stderr = clients.refuse("lab", "--port", "0", "--directory", clients.home / "ca", "--seed", file, timeout=20)
        for word in words:
            assert word in stderr

    @pytest.mark.parametrize("text", ["[]", "{", "\x00", '{"roles":{}}'])
    def test_no_seed_at_all(self, clients: Pki, tmp_path: Path, text: str) -> None:
        self.refuse(clients, tmp_path, text)

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
