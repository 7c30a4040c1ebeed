"""What Airflow loads from this folder as a plugin: the listener of its scheduler."""

from airflow.plugins_manager import AirflowPlugin

from drs.tasks import unpaused


class DrsPlugin(AirflowPlugin):
    name = "drs"
    listeners = [unpaused]
