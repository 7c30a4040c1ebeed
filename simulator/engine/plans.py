"""AWS's own recovery plans. Only their executions are simulated: that one is in progress, with which servers.

An execution waits first and launches nothing, so its servers are in no job. Source: the DRS API
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
    """An execution with two steps: a WAIT, and the servers. Both steps end when the execution ends."""

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
        """Return a step's status. :param index: 1 is the WAIT, 2 is the servers"""
        if self.completed:
            return "COMPLETED"
        return "WAITING" if index == 1 else "NOT_STARTED"
