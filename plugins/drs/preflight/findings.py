"""What preflight finds: each finding with its code, its server, what was seen, and what to do. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drs import errors
from drs.errors import Code, DrillError
from drs.run.records import Resolution
from drs.tables import table

Severity = Literal["error", "warning"]

CLASSES = {cls.code: cls for cls in errors.DrillError.__subclasses__()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that preflight found.

    :param code: what kind of thing
    :param seen: what was seen, complete on its own
    :param remedy: what to do about it
    :param server_id: the source server it is about, if it is about one
    :param wave: the wave it is about, if it is about one
    :param severity: an error stops the run
    :param heals: whether time alone may mend it
    :param holders: the live jobs that must end for it to heal
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
        """The finding that a coded failure stands for."""
        return cls(code=error.code, seen=error.message, remedy=error.remedy, **fields)

    def about(self, wave: str | None, server_id: str | None = None) -> Finding:
        """The same, of this wave and server."""
        return dataclasses.replace(self, wave=wave, server_id=server_id)

    def adding(self, sentence: str) -> Finding:
        """The same, with a further sentence about what was seen."""
        return dataclasses.replace(self, seen=f"{self.seen} {sentence}")

    def as_warning(self) -> Finding:
        return dataclasses.replace(self, severity="warning")


@dataclass(frozen=True, slots=True)
class Report:
    """All that one preflight found, and what the groups resolved to.

    :param findings: in the order of the checks
    :param resolution: ``None`` when the servers could not even be read
    :param notes: what a reader should know that is nothing to mend, a sentence each
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
        """Whether nothing but time is in the way."""
        return bool(self.errors) and all(finding.heals for finding in self.errors)

    def as_error(self) -> DrillError:
        """One failure that tells every error, those with the same remedy together; it bears the first's code.

        :raises ValueError: there is none
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
            f"{len(self.errors)} findings stop this run:\n{listed}", remedy="Mend every finding above."
        )

    def as_json(self) -> list[dict[str, Any]]:
        """The findings as JSON has them, for XCom and for programs."""
        return [
            {**dataclasses.asdict(finding), "code": finding.code.value, "holders": list(finding.holders)}
            for finding in self.findings
        ]


def findings_table(findings: Iterable[Finding]) -> str:
    """One line a finding: severity, code, wave, server, what was seen."""
    rows: Sequence[Sequence[str]] = [
        (finding.severity, finding.code, finding.wave or "-", finding.server_id or "-", finding.seen)
        for finding in findings
    ]
    return table(("severity", "code", "wave", "server", "seen"), rows)
