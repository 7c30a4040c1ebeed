"""What Airflow loads from this folder as a plugin. It also warns of what is wrong with the folder.

Airflow executes it in every process, so it imports no more than the plugin.
"""

import importlib.util
import logging
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
HIDDEN = (FOLDER / ".airflowignore", FOLDER / "drs" / ".airflowignore")
TASK_RUNNER = "airflow.sdk.execution_time.task_runner"

log = logging.getLogger(__name__)


def warn_of_two() -> None:
    """Say which drs Airflow uses, if it is not the one in this folder."""
    found = importlib.util.find_spec("drs")
    used, own = Path(str(found and found.origin)).parent, FOLDER / "drs"
    if own.is_dir() and not (used.is_dir() and used.samefile(own)):
        log.warning(
            "drs is there twice: Airflow uses %s, and ignores %s. Keep one of them: remove the folder drs and"
            " the file drs_plugin.py from %s, or uninstall the package drs-drills.",
            used,
            own,
            FOLDER,
        )


def warn_of_lost_files() -> None:
    """Say that the files are gone that keep Airflow from executing every module of drs as a plugin."""
    if (FOLDER / "drs").is_dir() and not any(file.is_file() for file in HIDDEN):
        log.warning(
            "The hidden files %s and %s are missing. So every Airflow process executes each module of drs as "
            "a plugin, which takes a second or two. What to do: copy the folder again with its hidden files, "
            "by `cp -r plugins/. TARGET` or `zip -r plugins.zip .` (`*` leaves hidden files out).",
            *HIDDEN,
        )


def is_in_a_task() -> bool:
    """Whether this is a process that a supervisor of Airflow started. Its log, perhaps of a task of another
    team, is not the place for these warnings.
    """
    return getattr(sys.modules.get(TASK_RUNNER), "SUPERVISOR_COMMS", None) is not None


if not is_in_a_task():
    warn_of_two()
    warn_of_lost_files()

# After the warnings: of two different versions of drs, the one that is used may lack this module.
from drs.entry.airflow_plugin import plugin  # noqa: E402

DrsPlugin = plugin()
