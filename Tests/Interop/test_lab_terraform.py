# SPDX-License-Identifier: Apache-2.0
"""Terraform's AWS provider makes, finds unchanged, and destroys in the lab what print-setup writes."""

from __future__ import annotations

import json
from pathlib import Path

import terraform
from program import Pki, running_lab

OUTPUTS = ("trust_anchor_arn", "profile_arn", "role_arn")


def test_apply_plan_and_destroy(pki: Pki, ca: Path, tmp_path: Path):
    with running_lab(pki, "--directory", ca) as lab:
        text = pki.run(
            "print-setup", "--format", "terraform", "--directory", ca, "--region", "us-east-1", "--subject-cn", "web-*"
        ).stdout
        plan = terraform.configured(tmp_path / "tf", text, lab.client_environment)
        plan.run("apply", "-auto-approve", "-input=false", "-no-color")
        # Status 2 would say that something differs from what was applied.
        plan.run("plan", "-detailed-exitcode", "-input=false", "-no-color")
        outputs = {name: one["value"] for name, one in json.loads(plan.run("output", "-json").stdout).items()}
        assert set(outputs) == set(OUTPUTS)

        pki.run("issue-client", "--directory", ca, "--name", "web-1")
        pki.run("issue-client", "--directory", ca, "--name", "db-1")
        arguments = ["--endpoint", lab.endpoint]
        for name in OUTPUTS:
            arguments += [f"--{name.replace('_', '-')}", outputs[name]]
        for name, status in (("web-1", 0), ("db-1", 77)):
            certificate, key = ca / f"{name}-cert.pem", ca / f"{name}-key.pem"
            pki.run("creds", *arguments, "--certificate", certificate, "--private-key", key, status=status)

        # A change is an update in place, and what was changed is found unchanged again.
        changed = pki.run(
            "print-setup", "--format", "terraform", "--directory", ca, "--region", "us-east-1", "--subject-cn", "db-*",
            "--session-duration", "7200",
        ).stdout
        (tmp_path / "tf" / "main.tf").write_text(changed)
        applied = plan.run("apply", "-auto-approve", "-input=false", "-no-color").stdout
        assert "0 added, 2 changed, 0 destroyed" in applied
        plan.run("plan", "-detailed-exitcode", "-input=false", "-no-color")
        for name, status in (("web-1", 77), ("db-1", 0)):
            certificate, key = ca / f"{name}-cert.pem", ca / f"{name}-key.pem"
            pki.run("creds", *arguments, "--certificate", certificate, "--private-key", key, status=status)

        plan.run("destroy", "-auto-approve", "-input=false", "-no-color")
        pki.run(
            "creds", *arguments, "--certificate", ca / "db-1-cert.pem", "--private-key", ca / "db-1-key.pem", status=77
        )
