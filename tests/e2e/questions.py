"""The person who answers a drill's questions."""

from __future__ import annotations

import contextlib

from demo.airflow_api import AirflowApi
from demo.drill_run import DrillRun
from drs.cli.airflow_api import Refused


def await_question(run: DrillRun, task_id: str) -> None:
    """Wait until a task asks, and is parked.

    Airflow's scheduler takes a task for killed, and tries it again, if somebody answers or marks it before
    the scheduler has heard that the process that asked has ended; a person is not that quick.
    """

    def asks() -> bool:
        return run.task_states().get(task_id) == "awaiting_input" and is_parked(run, task_id)

    run.wait_until(asks, 180, f"{task_id} to ask")


def answer(
    run: DrillRun,
    task_id: str,
    option: str = "Approve",
    comment: str = "",
    *,
    api: AirflowApi | None = None,
) -> None:
    """Answer a task once it is parked; by default as everybody."""

    def settled() -> bool:
        state = run.task_states().get(task_id)
        if state == "awaiting_input" and is_parked(run, task_id):
            with contextlib.suppress(Refused):  # it has this answer, and is about to go on
                (api or run.stack.api).answer(run.dag_id, run.run_id, task_id, option, comment)
        return state in {"success", "failed"}

    await_question(run, task_id)
    run.wait_until(settled, 120, f"{task_id} to take the answer")


def is_parked(run: DrillRun, task_id: str) -> bool:
    """Whether the scheduler has heard the end of every process that it has had started for the task."""
    (ti_id,) = [each["id"] for each in run.task_instances() if each["task_id"] == task_id]
    lines = run.stack.processes.log("scheduler").read_text(errors="replace").splitlines()
    about = [line for line in lines if f"ti_id={ti_id}" in line]
    started = sum("Trying to enqueue tasks" in line for line in about)
    return sum("TaskInstance Finished" in line for line in about) >= started > 0
