"""What Airflow loads from this folder as a plugin. It also says what is wrong with the folder.

Airflow executes it in every process, so it imports no more than the plugin.
"""

import importlib.util
import logging
import sys
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).parent
HIDDEN = ".airflowignore"
IN_A_TASK = "airflow.sdk.execution_time.task_runner"

log = logging.getLogger(__name__)


def is_offered_by_package() -> bool:
    """Whether an installed drs-drills offers the plugin too. Airflow would have it twice, and for a task it
    would then drop the plugins of others.
    """
    try:
        offered = metadata.distribution("drs-drills").entry_points
    except metadata.PackageNotFoundError:
        return False
    return any(each.group == "airflow.plugins" for each in offered)


def warn_of_two() -> None:
    """Say which drs counts, if there is another one than that of this folder."""
    found = importlib.util.find_spec("drs")
    used = Path(found.origin).parent if found and found.origin else None
    own = FOLDER / "drs"
    if used and own.is_dir() and not used.samefile(own):
        log.warning(
            "drs is installed twice: Airflow uses %s and ignores %s. Keep one of them: remove the folder drs "
            "and drs_plugin.py from %s, or uninstall the package drs-drills.",
            used,
            own,
            FOLDER,
        )


def warn_of_lost_files() -> None:
    """Say that the files are gone that keep Airflow from executing every module of drs as a plugin."""
    if (FOLDER / "drs").is_dir() and not any((FOLDER / at / HIDDEN).is_file() for at in ("", "drs")):
        log.warning(
            "The hidden files %s and %s are missing. So every Airflow process executes each module of drs as "
            "a plugin, which takes seconds. What to do: copy the folder again, with its hidden files: "
            "`cp -r plugins/. TARGET` or `zip -r plugins.zip .` (`*` leaves hidden files out).",
            FOLDER / HIDDEN,
            FOLDER / "drs" / HIDDEN,
        )


if IN_A_TASK not in sys.modules:  # the log of a task, perhaps of another team, is not the place
    warn_of_two()
    warn_of_lost_files()
if not is_offered_by_package():
    from drs.tasks.airflow_plugin import DrsPlugin as DrsPlugin
