"""The files in dags/, as Airflow reads them: good plans, broken ones, and only what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from bench import bad_plans
from drs.plan import files
from drs.tasks.operators.begin import DrsRefuseDrillOperator
from tests.dags.conftest import EXAMPLES, REPOSITORY

FOR_ALL_PLANS = {"drs_readiness", "drs_watch"}
DAG_IDS = {*FOR_ALL_PLANS, "drs_drill__fleet", "drs_drill__order-system", "drs_drill__single-server"}
GOOD = (EXAMPLES / "single-server.yaml").read_text()
Parse = Callable[[], DagBag]


def broken(plans: Path, name: str, *edits: tuple[str, str], more: str = "") -> Path:
    """Add a plan with mistakes to the folder."""
    text = GOOD.replace("name: single-server", f"name: {name}")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = plans / f"{name}.yaml"
    path.write_text(text + more)
    return path


def line_of(path: Path, start: str) -> int:
    """The number of the line that begins so, ignoring indentation."""
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(start))


def only_error(bag: DagBag) -> str:
    """The only import error, which the file without DAGs raises."""
    ((file, error),) = bag.import_errors.items()
    assert Path(file).name == "recovery_plan_errors.py"
    return error


def test_every_file_in_dags_imports(dag_bag: Parse) -> None:
    """In safe mode, Airflow skips files that do not look like DAGs. Each plan is a DAG, and two more DAGs
    check all plans.
    """
    bag = dag_bag()
    assert bag.import_errors == {}
    assert set(bag.dags) == DAG_IDS
    assert {Path(stat.file).name for stat in bag.dagbag_stats} == {
        "recovery_plans.py",
        "recovery_plan_errors.py",
        "drs_readiness.py",
        "drs_watch.py",
    }


def test_broken_plans_are_told_in_one_error_and_the_others_stay(dag_bag: Parse, plans: Path) -> None:
    """The error names file, line and key, what is wrong, and what to write instead."""
    first = broken(plans, "first", ("region: us-east-1", "region: Virginia"), more="colour: red\n")
    second = broken(plans, "second", ("protection_groups: [server]", "protection_groups: [serve]"))
    bag = dag_bag()
    assert set(bag.dags) == {*DAG_IDS, "drs_drill__first", "drs_drill__second"}
    error = only_error(bag)
    assert f"{first}:{line_of(first, 'region')}  target.region  [INVALID_FIELD]" in error
    assert f"{first}:{line_of(first, 'colour')}  colour  [INVALID_FIELD]" in error
    assert f"{second}:{line_of(second, 'protection_groups: [')}  waves[0].protection_groups[0]" in error
    assert "What to do: Write region: us-east-1" in error
    assert "Did you mean server?" in error


def test_files_that_are_no_plans_do_not_hide_the_others(dag_bag: Parse, plans: Path) -> None:
    """A pipe, an endless device, a file of many keys: each has a DAG that refuses runs."""
    bad_plans.write(plans)
    bag = dag_bag()
    assert {*DAG_IDS, "drs_drill__good", "drs_drill__pipe", "drs_drill__endless"} <= set(bag.dags)
    assert "drs_drill__folder" not in bag.dags
    assert bad_plans.SECRET not in only_error(bag)


def test_a_broken_plan_s_dag_refuses_runs_and_ends_those_under_way(dag_bag: Parse, plans: Path) -> None:
    """It is named after the file and has no schedule. Begin says what is wrong with the file; clean-up,
    evidence and verdict are the same as in the DAG of a valid plan.
    """
    schedule = 'schedule: "0 6 1 * *"\n'
    path = broken(plans, "order-system", ("region: us-east-1", "region: Virginia"), more=schedule)
    bag = dag_bag()
    assert set(bag.dags) == DAG_IDS
    dag = bag.dags["drs_drill__order-system"]
    assert dag.schedule is None
    assert "broken-plan" in dag.tags
    assert f"{path}:" in (dag.doc_md or "")
    whole = bag.dags["drs_drill__single-server"]
    waves = {task.task_id for task in whole.tasks if task.task_id.startswith("wave_")}
    assert {task.task_id for task in dag.tasks} == {
        task.task_id for task in whole.tasks if task.task_id not in waves | {"preflight"}
    }
    for task in dag.tasks:
        same = whole.get_task(task.task_id)
        assert (task.is_setup, task.is_teardown) == (same.is_setup, same.is_teardown)
        assert task.trigger_rule == same.trigger_rule
    begin = dag.get_task("begin")
    assert isinstance(begin, DrsRefuseDrillOperator)
    assert "target.region" in begin.problems
    assert begin.downstream_task_ids == {"terminate"}


def test_a_file_whose_name_no_dag_can_have_is_told_all_the_same(dag_bag: Parse, plans: Path) -> None:
    """No DAG can refuse its runs, but the import error names it."""
    (plans / "My Plan.yaml").write_text(GOOD)
    bag = dag_bag()
    assert set(bag.dags) == DAG_IDS
    assert "My Plan.yaml" in only_error(bag)


def test_a_plan_that_is_not_even_yaml_harms_no_other(dag_bag: Parse, plans: Path) -> None:
    """Two files with the same name, or an empty file, do no harm either."""
    (plans / "torn.yaml").write_text("name: [\n")
    (plans / "empty.yaml").write_text("")
    (plans / "fleet.yml").write_text(GOOD)
    bag = dag_bag()
    assert set(bag.dags) == {*DAG_IDS, "drs_drill__torn", "drs_drill__empty"}
    error = only_error(bag)
    assert "The file is not YAML" in error
    assert "The file is empty" in error
    assert "Several files define the plan fleet" in error


def test_a_missing_folder_is_an_error_that_names_it(
    dag_bag: Parse, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong setting must not look like an installation without plans."""
    missing = plans / "nowhere"
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(missing))
    bag = dag_bag()
    # They read the folder only when they run, and then are red.
    assert set(bag.dags) == FOR_ALL_PLANS
    assert bag.import_errors
    for error in bag.import_errors.values():
        assert str(missing) in error
        assert "AIRFLOW__DRS__PLANS_FOLDER" in error
        assert "RECOVERY_PLAN_NOT_FOUND" in error


@pytest.mark.parametrize("name", ["order-system", "torn"])
def test_a_worker_builds_only_the_dag_it_was_asked_for(
    dag_bag: Parse, plans: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It reads no other file, so a task's start does not depend on the number of plans."""
    (plans / "torn.yaml").write_text("name: [\n")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", f"drs_drill__{name}")
    read: list[str] = []
    read_file = files.read

    def spy(path: Path) -> bytes:
        read.append(path.name)
        return read_file(path)

    monkeypatch.setattr(files, "read", spy)
    bag = DagBag(dag_folder=REPOSITORY / "dags" / "recovery_plans.py", load_op_links=False)
    assert set(bag.dags) == {f"drs_drill__{name}"}
    assert [file for file in read if file.endswith(".yaml")] == [f"{name}.yaml"]


def test_a_worker_of_another_dag_builds_none(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not fail either."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "somebody_elses")
    bag = DagBag(dag_folder=REPOSITORY / "dags" / "recovery_plans.py", load_op_links=False)
    assert (bag.dags, bag.import_errors) == ({}, {})
