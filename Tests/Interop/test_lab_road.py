# SPDX-License-Identifier: Apache-2.0
"""The whole road by the AWS CLI alone, as the article on IAM Roles Anywhere walks it: from nothing to caller identity."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from peer import load
from program import Lab, Pki, Result, clean_environment

ROAD = """
set -eu
anchor=$(sh -c "$(pki print-bundle --directory ca --format aws-cli) --query trustAnchor.trustAnchorArn --output text")
pki print-trust-policy --trust-anchor-arn "$anchor" --any-certificate >policy.json
role=$(aws iam create-role --role-name pki-road --assume-role-policy-document file://policy.json \\
    --query Role.Arn --output text)
profile=$(aws rolesanywhere create-profile --name pki-road --enabled --role-arns "$role" --managed-policy-arns \\
    arn:aws:iam::aws:policy/ReadOnlyAccess arn:aws:iam::aws:policy/IAMAccessAnalyzerReadOnlyAccess \\
    --query profile.profileArn --output text)
for name in web-1 db-1; do
    pki issue-client --directory ca --name "$name" >/dev/null
    aws configure set credential_process "$(command -v pki) creds --trust-anchor-arn $anchor \\
--profile-arn $profile --role-arn $role --certificate $PWD/ca/$name-cert.pem --private-key $PWD/ca/$name-key.pem" \\
        --profile "$name"
done
printf '%s\\n' "$anchor" "$profile" "$role"
"""


class Shell:
    """A shell with the lab's exports, pki and aws on its path, and a home of its own."""

    def __init__(self, pki: Pki, lab: Lab, home: Path):
        binaries = home / "bin"
        binaries.mkdir()
        (binaries / "pki").symlink_to(pki.path)
        tools = Path(sys.executable).parent
        self.home = home
        self.environment = {**clean_environment(home), **lab.exports, "AWS_PAGER": ""}
        self.environment["PATH"] = f"{binaries}:{tools}:{self.environment['PATH']}"

    def run(self, script: str, status: int | None = 0) -> Result:
        done = subprocess.run(
            ["sh", "-c", script], cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        result = Result(("sh", "-c", script), done.returncode, done.stdout, done.stderr)
        if status is not None:
            assert result.status == status, result.describe()
        return result

    def identity(self, profile: str, status: int = 0) -> Result:
        return self.run(f"aws sts get-caller-identity --profile {profile}", status=status)


@pytest.fixture
def shell(pki: Pki, ca: Path, lab: Lab, tmp_path: Path) -> Shell:
    return Shell(pki, lab, tmp_path)


def revoking(ca: Path, *names: str) -> bytes:
    """A CRL of the CA that Python's cryptography made."""
    root = load(ca / "root-cert.pem")
    key = serialization.load_pem_private_key((ca / "root-key.pem").read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(now)
        .next_update(now + datetime.timedelta(days=7))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
    )
    for name in names:
        certificate = load(ca / f"{name}-cert.pem")
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(now)
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            .build()
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def last_refusal(pki: Pki, lab: Lab) -> dict:
    lines = pki.run("lab", "log", "--refused", "--format", "json", "--endpoint", lab.endpoint).stdout.splitlines()
    return json.loads(lines[-1])


@pytest.mark.smoke
def test_the_road(pki: Pki, ca: Path, lab: Lab, shell: Shell):
    anchor, profile, role = shell.run(ROAD).stdout.split()
    assert role == "arn:aws:iam::123456789012:role/pki-road"

    for name in ("web-1", "db-1"):
        identity = shell.identity(name).json
        number = load(ca / f"{name}-cert.pem").serial_number
        serial = number.to_bytes((number.bit_length() + 7) // 8).hex()
        assert identity["Account"] == "123456789012"
        assert identity["Arn"] == f"arn:aws:sts::123456789012:assumed-role/pki-road/{serial}"
        assert identity["UserId"].endswith(f":{serial}")

    # Revoked: the same call is refused, another client's is not.
    (shell.home / "crl.pem").write_bytes(revoking(ca, "web-1"))
    shell.run(
        f"aws rolesanywhere import-crl --name revoked --enabled --crl-data fileb://crl.pem --trust-anchor-arn {anchor}"
    )
    refused = shell.identity("web-1", status=255)
    assert "Untrusted signing certificate" in refused.stderr and "revoked" in refused.stderr
    trace = last_refusal(pki, lab)
    assert trace["checks"][-1]["check"] == "revocation"
    assert "keyCompromise" in trace["checks"][-1]["detail"]
    shell.identity("db-1")

    # The list is taken back: the client is admitted again.
    listed = shell.run("aws rolesanywhere list-crls").json["crls"]
    assert [one["name"] for one in listed] == ["revoked"]
    shell.run(f"aws rolesanywhere disable-crl --crl-id {listed[0]['crlId']}")
    shell.identity("web-1")

    # A condition on the name admits one client and refuses the other.
    shell.run(
        f"pki print-trust-policy --trust-anchor-arn {anchor} --subject-cn web-1 >policy.json && "
        "aws iam update-assume-role-policy --role-name pki-road --policy-document file://policy.json"
    )
    shell.identity("web-1")
    refused = shell.identity("db-1", status=255)
    assert "Unable to assume role" in refused.stderr
    check = last_refusal(pki, lab)["checks"][-1]
    assert (check["check"], check["passed"]) == ("trustPolicy", False)
    assert 'wants "web-1", the request has "db-1"' in check["detail"]
    # The hint of the trace works.
    command = check["hint"].split(": ", 1)[1]
    shell.run(
        f"{command} >policy.json && "
        "aws iam update-assume-role-policy --role-name pki-road --policy-document file://policy.json"
    )
    shell.identity("db-1")

    subjects = shell.run("aws rolesanywhere list-subjects").json["subjects"]
    assert {one["x509Subject"] for one in subjects} == {"CN=web-1", "CN=db-1"}


def test_what_print_setup_prints_for_the_aws_cli_is_the_road_too(pki: Pki, ca: Path, lab: Lab, shell: Shell):
    shell.run("pki issue-client --directory ca --name web-1 && pki issue-client --directory ca --name db-1")
    printed = shell.run("pki print-setup --format aws-cli --directory ca --subject-cn 'web-*' >setup.sh && sh setup.sh").stdout
    command = printed[printed.index("pki creds") :].replace("\\\n", " ").strip()
    for name, status in (("web-1", 0), ("db-1", 77)):
        shell.run(command.replace("CERT.pem", f"ca/{name}-cert.pem").replace("KEY.pem", f"ca/{name}-key.pem"), status=status)
    attached = shell.run("aws iam list-attached-role-policies --role-name TEST-ROOT-RolesAnywhere").json
    assert {one["PolicyName"] for one in attached["AttachedPolicies"]} == {
        "ReadOnlyAccess", "IAMAccessAnalyzerReadOnlyAccess",
    }
    # Run again it finds what it made.
    again = shell.run("sh setup.sh").stdout
    assert again[again.index("trust anchor") :] == printed[printed.index("trust anchor") :]


def test_session_credentials_that_were_altered_or_are_over_are_refused_as_aws_refuses_them(
    pki: Pki, ca: Path, lab: Lab, shell: Shell
):
    exports = pki.run(
        "creds", *lab.arguments, "--certificate", ca / "client-cert.pem", "--private-key", ca / "client-key.pem",
        "--format", "env",
    ).stdout
    who = f"{exports}\naws sts get-caller-identity"
    assert ":assumed-role/lab-role/" in shell.run(who).json["Arn"]
    for change, code in (
        ("AWS_SECRET_ACCESS_KEY=x$AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
        ("AWS_SESSION_TOKEN=${AWS_SESSION_TOKEN%?????}AAAA=", "InvalidClientTokenId"),
        ("AWS_ACCESS_KEY_ID=ASIAAAAAAAAAAAAAAAAA", "InvalidClientTokenId"),
        ("unset AWS_SESSION_TOKEN", "InvalidClientTokenId"),
    ):
        refused = shell.run(f"{exports}\n{change}\naws sts get-caller-identity", status=None)
        assert refused.status != 0 and f"({code})" in refused.stderr, refused.describe()
