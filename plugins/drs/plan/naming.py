"""How a plan's DAG is named; known without Airflow, so that the command line can find it."""

from __future__ import annotations

DAG_ID_PREFIX = "drs_drill__"


def dag_id(plan_name: str) -> str:
    """The id of the plan's DAG."""
    return f"{DAG_ID_PREFIX}{plan_name}"


def plan_name(dag_id: str) -> str:
    """The plan that the DAG drills."""
    return dag_id.removeprefix(DAG_ID_PREFIX)
