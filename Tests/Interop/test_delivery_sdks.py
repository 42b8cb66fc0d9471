# SPDX-License-Identifier: Apache-2.0
"""Every way in which pki delivers credentials, before the SDKs that read them: each ends in sts:GetCallerIdentity.

The clients are other people's, as they come from the package index: the AWS CLI and boto3 (Python), the CRT's credential
providers and signer (C, which several SDKs use), and the AWS provider of Terraform (Go) where there is one.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from program import Lab, Pki, Result
from sampling import FULL
from terraform import Terraform, mirror

AWS = Path(sys.executable).with_name("aws")

BOTO3 = """
import boto3, json
session = boto3.Session()
credentials = session.get_credentials()
identity = session.client("sts").get_caller_identity()
print(json.dumps({"Arn": identity["Arn"], "method": credentials.method}))
"""

# The CRT finds credentials by a provider of its own, and signs with its own signer.
CRT = """
import http.client, json, os, re, sys, urllib.parse
from awscrt import auth, http as crt_http, io

provider = {
    "chain": lambda: auth.AwsCredentialsProvider.new_default_chain(),
    "process": lambda: auth.AwsCredentialsProvider.new_process(),
    "profile": lambda: auth.AwsCredentialsProvider.new_profile(),
}[sys.argv[1]]()
body = b"Action=GetCallerIdentity&Version=2011-06-15"
address = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL_STS"])
headers = crt_http.HttpHeaders(
    [("host", address.netloc), ("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
)
import io as python_io
request = crt_http.HttpRequest("POST", "/", headers, python_io.BytesIO(body))
config = auth.AwsSigningConfig(
    algorithm=auth.AwsSigningAlgorithm.V4,
    signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
    credentials_provider=provider,
    region=os.environ["AWS_REGION"],
    service="sts",
)
auth.aws_sign_request(request, config).result(30)
connection = http.client.HTTPConnection(address.netloc)
connection.request("POST", "/", body, dict(request.headers))
answer = connection.getresponse()
text = answer.read().decode()
assert answer.status == 200, text
print(json.dumps({"Arn": re.search("<Arn>(.*)</Arn>", text)[1]}))
"""


@dataclass(frozen=True)
class Client:
    """A program that finds its credentials by itself, in an environment without any."""

    pki: Pki
    lab: Lab

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        found = {name: value for name, value in self.lab.exports.items() if name.startswith("AWS_ENDPOINT_URL_")}
        return {
            **self.pki.variables(),
            **found,
            "AWS_REGION": self.lab.region,
            "AWS_DEFAULT_REGION": self.lab.region,
            "AWS_EC2_METADATA_DISABLED": "false" if "AWS_EC2_METADATA_SERVICE_ENDPOINT" in extra else "true",
            **extra,
        }

    def run(self, command: list[str | Path], extra: Mapping[str, str]) -> Result:
        done = subprocess.run(
            command,
            cwd=self.pki.home,
            env=self.environment(extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        result = Result(tuple(map(str, command)), done.returncode, done.stdout, done.stderr)
        assert result.status == 0, result.describe()
        return result

    def identities(self, extra: Mapping[str, str], crt: str | None) -> list[str]:
        """Whom each client finds itself to be."""
        arns = [
            self.run([AWS, "sts", "get-caller-identity", "--output", "json"], extra).json["Arn"],
            self.run([sys.executable, "-c", BOTO3], extra).json["Arn"],
        ]
        if crt:
            arns.append(self.run([sys.executable, "-c", CRT, crt], extra).json["Arn"])
        return arns


@pytest.fixture
def client(pki: Pki, lab: Lab) -> Client:
    return Client(pki, lab)


@pytest.fixture
def options(ca: Path, lab: Lab) -> list[str]:
    """What makes the client's certificate known to pki."""
    files = ["--certificate", str(ca / "client-cert.pem"), "--private-key", str(ca / "client-key.pem")]
    return [*files, *lab.arguments]


@pytest.fixture
def profile(pki: Pki, options: list[str]) -> str:
    pki.run("configure", "--profile", "web", *options)
    return "web"


@contextmanager
def serving(pki: Pki, *arguments: str) -> Iterator[dict[str, str]]:
    """`pki serve` on a port that the system chooses; yields what it prints for a program's environment."""
    with pki.start("serve", "--listen", "0", "--imds", "--print-env", *arguments) as process:
        assert process.stdout
        lines = [process.stdout.readline().decode() for _ in range(3)]
        printed = dict(re.fullmatch(r"export (\w+)=(.*)\n", line).groups() for line in lines)
        assert set(printed) == {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        }
        yield printed


def expect_role(arns: list[str], lab: Lab) -> None:
    for arn in arns:
        assert re.fullmatch(rf"arn:aws:sts::{lab.account}:assumed-role/lab-role/[0-9a-f]+", arn)
    assert len(set(arns)) == 1


def sessions(lab: Lab) -> int:
    """How many sessions the lab has made."""
    return len(re.findall(r" 201 CreateSession ", lab.said))


@pytest.mark.smoke
def test_credential_process(client: Client, lab: Lab, profile: str) -> None:
    expect_role(client.identities({"AWS_PROFILE": profile}, "process"), lab)
    assert sessions(lab) == 1, lab.said


def test_credential_process_of_the_standard_profile(client: Client, pki: Pki, lab: Lab, options: list[str]) -> None:
    pki.run("configure", *options)
    expect_role(client.identities({}, "process"), lab)


def test_shared_credentials_file(client: Client, pki: Pki, lab: Lab, options: list[str]) -> None:
    pki.run("update", "--once", "--profile", "batch", *options)
    expect_role(client.identities({"AWS_PROFILE": "batch"}, "profile"), lab)
    pki.run("update", "--once", *options)
    expect_role(client.identities({}, "chain"), lab)
    assert sessions(lab) == 2, lab.said


@pytest.mark.smoke
def test_container_endpoint(client: Client, pki: Pki, lab: Lab, profile: str) -> None:
    with serving(pki, "--profile", profile) as printed:
        printed.pop("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        expect_role(client.identities(printed, "chain"), lab)
    assert sessions(lab) == 1, lab.said


@pytest.mark.smoke
def test_metadata_service(client: Client, pki: Pki, lab: Lab, profile: str) -> None:
    with serving(pki, "--profile", profile) as printed:
        name = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
        # The CRT knows one address for the metadata service, which is not this machine's.
        expect_role(client.identities({name: printed[name]}, None), lab)
        method = client.run([sys.executable, "-c", BOTO3], {name: printed[name]}).json["method"]
        assert method == "iam-role"
    assert sessions(lab) == 1, lab.said


def test_environment(client: Client, pki: Pki, lab: Lab, profile: str) -> None:
    command = [sys.executable, "-c", CRT, "chain"]
    inside = pki.command("exec", "--profile", profile, "--cache", "--")
    for words in (["aws", "sts", "get-caller-identity"], [sys.executable, "-c", BOTO3], command):
        words = [str(AWS), *words[1:]] if words[0] == "aws" else words
        expect_role([client.run([*inside, *words], {"AWS_PROFILE": "nobody"}).json["Arn"]], lab)
    assert sessions(lab) == 1, lab.said


def test_server_beside_a_command(client: Client, pki: Pki, lab: Lab, profile: str) -> None:
    inside = pki.command("exec", "--profile", profile, "--server", "--")
    result = client.run([*inside, sys.executable, "-c", BOTO3], {})
    expect_role([result.json["Arn"]], lab)
    assert result.json["method"] == "container-role"
    expect_role([client.run([*inside, sys.executable, "-c", CRT, "chain"], {}).json["Arn"]], lab)


def test_shells(client: Client, pki: Pki, lab: Lab, profile: str) -> None:
    command = " ".join(pki.command("creds", "--profile", profile, "--format", "env"))
    for shell in ("sh", "bash"):
        script = f'eval "$({command})" && exec {AWS} sts get-caller-identity --output json'
        expect_role([client.run([shell, "-c", script], {}).json["Arn"]], lab)


def test_whoami_says_what_the_aws_cli_says(client: Client, pki: Pki, lab: Lab, profile: str) -> None:
    environment = {"AWS_PROFILE": profile}
    theirs = client.run([AWS, "sts", "get-caller-identity", "--output", "json"], environment).json
    ours = client.run(pki.command("whoami", "--cache", "--format", "json"), environment).json
    assert ours == theirs
    text = client.run(pki.command("whoami", "--profile", profile, "--cache"), {}).stdout
    assert theirs["Arn"] in text and theirs["UserId"] in text and theirs["Account"] in text


def test_credentials_as_a_section_of_the_file(pki: Pki, profile: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(pki.run("creds", "--profile", profile, "--format", "ini").stdout)
    assert parser.sections() == [profile]
    assert set(parser[profile]) == {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"}


GO = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  skip_metadata_api_check = false
  endpoints { sts = "%s" }
}

data "aws_caller_identity" "me" {}

output "arn" { value = data.aws_caller_identity.me.arn }
"""


@pytest.mark.parametrize("way", ["process", "file", "container", "metadata"] if FULL else ["process", "metadata"])
def test_terraforms_sdk_for_go(client: Client, pki: Pki, lab: Lab, profile: str, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "terraform"
    folder.mkdir()
    providers = mirror()
    (folder / "terraformrc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{providers}"\n  }}\n}}\n'
    )
    (folder / "main.tf").write_text(GO % lab.endpoint)

    def apply(extra: Mapping[str, str]) -> None:
        terraform = Terraform(folder, {**client.environment(extra)})
        terraform.run("init", "-input=false")
        terraform.run("apply", "-input=false", "-auto-approve")
        found = json.loads(terraform.run("output", "-json").stdout)["arn"]["value"]
        expect_role([found], lab)

    match way:
        case "process":
            apply({"AWS_PROFILE": profile})
        case "file":
            pki.run("update", "--once", "--profile", profile)
            (pki.home / ".aws/config").unlink()
            apply({"AWS_PROFILE": profile})
        case _:
            with serving(pki, "--profile", profile) as printed:
                (pki.home / ".aws/config").unlink()
                if way == "container":
                    printed.pop("AWS_EC2_METADATA_SERVICE_ENDPOINT")
                    apply(printed)
                else:
                    name = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
                    apply({name: printed[name]})
