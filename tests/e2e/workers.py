"""The processes of a task: the worker that supervises it, and below that the one that runs its code."""

from __future__ import annotations

import psutil

from demo import reaper
from demo.drill_run import DrillRun


def kill_worker(run: DrillRun, task_id: str) -> None:
    """Kill a task with its worker, at once: nobody is left to report it, as when its machine is gone."""
    for process in _processes(run, task_id):
        process.kill()


def kill_task_alone(run: DrillRun, task_id: str) -> None:
    """Kill the process that runs a task's code; its worker lives, and reports it."""
    _worker, task = _processes(run, task_id)
    task.kill()


def _processes(run: DrillRun, task_id: str) -> list[psutil.Process]:
    """The worker and the task, which bear the id of the task instance in their titles."""
    (wanted,) = [instance["id"] for instance in run.task_instances() if instance["task_id"] == task_id]
    session = run.stack.processes.session("scheduler")
    found = [psutil.Process(pid) for pid in reaper.members(session)]
    found = [process for process in found if wanted in _title(process)]
    assert len(found) == 2, f"{task_id} runs in {len(found)} processes, not in a worker and one below it"
    worker, task = sorted(found, key=lambda process: "LocalExecutor" not in _title(process))
    return [worker, task]  # killed in this order, so that the worker cannot report the task's end


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""  # ended meanwhile
