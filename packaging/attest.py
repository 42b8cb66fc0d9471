# SPDX-License-Identifier: Apache-2.0
"""What a release is made of and from.

    attest.py linked                    the Swift packages that are linked into the release binary, a name a line
    attest.py packages CLOSURE          the Debian packages of the libraries that this file lists, a name a line
    attest.py write DIR PROGRAM CLOSURE
                                        reads the files of a release in DIR, and writes its SBOM (SPDX 2.3) and its
                                        provenance (in-toto statement v1, SLSA v1; not signed) there

`write` needs PKI_VERSION, PKI_REVISION and SOURCE_DATE_EPOCH, and PKI_GIVEN if the program was given and not built: its digest;
PROGRAM is the stripped binary, and CLOSURE lists the libraries of the image, a path a line. The Swift packages are those of
packaging/dependencies.txt, whose checkouts must be clean. What is linked is read from the list of objects that SwiftPM gave
to the linker, so that a dependency of tests alone does not appear.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import sources

LINKED = Path(".build/release/pki.product/Objects.LinkFileList")

GCC_RUNTIME = "GPL-3.0-or-later WITH GCC-exception-3.1"
# Those whose sources have the exception of Swift's runtime; Swift itself has it too.
SWIFT_RUNTIME = "Apache-2.0 WITH Swift-exception"
# Under which licence a library of Debian is, by its package. Debian's copyright files are not uniform enough to be read.
LICENCES = {
    "libbrotli1": "MIT",
    "libc6": "LGPL-2.1-or-later",
    "libcom-err2": "MIT",
    "libcurl4": "curl",
    "libffi8": "MIT",
    "libgcc-s1": GCC_RUNTIME,
    "libgmp10": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libgnutls30": "LGPL-2.1-or-later",
    "libgssapi-krb5-2": "MIT",
    "libhogweed6": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libidn2-0": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libk5crypto3": "MIT",
    "libkeyutils1": "LGPL-2.0-or-later",
    "libkrb5-3": "MIT",
    "libkrb5support0": "MIT",
    "libldap-2.5-0": "OLDAP-2.8",
    "libnettle8": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libnghttp2-14": "MIT",
    "libp11-kit0": "BSD-3-Clause",
    "libpq5": "PostgreSQL",
    "libpsl5": "MIT",
    "librtmp1": "LGPL-2.1-or-later",
    "libsasl2-2": "BSD-4-Clause",
    "libsqlite3-0": "blessing",
    "libssh2-1": "BSD-3-Clause",
    "libssl3": "Apache-2.0",
    "libtasn1-6": "LGPL-2.1-or-later",
    "libunistring2": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libzstd1": "BSD-3-Clause OR GPL-2.0-only",
    "zlib1g": "Zlib",
}


class Part(NamedTuple):
    """A package that a release contains or needs."""

    name: str
    version: str
    licence: str
    purl: str
    location: str | None = None
    revision: str | None = None


def linked_packages() -> list[Part]:
    """The Swift packages with an object in the release binary."""
    modules = {
        part.removesuffix(".build")
        for line in LINKED.read_text().splitlines()
        for part in Path(line.strip("'\"")).parts
        if part.endswith(".build") and part != ".build"
    }
    found = []
    for dependency in sources.dependencies():
        if not any((dependency.checkout / "Sources" / module).is_dir() for module in modules):
            continue
        sources.check(dependency)
        location = dependency.location.removesuffix(".git")
        has_exception = "Runtime Library Exception" in (dependency.checkout / "LICENSE.txt").read_text()
        purl = f"pkg:swift/{location.removeprefix('https://')}@{dependency.version}"
        licence = SWIFT_RUNTIME if has_exception else "Apache-2.0"
        found.append(Part(dependency.name, dependency.version, licence, purl, location, dependency.revision))
    return sorted(found)


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def swift_runtime() -> Part:
    version = re.search(r"Swift version ([0-9.]+)", output("swiftc", "--version"))[1]
    location = "https://github.com/swiftlang/swift"
    return Part("swift", version, SWIFT_RUNTIME, f"pkg:swift/{location.removeprefix('https://')}@{version}", location)


def debian_part(path: str, licence: str | None = None) -> Part:
    """The Debian package with a file. Packages that were built before /usr was merged name it without /usr."""
    for name in (path, path.removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "--search", name], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            package = found.stdout.split(": ")[0].split(":")[0]
            break
    else:
        sys.exit(f"attest: no Debian package has {path}")
    if licence is None and package not in LICENCES:
        sys.exit(f"attest: packaging/attest.py knows no licence of {package}: look into /usr/share/doc/{package}/copyright")
    version = output("dpkg-query", "--show", "--showformat", "${Version}", f"{package}:amd64")
    distribution = platform.freedesktop_os_release()
    purl = f"pkg:deb/{distribution['ID']}/{package}@{quote(version)}?arch=amd64"
    purl += f"&distro={distribution['ID']}-{distribution['VERSION_ID']}"
    return Part(package, version, licence or LICENCES[package], purl)


def image_parts(closure: list[str]) -> list[Part]:
    """The Debian packages with the libraries of the image, which must be as Debian made them."""
    found = sorted({debian_part(path) for path in closure})
    # Without an exit status, as what is missing, of documentation for one, counts too.
    said = subprocess.run(
        ["dpkg", "--verify", *(f"{part.name}:amd64" for part in found)], capture_output=True, text=True, check=False
    ).stdout
    changed = {Path(line.split(maxsplit=1)[1].removeprefix("c ")).resolve() for line in said.splitlines()}
    if foreign := changed & {Path(path).resolve() for path in closure}:
        sys.exit(f"attest: this is not the file of its Debian package: {min(foreign)}")
    return found


def roots_part() -> Part:
    """The CA certificates of the image."""
    version = importlib.metadata.version("certifi")
    return Part("certifi", version, "MPL-2.0", f"pkg:pypi/certifi@{version}")


def static_parts() -> list[Part]:
    """What is linked into the binary besides our own code."""
    archives = [output("gcc", f"-print-file-name={name}") for name in ("libstdc++.a", "libgcc_eh.a")]
    gcc = {debian_part(str(Path(archive).resolve()), GCC_RUNTIME) for archive in archives}
    return [*linked_packages(), swift_runtime(), *sorted(gcc)]


def sbom(directory: Path, program: Path, version: str, closure: list[str], created: datetime) -> None:
    from spdx_tools.spdx.model import (
        Actor, ActorType, Checksum, ChecksumAlgorithm, CreationInfo, Document, ExternalPackageRef,
        ExternalPackageRefCategory, Package, PackagePurpose, Relationship, RelationshipType, SpdxNoAssertion,
    )  # fmt: skip
    from spdx_tools.common.spdx_licensing import spdx_licensing
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    from spdx_tools.spdx.writer.json.json_writer import write_document_to_file

    def identifier(name: str) -> str:
        return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)

    def package(part: Part) -> Package:
        source = f"git+{part.location}@{part.revision or part.version}" if part.location else SpdxNoAssertion()
        return Package(
            identifier(part.name), part.name, source, version=part.version, files_analyzed=False,
            license_declared=spdx_licensing.parse(part.licence), license_concluded=spdx_licensing.parse(part.licence),
            external_references=[ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", part.purl)],
        )  # fmt: skip

    def product(name: str, purpose: PackagePurpose, path: Path) -> Package:
        made = package(Part(name, version, "Apache-2.0", f"pkg:generic/{name}@{version}"))
        made.primary_package_purpose = purpose
        made.file_name = path.name
        made.checksums = [Checksum(ChecksumAlgorithm.SHA256, sha256(path))]
        return made

    static = static_parts()
    libraries = image_parts(closure)
    roots = roots_part()
    pki = product("pki", PackagePurpose.APPLICATION, program)
    (archive,) = directory.glob("*-oci.tar")
    image = product("pki-oci", PackagePurpose.CONTAINER, archive)
    image.comment = "The libraries are those of the image; .deb, .rpm and tar.gz use the system's."

    opened = {"libc6", "libgcc-s1", "libssl3", "libsqlite3-0", "libpq5", "libcurl4"}
    links = [("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, made.spdx_id) for made in (pki, image)]
    links += [(pki.spdx_id, RelationshipType.STATIC_LINK, identifier(part.name)) for part in static]
    links += [(pki.spdx_id, RelationshipType.DYNAMIC_LINK, identifier(part.name)) for part in libraries if part.name in opened]
    links += [(image.spdx_id, RelationshipType.CONTAINS, identifier(part.name)) for part in [*libraries, roots]]
    links += [(image.spdx_id, RelationshipType.CONTAINS, pki.spdx_id)]
    document = Document(
        CreationInfo(
            "SPDX-2.3", "SPDXRef-DOCUMENT", f"pki-{version}",
            # Unique to this content, and the same when it is made again.
            f"urn:sha256:{sha256(archive)}", [Actor(ActorType.TOOL, f"pki-script-package-{version}")], created,
        ),
        [pki, image, *map(package, [*static, *libraries, roots])],
        relationships=[Relationship(*link) for link in links],
    )  # fmt: skip
    if faults := validate_full_spdx_document(document):
        sys.exit("attest: the SBOM is not SPDX 2.3: " + "; ".join(fault.validation_message for fault in faults))
    write_document_to_file(document, str(directory / f"pki-{version}.spdx.json"), validate=False)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def provenance(directory: Path, version: str, revision: str, closure: list[str], created: datetime) -> None:
    import certifi

    def described(part: Part) -> dict[str, Any]:
        digest = {"digest": {"gitCommit": part.revision}} if part.revision else {}
        return {"name": part.name, "uri": part.purl, **digest}

    parts = [*map(described, [*static_parts(), *image_parts(closure)])]
    parts.append({**described(roots_part()), "digest": {"sha256": sha256(Path(certifi.where()))}})
    given = os.environ.get("PKI_GIVEN")
    if given:
        parts.append({"name": "program", "digest": {"sha256": given}})
    commit = revision.removesuffix("-dirty")
    source: dict[str, Any] = {"name": "pki", "uri": f"pkg:generic/pki@{version}"}
    if commit != "unknown":
        source["digest"] = {"gitCommit": commit}
    if revision != commit:
        source["annotations"] = {"dirty": True}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": path.name, "digest": {"sha256": sha256(path)}} for path in sorted(directory.iterdir())
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:pki:script:package:v1",
                "externalParameters": {
                    "version": version, "revision": revision, "binary": "given" if given else "built",
                },
                "internalParameters": {"SOURCE_DATE_EPOCH": int(created.timestamp())},
                "resolvedDependencies": [source, *parts],
            },
            "runDetails": {
                # Made on a machine of the builder, who vouches for it; no service observed the build.
                "builder": {
                    "id": "urn:pki:builder:local",
                    "version": {"swift": swift_runtime().version, "nfpm": importlib.metadata.version("nfpm")},
                },
            },
        },
    }  # fmt: skip
    line = json.dumps(statement, sort_keys=True, separators=(",", ":"))
    (directory / f"pki-{version}.intoto.jsonl").write_text(line + "\n")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["linked"]:
            print(*(package.name for package in linked_packages()), sep="\n")
        case ["packages", list_of_libraries]:
            print(*(part.name for part in image_parts(Path(list_of_libraries).read_text().split())), sep="\n")
        case ["write", directory, program, list_of_libraries]:
            version, revision = os.environ["PKI_VERSION"], os.environ["PKI_REVISION"]
            created = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
            closure = Path(list_of_libraries).read_text().split()
            sbom(Path(directory), Path(program), version, closure, created.replace(tzinfo=None))
            provenance(Path(directory), version, revision, closure, created)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
