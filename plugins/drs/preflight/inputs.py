"""What preflight needs to know about a run before it can check it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from drs.plan import Plan
from drs.plan.checks import Check, SsmCheck
from drs.run.records import ExecutionType, Resolution


@dataclass(frozen=True)
class PreflightInputs:
    """May this run begin?

    :param plan: the plan
    :param waves: the chosen waves, in the plan's order
    :param exclude_servers: source servers that the run leaves out
    :param execution_type: for a RECOVERY, replication that lags or stalls only warns
    :param recovery_point: launch from the newest recovery snapshot at or before this time
    :param own_jobs: DRS jobs that this very run made: neither they nor their instances are in the way
    :param token: the run's own, by which its jobs are known when its records were cleared
    :param resolved: what this run resolved before, if it did: its servers stay, whatever groups hold by now
    """

    plan: Plan
    waves: tuple[str, ...]
    exclude_servers: tuple[str, ...] = ()
    execution_type: ExecutionType = "DRILL"
    recovery_point: dt.datetime | None = None
    own_jobs: frozenset[str] = frozenset()
    token: str | None = None
    resolved: Resolution | None = None

    @property
    def checks(self) -> frozenset[str]:
        """The kinds of checks that the plan asks for in the chosen waves."""
        return frozenset(check.type for check in self._asked())

    @property
    def documents(self) -> frozenset[str]:
        """The Systems Manager documents that they run."""
        return frozenset(check.document for check in self._asked() if isinstance(check, SsmCheck))

    def _asked(self) -> Iterator[Check]:
        for wave in self.waves:
            for group in self.plan.wave(wave).protection_groups:
                yield from self.plan.checks_for(wave, group)

    @classmethod
    def whole(cls, plan: Plan) -> PreflightInputs:
        """The question for a drill of every wave."""
        return cls(plan=plan, waves=tuple(wave.name for wave in plan.waves))
