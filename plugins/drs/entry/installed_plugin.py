"""The entry point of the installed package: the plugin, unless the plugins folder has it too.

Airflow reads the plugins folder first. A second plugin of the same name would be an import error in Airflow's
UI, and tasks would be left without the plugins that come after it.
"""

from __future__ import annotations

import sys

from drs.entry.airflow_plugin import plugin

in_plugins_folder = hasattr(sys.modules.get("drs_plugin"), "DrsPlugin")
# Outside its package, Airflow executes this file as one of a plugins folder without its .airflowignore files.
installed = plugin() if __package__ and not in_plugins_folder else None
"""Airflow ignores an entry point that leads to no class."""
