# SPDX-License-Identifier: Apache-2.0
"""The CA handbook, as a reader follows it: each chapter by itself, in a new home directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from program import REPOSITORY
from walkthrough import Walk, chapters

HANDBOOK = REPOSITORY / "docs/ca-handbook.md"


@pytest.mark.parametrize("chapter", chapters(HANDBOOK.read_text()))
def test_every_command_of_the_handbook_prints_what_it_shows(built: Path, tmp_path: Path, chapter: str) -> None:
    Walk(HANDBOOK, tmp_path, built, chapter).run()
