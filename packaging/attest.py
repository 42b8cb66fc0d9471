# SPDX-License-Identifier: Apache-2.0
"""What a release is made of: the SBOM, the provenance, and what they and the packages have in common.

    attest.py linked                the Swift packages that are linked into the release binary, a name a line

The versions are those that SwiftPM checked out, and what is linked is read from the list of objects that it gave to the
linker, so that a dependency of tests alone does not appear.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

BUILD = Path(".build")
LINKED = BUILD / "release/pki.product/Objects.LinkFileList"


class SwiftPackage(NamedTuple):
    name: str
    location: str
    version: str
    revision: str


def linked_packages() -> list[SwiftPackage]:
    """The Swift packages with an object in the release binary."""
    modules = {
        part.removesuffix(".build")
        for line in LINKED.read_text().splitlines()
        for part in Path(line.strip("'\"")).parts
        if part.endswith(".build") and part != ".build"
    }
    found = []
    for dependency in json.loads((BUILD / "workspace-state.json").read_text())["object"]["dependencies"]:
        reference, state = dependency["packageRef"], dependency["state"]["checkoutState"]
        sources = BUILD / "checkouts" / dependency["subpath"] / "Sources"
        if any((sources / module).is_dir() for module in modules):
            location = reference["location"].removesuffix(".git")
            found.append(SwiftPackage(reference["identity"], location, state["version"], state["revision"]))
    return sorted(found)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["linked"]:
            print(*(package.name for package in linked_packages()), sep="\n")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
