"""What Airflow loads from this folder as a plugin."""

from drs.entry.airflow_plugin import plugin

DrsPlugin = plugin()
