"""The id of a plan's DAG. It is here, without Airflow, because the command line needs it too."""

from __future__ import annotations

DAG_ID_PREFIX = "drs_drill__"


def dag_id(plan_name: str) -> str:
    """The id of the plan's DAG."""
    return f"{DAG_ID_PREFIX}{plan_name}"


def plan_name(dag_id: str) -> str:
    """The name of the plan that the DAG runs."""
    return dag_id.removeprefix(DAG_ID_PREFIX)
