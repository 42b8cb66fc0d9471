# SPDX-License-Identifier: Apache-2.0
"""The real AWS CLI with `credential_process = pki creds …`, before moto's STS."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peer import root_of
from program import Lab, Pki, running_lab
from verifier import PROFILE_ARN, ROLE_ARN, TRUST_ANCHOR_ARN, Verifier, serving

AWS = Path(sys.executable).with_name("aws")


@pytest.fixture(scope="module")
def sts() -> Iterator[str]:
    """The address of moto's server, in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def caller_identity(pki: Pki, sts: str, process: str, *options: str) -> subprocess.CompletedProcess[str]:
    """`aws sts get-caller-identity` with a profile whose credentials come from a command."""
    config = pki.home / "aws-config"
    config.write_text(f"[profile batch]\nregion = us-east-1\ncredential_process = {process}\n")
    environment = {**pki.variables(), "AWS_CONFIG_FILE": str(config), "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(
        [AWS, "--profile", "batch", "--endpoint-url", sts, "sts", "get-caller-identity", "--output", "json", *options],
        cwd=pki.home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def creds_command(pki: Pki, ca: Path, *options: str) -> str:
    return " ".join(
        pki.command("creds", "--certificate", ca / "client-cert.pem", "--private-key", ca / "client-key.pem", *options)
    )


@pytest.mark.smoke
def test_against_the_lab(pki: Pki, ca: Path, lab: Lab, sts: str) -> None:
    done = caller_identity(pki, sts, creds_command(pki, ca, *lab.arguments))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d{12}", json.loads(done.stdout)["Account"])


def test_against_the_lab_over_tls(pki: Pki, ca: Path, sts: str) -> None:
    with running_lab(pki, "--directory", ca, "--tls") as lab:
        done = caller_identity(pki, sts, creds_command(pki, ca, *lab.arguments))
    assert done.returncode == 0, done.stderr


def test_uses_exactly_the_session_that_was_given(pki: Pki, ca: Path, sts: str) -> None:
    root = root_of(ca)
    arns = ("--trust-anchor-arn", TRUST_ANCHOR_ARN, "--profile-arn", PROFILE_ARN, "--role-arn", ROLE_ARN)
    with serving(Verifier([root.certificate])) as server:
        process = creds_command(pki, ca, *arns, "--endpoint", server.endpoint)
        done = caller_identity(pki, sts, process, "--debug")
    assert done.returncode == 0, done.stderr
    [session] = server.sessions
    assert f"Credential={session.access_key_id}/" in done.stderr
    assert session.session_token in done.stderr


def test_shows_why_when_there_is_no_session(pki: Pki, ca: Path, lab: Lab, sts: str) -> None:
    process = creds_command(pki, ca, *lab.arguments)
    lab.stop()
    done = caller_identity(pki, sts, f"{process} --attempts 1")
    assert done.returncode != 0
    assert "pki: error: " in done.stderr
