"""The person who answers a drill's questions."""

from __future__ import annotations

import contextlib
import re

from demo.airflow_api import AirflowApi
from demo.drill_run import DrillRun
from drs.cli.airflow_api import Refused
from drs.run.proof import asks_a_person


def await_question(run: DrillRun, task_id: str) -> None:
    """Wait until a task asks, and is parked.

    Airflow's scheduler takes a task for killed, and tries it again, if somebody answers or marks it before
    the scheduler has heard that the process that asked has ended; a person is not that quick.
    """

    def asks() -> bool:
        return asks_a_person(task_id, run.task_states().get(task_id)) and is_parked(run, task_id)

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
        if asks_a_person(task_id, state) and is_parked(run, task_id):
            with contextlib.suppress(Refused):  # it has this answer, and is about to go on
                (api or run.stack.api).answer(run.dag_id, run.run_id, task_id, option, comment)
        return state in {"success", "failed"}

    await_question(run, task_id)
    run.wait_until(settled, 120, f"{task_id} to take the answer")


def is_parked(run: DrillRun, task_id: str) -> bool:
    """Whether the scheduler has heard that the process that asks, in the task's present try, has ended."""
    (number,) = [each["try_number"] for each in run.task_instances() if each["task_id"] == task_id]
    log = run.stack.processes.log("scheduler").read_text(errors="replace")
    ended = f"TaskInstance Finished: dag_id={run.dag_id}, task_id={task_id}, run_id={run.run_id}, "
    return re.search(rf"{re.escape(ended)}.*, try_number={number}, ", log) is not None
