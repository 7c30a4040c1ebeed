"""What Airflow loads from this folder as a plugin: the listener of its scheduler."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from drs.tasks import unpaused


class DrsPlugin(AirflowPlugin):
    name = "drs"
    listeners: ClassVar[list[Any]] = [unpaused]
