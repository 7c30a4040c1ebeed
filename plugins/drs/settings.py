"""The only reader of Airflow's configuration: section ``[drs]``, or ``AIRFLOW__DRS__...``."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk.configuration import conf

from drs.evidence.storage import default_evidence_folder

SECTION = "drs"


def plans_folder() -> Path:
    """The folder of the recovery plans; by default ``include/plans`` beside the DAGs folder."""
    configured = conf.get(SECTION, "plans_folder", fallback="")
    if configured:
        return Path(configured)
    return Path(conf.get_mandatory_value("core", "dags_folder")).parent / "include" / "plans"


def evidence_path() -> str:
    """Where evidence records are kept: a folder or ``s3://bucket/prefix`` that every worker can reach."""
    configured = str(conf.get(SECTION, "evidence_path", fallback="")).strip()
    return configured or str(default_evidence_folder(os.environ))


def evidence_conn_id() -> str | None:
    """The connection to the object store of the evidence; ``None`` uses the worker's own credentials."""
    return str(conf.get(SECTION, "evidence_conn_id", fallback="")).strip() or None


def deferrable() -> bool:
    """Whether tasks wait in the triggerer (the default) or in the worker."""
    return bool(conf.getboolean(SECTION, "deferrable", fallback=True))


def poll_interval() -> float:
    """Seconds between two looks at jobs while none of them can end soon."""
    return float(conf.getfloat(SECTION, "poll_interval", fallback=15.0))


def poll_interval_near() -> float:
    """Seconds between two looks at jobs while one may end soon, and between two tries of a check."""
    return float(conf.getfloat(SECTION, "poll_interval_near", fallback=3.0))


def readiness_schedule() -> str:
    """When all plans are checked for readiness: a cron expression in UTC. Empty: only by hand."""
    return str(conf.get(SECTION, "readiness_schedule", fallback="0 5 * * *")).strip()


def metrics() -> bool:
    """Whether a drill's measures are published to CloudWatch (the default)."""
    return bool(conf.getboolean(SECTION, "metrics", fallback=True))


def base_url() -> str:
    """The address of the Airflow UI."""
    return str(conf.get("api", "base_url", fallback="http://localhost:8080"))
