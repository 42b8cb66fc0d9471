# SPDX-License-Identifier: Apache-2.0
"""The same sources and binary give the same bytes, and the papers that come with a release are what they say."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import certifi
import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from spdx_tools.spdx.model import RelationshipType
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from program import REPOSITORY
from release import DIST, IMAGE, PROVENANCE, SBOM, VERSION, built_binary, deb_entries, output


def package(*arguments: str | Path, script: Path = REPOSITORY / "script/package", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def test_a_second_run_elsewhere_gives_the_same_bytes(tmp_path: Path):
    # Another path to the sources, another umask, time zone, language and directory for what is temporary, and other options for
    # the tools that pack.
    (tmp_path / "elsewhere").symlink_to(REPOSITORY)
    (tmp_path / "temporary").mkdir()
    before = os.umask(0o077)
    try:
        done = package(
            "--binary", built_binary(), "--output", tmp_path / "dist", script=tmp_path / "elsewhere/script/package",
            TZ="Pacific/Kiritimati", LC_ALL="C", TMPDIR=str(tmp_path / "temporary"),
            TAR_OPTIONS="--mode=go+w", GZIP="-1", GIT_DIR=str(tmp_path),
        )  # fmt: skip
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
        for directory in (DIST, tmp_path / "dist")
    ]
    assert digests[0] == digests[1]
    assert not any((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("arguments", [["--binary"], ["--wrong"], ["file"]])
def test_wrong_usage(arguments: list[str]):
    done = package(*arguments)
    assert done.returncode == 64
    assert "usage: script/package" in done.stderr


def test_what_is_no_release_is_refused(tmp_path: Path):
    stranger = tmp_path / "pki"
    stranger.write_text("#!/bin/sh\necho strongSwan 5.9\n")
    stranger.chmod(0o755)
    assert package("--binary", stranger, "--output", tmp_path / "dist").returncode == 2
    assert package("--binary", built_binary(), "--output", tmp_path / "dist", SOURCE_DATE_EPOCH="today").returncode == 2
    assert not (tmp_path / "dist").exists()


def test_the_sbom_is_valid_and_lists_what_is_linked_and_what_the_image_has():
    document = parse_file(str(SBOM))
    assert validate_full_spdx_document(document) == []
    packages = {package.spdx_id: package for package in document.packages}
    linked: dict[RelationshipType, set[str]] = {}
    for relationship in document.relationships:
        if relationship.spdx_element_id != "SPDXRef-DOCUMENT":
            linked.setdefault(relationship.relationship_type, set()).add(packages[relationship.related_spdx_element_id].name)
    declared = set(re.findall(r'package\(url: "https://github.com/apple/(\S+)"', (REPOSITORY / "Package.swift").read_text()))
    static = linked[RelationshipType.STATIC_LINK]
    # swift-asn1 is for tests.
    assert static >= declared - {"swift-asn1"} | {"swift"}
    assert "swift-asn1" not in static
    assert any(name.startswith("libstdc++") for name in static)
    assert linked[RelationshipType.DYNAMIC_LINK] == {"libc6", "libgcc-s1", "libssl3", "libsqlite3-0", "libpq5", "libcurl4"}
    assert linked[RelationshipType.CONTAINS] >= linked[RelationshipType.DYNAMIC_LINK] | {"pki", "certifi", "zlib1g"}
    for package in document.packages:
        assert package.version, package.name
        assert str(package.license_declared) not in {"NOASSERTION", "None"}, package.name
    checksums = {package.name: package.checksums[0].value for package in document.packages if package.checksums}
    assert checksums == {
        "pki": hashlib.sha256(deb_entries()["usr/bin/pki"].content).hexdigest(),
        "pki-oci": hashlib.sha256(IMAGE.read_bytes()).hexdigest(),
    }


def test_the_versions_in_the_sbom_are_those_checked_out():
    document = parse_file(str(SBOM))
    found = 0
    for package in document.packages:
        checkout = REPOSITORY / ".build/checkouts" / package.name
        if checkout.is_dir():
            found += 1
            revision = output("git", "-C", checkout, "rev-parse", "HEAD").strip()
            assert str(package.download_location).endswith(f"{package.name}@{revision}")
            assert package.version in output("git", "-C", checkout, "tag", "--points-at", "HEAD").split()
    assert found >= 5


def test_the_provenance_is_an_in_toto_statement_on_every_file():
    (line,) = PROVENANCE.read_text().splitlines()
    statement = json.loads(line)
    # The bindings of the specification know every field of both, and accept no other.
    Statement.copy_from_pb(ParseDict(statement, statement_pb2.Statement())).validate()
    ParseDict(statement["predicate"], provenance_pb2.Provenance())
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {subject["name"]: subject["digest"] for subject in statement["subject"]}
    assert subjects == {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in DIST.iterdir()
        if path.name not in {PROVENANCE.name, "SHA256SUMS"}
    }
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["version"] == VERSION
    source = definition["resolvedDependencies"][0]
    assert source["digest"]["gitCommit"] == output("git", "-C", REPOSITORY, "rev-parse", "HEAD").strip()
    assert ("annotations" in source) == bool(output("git", "-C", REPOSITORY, "status", "--porcelain"))
    found = {dependency["name"]: dependency.get("digest") for dependency in definition["resolvedDependencies"]}
    assert {"swift-nio", "libssl3"} <= found.keys()
    assert found["certifi"] == {"sha256": hashlib.sha256(Path(certifi.where()).read_bytes()).hexdigest()}
    assert definition["externalParameters"]["binary"] == "given"
    assert found["program"] == {"sha256": hashlib.sha256(built_binary().read_bytes()).hexdigest()}
    assert statement["predicate"]["runDetails"]["builder"]["id"]
