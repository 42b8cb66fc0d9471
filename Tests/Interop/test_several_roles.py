# SPDX-License-Identifier: Apache-2.0
"""A5, B12: several roles behind one trust anchor, and revocation in every trust anchor of a CA. The AWS CLI runs the scripts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws import client
from program import DENIED, DONE, USAGE, Lab, Pki, clean_environment, running_lab

HOSTS = "name\nweb-1\nweb-2\nweb-3\ndb-1\ndb-2\n"


@pytest.fixture
def fleet(pki: Pki, tmp_path: Path) -> Path:
    """A CA with five hosts."""
    folder = tmp_path / "ca"
    pki.run("init-ca", "--directory", folder)
    (tmp_path / "hosts.csv").write_text(HOSTS)
    pki.run("issue-client", "--directory", folder, "--batch", tmp_path / "hosts.csv")
    return folder


@pytest.fixture
def lab(pki: Pki, fleet: Path) -> Iterator[Lab]:
    with running_lab(pki, "--directory", fleet) as lab:
        yield lab


def shell(pki: Pki, lab: Lab, script: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{clean_environment(pki.home)['PATH']}"
    return subprocess.run(
        ["sh", "-c", script], env={**lab.exports, "PATH": path, "HOME": str(pki.home)}, cwd=pki.home,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def apply(pki: Pki, lab: Lab, fleet: Path, *options: str) -> str:
    script = pki.run("print-setup", "--format", "aws-cli", "--directory", fleet, "--region", lab.region, *options).stdout
    done = shell(pki, lab, script)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(lab: Lab) -> dict[str, list[str]]:
    """What there is in the account, by its names, without the lab's own."""
    with client(lab) as asked:
        anchors = asked.list_trust_anchors()["trustAnchors"]
        profiles = asked.list_profiles()["profiles"]
    return {
        "anchors": sorted(one["name"] for one in anchors if one["trustAnchorArn"] != lab.trust_anchor_arn),
        "profiles": sorted(one["name"] for one in profiles if one["profileArn"] != lab.profile_arn),
    }


def recorded(pki: Pki, fleet: Path) -> dict:
    return pki.run("set-arns", "--directory", fleet, "--remove", "--trust-anchor-arn", NONE, "--format", "json").json


NONE = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/none"
TWO = ("--role", "web", "--subject-cn", "web-*", "--role", "data", "--subject-cn=db-*", "--session-duration", "7200")


def test_a5_five_hosts_two_roles_and_revocation_in_every_anchor(pki: Pki, fleet: Path, lab: Lab) -> None:
    here = ("--directory", fleet)
    apply(pki, lab, fleet, *TWO)
    assert names(lab) == {"anchors": ["TEST ROOT"], "profiles": ["data", "web"]}
    assert [role["name"] for role in recorded(pki, fleet)["roles"]] == ["web", "data"]
    # A second anchor of the same CA, for a third role.
    apply(pki, lab, fleet, "--name", "Second", "--role", "all", "--subject-cn", "*-2")
    assert names(lab)["anchors"] == ["Second", "TEST ROOT"]
    aws = pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint)
    for host in HOSTS.split()[1:]:
        for role in ("web", "data"):
            aws.run("configure", "--profile", f"{host}-{role}", "--client", host, "--role", role, *here)
            allowed = host.startswith("web" if role == "web" else "db")
            aws.run("creds", "--profile", f"{host}-{role}", status=DONE if allowed else DENIED)
    aws.run("configure", "--profile", "second", "--client", "web-2", "--role", "all", *here)
    aws.run("creds", "--profile", "second")
    said = pki.run("revoke", "web-2", *here).stderr
    assert "2 trust anchors" in said and "pki crl --format aws-cli" in said
    with client(lab) as asked:
        arn = next(one["trustAnchorArn"] for one in asked.list_trust_anchors()["trustAnchors"] if one["name"] == "Second")
    assert "another trust anchor" in pki.run("crl", "--format", "aws-cli", "--trust-anchor-arn", arn, *here).stderr
    for _ in range(3):
        # AWS takes two CRLs for each trust anchor: the one that is there is replaced.
        done = shell(pki, lab, pki.run("crl", "--format", "aws-cli", *here).stdout)
        assert done.returncode == 0, done.stderr
    with client(lab) as asked:
        assert len(asked.list_crls()["crls"]) == 2
    for profile in ("web-2-web", "second"):
        assert "revoked" in aws.refuse("creds", "--profile", profile, status=DENIED)
    for profile in ("web-1-web", "db-1-data"):
        aws.run("creds", "--profile", profile)
    refused = pki.refuse("configure", "--profile", "again", "--client", "web-2", "--role", "web", *here)
    assert "revoked" in refused and "pki issue-client --name web-2 --force" in refused


def test_a5_a_rerun_changes_what_differs_and_nothing_else(pki: Pki, fleet: Path, lab: Lab) -> None:
    first = apply(pki, lab, fleet, *TWO)
    assert apply(pki, lab, fleet, *TWO) == first
    before = names(lab)
    changed = ("--role", "web", "--subject-cn", "db-*", "--managed-policy", "AmazonS3ReadOnlyAccess", "--session-duration", "900")
    lines = apply(pki, lab, fleet, *changed).splitlines()
    assert lines == first.splitlines()[: len(lines)] and names(lab) == before
    with client(lab, "iam") as roles, client(lab) as asked:
        policies = roles.list_attached_role_policies(RoleName="web")["AttachedPolicies"]
        assert [one["PolicyName"] for one in policies] == ["AmazonS3ReadOnlyAccess"]
        policy = roles.get_role(RoleName="web")["Role"]["AssumeRolePolicyDocument"]
        assert "db-*" in str(policy) and "web-*" not in str(policy)
        profile = next(one for one in asked.list_profiles()["profiles"] if one["name"] == "web")
    assert profile["durationSeconds"] == 900 and profile["managedPolicyArns"] == [policies[0]["PolicyArn"]]


def test_a5_an_anchor_is_reused(pki: Pki, fleet: Path, lab: Lab) -> None:
    apply(pki, lab, fleet, "--role", "web", "--subject-cn", "web-*")
    arn = recorded(pki, fleet)["trustAnchors"][0]["arn"]
    apply(pki, lab, fleet, "--trust-anchor-arn", arn, "--role", "data", "--subject-cn", "db-*")
    assert names(lab) == {"anchors": ["TEST ROOT"], "profiles": ["data", "web"]}
    roles = recorded(pki, fleet)["roles"]
    assert {role["trustAnchorArn"] for role in roles} == {arn} and len(roles) == 2


def test_a5_a_rotation_reaches_the_anchor(pki: Pki, fleet: Path, lab: Lab) -> None:
    apply(pki, lab, fleet, "--role", "web", "--any-certificate")
    pki.run("rotate-ca", "--directory", fleet)
    apply(pki, lab, fleet, "--name", "TEST ROOT", "--role", "web", "--any-certificate")
    with client(lab) as asked:
        anchors = [one for one in asked.list_trust_anchors()["trustAnchors"] if one["name"] == "TEST ROOT"]
    assert len(anchors) == 1
    assert anchors[0]["source"]["sourceData"]["x509CertificateData"].count("BEGIN") == 2
    assert len(recorded(pki, fleet)["trustAnchors"][0]["caKeys"]) == 2


def test_a5_what_is_somebody_elses_stops_it_before_anything_is_made(pki: Pki, fleet: Path, lab: Lab, tmp_path: Path) -> None:
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    with client(lab, "iam") as roles:
        roles.create_role(RoleName="data", AssumeRolePolicyDocument=policy)
    script = pki.run("print-setup", "--format", "aws-cli", "--directory", fleet, *TWO).stdout
    done = shell(pki, lab, script)
    assert done.returncode == 1 and "the role data exists" in done.stderr
    assert names(lab) == {"anchors": [], "profiles": []}
    apply(pki, lab, fleet, "--role", "web", "--any-certificate")
    other = tmp_path / "other"
    pki.run("init-ca", "--directory", other)
    script = pki.run("print-setup", "--format", "aws-cli", "--directory", other, "--role", "new", "--any-certificate").stdout
    done = shell(pki, lab, script)
    assert done.returncode == 1 and "has another CA" in done.stderr
    assert names(lab) == {"anchors": ["TEST ROOT"], "profiles": ["web"]}


def test_several_roles_in_the_other_languages(pki: Pki, fleet: Path) -> None:
    """test_setup.py has cfn-lint and Terraform judge them."""
    for form in ("cloudformation", "terraform"):
        text = pki.run("print-setup", "--format", form, "--directory", fleet, *TWO).stdout
        assert text.count("web-*") == text.count("db-*") == 1 and "{{" not in text
        reused = pki.run("print-setup", "--format", form, "--directory", fleet, "--trust-anchor-arn", NONE, *TWO).stdout
        assert "BEGIN CERTIFICATE" not in reused and NONE in reused


class TestB12:
    @pytest.fixture
    def below(self, pki: Pki, fleet: Path, lab: Lab) -> Path:
        """A trust anchor of the root, and a client below an intermediate."""
        apply(pki, lab, fleet, "--role", "web", "--any-certificate")
        pki.run("issue-intermediate", "--name", "issuing-1", "--directory", fleet)
        pki.run("issue-client", "--name", "till-1", "--issuer", "issuing-1", "--directory", fleet)
        return fleet

    def test_it_is_said_when_it_matters(self, pki: Pki, below: Path, lab: Lab) -> None:
        here = ("--directory", below)
        ways = ("pki print-setup --format aws-cli --ca-certificate", "pki revoke issuing-")
        for said in (
            pki.run("issue-intermediate", "--name", "issuing-2", *here).stderr,
            pki.run("revoke", "till-1", *here).stderr,
            pki.refuse("crl", "--issuer", "issuing-1", "--format", "aws-cli", *here),
            pki.refuse(
                "crl", "--issuer", "issuing-1", "--format", "aws-cli", *here,
                "--trust-anchor-arn", recorded(pki, below)["trustAnchors"][0]["arn"],
            ),
            pki.run("crl", "--issuer", "issuing-1", "--format", "aws-cli", "--trust-anchor-arn", NONE, *here).stderr,
        ):  # fmt: skip
            assert all(way in said for way in ways), said
        assert "trust anchor" not in pki.run("revoke", "web-1", *here).stderr

    def test_both_ways_out(self, pki: Pki, below: Path, lab: Lab) -> None:
        here = ("--directory", below)
        certificate = str(below / "issuing-1-cert.pem")
        apply(pki, lab, below, "--ca-certificate", certificate, "--role", "tills", "--any-certificate")
        aws = pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint)
        for role in ("tills", "web"):
            aws.run("configure", "--profile", role, "--client", "till-1", "--role", role, *here)
            aws.run("creds", "--profile", role)
        pki.run("revoke", "till-1", *here)
        assert shell(pki, lab, pki.run("crl", "--issuer", "issuing-1", "--format", "aws-cli", *here).stdout).returncode == 0
        assert "revoked" in aws.refuse("creds", "--profile", "tills", status=DENIED)
        aws.run("creds", "--profile", "web")
        pki.run("revoke", "issuing-1", *here)
        assert shell(pki, lab, pki.run("crl", "--format", "aws-cli", *here).stdout).returncode == 0
        assert "revoked" in aws.refuse("creds", "--profile", "web", status=DENIED)


class TestConfigureClient:
    def test_what_is_missing_is_refused_with_the_command(self, pki: Pki, fleet: Path, lab: Lab) -> None:
        def refuse(*options: str) -> str:
            return pki.refuse("configure", "--profile", "p", "--directory", fleet, *options)

        assert "pki set-arns" in refuse("--client", "web-1")
        assert "pki issue-client --name none" in refuse("--client", "none")
        arns = lab.arguments[:6]
        pki.run("set-arns", "--directory", fleet, *arns)
        anchor = arns[arns.index("--trust-anchor-arn") + 1]
        assert pki.run("status", "--directory", fleet, "-o", "json").json["trustAnchors"] == [anchor]
        assert f"trust anchor {anchor}" in pki.run("status", "--directory", fleet).stdout
        said = pki.run("configure", "--profile", "p", "--client", "web-1", "--directory", fleet, "--format", "json").json
        assert said["privateKey"] == str(fleet / "web-1-key.pem")
        assert pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint).run("creds", "--profile", "p").json["AccessKeyId"]
        assert "--role" in refuse("--client", "web-1", "--role", "other")
        pki.run("set-arns", "--directory", fleet, *arns, "--role", "second")
        assert "second" in refuse("--client", "web-1")
        pki.run("revoke", "web-1", "--hold", "--directory", fleet)
        assert "pki revoke web-1 --release" in refuse("--client", "web-1", "--role", "second")
        usage = ("configure", "--profile", "p", "--client", "web-2", "--certificate", fleet / "web-1-cert.pem")
        pki.run(*usage, status=USAGE)

    def test_the_record_is_input(self, pki: Pki, fleet: Path) -> None:
        for content in ("", "[]", '{"trustAnchors": [], "roles": [{"name": "x"}]}', '{"trustAnchors": ["x"], "roles": []}'):
            (fleet / "aws-arns.json").write_text(content)
            assert "aws-arns.json" in pki.refuse("configure", "--profile", "p", "--client", "web-1", "--directory", fleet)
        (fleet / "aws-arns.json").unlink()
        (fleet / "aws-arns.json").symlink_to("/dev/zero")
        pki.refuse("configure", "--profile", "p", "--client", "web-1", "--directory", fleet, timeout=10)

    def test_a_wrong_arn_is_not_recorded(self, pki: Pki, fleet: Path, lab: Lab) -> None:
        wrong = ("--trust-anchor-arn", lab.profile_arn, "--profile-arn", lab.profile_arn, "--role-arn", lab.role_arn)
        pki.refuse("set-arns", "--directory", fleet, *wrong, status=USAGE)
        pki.run("set-arns", "--directory", fleet, "--trust-anchor-arn", NONE, "--role-arn", lab.role_arn, status=USAGE)
        assert not (fleet / "aws-arns.json").exists()

    def test_a_role_of_the_name_replaces_the_other_and_its_anchor(self, pki: Pki, fleet: Path, lab: Lab) -> None:
        role = ("--profile-arn", lab.profile_arn, "--role-arn", lab.role_arn, "--role", "web")
        for anchor in ("a", "b"):
            arn = lab.trust_anchor_arn.rsplit("/", 1)[0] + f"/{anchor}"
            pki.run("set-arns", "--directory", fleet, "--trust-anchor-arn", arn, *role)
        assert [one["arn"][-2:] for one in recorded(pki, fleet)["trustAnchors"]] == ["/b"]
