"""The problems of a plan file, and the text that describes them: each with its line, key and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drs.errors import Code
from drs.plan.near import shown


@dataclass(frozen=True, slots=True)
class PlanContradiction:
    """One thing that is wrong with a plan, and its place in it."""

    path: tuple[str | int, ...]
    code: Code
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """One problem in a plan file.

    :param file: the file, by the path that the caller gave
    :param line: the line of the problem, from 1; None if the problem is the file itself
    :param key: the place in the plan, such as ``waves[1].protection_groups[0]``; empty for the whole file
    :param message: what is wrong
    :param remedy: what to write instead
    """

    file: Path
    line: int | None
    key: str
    code: Code
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        key = f"  {self.key}" if self.key else ""
        return f"{place}{key}  [{self.code}]\n  {self.message}\n  What to do: {self.remedy}"


@dataclass(frozen=True, slots=True)
class BrokenPlan:
    """A plan file that cannot be used, with what is wrong with it.

    :param stem: the file's name without its suffix, which is the name of the plan
    :param more: how many problems it has in addition to these
    """

    stem: str
    path: Path
    problems: tuple[PlanProblem, ...]
    more: int = 0

    def describe(self) -> str:
        """A text for people: a headline, then each problem with file, line, key, code and remedy."""
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        if not self.more:
            return "\n".join(
                [f"Recovery plan {self.stem} cannot be used: {count}.", *map(str, self.problems)]
            )
        return "\n".join(
            [
                f"Recovery plan {self.stem} cannot be used: it has more than {count}. These are the first:",
                *map(str, self.problems),
                f"There are at least {self.more} more. Fix these first, then check the file again.",
            ]
        )


class PlanError(Exception):
    """A plan could not be loaded; ``broken`` holds every problem."""

    def __init__(self, broken: BrokenPlan) -> None:
        super().__init__(broken.describe())
        self.broken = broken


def key_of(path: tuple[str | int, ...]) -> str:
    """A path as people write it: ``("waves", 1, "name")`` is ``waves[1].name``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in path)
    return text.removeprefix(".")
