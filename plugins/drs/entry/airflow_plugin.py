"""Airflow's plugin: a listener for its scheduler.

Airflow loads it in every process, even for tasks of other DAGs. So it imports nothing until it is called.
"""

from __future__ import annotations

import functools
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


class RunListener:
    """Called by the scheduler for each run that starts. Airflow logs what it raises, and the run goes on."""

    @hookimpl
    def on_dag_run_running(self, dag_run: Any) -> None:
        from drs.tasks.unpaused import note_unpaused

        note_unpaused(dag_run)


@functools.cache
def plugin() -> type[AirflowPlugin]:
    """The plugin. It is no attribute of this module, because Airflow would take it for a second plugin if it
    executes this file as one of a plugins folder.
    """

    class DrsPlugin(AirflowPlugin):
        name = "drs"
        listeners: list[Any] = [RunListener()]  # noqa: RUF012  # declared so by Airflow

    return DrsPlugin
