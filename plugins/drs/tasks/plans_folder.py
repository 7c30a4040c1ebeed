"""Where the recovery plans are: the same folder for a DAG file and for the tasks of its DAGs.

In this order:

1. the setting ``plans_folder``, if somebody has set it;
2. the folder that the DAG file names, beside that file (``plans`` by default);
3. ``include/plans`` beside the DAGs folder. If the file is not in Airflow's own DAGs folder, it is in another
   DAG bundle, and its own folder counts as the DAGs folder: each bundle has plans of its own.

No link is followed on the way, since a file in a volume of Kubernetes is a link to a folder that changes.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from drs import settings
from drs.errors import Code
from drs.plan import BrokenPlan, PlanError, PlanProblem

DEFAULT = "plans"
SETTING = "plans_folder in section [drs] (AIRFLOW__DRS__PLANS_FOLDER)"


class PlansFolder:
    """The folder of the plans of one DAG file.

    :param dag_file: the DAG file
    :param beside: the folder, relative to that file
    """

    def __init__(self, dag_file: Path, beside: str | PathLike[str] = DEFAULT) -> None:
        self._dag_file = dag_file.absolute()
        self._beside = beside

    def find(self) -> Path:
        """The folder as it is now.

        :raises PlanError: there is none; the error names each place and the setting
        """
        configured = settings.plans_folder()
        if configured is not None:
            if configured.is_dir():
                return configured
            raise _error(
                configured,
                f"There is no folder {configured}. The setting {SETTING} names it.",
                "Create the folder, or correct the setting. Without the setting, plans are looked for beside "
                "the DAG file.",
            )
        places = self._places()
        found = next((place for place in places if place.is_dir()), None)
        if found is not None:
            return found
        looked = " and ".join(map(str, places))
        raise _error(
            places[0],
            f"There is no folder of recovery plans. Looked for {looked}.",
            f"Create {places[0]} and put a plan into it, or name the folder in the setting {SETTING}.",
        )

    def _places(self) -> list[Path]:
        folder = self._dag_file.parent
        dags_folder = settings.dags_folder()
        if not folder.is_relative_to(dags_folder):
            dags_folder = folder
        return [folder / self._beside, dags_folder.parent / "include" / "plans"]


_OF_DAG: dict[str, PlansFolder] = {}
"""By DAG id. A worker executes the DAG file before the task, so a task finds the folder of its own file, also
in a DAG bundle that keeps a folder for each version.
"""


def remember(dag_id: str, folder: PlansFolder) -> None:
    """Keep for the tasks of this process where the plans of a DAG's file are."""
    _OF_DAG[dag_id] = folder


def folder_of(dag_id: str) -> Path:
    """The folder of the plans of the file that defines a DAG.

    :raises PlanError: there is none
    """
    found = _OF_DAG.get(dag_id) or PlansFolder(settings.dags_folder() / "of_no_file.py")
    return found.find()


def nothing_there(folder: Path) -> PlanError:
    """The error of a DAG file that defines no DAG, because its folder has no plan."""
    return _error(
        folder,
        "This folder of recovery plans holds no file of a plan, so there is no DAG.",
        "Put a plan into it, as NAME.yaml with small letters, digits and hyphens in NAME, or name "
        f"another folder in the setting {SETTING}.",
    )


def _error(folder: Path, message: str, remedy: str) -> PlanError:
    problem = PlanProblem(folder, None, "", Code.RECOVERY_PLAN_NOT_FOUND, message, remedy)
    return PlanError(BrokenPlan(folder.stem, folder, (problem,)))
