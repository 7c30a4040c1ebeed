"""Parses the DAGs in ``AIRFLOW_HOME/dags`` as Airflow does, with the drs-drills that is installed.

Each plan must have its DAG, no file may have an import error, and Airflow must know the plugin.
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.listeners.listener import get_listener_manager

import drs

FOR_ALL_PLANS = {"drs_readiness", "drs_watch"}


def main() -> int:
    home = Path(os.environ["AIRFLOW_HOME"])
    bag = DagBag(dag_folder=str(home / "dags"), safe_mode=True, load_op_links=False)
    plans = {path.stem for path in (home / "dags" / "plans").iterdir()}
    expected = {*FOR_ALL_PLANS, *(f"drs_drill__{name}" for name in plans)}
    wrong = [f"{file}: {error}" for file, error in bag.import_errors.items()]
    if missing := expected - set(bag.dags):
        wrong.append(f"No DAG: {', '.join(sorted(missing))}")
    if Path(drs.__file__).is_relative_to(home):
        wrong.append(f"drs is not the installed one: {drs.__file__}")
    if not get_listener_manager().has_listeners:
        wrong.append("Airflow does not know the plugin: the entry point airflow.plugins is missing.")
    print(
        f"Airflow {version('apache-airflow')}, amazon {version('apache-airflow-providers-amazon')}, "
        f"boto3 {version('boto3')}: {len(bag.dags)} DAGs of {len(plans)} plans, "
        f"{len(bag.import_errors)} import errors."
    )
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
