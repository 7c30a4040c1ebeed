"""The tasks that launch a wave and clean up: what they do before they call DRS."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from botocore.exceptions import EndpointConnectionError

from drs import compat
from drs.launch.wave_launch import WaveLaunch
from drs.plan import Plan
from drs.run.ledger import Ledger, SupersededError
from drs.run.ownership import job_tags
from drs.run.records import ApprovalRecord, LaunchRecord, Resolution, ResolvedServer, WaveResolution
from drs.run.timeline import Timeline
from drs.tasks import drill_task, installation, standing, triggers
from drs.tasks.hook import DrsHook
from drs.tasks.installation import kept_jobs
from drs.tasks.links import DrsJobHistoryLink
from drs.tasks.operators import begin, start_recovery
from drs.tasks.operators.start_recovery import RESUME_LEAD, DrsStartRecoveryOperator
from drs.tasks.operators.terminate import DrsTerminateRecoveryInstancesOperator
from simulator.engine.faults import TagsRefused
from simulator.engine.model import Job as SimulatedJob
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_plan, make_run
from tests.unit.simulated import SimulatedDrill, describe_ec2
from tests.unit.task_harness import AsyncClient, FakeTaskInstance, FakeVariables, make_context, see_through

A, B = DATABASE
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


# --- against the simulated DRS ----------------------------------------------------------------------------

HERE = "installation-1"
BILLING = "drs_drill__billing"


class AnyRun(FakeTaskInstance):
    """A task instance that Airflow also tells of the runs of plan billing."""

    def __init__(self, states: dict[str, str | None], billing: dict[str, str]) -> None:
        super().__init__(states)
        self.billing = billing
        """The state of each of its runs."""

    def get_dr_count(
        self, *, dag_id: str, run_ids: list[str] | None = None, states: list[str] | None = None
    ) -> int:
        return len(set(run_ids or ()) & set(self.billing)) if dag_id == BILLING else 0

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        assert dag_id == BILLING
        return self.billing[run_id]

    def get_task_states(
        self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None = None
    ) -> dict[str, dict[str, str | None]]:
        if dag_id == BILLING:
            return {run_ids[0]: {"wave_web.approve": "awaiting_input"}}
        return super().get_task_states(dag_id=dag_id, run_ids=run_ids, task_ids=task_ids)


class Launch:
    """The task that launches a wave of a run whose preflight has passed."""

    def __init__(self, run: SimulatedDrill) -> None:
        self.run = run
        self.ti = AnyRun({}, {"scheduled__2": "running"})
        self.deferrals: list[TaskDeferred] = []

    def __call__(self, wave: str = "database") -> Any:
        def make() -> DrsStartRecoveryOperator:
            task = DrsStartRecoveryOperator(task_id="start_recovery", wave=wave)
            vars(task)["hook"] = self.run.hook
            vars(task)["_ec2"] = describe_ec2
            return task

        return see_through(make, {"ti": self.ti}, self.deferrals)

    def billing_drills(self, *servers: str, installation: str = HERE) -> SimulatedJob:
        """A run of plan billing drills these servers; it has launched them."""
        run = make_run(
            make_plan(name="billing"), run_id="scheduled__2", token="theirs", installation=installation
        )
        named = [(server, None) for server in servers]
        job = self.run.drs.start_recovery(named, is_drill=True, tags=job_tags(run, "web"))
        self.run.finish_jobs()
        return job


@pytest.fixture
def start(
    drill: Callable[..., SimulatedDrill],
    xcom: MemoryStore,
    variables: FakeVariables,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Launch]:
    """Begin a run. Its tasks and triggers use the simulated clock."""

    def start(**parts: Any) -> Launch:
        run = drill(make_plan(**{"launch": {"jobs": "per_wave"}, **parts}), installation=HERE)
        run.store = xcom
        run.ledger.save_run(run.run)
        waves = {name: WaveResolution(servers=tuple(run.resolved(name))) for name in run.run.waves}
        run.ledger.save_resolution(Resolution(waves=waves))
        run.ledger.save_reached("database", "validated", run.clock.now())
        run.ledger.save_reached("database", "started", run.clock.now())

        async def sleep(seconds: float) -> None:
            run.pass_time(seconds)

        async def get_async_conn(_: DrsHook) -> AsyncClient:
            return AsyncClient(run.hook.conn)

        for module in (drill_task, start_recovery, standing, triggers):
            monkeypatch.setattr(module, "utc_now", run.clock.now)
        for module in (compat, installation):
            monkeypatch.setattr(module, "Variable", variables)
        monkeypatch.setattr(start_recovery, "WaveLaunch", functools.partial(WaveLaunch, now=run.clock.now))
        monkeypatch.setattr(time, "sleep", run.pass_time)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
        monkeypatch.setattr(DrsHook, "conn_region_name", "us-east-1", raising=False)
        monkeypatch.setattr(DrsJobHistoryLink, "persist", lambda **_: None)
        return Launch(run)

    return start


def test_a_server_of_another_plan_s_active_run_is_waited_for(start: Callable[..., Launch]) -> None:
    """The task launches it once that run has ended, although the instance is still there."""
    launch = start(launch={"jobs": "per_wave", "conflict_backoff": ["60s"]})
    theirs = launch.billing_drills(A)
    began = launch.run.clock.now()
    ends = iter([False, False, True])

    def state(dag_id: str, run_id: str) -> str:
        return "success" if next(ends, True) else "running"

    launch.ti.get_dagrun_state = state  # type: ignore[method-assign]
    jobs = launch()
    assert sorted(server for servers in jobs.values() for server in servers) == sorted(DATABASE)
    (mine,) = [job for job in launch.run.drills(A) if job is not theirs]
    assert mine.created - began == dt.timedelta(seconds=120)
    assert {each.method_name for each in launch.deferrals} == {"resume"}


def test_a_server_that_another_plan_s_run_never_leaves_is_named(start: Callable[..., Launch]) -> None:
    """SERVER_CONFLICT says which instance, plan and run hold it, and what that run waits for."""
    launch = start(launch={"jobs": "per_wave", "conflict_timeout": "5m"})
    theirs = launch.billing_drills(A)
    (instance,) = launch.run.instances()
    with pytest.raises(AirflowFailException, match="SERVER_CONFLICT") as failed:
        launch()
    assert (
        f"Wave database: 1 server(s) could not be launched. {A}: still refused 300 s after the first "
        f"refusal, because drill instance {instance} belongs to run scheduled__2 of plan billing, which is "
        "active: its task wave_web.approve waits for a person's answer."
    ) in str(failed.value)
    assert launch.run.drills(A) == [theirs]
    assert launch.run.instances() >= {instance}
    assert len(launch.run.drills(B)) == 1


def test_a_leftover_of_another_plan_s_run_is_replaced(start: Callable[..., Launch]) -> None:
    """That run has ended. Its instance holds nothing, however young it is."""
    launch = start()
    theirs = launch.billing_drills(A)
    launch.ti.billing["scheduled__2"] = "failed"
    began = launch.run.clock.now()
    (job_id,) = launch()
    assert job_id != theirs.id
    assert launch.run.clock.now() == began


def test_a_drill_of_another_airflow_is_waited_for_until_its_grace_is_over(
    start: Callable[..., Launch],
) -> None:
    """This Airflow cannot ask about its run."""
    settings = {"jobs": "per_wave", "foreign_drill_grace": "20m", "conflict_timeout": "1h"}
    launch = start(launch=settings)
    theirs = launch.billing_drills(A, installation="installation-2")
    launch()
    (mine,) = [job for job in launch.run.drills(A) if job is not theirs]
    assert mine.created >= theirs.created + dt.timedelta(minutes=20)


def test_a_wave_is_not_launched_beside_a_lost_one(start: Callable[..., Launch]) -> None:
    """Somebody terminated an instance of the first wave. The failure is on record for the verdict."""
    launch = start()
    run = launch.run
    run.end_wave("database")
    run.pass_time(120)
    gone = next(each for each in run.drs.recovery_instances.values() if each.server_id == A)
    run.hook.terminate_recovery_instances([gone.id])
    run.finish_jobs()
    with pytest.raises(AirflowFailException, match=f"RECOVERY_INSTANCE_LOST.*\n.*{gone.id}"):
        launch("application")
    assert run.drills(*APPLICATION) == []
    assert [loss.instance_id for loss in run.ledger.losses()] == [gone.id]
    failure = run.ledger.failure(FakeTaskInstance.task_id)
    assert failure is not None
    assert failure.code == "RECOVERY_INSTANCE_LOST"


def test_a_wave_whose_waves_before_it_stand_is_launched(start: Callable[..., Launch]) -> None:
    """What the run last saw is on record."""
    launch = start()
    launch.run.end_wave("database")
    launch.run.pass_time(120)
    launch("application")
    assert len(launch.run.drills(*APPLICATION)) == 1
    stood = launch.run.ledger.stood()
    assert stood is not None
    assert len(stood.instances) == 2


def test_the_clients_of_the_next_call_are_made_before_it_is_due(
    start: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To make them takes as long as many calls, and the plan says when the call is due."""
    launch = start(launch={"jobs": "per_server", "server_delay": "2s"})
    made: list[set[str]] = []

    def sleep(seconds: float) -> None:
        made.append({"conn", "unrepeated", "ec2"} & vars(launch.run.hook).keys())
        launch.run.pass_time(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    for client in ("unrepeated", "ec2"):
        vars(launch.run.hook).pop(client, None)
    launch("application")
    assert made[0] == {"conn", "unrepeated", "ec2"}


def test_clients_that_cannot_be_made_before_a_call_are_made_for_it(
    start: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS may refuse a role for a moment. A client that only waits for its call must not end the task."""
    launch = start(launch={"jobs": "per_server", "server_delay": "2s"})
    refused = mock.PropertyMock(side_effect=EndpointConnectionError(endpoint_url="https://sts"))
    monkeypatch.setattr(DrsHook, "ec2", refused, raising=False)
    launch()
    assert refused.called
    assert len(launch.run.drills(*DATABASE)) == 2


@pytest.mark.parametrize("tags", [True, False], ids=["tags", "no tags"])
def test_the_jobs_of_an_account_without_tags_are_kept_outside_the_run(
    start: Callable[..., Launch], tags: bool
) -> None:
    """If the run's XComs are deleted, nothing else shows whose they are. A tagged job shows it itself."""
    launch = start()
    if not tags:
        launch.run.simulation.arm(TagsRefused(kind="tags_refused"))
    jobs = launch()
    kept = kept_jobs(launch.run.run.dag_id, launch.run.run.token)
    assert (kept.jobs if kept else None) == (None if tags else frozenset(jobs))


def test_a_launch_whose_dag_is_deleted_meanwhile_is_known_to_the_watch(start: Callable[..., Launch]) -> None:
    """The account refuses tags. The records of the run go with its DAG while DRS makes the job."""
    launch = start()
    launch.run.simulation.arm(TagsRefused(kind="tags_refused"))
    call = launch.run.hook.start_recovery

    def delete_the_dag(*args: Any, **kwargs: Any) -> Any:
        made = call(*args, **kwargs)
        launch.run.store = MemoryStore()
        return made

    with mock.patch.object(launch.run.hook, "start_recovery", delete_the_dag):
        jobs = launch()
    kept = kept_jobs(launch.run.run.dag_id, launch.run.run.token)
    assert kept is not None
    assert kept.jobs == frozenset(jobs)


def test_a_try_that_was_overtaken_ends_without_a_word_about_the_wave(start: Callable[..., Launch]) -> None:
    """Its worker was frozen. The newer try's record stays, and so does its result."""
    launch = start()
    launch.ti.try_number = 2
    launch()
    record = launch.run.ledger.launch("database")
    launch.ti.try_number = 1
    with pytest.raises(SupersededError):
        launch()
    assert launch.run.ledger.launch("database") == record
    assert launch.run.ledger.failure(FakeTaskInstance.task_id) is None
    assert len(launch.run.drills()) == 1
