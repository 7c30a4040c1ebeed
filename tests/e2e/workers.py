"""The processes of a task: the worker that supervises it, and below that the one that runs its code."""

from __future__ import annotations

import os
import signal

import psutil

from demo import reaper
from demo.drill_run import DrillRun


def kill_worker(run: DrillRun, task_id: str) -> None:
    """Kill a task and its worker, so that nothing reports the task's end, as when a machine is lost."""
    worker, task = _processes(run, task_id)
    os.kill(worker, signal.SIGKILL)  # first, or it would report the other's end
    os.kill(task, signal.SIGKILL)


def kill_task_alone(run: DrillRun, task_id: str) -> None:
    """Kill the process that runs a task's code; its worker lives, and reports it."""
    _worker, task = _processes(run, task_id)
    os.kill(task, signal.SIGKILL)


def _processes(run: DrillRun, task_id: str) -> tuple[int, int]:
    """The ids of the worker and of the process below it; both bear the task instance's id in their titles."""
    (wanted,) = [instance["id"] for instance in run.task_instances() if instance["task_id"] == task_id]
    members = reaper.members(run.stack.processes.session("scheduler"))
    titles = {pid: _title(pid) for pid in members}
    (worker,) = [pid for pid, title in titles.items() if f"LocalExecutor: {wanted}" in title]
    (task,) = [pid for pid, title in titles.items() if f"worker -- {wanted}" in title]
    return worker, task


def _title(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""  # ended meanwhile
