# SPDX-License-Identifier: Apache-2.0
"""The README and the pages that it leads to, as a reader follows them, each in a new home directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from program import REPOSITORY
from walkthrough import Walk


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("README.md", marks=pytest.mark.smoke),
        "docs/lab.md",
        "docs/migrating-from-aws-signing-helper.md",
    ],
)
def test_every_command_of_a_document_prints_what_it_shows(built: Path, tmp_path: Path, document: str) -> None:
    Walk(REPOSITORY / document, tmp_path, built).run()
