# SPDX-License-Identifier: Apache-2.0
"""Adds what Docker reads besides OCI's format to the only image in an OCI layout: docker.py LAYOUT NAME.

- A health check: OCI's format has none, and no tool writes one into it. Docker reads its own extension of the configuration;
  Podman and Kubernetes ignore it. There is no shell in the image, so `docker run --health-cmd`, which needs one, is no
  substitute.
- The image's name for `docker load` and `podman load`, which would otherwise call it by its tag.
- manifest.json: without it, only a Docker with containerd's image store can load the archive.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

SECOND = 1_000_000_000
HEALTHCHECK = {"Test": ["CMD", "/usr/bin/pki", "serve", "--check"], "Interval": 30 * SECOND, "Timeout": 10 * SECOND}


def encoded(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def path_of(descriptor: dict[str, Any]) -> str:
    return "blobs/" + descriptor["digest"].replace(":", "/")


def replace(layout: Path, descriptor: dict[str, Any], value: object) -> None:
    """Stores a value, and points the descriptor to it."""
    data = encoded(value)
    descriptor.update(digest=f"sha256:{hashlib.sha256(data).hexdigest()}", size=len(data))
    (layout / path_of(descriptor)).write_bytes(data)


def main(layout: Path, name: str) -> None:
    index = json.loads((layout / "index.json").read_text())
    (reference,) = index["manifests"]
    manifest = json.loads((layout / path_of(reference)).read_text())
    image = json.loads((layout / path_of(manifest["config"])).read_text())
    image["config"]["Healthcheck"] = HEALTHCHECK
    replace(layout, manifest["config"], image)
    manifest["mediaType"] = reference["mediaType"]
    replace(layout, reference, manifest)
    reference["annotations"]["io.containerd.image.name"] = f"docker.io/library/{name}"
    (layout / "index.json").write_bytes(encoded(index))
    archive = {"Config": path_of(manifest["config"]), "RepoTags": [name], "Layers": [*map(path_of, manifest["layers"])]}
    (layout / "manifest.json").write_bytes(encoded([archive]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
