"""AWS's own recovery plans, as far as they matter here: that one is being executed, with which servers.

An execution waits first and launches nothing, so its servers are named by no job. Source: the DRS API
reference (RecoveryPlan, RecoveryPlanExecution, RecoveryPlanExecutionStepSummary).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PlanMode = Literal["DRILL", "RECOVERY"]
StepStatus = Literal["WAITING", "NOT_STARTED", "COMPLETED"]


@dataclass(frozen=True)
class RecoveryPlan:
    arn: str
    name: str
    created: datetime


@dataclass
class PlanExecution:
    """Two steps: a WAIT, and the servers. Both are over when the execution is."""

    arn: str
    plan: RecoveryPlan
    mode: PlanMode
    server_arns: list[str]
    started: datetime
    completed: datetime | None = None

    @property
    def status(self) -> Literal["IN_PROGRESS", "COMPLETED"]:
        return "COMPLETED" if self.completed else "IN_PROGRESS"

    def step_status(self, index: int) -> StepStatus:
        """:param index: 1 is the WAIT, 2 the servers"""
        if self.completed:
            return "COMPLETED"
        return "WAITING" if index == 1 else "NOT_STARTED"
