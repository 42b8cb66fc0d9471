# SPDX-License-Identifier: Apache-2.0
"""The other people's command lines: openssl and certtool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from program import MISSING, Result, clean_environment


def tool(
    name: str,
    *arguments: str | Path,
    status: int | None = 0,
    input: bytes | None = None,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Runs a tool to the end; skips the test where the machine has no such tool."""
    program = shutil.which(name, path=clean_environment(Path("/"))["PATH"])
    if program is None:
        pytest.skip(f"there is no {name}: run script/bootstrap")
    command = (program, *map(str, arguments))
    done = subprocess.run(
        command,
        env={**clean_environment(MISSING), **(environment or {})},
        input=b"" if input is None else input,
        capture_output=True,
        timeout=60,
        check=False,
    )
    result = Result(command, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    if status is not None:
        assert result.status == status, result.describe()
    return result


def openssl(*arguments: str | Path, **options) -> Result:
    return tool("openssl", *arguments, **options)


def certtool(*arguments: str | Path, **options) -> Result:
    return tool("certtool", *arguments, **options)


def openssl_verify(root: Path, leaf: Path, *arguments: str | Path, **options) -> Result:
    """OpenSSL's strictest reading of a client's path."""
    return openssl(
        "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslclient", "-CAfile", root, *arguments, leaf, **options
    )


def shown_extensions(certificate: Path, *names: str) -> dict[str, str]:
    """Extensions as `openssl x509` shows them: the heading, and the lines below it joined by a space."""
    shown: dict[str, str] = {}
    heading = ""
    for line in openssl("x509", "-in", certificate, "-noout", "-ext", ",".join(names)).stdout.splitlines():
        if line.startswith(" "):
            shown[heading] = f"{shown[heading]} {line.strip()}".strip()
        else:
            heading = line.strip()
            shown[heading] = ""
    return shown
