# SPDX-License-Identifier: Apache-2.0
"""How much is run: everything with PKI_TEST_FULL, and otherwise samples in which a fault of any pair of values still shows."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations

import pytest

FULL = bool(os.environ.get("PKI_TEST_FULL"))


def scaled(whole: int, sample: int) -> int:
    """How often something is repeated."""
    return whole if FULL else sample


def pairwise(rows: Sequence[Mapping[str, Hashable]]) -> list[int]:
    """The numbers of rows that together have every pair of values that any row has; always the same ones."""
    pairs = [set(combinations(sorted(row.items()), min(2, len(row)))) for row in rows]
    left = set().union(*pairs)
    chosen: list[int] = []
    while left:
        best = max(range(len(rows)), key=lambda number: len(pairs[number] & left))
        chosen.append(best)
        left -= pairs[best]
    return sorted(chosen)


def left_out(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """The tests of matrices, which are marked `pairwise`, that are not in their sample."""
    matrices: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("pairwise"):
            matrices.setdefault(item.nodeid.split("[")[0], []).append(item)
    found: set[pytest.Item] = set()
    for matrix in matrices.values():
        # The same value is the same object in every test of a matrix.
        values = [item.callspec.params for item in matrix]  # type: ignore[attr-defined]
        seen: dict[tuple[str, int], int] = {}
        numbered = [{name: seen.setdefault((name, id(one)), len(seen)) for name, one in row.items()} for row in values]
        chosen = pairwise(numbered)
        found |= set(matrix) - {matrix[number] for number in chosen}
    return found
