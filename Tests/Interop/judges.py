# SPDX-License-Identifier: Apache-2.0
"""Programs of others that look at certificates, chains and lists, each asked in its strictest way."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import warnings
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest
from cryptography import x509

from program import Result
from tools import certtool, openssl, tool


def pkilint(program: str, *arguments: str | Path, allowed: str | None = None) -> None:
    """pkilint finds nothing at WARNING or above. Its program is run in this process: it takes longer to start than to look."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = import_module(f"pkilint.bin.{program}").main(["lint", *map(str, arguments)])
    findings = re.findall(r"^\s+(\S+) \((?:WARNING|ERROR|FATAL)\)", said.getvalue(), re.MULTILINE)
    assert (allowed and findings == [allowed]) or status == 0, f"{program} {arguments}\n{said.getvalue()}"


def lint_certificate(certificate: Path, *, has_spiffe_identifier: bool = False) -> None:
    """pkilint's RFC 5280 profile. Of URIs it knows the schemes of the web, and `spiffe` is none of them."""
    allowed = "pkix.invalid_uri_syntax" if has_spiffe_identifier else None
    pkilint("lint_pkix_cert", "-s", "WARNING", certificate, allowed=allowed)


def lint_list(crl: Path, *, of_authorities: bool = False) -> None:
    pkilint("lint_crl", "-t", "ARL" if of_authorities else "CRL", "-p", "PKIX", "-s", "WARNING", crl)


def lint_pair(issuer: Path, certificate: Path) -> None:
    """pkilint's view of a certificate beside its issuer's."""
    pkilint("lint_pkix_signer_signee_cert_chain", "-s", "WARNING", issuer, certificate)


def openssl_accepts(
    leaf: Path, root: Path, chain: Path | None, purpose: str, lists: list[Path] | None = None, **options: int | None
) -> Result:
    arguments: list[str | Path] = ["verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-CAfile", root]
    if chain:
        arguments += ["-untrusted", chain]
    if lists is not None:
        arguments += ["-crl_check_all"]
        for one in lists:
            arguments += ["-CRLfile", one]
    return openssl(*arguments, leaf, **options)


def certtool_accepts(leaf: Path, root: Path, chain: Path | None, folder: Path) -> None:
    whole = folder / "whole.pem"
    whole.write_bytes(leaf.read_bytes() + (chain.read_bytes() if chain else b""))
    said = certtool("--verify", "--verify-profile=medium", f"--load-ca-certificate={root}", f"--infile={whole}")
    assert "Verified. The certificate is trusted" in said.stdout + said.stderr, said.describe()


def strongswan() -> str:
    """strongSwan's program, which has the name of ours."""
    program = "/usr/bin/pki"
    if not Path(program).exists() or "strongSwan" not in subprocess.run(
        [program, "--help"], capture_output=True, text=True, check=False
    ).stdout + subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stderr:
        pytest.skip("there is no strongSwan pki: run script/bootstrap")
    return program


def strongswan_accepts(leaf: Path, root: Path, intermediates: list[Path]) -> None:
    command = [strongswan(), "--verify", "--in", str(leaf), "--cacert", str(root)]
    for one in intermediates:
        command += ["--cacert", str(one)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def nss_accepts(leaf: Path, root: Path, intermediates: list[Path], usage: str, folder: Path) -> None:
    """NSS, which browsers use: `C` for a client, `V` for a server."""
    if shutil.which("certutil", path="/usr/bin:/bin") is None:
        pytest.skip("there is no certutil: run script/bootstrap")
    database = folder / "nss"
    shutil.rmtree(database, ignore_errors=True)
    database.mkdir()
    tool("certutil", "-N", "-d", f"sql:{database}", "--empty-password")
    tool("certutil", "-A", "-d", f"sql:{database}", "-n", "root", "-t", "CT,C,C", "-a", "-i", root)
    for number, one in enumerate(intermediates):
        tool("certutil", "-A", "-d", f"sql:{database}", "-n", f"ca-{number}", "-t", ",,", "-a", "-i", one)
    tool("certutil", "-A", "-d", f"sql:{database}", "-n", "leaf", "-t", ",,", "-a", "-i", leaf)
    said = tool("certutil", "-V", "-d", f"sql:{database}", "-n", "leaf", "-u", usage, "-e")
    assert "certificate is valid" in said.stdout, said.describe()


def cryptography_accepts(leaf: Path, root: Path, intermediates: list[Path], *, server: str | None) -> None:
    from cryptography.x509.verification import PolicyBuilder, Store

    load = x509.load_pem_x509_certificate
    builder = PolicyBuilder().store(Store([load(root.read_bytes())]))
    helpers = [load(one.read_bytes()) for one in intermediates]
    certificate = load(leaf.read_bytes())
    if server:
        builder.build_server_verifier(x509.DNSName(server)).verify(certificate, helpers)
    else:
        builder.build_client_verifier().verify(certificate, helpers)
