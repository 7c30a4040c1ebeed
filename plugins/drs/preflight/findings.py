"""The findings of preflight: each has a code, what was seen, what to do, and perhaps its server. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drs import errors
from drs.errors import Code, DrillError
from drs.run.records import Resolution
from drs.text.tables import table

Severity = Literal["error", "warning"]

CLASSES = {cls.code: cls for cls in errors.DrillError.__subclasses__()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that preflight found.

    :param code: the kind of finding
    :param seen: what was seen, in full sentences that need no context
    :param remedy: what to do about it
    :param server_id: the source server that the finding is about, if there is one
    :param wave: the wave that the finding is about, if there is one
    :param severity: an error stops the run, a warning does not
    :param heals: whether the finding may clear by itself
    :param holders: the live jobs that must end before it clears
    """

    code: Code
    seen: str
    remedy: str
    server_id: str | None = None
    wave: str | None = None
    severity: Severity = "error"
    heals: bool = False
    holders: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: DrillError, **fields: Any) -> Finding:
        """The finding with the code, message and remedy of this error."""
        return cls(code=error.code, seen=error.message, remedy=error.remedy, **fields)

    def about(self, wave: str | None, server_id: str | None = None) -> Finding:
        """A copy of the finding that names this wave and server."""
        return dataclasses.replace(self, wave=wave, server_id=server_id)

    def adding(self, sentence: str) -> Finding:
        """A copy of the finding with one more sentence about what was seen."""
        return dataclasses.replace(self, seen=f"{self.seen} {sentence}")

    def as_warning(self) -> Finding:
        """A copy of the finding that is only a warning, so that it does not stop the run."""
        return dataclasses.replace(self, severity="warning")


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one preflight.

    :param findings: all findings, in the order of the checks
    :param resolution: the servers of each wave; ``None`` if the servers could not be read
    :param notes: facts that a reader should know and that need no action, one sentence each
    """

    findings: tuple[Finding, ...] = ()
    resolution: Resolution | None = None
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def heals(self) -> bool:
        """Whether there are errors, and all of them may clear by themselves."""
        return bool(self.errors) and all(finding.heals for finding in self.errors)

    def as_error(self) -> DrillError:
        """One exception that lists every error, grouped by remedy, under the code of the first.

        :raises ValueError: the report has no error
        """
        if not self.errors:
            raise ValueError("preflight found no error")
        first = self.errors[0]
        if len(self.errors) == 1:
            return CLASSES[first.code](first.seen, remedy=first.remedy)
        alike: dict[tuple[Code, str], list[str]] = {}
        for finding in self.errors:
            alike.setdefault((finding.code, finding.remedy), []).append(f"[{finding.code}] {finding.seen}")
        listed = "\n".join(
            "\n".join((*seen, f"  What to do: {remedy}")) for (_, remedy), seen in alike.items()
        )
        return CLASSES[first.code](
            f"{len(self.errors)} findings stop this run:\n{listed}", remedy="Fix every finding above."
        )

    def as_json(self) -> list[dict[str, Any]]:
        """The findings as JSON values, for XCom and for programs."""
        return [
            {**dataclasses.asdict(finding), "code": finding.code.value, "holders": list(finding.holders)}
            for finding in self.findings
        ]


FINDINGS_HEADER = ("severity", "code", "wave", "server", "seen")


def finding_rows(findings: Iterable[Finding]) -> Sequence[Sequence[str]]:
    """One row for each finding, below :data:`FINDINGS_HEADER`."""
    return [
        (finding.severity, finding.code.value, finding.wave or "-", finding.server_id or "-", finding.seen)
        for finding in findings
    ]


def findings_table(findings: Iterable[Finding]) -> str:
    """A table with one line for each finding: severity, code, wave, server, what was seen."""
    return table(FINDINGS_HEADER, finding_rows(findings))
