"""What preflight has to know about a run in order to check it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from drs.plan import Plan
from drs.plan.checks import Check, SsmCheck
from drs.preflight.findings import Finding
from drs.run.other_drills import Activity
from drs.run.records import ExecutionType, Resolution


@dataclass(frozen=True)
class PreflightInputs:
    """The run that preflight checks.

    :param plan: the plan
    :param waves: the chosen waves, in the plan's order
    :param exclude_servers: source servers that the run does not launch
    :param execution_type: DRILL or RECOVERY; in a RECOVERY, replication that lags or stalls only warns
    :param recovery_point: launch from the newest recovery snapshot at or before this time
    :param own_jobs: DRS jobs that this run started: neither they nor their instances stop the run
    :param token: the token of this run, by which its jobs are recognised after its records were cleared
    :param installation: the id of the Airflow installation that runs it; empty if there is none
    :param activity: what an active run of this Airflow is doing; ``None`` if Airflow cannot be asked
    :param resolved: the servers that an earlier preflight of this run resolved; the run keeps them, even if
        the plan's groups contain other servers by now
    :param principal: the ARN of the role or user whose permissions are rehearsed; empty: the caller's
    :param found: findings about what preflight itself cannot look at: the code that the plan names, and the
        key that signs the record
    """

    plan: Plan
    waves: tuple[str, ...]
    exclude_servers: tuple[str, ...] = ()
    execution_type: ExecutionType = "DRILL"
    recovery_point: dt.datetime | None = None
    own_jobs: frozenset[str] = frozenset()
    token: str | None = None
    installation: str = ""
    activity: Activity | None = None
    resolved: Resolution | None = None
    principal: str = ""
    found: tuple[Finding, ...] = ()

    @property
    def checks(self) -> frozenset[str]:
        """The kinds of checks that the plan asks for in the chosen waves."""
        return frozenset(check.type for check in self._asked())

    @property
    def documents(self) -> frozenset[str]:
        """The Systems Manager documents that these checks run."""
        return frozenset(check.document for check in self._asked() if isinstance(check, SsmCheck))

    def _asked(self) -> Iterator[Check]:
        for wave in self.waves:
            for group in self.plan.wave(wave).protection_groups:
                yield from self.plan.checks_for(wave, group)

    @classmethod
    def whole(cls, plan: Plan) -> PreflightInputs:
        """A drill of every wave of the plan."""
        return cls(plan=plan, waves=tuple(wave.name for wave in plan.waves))
