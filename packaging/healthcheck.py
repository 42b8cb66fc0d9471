# SPDX-License-Identifier: Apache-2.0
"""Adds a health check to the only image in an OCI layout: healthcheck.py LAYOUT.

OCI's format has none, and no tool writes one into it. Docker reads its own extension of the configuration; Podman and
Kubernetes ignore it. There is no shell in the image, so `docker run --health-cmd`, which needs one, is no substitute.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

SECOND = 1_000_000_000
HEALTHCHECK = {"Test": ["CMD", "/usr/bin/pki", "serve", "--check"], "Interval": 30 * SECOND, "Timeout": 10 * SECOND}


def replace(blobs: Path, descriptor: dict[str, object], value: object) -> None:
    """Stores a value, and points the descriptor to it."""
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    descriptor.update(digest=f"sha256:{digest}", size=len(data))


def main(layout: Path) -> None:
    blobs = layout / "blobs/sha256"

    def load(descriptor: dict[str, str]) -> dict:
        return json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_text())

    index = json.loads((layout / "index.json").read_text())
    (reference,) = index["manifests"]
    manifest = load(reference)
    image = load(manifest["config"])
    image["config"]["Healthcheck"] = HEALTHCHECK
    replace(blobs, manifest["config"], image)
    replace(blobs, reference, manifest)
    (layout / "index.json").write_text(json.dumps(index, sort_keys=True, separators=(",", ":")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
