"""Disaster-recovery drills on AWS Elastic Disaster Recovery (DRS).

A DAG file needs only the functions named here. They are imported when they are first used, because the
command line imports this package too, and runs without Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drs.entry.dag_files import plan_dags, plan_errors, readiness_dag, recovery_plans, watch_dag

__all__ = ["plan_dags", "plan_errors", "readiness_dag", "recovery_plans", "watch_dag"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from drs.entry import dag_files

    return getattr(dag_files, name)
