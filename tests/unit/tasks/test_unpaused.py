"""The scheduler's listener: what the audit log says of a DAG that was unpaused after a run's tick."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from drs.run.ticks import UNPAUSED_AT
from drs.tasks import unpaused
from drs.tasks.unpaused import last_unpaused, note_unpaused
from tests.unit.drill import NOW, after

ORDERS = "drs_drill__orders"


def entry(
    event: str = "patch_dag", dag_id: str | None = ORDERS, seconds: float = 60, **extra: Any
) -> SimpleNamespace:
    """An entry of Airflow 3.3.2's audit log, as it writes them."""
    return SimpleNamespace(dttm=after(seconds), event=event, dag_id=dag_id, extra=json.dumps(extra))


COMMAND = "['/bin/airflow', 'dags', 'unpause', 'drs_.*', '--treat-dag-id-as-regex']"


@pytest.mark.parametrize(
    "by",
    [
        entry(is_paused=False, method="PATCH"),
        entry("patch_dags", None, is_paused=False, dag_id_pattern="~", method="PATCH"),
        entry("cli_dag_unpause", full_command=f"['airflow', 'dags', 'unpause', '{ORDERS}']"),
        entry("cli_dag_unpause", "drs_.*", full_command=COMMAND),
    ],
    ids=["API or UI", "several at once", "command", "command with a pattern"],
)
def test_each_way_to_unpause_a_dag_is_seen(by: Any) -> None:
    """A pattern counts: it may have meant this DAG."""
    assert last_unpaused([by], ORDERS) == after(60)


@pytest.mark.parametrize(
    "by",
    [
        entry(is_paused=True, method="PATCH"),
        entry("patch_dags", None, is_paused=True, method="PATCH"),
        entry(dag_id="drs_drill__billing", is_paused=False),
        entry("cli_dag_unpause", "drs_drill__billing", full_command="['airflow', 'dags', 'unpause']"),
        SimpleNamespace(dttm=after(60), event="patch_dag", dag_id=ORDERS, extra=None),
        SimpleNamespace(dttm=after(60), event="patch_dag", dag_id=ORDERS, extra="[('is_paused', False)]"),
    ],
    ids=["paused", "several paused", "another DAG", "another DAG by command", "nothing", "no JSON"],
)
def test_nothing_else_counts(by: Any) -> None:
    """An entry that cannot be read is of another version, or of something else."""
    assert last_unpaused([by], ORDERS) is None


def test_the_last_time_counts() -> None:
    """The entries come newest first."""
    entries = [entry(seconds=90, is_paused=True), entry(seconds=60, is_paused=False), entry(is_paused=False)]
    assert last_unpaused(entries, ORDERS) == after(60)


@pytest.mark.parametrize(
    ("dag_id", "run_type", "conf"),
    [
        (ORDERS, "scheduled", {UNPAUSED_AT: "2026-03-01T06:01:00+00:00"}),
        (ORDERS, "manual", None),
        ("sales", "scheduled", None),
    ],
)
def test_only_scheduled_runs_of_plans_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, dag_id: str, run_type: str, conf: Any
) -> None:
    """The scheduler runs other people's DAGs too."""
    asked: list[Any] = []

    def entries(after: Any) -> list[Any]:
        asked.append(after)
        return [entry(dag_id=dag_id, is_paused=False)]

    monkeypatch.setattr(unpaused, "entries_since", entries)
    run = SimpleNamespace(dag_id=dag_id, run_type=run_type, run_after=NOW, conf=None)
    note_unpaused(run)
    assert run.conf == conf
    assert asked == ([NOW] if conf else [])


def test_a_run_of_a_dag_that_was_not_unpaused_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its conf is empty, as Airflow made it."""
    monkeypatch.setattr(unpaused, "entries_since", lambda _: [])
    run = SimpleNamespace(dag_id=ORDERS, run_type="scheduled", run_after=NOW, conf=None)
    note_unpaused(run)
    assert run.conf is None
