"""The tasks that launch a wave and clean up: what they do before they call DRS."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from drs.plan import Plan
from drs.run.ledger import Ledger
from drs.run.records import ApprovalRecord, LaunchRecord, Resolution, ResolvedServer, WaveResolution
from drs.run.timeline import Timeline
from drs.tasks.operators import begin, start_recovery
from drs.tasks.operators.start_recovery import RESUME_LEAD, DrsStartRecoveryOperator
from drs.tasks.operators.terminate import DrsTerminateRecoveryInstancesOperator
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_plan, make_run
from tests.unit.task_harness import FakeTaskInstance, FakeVariables, make_context

IDLE = [{"dry_run": True}, {"missed": "Missed: it was due at 05:00."}]

TIMELINE = Timeline(jobs="per_wave", server_delay=0, conflict_backoff=(30,), conflict_timeout=60, servers=())


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, xcom: MemoryStore) -> FakeVariables:
    variables = FakeVariables()
    monkeypatch.setattr(begin, "Variable", variables)
    monkeypatch.setattr(start_recovery, "XComStore", lambda _: xcom)
    return variables


def save(ledger: Ledger, plan: Plan | None = None, **fields: Any) -> None:
    """Record a run up to its preflight."""
    ledger.save_run(make_run(plan, **fields))
    waves = {
        name: WaveResolution(
            servers=tuple(ResolvedServer(server_id=server, name=server, group=name) for server in servers)
        )
        for name, servers in (("database", DATABASE), ("application", APPLICATION))
    }
    ledger.save_resolution(Resolution(waves=waves))


def launch(wave: str, context: Any = None) -> Any:
    task = DrsStartRecoveryOperator(task_id="start_recovery", wave=wave)
    return task.execute(context or make_context())


@pytest.mark.parametrize("fields", IDLE, ids=str)
def test_a_wave_of_a_run_that_launches_nothing_is_skipped(
    ledger: Ledger, variables: FakeVariables, fields: dict[str, Any]
) -> None:
    """The plan's owner does not change."""
    save(ledger, **fields)
    with pytest.raises(AirflowSkipException):
        launch("database")
    assert (ledger.launch("database"), variables.values) == (None, {})


def kept(context: Any) -> Any:
    """The copy of the wave's launch in the task's own XCom."""
    return context["ti"].xcom_pull(task_ids=FakeTaskInstance.task_id, key="launch")


def test_the_launch_is_kept_where_a_cleared_run_finds_it(ledger: Ledger, variables: FakeVariables) -> None:
    """The copy exists from the first record of the launch on."""
    save(ledger)
    ledger.save_reached("database", "started", dt.datetime.now(dt.UTC))
    context = make_context()
    with pytest.raises(TaskDeferred):
        launch("application", context)
    record = ledger.launch("application")
    assert record is not None
    assert kept(context) == record.model_dump(mode="json")


def test_a_task_that_starts_again_keeps_the_launch_again(ledger: Ledger, variables: FakeVariables) -> None:
    """Airflow deleted the copy, and a run that now leaves the wave out must not lose its launch."""
    save(ledger, dry_run=True)
    record = LaunchRecord(timeline=TIMELINE)
    ledger.save_launch("database", record)
    context = make_context()
    with pytest.raises(AirflowSkipException):
        launch("database", context)
    assert kept(context) == record.model_dump(mode="json")


@pytest.mark.parametrize("fields", IDLE, ids=str)
def test_a_run_that_launches_nothing_has_nothing_to_clean_up(ledger: Ledger, fields: dict[str, Any]) -> None:
    """DRS is not asked."""
    save(ledger, **fields)
    with pytest.raises(AirflowSkipException):
        DrsTerminateRecoveryInstancesOperator(task_id="terminate").execute(make_context())
    assert ledger.cleanup() is None


@pytest.mark.parametrize("gate_first", [True, False])
def test_the_delay_before_a_wave_counts_after_its_approval(
    ledger: Ledger, variables: FakeVariables, gate_first: bool
) -> None:
    """It counts from the gate before the wave if that was reached after the answer."""
    waves = [
        {"name": "database", "protection_groups": ["database"]},
        {
            "name": "application",
            "protection_groups": ["application"],
            "delay_before": "90s",
            "approval": {},
        },
    ]
    save(ledger, make_plan(waves=waves))
    earlier = dt.datetime.now(dt.UTC)
    later = earlier + dt.timedelta(seconds=20)
    gate, answer = (earlier, later) if gate_first else (later, earlier)
    ledger.save_reached("database", "started", gate)
    ledger.save_approval("application", ApprovalRecord(approved=True, answered="by a person", at=answer))
    with pytest.raises(TaskDeferred) as deferred:
        launch("application")
    _, parameters = deferred.value.trigger.serialize()
    woken = dt.datetime.fromisoformat(parameters["deadline"])
    assert woken == later + dt.timedelta(seconds=90) - RESUME_LEAD


@pytest.mark.parametrize("gate", ["started", "launched", "validated"])
def test_a_wave_counts_from_the_gate_that_the_one_before_names(
    ledger: Ledger, variables: FakeVariables, gate: str
) -> None:
    """Other gates do not count, and a gate that was not reached lets nothing begin."""
    waves = [
        {"name": "database", "protection_groups": ["database"], "next_wave_when": gate},
        {"name": "application", "protection_groups": ["application"], "delay_before": "90s"},
    ]
    save(ledger, make_plan(waves=waves))
    now = dt.datetime.now(dt.UTC)
    gates = {"started": now, "launched": now, "validated": now} | {gate: now + dt.timedelta(seconds=20)}
    for name in gates.keys() - {gate}:
        ledger.save_reached("database", name, gates[name])
    with pytest.raises(
        AirflowFailException, match=f"PLAN_CHANGED.*no record says when wave database was {gate}"
    ):
        launch("application")
    ledger.save_reached("database", gate, gates[gate])
    with pytest.raises(TaskDeferred) as deferred:
        launch("application")
    _, parameters = deferred.value.trigger.serialize()
    woken = dt.datetime.fromisoformat(parameters["deadline"])
    assert woken == gates[gate] + dt.timedelta(seconds=90) - RESUME_LEAD
