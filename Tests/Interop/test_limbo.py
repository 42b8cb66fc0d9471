# SPDX-License-Identifier: Apache-2.0
"""The path-building cases of x509-limbo (C2SP, Apache-2.0), other than those of the web PKI, judged by `pki verify`.

The data is the output of its generator at commit 8a2e6f41023b1716dc16fe63335e4bb972e4c3f6. Each case has an expected result; DIFFERENT has the reasons where pki differs.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from program import DONE, REPOSITORY, Pki

CASES: list[dict[str, Any]] = json.loads(gzip.open(REPOSITORY / "Tests/Fixtures/x509-limbo.json.gz").read())

DIFFERENT = {
    "cve::cve-2024-0567": "RFC 5280 §4.2.1.1 requires the authority key identifier that the intermediate lacks",
    "pathlen::validation-ignores-pathlen-in-leaf": "a CA's certificate is no server's: its key may not sign handshakes",
    "rfc5280::ca-as-leaf": "a CA's certificate is no server's: its key may not sign handshakes",
    "pathlen::max-chain-depth-0-exhausted": "pki has no option for the depth of a path",
    "pathlen::max-chain-depth-1-exhausted": "pki has no option for the depth of a path",
    "rfc5280::nc::invalid-dnsname-leading-period": "common in practice and read alike by OpenSSL: a warning",
    "rfc5280::san::underscore-dns": "common in practice: a warning",
}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(pki: Pki, case: dict[str, Any], tmp_path: Path) -> None:
    def write(name: str, certificates: list[str]) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(certificates))
        return path

    arguments: list[str | Path] = ["--bundle", write("bundle", case["trusted_certs"])]
    if "untrusted_intermediates" in case:
        arguments += ["--intermediates", write("intermediates", case["untrusted_intermediates"])]
    if "crls" in case:
        arguments += ["--crl", write("crl", case["crls"])]
    if "validation_time" in case:
        arguments += ["--at", case["validation_time"].replace("+00:00", "Z")]
    if case["validation_kind"] == "CLIENT":
        arguments += ["--purpose", "client"]
    elif "expected_peer_name" in case:
        arguments += ["--purpose", "server", "--hostname", case["expected_peer_name"]["value"]]
    result = pki.run("verify", write("leaf", [case["peer_certificate"]]), *arguments, status=None)
    expected = case["expected_result"] == "SUCCESS"
    # A certificate that cannot be read at all is refused with another status.
    assert result.status >= 0 and result.status < 128, result.describe()
    if case["id"] in DIFFERENT:
        assert (result.status == DONE) != expected, f"agrees now: take {case['id']} out of the list"
    else:
        assert (result.status == DONE) == expected, result.describe()


def test_all_cases_are_here() -> None:
    assert len(CASES) == 138
    assert len(DIFFERENT) <= 8
