# SPDX-License-Identifier: Apache-2.0
"""What AWS is told: judged by cfn-lint, Terraform, a POSIX shell, and moto's reading of policies."""

from __future__ import annotations

import json
import subprocess
import shlex
import sys
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import terraform
from aws import client
from program import REFUSED, USAGE, Pki, clean_environment, running_lab
from tools import tool

ANCHOR = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/a0000000-0000-4000-8000-000000000001"
COMBINATIONS = {
    "any certificate": ["--any-certificate"],
    "one name": ["--subject-cn", "web-1"],
    "patterns": ["--subject-cn", "web-*", "--subject-cn", "db-?", "--subject-ou", "Straße 7", "--san-uri", "spiffe://a/*"],
    "everything": [
        *("--subject-cn", "a", "--subject-ou", "b", "--subject-o", "c d", "--san-dns", "e.example", "--issuer-cn", "f"),
        *("--name", "My name_1", "--role-name", "team+web=1,2.3@x-y", "--session-duration", "43200"),
        *("--managed-policy", "AmazonS3ReadOnlyAccess", "--region", "eu-central-1"),
    ],
    "two roles": [
        *("--role", "web", "--subject-cn", "web-*", "--role", "data+x", "--subject-cn", "db-*", "--session-duration", "900"),
        *("--managed-policy", "AmazonS3ReadOnlyAccess"),
    ],
    "an anchor that exists": ["--trust-anchor-arn", ANCHOR, "--role", "web", "--any-certificate"],
    "another partition": ["--any-certificate", "--partition", "aws-cn", "--region", "cn-north-1"],
}
ONE_NEW = {name: options for name, options in COMBINATIONS.items() if name not in ("two roles", "an anchor that exists")}
combinations = pytest.mark.parametrize("options", COMBINATIONS.values(), ids=COMBINATIONS)


def setup(pki: Pki, ca: Path, form: str, *options: str) -> str:
    return pki.run("print-setup", "--format", form, "--directory", ca, *options).stdout


@combinations
def test_cfn_lint_finds_nothing_in_the_cloudformation_template(pki: Pki, ca: Path, tmp_path: Path, options):
    file = tmp_path / "pki.yaml"
    file.write_text(setup(pki, ca, "cloudformation", *options))
    done = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", "--region", "us-east-1", "--", file],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_cfn_lint_is_awake(pki: Pki, ca: Path, tmp_path: Path):
    file = tmp_path / "pki.yaml"
    text = setup(pki, ca, "cloudformation", "--any-certificate")
    file.write_text(text.replace("sts:TagSession", "sts:TagSession\", 7, \"").replace("RoleArns:", "RoleArnz:"))
    command = [Path(sys.executable).parent / "cfn-lint", "--", file]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_terraform_finds_the_configurations_valid_and_well_laid_out(pki: Pki, ca: Path, tmp_path: Path):
    """Each is a module of one configuration, because Terraform takes long to start its provider."""
    modules = ""
    for number, options in enumerate(COMBINATIONS.values()):
        (tmp_path / f"tf/m{number}").mkdir(parents=True)
        (tmp_path / f"tf/m{number}/main.tf").write_text(setup(pki, ca, "terraform", *options))
        modules += f'module "m{number}" {{\n  source = "./m{number}"\n}}\n'
    plan = terraform.configured(tmp_path / "tf", modules)
    plan.run("validate", "-no-color")
    plan.run("fmt", "-check", "-diff", "-recursive", "-no-color")


@pytest.mark.parametrize("options", ONE_NEW.values(), ids=ONE_NEW)
@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_a_shell_runs_the_script_and_every_word_arrives(pki: Pki, ca: Path, tmp_path: Path, options, shell: str):
    script = tmp_path / "setup.sh"
    script.write_text(setup(pki, ca, "aws-cli", *options))
    log = tmp_path / "log"
    fake = tmp_path / "bin" / "aws"
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "words = [part for word in sys.argv[1:] for part in (word.split('=', 1) if word.startswith('--') else [word])]\n"
        f"with open({str(log)!r}, 'a') as log: log.write(json.dumps([words, os.environ.get('AWS_REGION')]) + '\\n')\n"
        "if sys.argv[2] == 'get-role': sys.exit('An error occurred (NoSuchEntity) when calling the GetRole operation')\n"
        f"print({{'create-trust-anchor': {ANCHOR!r}, 'create-role': 'ROLE', 'create-profile': 'PROFILE'}}.get(sys.argv[2], ''))\n"
    )
    fake.chmod(0o755)
    path = f"{fake.parent}:{clean_environment(tmp_path)['PATH']}"
    done = tool(shell, script, environment={"PATH": path})
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    calls = [call for call in calls if not call[0][1].startswith(("get-", "list-"))]
    names = [call[0][1] for call in calls]
    assert names[:2] == ["create-trust-anchor", "create-role"] and names[-1] == "create-profile"
    anchor, role, *attachments, profile = (
        dict(zip(call[0][2::1], [*call[0][3::1], None])) | {"words": call[0]} for call in calls
    )
    source = json.loads(anchor["--source"])
    assert source["sourceData"]["x509CertificateData"] == (ca / "root-cert.pem").read_text()
    policy = json.loads(role["--assume-role-policy-document"])
    assert policy["Statement"][0]["Condition"]["ArnEquals"] == {"aws:SourceArn": ANCHOR}
    assert role["--role-name"] == (options[options.index("--role-name") + 1] if "--role-name" in options else "TEST-ROOT-RolesAnywhere")
    assert anchor["--name"] == profile["--name"] == (options[options.index("--name") + 1] if "--name" in options else "TEST ROOT")
    assert profile["--role-arns"] == "ROLE"
    assert [one["--policy-arn"] for one in attachments] == [
        word for word in profile["words"] if ":policy/" in word
    ]
    regions = {call[1] for call in calls}
    assert regions == {options[options.index("--region") + 1] if "--region" in options else None}
    assert f"--trust-anchor-arn {ANCHOR} \\" in done.stdout and "--profile-arn PROFILE \\" in done.stdout


@pytest.mark.parametrize("options", ONE_NEW.values(), ids=ONE_NEW)
def test_iam_takes_the_trust_policy(pki: Pki, tmp_path: Path, options):
    options = [word for word in options if not word.startswith(("team+", "My name"))]
    conditions: list[str] = []
    for name, value in zip(options, [*options[1:], ""]):
        if name.startswith(("--subject", "--san", "--issuer")):
            conditions += [name, value]
    text = pki.run(
        "print-trust-policy", "--trust-anchor-arn", ANCHOR, *(conditions or ["--any-certificate"])
    ).stdout
    with mock_aws():
        iam = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
        iam.create_role(RoleName="web", AssumeRolePolicyDocument=text)
        # moto reads the policy closely only here.
        iam.update_assume_role_policy(RoleName="web", PolicyDocument=text)
        kept = iam.get_role(RoleName="web")["Role"]["AssumeRolePolicyDocument"]
    statement = kept["Statement"][0]
    assert statement["Principal"] == {"Service": "rolesanywhere.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": ANCHOR}


@pytest.mark.smoke
def test_a_policy_without_a_condition_is_refused_unless_told(pki: Pki, ca: Path):
    for command in (
        ["print-trust-policy", "--trust-anchor-arn", ANCHOR],
        ["print-setup", "--format", "terraform", "--directory", str(ca)],
    ):
        refused = pki.run(*command, status=USAGE)
        assert "every certificate of the CA could assume the role" in refused.error
        assert "--any-certificate" in refused.stderr
        pki.run(*command, "--any-certificate")


def test_a_policy_never_comes_without_a_source(pki: Pki):
    refused = pki.run("print-trust-policy", "--subject-cn", "web-1", status=USAGE)
    assert "--trust-anchor-arn" in refused.stderr
    policy = pki.run("print-trust-policy", "--subject-cn", "web-1", "--source-account", "123456789012").json
    assert policy["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"


def test_several_common_names_are_joined_as_aws_joins_them(pki: Pki, ca: Path):
    pki.run("issue-client", "--directory", ca, "--name", "two", "--subject", "/O=A/CN=a/CN=b")
    policy = pki.run("print-trust-policy", "--trust-anchor-arn", ANCHOR, "--certificate", ca / "two-cert.pem").json
    condition = policy["Statement"][0]["Condition"]["StringEquals"]
    assert condition == {"aws:PrincipalTag/x509Subject/CN": "a/b"}


@pytest.mark.smoke
def test_the_condition_can_be_taken_from_certificates(pki: Pki, ca: Path):
    for name in ("web-1", "web-2"):
        pki.run("issue-client", "--directory", ca, "--name", name)
    policy = pki.run(
        "print-trust-policy", "--trust-anchor-arn", ANCHOR,
        "--certificate", ca / "web-1-cert.pem", "--certificate", ca / "web-2-cert.pem",
    ).json
    condition = policy["Statement"][0]["Condition"]
    assert condition["StringEquals"] == {"aws:PrincipalTag/x509Subject/CN": ["web-1", "web-2"]}
    refused = pki.run(
        "print-trust-policy", "--trust-anchor-arn", ANCHOR, "--certificate", ca / "root-cert.pem", status=REFUSED
    )
    assert "is a CA" in refused.error


HOSTILE = ['a"b', "it's", "$(touch x)", "`touch x`", "${path.module}", "%{ if true }", "a\nb", "a\\", "{{roleName}}", "a;b", "!Ref x"]


@pytest.mark.pairwise
@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("option", ["--subject-cn", "--name", "--role-name", "--managed-policy", "--region"])
@pytest.mark.parametrize("form", ["cloudformation", "terraform", "aws-cli"])
def test_hostile_words_are_refused(pki: Pki, ca: Path, form: str, option: str, value: str):
    condition = [] if option == "--subject-cn" else ["--any-certificate"]
    pki.run("print-setup", "--format", form, "--directory", ca, option, value, *condition, status=USAGE)


@pytest.mark.parametrize(
    ("subject", "name", "role"),
    [
        ("CN=Österreich", "sterreich", "sterreich-RolesAnywhere"),
        ("CN=Ünï CA", "n- CA", "n--CA-RolesAnywhere"),
        ("CN=日本", "pki", "pki-RolesAnywhere"),
        (f"CN={'a' * 60}", "a" * 60, f"{'a' * 50}-RolesAnywhere"),
    ],
)
def test_names_that_are_made_up_can_be_used(pki: Pki, tmp_path: Path, subject: str, name: str, role: str):
    """A word that began with a hyphen would be an option to the AWS CLI."""
    pki.run("init-ca", "--directory", tmp_path / "ca", "--subject", subject)
    text = setup(pki, tmp_path / "ca", "aws-cli", "--any-certificate")
    assert f"--name={shlex.quote(name)} " in text, text
    assert f"--role-name={shlex.quote(role)} " in text, text


def test_a_name_may_begin_with_a_hyphen(pki: Pki, ca: Path):
    """The AWS CLI, unmodified, runs what is printed."""
    text = setup(pki, ca, "aws-cli", "--any-certificate", "--name=-x y", "--role-name=-r")
    bundle = pki.run("print-bundle", "--directory", ca, "--format", "aws-cli", "--trust-anchor-name=--enabled").stdout
    with running_lab(pki, "--directory", ca) as lab, client(lab) as asked, client(lab, "iam") as roles:
        path = f"{Path(sys.executable).parent}:{clean_environment(pki.home)['PATH']}"
        for script in (text, bundle):
            tool("sh", "-c", script, environment={**lab.exports, "PATH": path, "HOME": str(pki.home)})
        assert {"-x y", "--enabled"} <= {one["name"] for one in asked.list_trust_anchors()["trustAnchors"]}
        assert "-x y" in {one["name"] for one in asked.list_profiles()["profiles"]}
        assert roles.get_role(RoleName="-r")


def test_a_policy_that_is_longer_than_the_quota_is_said_to_be(pki: Pki, ca: Path, tmp_path: Path):
    """IAM and AWS STS quotas: 2,048 characters without blanks, which can be raised to 4,096; the lab has not raised it."""
    names = [word for number in range(40) for word in ("--subject-cn", f"a-machine-with-a-long-name-{number:02}.example.com")]
    anchor = ("print-trust-policy", "--trust-anchor-arn", ANCHOR)
    long = pki.run(*anchor, *names)
    length = len("".join(long.stdout.split()))
    assert length > 2048 and f"warning: the trust policy has {length} characters" in long.stderr
    assert "2048" in long.stderr and "4096" in long.stderr
    assert not pki.run(*anchor, *names[:40]).stderr
    for form in ("cloudformation", "terraform", "aws-cli"):
        arguments = ("print-setup", "--format", form, "--directory", ca, *names)
        assert "warning: the trust policy has" in pki.run(*arguments).stderr
    with running_lab(pki, "--directory", ca) as lab, client(lab, "iam") as roles:
        with pytest.raises(ClientError, match="ACLSizePerRole: 2048"):
            roles.create_role(RoleName="long", AssumeRolePolicyDocument=long.stdout)


def test_the_arn_of_an_alias_is_refused(pki: Pki):
    """No policy matches it (the service's model, aliasArn)."""
    alias = ANCHOR.split("trust-anchor/")[0] + "alias/trust-anchor/mine"
    assert "alias" in pki.refuse("print-trust-policy", "--trust-anchor-arn", alias, "--any-certificate", status=USAGE)


def test_a_template_of_ones_own_takes_the_place_of_the_built_in(pki: Pki, ca: Path, tmp_path: Path):
    own = tmp_path / "own.txt"
    own.write_text("role {{roleName}}, {{durationSeconds}} s\n")
    text = setup(pki, ca, "aws-cli", "--any-certificate", "--template", str(own))
    assert text == "role TEST-ROOT-RolesAnywhere, 3600 s\n"
    own.write_text("{{unheard}}")
    refused = pki.run(
        "print-setup", "--format", "aws-cli", "--directory", ca, "--any-certificate", "--template", own, status=REFUSED
    )
    assert "unheard" in refused.error and str(own) in refused.error
