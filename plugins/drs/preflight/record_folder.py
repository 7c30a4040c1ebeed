"""Finds out before a drill whether each worker would keep its records in a folder of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from drs.errors import Code
from drs.preflight.findings import Finding

ON_ONE_MACHINE = "LocalExecutor"
IN_CONTAINERS = {
    "AIRFLOW_IS_K8S_EXECUTOR_POD": "KubernetesExecutor",
    "AIRFLOW_IS_EXECUTOR_CONTAINER": "a container for each task",
}
"""What Airflow sets where a task has a container of its own. There ``[core] executor`` may be another one."""


def unshared_folder(
    folder: str, executors: str, *, shared: bool, environment: Mapping[str, str]
) -> list[Finding]:
    """The warning that the workers do not share the folder of the records; empty if they do, or if tasks run
    on one machine.

    :param folder: the setting ``evidence_path``, or its default, if it is a local folder
    :param executors: Airflow's setting ``[core] executor``; empty if it is not known
    :param shared: the setting ``evidence_shared``
    """
    several = [what for name, what in IN_CONTAINERS.items() if environment.get(name)]
    several += [name for name in class_names(executors) if name != ON_ONE_MACHINE]
    if shared or not several:
        return []
    return [
        Finding(
            code=Code.INVALID_FIELD,
            seen=f"Records of runs are kept in the local folder {folder}, but this Airflow runs tasks on "
            f"several machines or pods ({several[0]}). Each has its own such folder, without the records of "
            "the others, and a record may be lost with its machine or pod.",
            remedy="Set evidence_path (section [drs] of Airflow's configuration) to s3://bucket/prefix. If "
            "all workers mount this folder from the same place, such as a shared volume, set evidence_shared "
            "to True there instead.",
            severity="warning",
        )
    ]


def class_names(executors: str) -> list[str]:
    """The classes in ``[core] executor``, which has names or paths, with aliases (``fast:my.Executor``) and
    teams (``;team=...``).
    """
    return [name for each in re.split(r"[,;]", executors) if (name := re.split(r"[=:.]", each)[-1].strip())]
