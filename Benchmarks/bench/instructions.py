# SPDX-License-Identifier: Apache-2.0
"""Prints how many instructions the commands need whose start users pay for, as `NAME COUNT` lines.

A count is the same from run to run (0.2 % for a new key, less than 0.01 % otherwise) and from CPU to CPU: callgrind makes
one up. What else would change it is pinned: the environment's size, the lengths of paths, OpenSSL's configuration.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.fixtures import World  # noqa: E402
from bench.process import Failed, Side  # noqa: E402

PLACE = "/tmp"
# An environment as long as a login shell's: reading it costs too.
VARIABLES = {"OPENSSL_CONF": os.devnull, "LS_COLORS": "x" * 2000}


def main(binary: Path) -> None:
    place = PLACE if os.access(PLACE, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="pki-", dir=place) as directory:
        world = World(Path(directory), binary)
        with world.closing:
            by_profile, by_options = world.cache_hits
            for name, command in {
                "version": [world.pki, "--version"],
                "cache-hit-profile": by_profile.commands[0],
                "cache-hit-options": by_options.commands[0],
                "issue-client": world.issue("web-{n}"),
            }.items():
                count = Side(name, [command], VARIABLES).each(1, world.instructions)
                print(name, count, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]).absolute())
    except Failed as failed:
        sys.exit(str(failed))
