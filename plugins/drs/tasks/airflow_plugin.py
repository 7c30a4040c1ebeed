"""The plugin of this package in Airflow: a listener for its scheduler.

Airflow loads it in every process, even for tasks of other DAGs. So it imports nothing of drs until it is
called.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


class RunListener:
    """Called by the scheduler for each run that starts. Airflow logs what it raises, and the run goes on."""

    @hookimpl
    def on_dag_run_running(self, dag_run: Any) -> None:
        from drs.tasks.unpaused import note_unpaused

        note_unpaused(dag_run)


if __package__:  # A plugins folder without its .airflowignore files executes this file as one more plugin.

    class DrsPlugin(AirflowPlugin):
        name = "drs"
        listeners: ClassVar[list[Any]] = [RunListener()]
