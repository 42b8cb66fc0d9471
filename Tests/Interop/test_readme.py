# SPDX-License-Identifier: Apache-2.0
"""The README, as a reader follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from program import REPOSITORY
from walkthrough import Walk


@pytest.mark.smoke
def test_every_command_of_the_readme_prints_what_it_shows(built: Path, tmp_path: Path) -> None:
    Walk(REPOSITORY / "README.md", tmp_path, built).run()
