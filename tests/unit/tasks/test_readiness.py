"""Readiness: each plan's preflight between drills fails exactly where a drill would be refused."""

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

from drs.evidence.storage import LocalStorage
from drs.evidence.store import EvidenceStore
from drs.run.ledger import Ledger, Store
from drs.run.ownership import job_tags
from drs.run.records import Resolution
from drs.tasks.operators.readiness import DrsListPlansOperator, DrsReadinessOperator
from simulator.engine.faults import ForeignJob, InternalError, ReplicationChange
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_plan, make_run
from tests.unit.evidence.runs import found, passed_run, resolved
from tests.unit.simulated import SimulatedDrill
from tests.unit.task_harness import FakeTaskInstance

HERE = "installation-1"
DRILL_DAG, DRILL_RUN = FakeTaskInstance.dag_id, "manual__2026-03-01T06:00:00+00:00"


class ReadinessTask(FakeTaskInstance):
    """The task instance: it reads the drill's XCom from another DAG.

    :param ledger: the XCom of the drill's ``begin``
    :param runs: run id to state, of the drill's DAG
    """

    def __init__(self, ledger: Store, runs: dict[str, str]) -> None:
        super().__init__(runs=runs)
        self.ledger = ledger

    def xcom_pull(
        self,
        *,
        task_ids: str,
        key: str = "return_value",
        dag_id: str | None = None,
        run_id: str | None = None,
    ) -> Any:
        assert (task_ids, dag_id, run_id) == ("begin", DRILL_DAG, DRILL_RUN)
        return self.ledger.get(key)

    def get_task_states(
        self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None = None
    ) -> dict[str, dict[str, str | None]]:
        assert (dag_id, run_ids) == (DRILL_DAG, [DRILL_RUN])
        return {DRILL_RUN: {"wave_database.wait_until_launched": "deferred"}}


@pytest.fixture(autouse=True)
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plans folder, with the plan `orders`; and a connection that asks AWS once."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_VAR_DRS_INSTALLATION", HERE)
    once = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": once}))
    plan = make_plan().model_dump(mode="json", exclude_unset=True)
    (tmp_path / "orders.yaml").write_text(yaml.safe_dump(plan))
    return tmp_path


def ask(
    name: str = "orders", *, ledger: Store | None = None, state: str | None = None, paused: bool = False
) -> None:
    """Run the readiness check; ``state`` is the state of the drill with this ledger."""
    ti = ReadinessTask(ledger or MemoryStore(), {DRILL_RUN: state} if state else {})
    ti.paused = paused
    context: Any = {"ti": ti}
    DrsReadinessOperator(task_id="preflight", plan=name).execute(context)


def refusal(name: str = "orders", **more: Any) -> str:
    with pytest.raises(AirflowFailException) as refused:
        ask(name, **more)
    return str(refused.value)


def test_a_plan_that_can_be_drilled_is_green(
    drill: Callable[..., SimulatedDrill], capsys: pytest.CaptureFixture[str]
) -> None:
    """The log says which account and connection were used and how many servers each wave has. Nothing is
    launched.
    """
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
    """Each finding has code and remedy. Airflow does not retry the task, because a retry would not help."""
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
    """A drill would wait for the server; readiness does not wait."""
    run = drill()
    run.simulation.arm(ForeignJob(kind="foreign_job", servers=[DATABASE[1]], seconds=600))
    message = refusal()
    assert message.startswith("[SERVER_CONFLICT]")
    assert DATABASE[1] in message


@pytest.mark.parametrize("active", [True, False])
def test_a_server_that_another_plan_s_run_drills_is_told_at_once(
    drill: Callable[..., SimulatedDrill], monkeypatch: pytest.MonkeyPatch, active: bool
) -> None:
    """A drill would wait for that run. What a run has left that has ended would be replaced."""
    run = drill()
    theirs = make_run(make_plan(name="billing"), run_id="run-9", token="theirs", installation=HERE)
    monkeypatch.setenv("AIRFLOW_VAR_DRS_DRILL__BILLING__RUN", json.dumps(theirs.model_dump(mode="json")))
    run.hook.start_recovery([DATABASE[1]], tags=job_tags(theirs, "web"))
    run.finish_jobs()
    monkeypatch.setattr(ReadinessTask, "get_dr_count", lambda *_, dag_id, **__: dag_id == theirs.dag_id)
    state = "running" if active else "success"
    monkeypatch.setattr(ReadinessTask, "get_dagrun_state", lambda *_: state)
    monkeypatch.setattr(ReadinessTask, "get_task_states", lambda *_, **__: {})
    monkeypatch.setattr(ReadinessTask, "xcom_pull", lambda *_, **__: None)
    if active:
        message = refusal()
        assert message.startswith("[SERVER_CONFLICT]")
        assert "belongs to run run-9 of plan billing, which is active (no task is running)" in message
    else:
        ask()


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvidenceStore:
    """The configured evidence store, which has no record yet."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(tmp_path / "evidence"))
    return EvidenceStore(LocalStorage(tmp_path / "evidence"))


def test_the_log_says_that_nothing_has_changed_since_the_last_full_pass(
    drill: Callable[..., SimulatedDrill], records: EvidenceStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before that, it says that no full drill has passed. A partial pass is none."""
    drill()
    records.keep(found(passed_run(make_run(make_plan(), waves=["application"]))))
    ask()
    assert "None of the plan's last 50 records is of a full drill that passed." in capsys.readouterr().out
    records.keep(found(passed_run(make_run(make_plan(), run_id="run-2"))))
    ask()
    log = capsys.readouterr().out
    assert "Last full pass: 2026-03-01 06:00 UTC (orders-000002)." in log
    assert "Neither the plan nor the servers that its tags match have changed since then." in log


def test_the_log_says_what_has_changed_since_the_last_full_pass(
    drill: Callable[..., SimulatedDrill],
    records: EvidenceStore,
    plans: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Keys of the file, and servers that its tags match now. It is no finding: a drill could begin."""
    run = drill()
    for server in DATABASE:
        run.drs.servers[server].tags["Tier"] = "database"
    groups = {
        "database": {"server_tags": {"Tier": "database"}},
        "application": {"source_servers": [*APPLICATION]},
    }
    ledger = passed_run(make_run(make_plan(protection_groups=groups)))
    first = resolved("database").model_copy(update={"servers": resolved("database").servers[:1]})
    ledger.save_resolution(Resolution(waves={"database": first, "application": resolved("application")}))
    records.keep(found(ledger))
    now = make_plan(protection_groups=groups, launch={"job_timeout": "90m"})
    text = yaml.safe_dump(now.model_dump(mode="json", exclude_unset=True))
    (plans / "orders.yaml").write_text(text)
    ask()
    log = capsys.readouterr().out
    assert "The plan's file has changed since then: launch.job_timeout." in log
    assert (
        f"The servers that its tags match have changed since then: wave database: added {DATABASE[1]}." in log
    )
    assert "A drill of orders could begin now." in log


def test_records_that_cannot_be_read_are_a_note(
    drill: Callable[..., SimulatedDrill], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readiness is about the next drill, not about the last one."""
    drill()
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", "nothing://records")
    ask()
    assert "Whether the plan has changed since its last full pass is not known: " in capsys.readouterr().out


@pytest.fixture
def launching(drill: Callable[..., SimulatedDrill], monkeypatch: pytest.MonkeyPatch) -> SimulatedDrill:
    """A drill that owns the plan, and whose wave `database` has two live jobs."""
    run = drill(make_plan(launch={"server_delay": "1s"}), run_id=DRILL_RUN, installation="0123456789ab")
    Ledger(run.store).save_run(run.run)
    launch = run.start_launch()
    while not all(server.job_id for server in launch.record.timeline.servers):
        launch.advance()
        run.pass_time(1)
    monkeypatch.setenv(f"AIRFLOW_VAR_{DRILL_DAG}__OWNER".upper(), DRILL_RUN)
    monkeypatch.setenv(f"AIRFLOW_VAR_{DRILL_DAG}__RUN".upper(), run.run.model_dump_json())
    monkeypatch.setenv("AIRFLOW_VAR_DRS_INSTALLATION", "0123456789ab")
    assert len(run.drills()) == 2
    return run


def test_a_drill_under_way_is_not_in_its_own_plan_s_way(launching: SimulatedDrill) -> None:
    """Its live jobs, known from its ledger, may hold the plan's servers."""
    ask(ledger=launching.store, state="running")


def test_nor_is_its_clean_up(launching: SimulatedDrill) -> None:
    """The TERMINATE job has no tag, and is known from the same ledger."""
    launching.finish_jobs()
    launching.start_clean_up().advance()
    assert {job.type for job in launching.drs.jobs.values() if job.live} == {"TERMINATE"}
    ask(ledger=launching.store, state="running")


def test_jobs_that_outlive_their_drill_are_findings(launching: SimulatedDrill) -> None:
    """After the run has ended or was deleted, its jobs block a new drill like any other jobs."""
    assert "SERVER_CONFLICT" in refusal(ledger=launching.store, state="failed")
    assert "SERVER_CONFLICT" in refusal(ledger=launching.store)


def test_a_job_that_the_drill_began_meanwhile_is_its_own_too(launching: SimulatedDrill) -> None:
    """The ledger is read again if a server is held, because the drill may have started more jobs."""
    whole = launching.store

    class Behind(MemoryStore):
        """A ledger that holds the launch only from the second time on that the run is read."""

        asked = 0

        def get(self, key: str) -> Any:
            if key == "run":
                self.asked += 1
            return whole.get(key) if key == "run" or self.asked > 1 else None

    ask(ledger=Behind(), state="running")


def test_a_drill_that_stands_still_is_a_finding(launching: SimulatedDrill) -> None:
    """Its own jobs are none, so without this nothing would say that they hold the plan's servers."""
    message = refusal(ledger=launching.store, state="running", paused=True)
    assert message.startswith("[DRILL_FROZEN]")
    assert "it will launch" in message
    assert f"Unpause the DAG {DRILL_DAG}" in message


@pytest.mark.parametrize("state", ["success", None])
def test_what_an_ended_drill_has_left_is_a_finding(launching: SimulatedDrill, state: str | None) -> None:
    """A drill would replace it, but it is nobody's and costs money until then."""
    launching.finish_jobs()
    message = refusal(ledger=launching.store, state=state)
    assert message.startswith("[ORPHANED_DRILL_INSTANCE] 2 drill instance(s) of plan orders")


def test_a_broken_plan_is_red(plans: Path) -> None:
    """The message names file, line and key."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("us-east-1", "Virginia"))
    message = refusal()
    assert message.startswith("[INVALID_FIELD]")
    assert f"{path}:" in message
    assert "target.region" in message


def test_a_plan_that_vanished_meanwhile_is_said_to_be_gone() -> None:
    """The file was removed after the plans were listed."""
    assert refusal("billing").startswith("[RECOVERY_PLAN_NOT_FOUND] The file of plan billing")


@pytest.mark.parametrize(
    ("operation", "code"),
    [("DescribeSourceServers", "DRS_UNAVAILABLE"), ("DescribeJobs", "CHECK_UNAVAILABLE")],
)
def test_an_aws_that_does_not_answer_is_asked_again(
    drill: Callable[..., SimulatedDrill], operation: str, code: str
) -> None:
    """Airflow retries the task, because a missing answer says nothing about the plan."""
    run = drill()
    run.simulation.arm(InternalError(kind="internal_error", operations=[operation], when="before"))
    with pytest.raises(AirflowException) as failed:
        ask()
    assert not isinstance(failed.value, AirflowFailException)
    assert str(failed.value).startswith(f"[{code}]")


def test_a_plan_that_is_unfit_is_not_asked_again(drill: Callable[..., SimulatedDrill]) -> None:
    """Even if AWS answered only in part: the answers are enough to refuse a drill."""
    run = drill()
    run.simulation.arm(InternalError(kind="internal_error", operations=["DescribeJobs"], when="before"))
    run.simulation.arm(ReplicationChange(kind="replication", servers=[DATABASE[0]], state="STALLED"))
    message = refusal()
    assert "[CHECK_UNAVAILABLE]" in message
    assert "[UNHEALTHY_SERVER_REPLICATION]" in message


def test_every_plan_of_the_folder_is_asked_for(plans: Path) -> None:
    """The folder is read when the run begins; a file that is not a valid plan is listed too."""
    (plans / "torn.yaml").write_text("name: [")
    (plans / "notes.txt").write_text("")
    assert DrsListPlansOperator(task_id="plans").execute({}) == ["orders", "torn"]


def test_a_folder_that_cannot_be_read_is_red(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not look like a folder without plans."""
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(plans / "nowhere"))
    with pytest.raises(AirflowFailException, match="RECOVERY_PLAN_NOT_FOUND") as failed:
        DrsListPlansOperator(task_id="plans").execute({})
    assert str(plans / "nowhere") in str(failed.value)
    assert "plans_folder" in str(failed.value)
