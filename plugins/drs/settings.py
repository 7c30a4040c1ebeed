"""The only reader of Airflow's configuration: section ``[drs]``, or ``AIRFLOW__DRS__...``."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk.configuration import conf

SECTION = "drs"


def plans_folder() -> Path:
    """Where the recovery plans are; by default ``include/plans`` beside the DAGs folder."""
    configured = conf.get(SECTION, "plans_folder", fallback="")
    if configured:
        return Path(configured)
    return Path(conf.get_mandatory_value("core", "dags_folder")).parent / "include" / "plans"


def deferrable() -> bool:
    """Whether waiting is left to the triggerer (the default) or done in the worker."""
    return bool(conf.getboolean(SECTION, "deferrable", fallback=True))


def poll_interval() -> float:
    """Seconds between two looks at jobs of which none can end soon."""
    return float(conf.getfloat(SECTION, "poll_interval", fallback=15.0))


def poll_interval_near() -> float:
    """Seconds between two looks when an end is near, or of one check of a launched server."""
    return float(conf.getfloat(SECTION, "poll_interval_near", fallback=3.0))


def readiness_schedule() -> str:
    """When all plans are asked whether a drill could begin: a cron expression in UTC; empty: by hand."""
    return str(conf.get(SECTION, "readiness_schedule", fallback="0 5 * * *")).strip()
