# SPDX-License-Identifier: Apache-2.0
"""One figure beside a peer's and its goal, and the table's lines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A bound, `≤` or `≥`, of a figure's `value` or of its `ratio` to the peer's."""

    of: str
    sign: str
    bound: float


@dataclass(frozen=True)
class Figure:
    title: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    goal: Goal | None = None
    costs: dict[str, tuple[float | None, float | None]] | None = None
    """Other figures of the same runs, and the peer's: CPU time, instructions, page faults, memory."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def met(self) -> bool | None:
        measured = getattr(self, self.goal.of) if self.goal else None
        if measured is None:
            return None
        return measured <= self.goal.bound if self.goal.sign == "≤" else measured >= self.goal.bound

    def line(self) -> str:
        goal = verdict = ""
        if self.goal:
            goal = f"{self.goal.sign} {self.goal.bound:,g}{'' if self.goal.of == 'ratio' else f' {self.unit}'}"
            verdict = {None: "no peer", True: "met", False: "missed"}[self.met]
        costs = self.costs or {}
        cells = [
            f"{self.title:<34}",
            f"{amount(self.value, self.unit):>12}",
            f"{amount(self.peer_value, self.unit):>12}",
            f"{self.ratio:6.2f}" if self.ratio else " " * 6,
            f"{goal:<11}",
            f"{verdict:<7}",
            *(f"{pair(*costs.get(name, (None, None)), digits):>13}" for name, digits in COSTS.items()),
            self.peer or self.note,
        ]
        return " ".join(cells).rstrip()

    def document(self) -> dict[str, object]:
        """The figure as JSON has it."""
        return {
            "figure": self.title, "value": self.value, "unit": self.unit, "peer": self.peer, "peerValue": self.peer_value,
            "ratio": self.ratio, "goal": self.goal and vars(self.goal), "met": self.met, "note": self.note,
            **{name: dict(zip(("pki", "peer"), values)) for name, values in (self.costs or {}).items()},
        }  # fmt: skip


COSTS = {"cpu": 1, "instructions": 1, "faults": 0, "memory": 1}
HEADING = " ".join(
    [f"{'figure':<34}", f"{'pki':>12}", f"{'peer':>12}", f"{'ratio':>6}", f"{'goal':<19}", f"{'CPU, ms':>13}",
     f"{'instr., M':>13}", f"{'page faults':>13}", f"{'memory, MB':>13}", "peer"]
)  # fmt: skip


def amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 100 else 2}f} {unit}"


def pair(own: float | None, peer: float | None, digits: int) -> str:
    if own is None:
        return ""
    return f"{own:.{digits}f}" + ("" if peer is None else f"/{peer:.{digits}f}")
