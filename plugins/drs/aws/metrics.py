"""The metrics of a drill: their names in CloudWatch and among Airflow's own metrics, and their units.

``include/cloudwatch/alarms.yaml`` watches these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NAMESPACE = "DrsDrills"
"""Of CloudWatch."""
PLAN, WAVE = "Plan", "Wave"
"""The dimensions."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measure.

    :param name: in CloudWatch
    :param stat: among Airflow's own metrics
    """

    name: str
    unit: Literal["Count", "Seconds"]
    stat: str


CONFLICTS = Metric("DRS.ConflictException.Count", "Count", "drs.conflict_exceptions")
JOB_DURATION = Metric("DRS.RecoveryJob.Duration", "Seconds", "drs.recovery_job.duration")
WAVE_DURATION = Metric("Orchestration.Wave.Duration", "Seconds", "drs.wave.duration")
JOBS = Metric("DRS.RecoveryJob.Count", "Count", "drs.recovery_jobs")
FAILED_JOBS = Metric("DRS.RecoveryJob.Failed", "Count", "drs.recovery_jobs_failed")
METRICS = (CONFLICTS, JOB_DURATION, WAVE_DURATION, JOBS, FAILED_JOBS)
