"""What the watch found: each finding has a code, what was seen, what to do, and what it is known by. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drs.errors import Code, DrillError
from drs.plan.naming import plan_name
from drs.preflight import Finding
from drs.run.records import InstanceRecord
from drs.watch.view import AwsPlace, RunInAws

CLASSES = {cls.code: cls for cls in DrillError.__subclasses__()}


@dataclass(frozen=True)
class WatchFinding:
    """One thing that must not be as it is. It stays a finding until it is gone.

    :param code: the kind of finding
    :param keys: what the finding is about, such as instances; people are notified again when there are more
    :param title: the finding in a few words
    :param message: what was seen, complete on its own
    :param remedy: what to do about it
    :param details: a table of what is concerned; empty if there is none
    :param instances: the drill instances that the table lists
    :param place: where it was seen; ``None`` if it was seen in Airflow alone
    :param dag_id: the DAG of the plan that it concerns; empty if it concerns no plan
    :param run_id: the run that it concerns
    :param execution_type: of the run that it concerns
    :param passing: it may be gone at the next look, so people are notified only if it is still there then
    :param orphan: what AWS has of a run that has ended, for the watch to terminate
    """

    code: Code
    keys: tuple[str, ...]
    title: str
    message: str
    remedy: str
    details: str = ""
    instances: tuple[InstanceRecord, ...] = ()
    place: AwsPlace | None = None
    dag_id: str = ""
    run_id: str = ""
    execution_type: str = "DRILL"
    passing: bool = False
    orphan: RunInAws | None = None

    @property
    def plan(self) -> str:
        """The name of the plan; empty if the finding concerns no plan."""
        return plan_name(self.dag_id)

    def __str__(self) -> str:
        details = f"\n{self.details}" if self.details else ""
        return f"[{self.code}] {self.message}{details}\nWhat to do: {self.remedy}"

    def as_preflight(self, *, with_details: bool = True) -> Finding:
        """The finding as an error of preflight, for readiness and ``doctor``."""
        details = f"\n{self.details}" if with_details and self.details else ""
        return Finding(code=self.code, seen=f"{self.message}{details}", remedy=self.remedy)

    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        return {
            "code": self.code.value,
            "plan": self.plan or None,
            "run": self.run_id or None,
            "account_id": self.place.account_id if self.place else None,
            "region": self.place.region if self.place else None,
            "about": list(self.keys),
            "title": self.title,
            "message": self.message,
            "remedy": self.remedy,
            "details": self.details,
        }


def as_error(findings: Sequence[WatchFinding]) -> DrillError:
    """One exception that says everything, under the code of the first finding.

    :param findings: at least one
    """
    first = findings[0]
    if len(findings) == 1:
        return CLASSES[first.code](first.message, remedy=first.remedy, details=first.details)
    listed = "\n\n".join(map(str, findings))
    return CLASSES[first.code](
        f"The watch has {len(findings)} findings:\n\n{listed}",
        remedy="Do what each finding above says. This task is red until all of them are gone.",
    )
