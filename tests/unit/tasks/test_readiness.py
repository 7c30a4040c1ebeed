"""Readiness: each plan's preflight between drills; red where a drill would be refused, and nowhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from drs.run.ledger import Ledger
from drs.tasks.operators.readiness import DrsListPlansOperator, DrsReadinessOperator
from simulator.engine.faults import ForeignJob, InternalError, ReplicationChange
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_plan
from tests.unit.simulated import SimulatedDrill
from tests.unit.task_harness import FakeTaskInstance

DRILL_DAG, DRILL_RUN = FakeTaskInstance.dag_id, "manual__2026-03-01T06:00:00+00:00"


class ReadinessTask(FakeTaskInstance):
    """The task instance: it reads the drill's XCom from another DAG.

    :param ledger: the XCom of the drill's ``begin``
    :param runs: run id to state, of the drill's DAG
    """

    def __init__(self, ledger: MemoryStore, runs: dict[str, str]) -> None:
        super().__init__(runs=runs)
        self.ledger = ledger

    def xcom_pull(self, *, task_ids: str, key: str, dag_id: str, run_id: str) -> Any:
        assert (task_ids, dag_id, run_id) == ("begin", DRILL_DAG, DRILL_RUN)
        return self.ledger.get(key)


@pytest.fixture(autouse=True)
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plans folder, with the plan `orders`; and a connection that asks AWS once."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(tmp_path))
    once = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": once}))
    plan = make_plan().model_dump(mode="json", exclude_unset=True)
    (tmp_path / "orders.yaml").write_text(yaml.safe_dump(plan))
    return tmp_path


def ask(name: str = "orders", *, ledger: MemoryStore | None = None, state: str | None = None) -> None:
    """Ask whether a drill could begin; ``state`` is that of the drill whose ledger is given."""
    ti = ReadinessTask(ledger or MemoryStore(), {DRILL_RUN: state} if state else {})
    DrsReadinessOperator(task_id="preflight", plan=name).execute({"ti": ti})  # type: ignore[typeddict-item]


def refusal(name: str = "orders", **more: Any) -> str:
    with pytest.raises(AirflowFailException) as refused:
        ask(name, **more)
    return str(refused.value)


def test_a_plan_that_can_be_drilled_is_green(
    drill: Callable[..., SimulatedDrill], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its log says where it looked and how many servers each wave has; nothing is launched."""
    run = drill()
    ask()
    log = capsys.readouterr().out
    assert "account 111122223333, connection aws_default" in log
    assert "Wave database: 2 server(s)" in log
    assert "A drill of orders could begin now." in log
    assert run.drills() == []


def test_what_would_refuse_a_drill_is_red_and_every_finding_is_told(
    drill: Callable[..., SimulatedDrill], capsys: pytest.CaptureFixture[str]
) -> None:
    """With code and remedy; Airflow does not retry what a retry cannot help."""
    run = drill()
    for server in (DATABASE[0], APPLICATION[1]):
        run.simulation.arm(ReplicationChange(kind="replication", servers=[server], state="STALLED"))
    message = refusal()
    log = capsys.readouterr().out
    assert message.startswith("[UNHEALTHY_SERVER_REPLICATION] 2 findings")
    for server in (DATABASE[0], APPLICATION[1]):
        assert server in message
        assert re.search(rf"error +UNHEALTHY_SERVER_REPLICATION +\w+ +{server}", log)
    assert "What to do: " in message


def test_a_server_that_another_s_job_holds_is_told_at_once(drill: Callable[..., SimulatedDrill]) -> None:
    """A drill would wait for it; here nothing is waited for."""
    run = drill()
    run.simulation.arm(ForeignJob(kind="foreign_job", servers=[DATABASE[1]], seconds=600))
    message = refusal()
    assert message.startswith("[SERVER_CONFLICT]")
    assert DATABASE[1] in message


@pytest.fixture
def launching(drill: Callable[..., SimulatedDrill], monkeypatch: pytest.MonkeyPatch) -> SimulatedDrill:
    """A drill of the plan whose wave `database` has two live jobs, and which owns the plan."""
    run = drill(make_plan(launch={"server_delay": "1s"}), run_id=DRILL_RUN)
    Ledger(run.store).save_run(run.run)
    launch = run.start_launch()
    while not all(server.job_id for server in launch.record.timeline.servers):
        launch.advance()
        run.pass_time(1)
    monkeypatch.setenv(f"AIRFLOW_VAR_{DRILL_DAG}__OWNER".upper(), DRILL_RUN)
    assert len(run.drills()) == 2
    return run


def test_a_drill_under_way_is_not_in_its_own_plan_s_way(launching: SimulatedDrill) -> None:
    """Its live jobs, known by its ledger, hold the plan's servers, as they should."""
    ask(ledger=launching.store, state="running")


def test_nor_is_its_clean_up(launching: SimulatedDrill) -> None:
    """The TERMINATE job, which bears no tag, is known by the same ledger."""
    launching.finish_jobs()
    launching.start_clean_up().advance()
    assert {job.type for job in launching.drs.jobs.values() if job.live} == {"TERMINATE"}
    ask(ledger=launching.store, state="running")


def test_jobs_that_outlive_their_drill_are_findings(launching: SimulatedDrill) -> None:
    """The run has ended, or was deleted: a new drill would meet its jobs as anybody's."""
    assert "SERVER_CONFLICT" in refusal(ledger=launching.store, state="failed")
    assert "SERVER_CONFLICT" in refusal(ledger=launching.store)


def test_a_job_that_the_drill_began_meanwhile_is_its_own_too(launching: SimulatedDrill) -> None:
    """The ledger is read again when a server is held: the drill goes on while it is looked at."""
    whole = launching.store

    class Behind(MemoryStore):
        """A ledger that has the launch from the second time on that the run is asked for."""

        asked = 0

        def get(self, key: str) -> Any:
            if key == "run":
                self.asked += 1
            return whole.get(key) if key == "run" or self.asked > 1 else None

    ask(ledger=Behind(), state="running")


def test_a_broken_plan_is_red(plans: Path) -> None:
    """It names file, line and key: a drill of it could not begin."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("us-east-1", "Virginia"))
    message = refusal()
    assert message.startswith("[INVALID_FIELD]")
    assert f"{path}:" in message
    assert "target.region" in message


def test_a_plan_that_vanished_meanwhile_is_said_to_be_gone() -> None:
    """Between the list and the look."""
    assert refusal("billing").startswith("[RECOVERY_PLAN_NOT_FOUND] The file of plan billing")


@pytest.mark.parametrize(
    ("operation", "code"),
    [("DescribeSourceServers", "DRS_UNAVAILABLE"), ("DescribeJobs", "CHECK_UNAVAILABLE")],
)
def test_an_aws_that_does_not_answer_is_asked_again(
    drill: Callable[..., SimulatedDrill], operation: str, code: str
) -> None:
    """By Airflow's own retries: this says nothing about the plan."""
    run = drill()
    run.simulation.arm(InternalError(kind="internal_error", operations=[operation], when="before"))
    with pytest.raises(AirflowException) as failed:
        ask()
    assert not isinstance(failed.value, AirflowFailException)
    assert str(failed.value).startswith(f"[{code}]")


def test_a_plan_that_is_unfit_is_not_asked_again(drill: Callable[..., SimulatedDrill]) -> None:
    """Also when AWS did not answer in full: what it showed is enough to refuse a drill."""
    run = drill()
    run.simulation.arm(InternalError(kind="internal_error", operations=["DescribeJobs"], when="before"))
    run.simulation.arm(ReplicationChange(kind="replication", servers=[DATABASE[0]], state="STALLED"))
    message = refusal()
    assert "[CHECK_UNAVAILABLE]" in message
    assert "[UNHEALTHY_SERVER_REPLICATION]" in message


def test_every_plan_of_the_folder_is_asked_for(plans: Path) -> None:
    """As the folder is when the run begins; a file that is no plan at all as well."""
    (plans / "torn.yaml").write_text("name: [")
    (plans / "notes.txt").write_text("")
    assert DrsListPlansOperator(task_id="plans").execute({}) == ["orders", "torn"]


def test_a_folder_that_cannot_be_read_is_red(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an installation without plans."""
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(plans / "nowhere"))
    with pytest.raises(AirflowFailException, match="RECOVERY_PLAN_NOT_FOUND") as failed:
        DrsListPlansOperator(task_id="plans").execute({})
    assert str(plans / "nowhere") in str(failed.value)
    assert "plans_folder" in str(failed.value)
