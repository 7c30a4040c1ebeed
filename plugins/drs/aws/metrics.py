"""The metrics of a drill: their units, and their names in CloudWatch and in Airflow's metrics.

The alarms of ``include/cloudwatch/alarms.yaml`` use these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NAMESPACE = "DrsDrills"
"""The namespace in CloudWatch."""
PLAN, WAVE = "Plan", "Wave"
"""The dimensions in CloudWatch."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    :param name: its name in CloudWatch
    :param stat: its name in Airflow's metrics
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
