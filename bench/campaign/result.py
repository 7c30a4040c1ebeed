"""What came of drills, as plain values that travel between processes, and what they amount to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DOUBLE, FOREIGN, LEFT, COLOUR = "double launch", "foreign termination", "left unreported", "wrong colour"
KINDS = (DOUBLE, FOREIGN, LEFT, COLOUR)
Z = 1.96
"""For 95 %."""


@dataclass(frozen=True)
class Violation:
    """One broken promise, in one line."""

    kind: str
    what: str


@dataclass(frozen=True)
class Result:
    """What came of one drill.

    :param passed: whether the drill ended green
    :param cpu: seconds of the processor
    :param trouble: the ingredients of what went wrong
    :param said: what the run's logs say of its failures
    :param ended: the state of the run, and the end of its log
    :param left: instances of its runs that run on, and that no rule keeps
    :param broke: an error of the campaign itself
    """

    seed: int
    mix: str
    flow: str
    recoverable: bool
    passed: bool
    violations: tuple[Violation, ...]
    cpu: float
    trouble: tuple[str, ...]
    plan: str
    said: str
    ended: str
    left: int = 0
    broke: str = ""
    case: bool = False

    @property
    def replay(self) -> str:
        """The command that runs this drill again."""
        what = f"--case {self.mix!r}" if self.case else f"--mix {self.mix!r} --seed {self.seed}"
        return f"python -m bench.campaign --flow {self.flow} {what} --verbose"


def interval(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson's; the rule of three where nothing, or everything, was counted."""
    if of == 0:
        return 0.0, 1.0
    if count == 0:
        return 0.0, min(3.0 / of, 1.0)
    if count == of:
        return max(1.0 - 3.0 / of, 0.0), 1.0
    share = count / of
    middle = (share + Z * Z / (2 * of)) / (1 + Z * Z / of)
    half = Z / (1 + Z * Z / of) * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    return middle - half, middle + half


@dataclass(frozen=True)
class Sum:
    """What the drills of one mix amount to.

    :param recoverable: drills that had to pass
    :param passed: those of them that did
    :param broken: drills that broke a promise, by its kind
    """

    name: str
    drills: int
    recoverable: int
    passed: int
    broken: dict[str, int]
    cpu: float

    @classmethod
    def of(cls, name: str, results: Iterable[Result]) -> Sum:
        listed = list(results)
        had_to = [result for result in listed if result.recoverable]
        return cls(
            name=name,
            drills=len(listed),
            recoverable=len(had_to),
            passed=sum(result.passed for result in had_to),
            broken={
                kind: sum(any(each.kind == kind for each in result.violations) for result in listed)
                for kind in KINDS
            },
            cpu=sum(result.cpu for result in listed),
        )

    def row(self) -> str:
        """One row of the table."""
        success = _share(self.passed, self.recoverable) if self.recoverable else "-"
        counts = " | ".join(_share(self.broken[kind], self.drills, counted=True) for kind in KINDS)
        each = 1000 * self.cpu / max(self.drills, 1)
        return f"| {self.name} | {self.drills:,} | {success} | {counts} | {each:.0f} |"


HEADER = (
    f"| mix | drills | success | {' | '.join(KINDS)} | ms a drill |",
    f"|---|---|---|{'---|' * len(KINDS)}---|",
)


def _share(count: int, of: int, *, counted: bool = False) -> str:
    low, high = interval(count, of)
    shown = f"{count:,}" if counted else f"{100 * count / of:.2f} %"
    return f"{shown} ({100 * low:.2f} to {100 * high:.2f} %)"


def tables(results: Sequence[Result]) -> str:
    """A table for each tool: a row for each mix, and one for all drills."""
    parts = []
    for flow in dict.fromkeys(result.flow for result in results):
        own = [result for result in results if result.flow == flow]
        names = dict.fromkeys(result.mix for result in own)
        sums = [Sum.of(name, (result for result in own if result.mix == name)) for name in sorted(names)]
        parts.append("\n".join([flow, "", *HEADER, *(each.row() for each in [*sums, Sum.of("all", own)])]))
    return "\n\n".join(parts)
