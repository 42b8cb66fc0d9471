# SPDX-License-Identifier: Apache-2.0
"""Terraform with the AWS provider of a local mirror: nothing is fetched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from program import Result, clean_environment

MIRRORS = (
    Path.home() / ".terraform.d/plugins",
    Path("/usr/local/share/terraform/plugins"),
    Path("/usr/share/terraform/plugins"),
)


def mirror() -> Path:
    """A directory with the AWS provider, or the reason to skip."""
    for folder in (*MIRRORS, *sorted(Path("/opt").glob("*"))):
        if any((folder / "registry.terraform.io/hashicorp/aws").glob("*/linux_amd64/terraform-provider-aws*")):
            return folder
    pytest.skip("there is no mirror with Terraform's provider hashicorp/aws on this machine")


@dataclass(frozen=True)
class Terraform:
    """A configuration in a directory of its own."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, status: int | None = 0) -> Result:
        command = ("terraform", *arguments)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={
                **clean_environment(self.folder),
                "TF_CLI_CONFIG_FILE": str(self.folder / "terraformrc"),
                "TF_IN_AUTOMATION": "1",
                "CHECKPOINT_DISABLE": "1",
                **self.environment,
            },
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
        result = Result(command, done.returncode, done.stdout.decode(), done.stderr.decode())
        if status is not None:
            assert result.status == status, result.describe()
        return result


def configured(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Terraform:
    """Writes a configuration and has Terraform take the provider from the mirror."""
    if shutil.which("terraform", path=clean_environment(folder)["PATH"]) is None:
        pytest.skip("there is no terraform on this machine")
    provider = mirror()
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(text)
    (folder / "terraformrc").write_text(
        "provider_installation {\n  filesystem_mirror {\n" f'    path = "{provider}"\n' "  }\n}\n"
    )
    terraform = Terraform(folder, environment or {})
    terraform.run("init", "-input=false", "-no-color")
    return terraform
