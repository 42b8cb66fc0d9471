# SPDX-License-Identifier: Apache-2.0
"""docs/fleet.md, as a reader follows it."""

from __future__ import annotations

from pathlib import Path

from program import REPOSITORY
from walkthrough import Walk


def test_every_command_of_the_page_works(built: Path, tmp_path: Path) -> None:
    Walk(REPOSITORY / "docs/fleet.md", tmp_path, built).run()
