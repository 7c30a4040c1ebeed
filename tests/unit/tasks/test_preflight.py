"""The task preflight: what it reports and records, what it waits for and how long, and what a retry keeps."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from drs import compat
from drs.errors import Code
from drs.plan import Plan
from drs.preflight import Finding, Report
from drs.run.ledger import Ledger
from drs.run.ownership import job_tags
from drs.run.records import Call, LaunchRecord, Resolution
from drs.run.timeline import Timeline
from drs.tasks import drill_task, installation, triggers
from drs.tasks.hook import DrsHook
from drs.tasks.operators import preflight
from drs.tasks.operators.preflight import DrsPreflightOperator, Patience, inputs_of, launch_to_wait_by
from tests.unit.drill import NOW, MemoryStore, after, make_plan, make_run
from tests.unit.preflight.account import DATABASE, WEB, Account, two_waves
from tests.unit.task_harness import (
    AsyncClient,
    FakeStateStore,
    FakeTaskInstance,
    FakeVariables,
    make_context,
    see_through,
)
from tests.unit.versions import needs_recovery_plans, task_store

TASK = FakeTaskInstance.task_id


class Task:
    """The task preflight of one run of a plan, in an account."""

    def __init__(self, look: Account, store: MemoryStore, kept: Mapping[str, Any]) -> None:
        self.account = look
        self.ledger = Ledger(store)
        self.pushed: dict[str, Any] = {}
        self.deferrals: list[TaskDeferred] = []
        self._kept = kept

    def begin(self, plan: Plan | None = None, **run: Any) -> None:
        self.ledger.save_run(make_run(plan or two_waves(), **run))

    def run(self) -> Any:
        context = make_context() | self._kept
        context["ti"].xcom_push = lambda key, value: self.pushed.update({key: value})
        return see_through(lambda: DrsPreflightOperator(task_id="preflight"), context, self.deferrals)


@pytest.fixture
def begin(simulated_hook: Any, xcom: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """Begin a run in an account with these traits. Its tasks and triggers use the simulated clock."""

    def begin(traits: Mapping[str, Any] | None = None, *, plan: Plan | None = None, **run: Any) -> Task:
        look = Account(traits)
        task = Task(look, xcom, task_store(monkeypatch, FakeStateStore()))
        task.begin(plan, **run)

        async def sleep(seconds: float) -> None:
            look.clock.advance(seconds)
            look.simulation.tick()

        async def get_async_conn(_: DrsHook) -> AsyncClient:
            return AsyncClient(look.clients.drs.conn)

        for module in (drill_task, preflight, triggers):
            monkeypatch.setattr(module, "utc_now", look.clock.now)
        monkeypatch.setattr(preflight, "clients", lambda _: look.clients)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
        return task

    return begin


Begin = Callable[..., Task]


def test_a_run_in_good_order_records_what_it_launches(
    begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    """It records the resolution for all later tasks, and logs the servers by wave."""
    task = begin()
    returned = task.run()
    resolution = task.ledger.resolution()
    assert resolution is not None
    assert returned == resolution.model_dump(mode="json")
    assert [server.server_id for server in resolution.waves["web"].servers] == [*WEB]
    assert task.pushed == {"findings": []}
    log = capsys.readouterr().out
    assert "Preflight found no errors and no warnings." in log
    for server in (*DATABASE, *WEB):
        assert server in log


def test_an_error_fails_the_run_and_records_nothing_to_launch(
    begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    """The failure tells every error once, with its remedy; a table before it tells the warnings. Airflow does
    not retry the task.
    """
    task = begin(
        {
            DATABASE[0]: {"replication": {"state": "STALLED"}},
            WEB[0]: {"recovery_instance": {"is_drill": True, "age": "13h"}},
            WEB[1]: {"launch": {"missing": ["template"]}},
        }
    )
    with pytest.raises(AirflowFailException) as failed:
        task.run()
    assert task.ledger.resolution() is None
    assert not task.deferrals
    record = task.ledger.failure(TASK)
    assert record is not None
    assert record.code == Code.UNHEALTHY_SERVER_REPLICATION
    assert str(failed.value).count("What to do:") == 3, "one of each kind, and the remedy for all"
    assert [finding["code"] for finding in task.pushed["findings"]] == [
        "UNHEALTHY_SERVER_REPLICATION",
        "LEFTOVER_DRILL_INSTANCE",
        "LAUNCH_CONFIGURATION_INVALID",
    ]
    log = capsys.readouterr().out
    table = log.split("Preflight found 2 error(s), which are told below, and 1 warning(s):\n")[1]
    severity, code, _, server = table.splitlines()[2].split()[:4]
    assert (severity, code, server) == ("warning", "LEFTOVER_DRILL_INSTANCE", WEB[0])
    assert log.count(f"Replication of server {DATABASE[0]}") == 1


def test_warnings_alone_let_the_run_pass(begin: Begin) -> None:
    """An optional server that must not be launched is left out of the resolution."""
    task = begin({WEB[0]: {"recovery_instance": {"is_drill": False}}}, plan=two_waves(optional=["web"]))
    task.run()
    resolution = task.ledger.resolution()
    assert resolution is not None
    assert [server.server_id for server in resolution.waves["web"].servers] == [WEB[1]]
    assert [finding["severity"] for finding in task.pushed["findings"]] == ["warning"]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_holder_is_waited_for_to_its_end(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    """The run goes on when the holder has ended, before the backoff is over."""
    monkeypatch.setenv("AIRFLOW__DRS__DEFERRABLE", str(deferrable))
    task = begin(plan=two_waves(launch={"conflict_backoff": ["10m"]}))
    task.account.arm(kind="foreign_job", servers=[WEB[0]], seconds=100)
    began = task.account.clock.now()
    task.run()
    assert task.ledger.resolution() is not None
    assert 100 <= (task.account.clock.now() - began).total_seconds() <= 104
    assert len(task.deferrals) == deferrable
    assert task.pushed == {"findings": []}


def test_a_server_that_another_plan_s_run_drills_is_waited_for(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its drill instance holds the server as long as that run is active. Airflow is asked at every look."""
    variables = FakeVariables()
    for module in (compat, installation):
        monkeypatch.setattr(module, "Variable", variables)
    task = begin(plan=two_waves(launch={"conflict_backoff": ["60s"]}), installation="installation-1")
    theirs = make_run(
        make_plan(name="billing"), run_id="run-9", token="theirs", installation="installation-1"
    )
    task.account.start(WEB[0], tags=job_tags(theirs, "web"))
    task.account.finish_jobs()
    began = task.account.clock.now()
    asked: list[tuple[str, str]] = []

    def state(_: FakeTaskInstance, dag_id: str, run_id: str) -> str:
        asked.append((dag_id, run_id))
        return "running" if len(asked) <= 2 else "success"

    monkeypatch.setattr(FakeTaskInstance, "get_dr_count", lambda *_, **__: 1)
    monkeypatch.setattr(FakeTaskInstance, "get_dagrun_state", state)
    monkeypatch.setattr(FakeTaskInstance, "get_task_states", lambda *_, **__: {})
    task.run()
    assert asked == [("drs_drill__billing", "run-9")] * 3
    assert (task.account.clock.now() - began).total_seconds() == 120
    assert task.ledger.resolution() is not None
    assert [finding["code"] for finding in task.pushed["findings"]] == ["LEFTOVER_DRILL_INSTANCE"]


@needs_recovery_plans
def test_a_wait_follows_the_backoff_and_ends_at_its_time_out(begin: Begin) -> None:
    """It waits 30 s, then 60 s repeatedly; after 200 s the finding fails the run."""
    launch = {"conflict_backoff": ["30s", "60s"], "conflict_timeout": "200s"}
    task = begin(plan=two_waves(launch=launch))
    task.account.arm(kind="plan_execution", servers=[WEB[0]])
    began = task.account.clock.now()
    with pytest.raises(AirflowFailException, match="SERVER_CONFLICT"):
        task.run()
    ends = [dt.datetime.fromisoformat(each.trigger.serialize()[1]["deadline"]) for each in task.deferrals]
    assert [(end - began).total_seconds() for end in ends] == [30, 90, 150, 200]


def test_a_dry_run_does_not_wait(begin: Begin) -> None:
    """It reports what it finds now."""
    task = begin(dry_run=True)
    task.account.arm(kind="foreign_job", servers=[WEB[0]], seconds=100)
    with pytest.raises(AirflowFailException, match="SERVER_CONFLICT"):
        task.run()
    assert not task.deferrals


def test_what_does_not_heal_is_not_waited_for(begin: Begin) -> None:
    """Another error remains, so it would not help if the holder ended."""
    task = begin({DATABASE[0]: {"replication": {"state": "STALLED"}}})
    task.account.arm(kind="foreign_job", servers=[WEB[0]], seconds=100)
    with pytest.raises(AirflowFailException, match="2 findings stop this run"):
        task.run()
    assert not task.deferrals


def test_a_cleared_preflight_keeps_the_servers_of_the_first(begin: Begin) -> None:
    """Even if the group has lost one of its servers since."""
    tags = {server: {"tags": {"Tier": "web"}} for server in WEB}
    groups = {"database": {"source_servers": DATABASE}, "web": {"server_tags": {"Tier": "web"}}}
    task = begin(tags, plan=two_waves(protection_groups=groups))
    task.run()
    first = task.ledger.resolution()
    task.account.clients.drs.conn.untag_resource(
        resourceArn=task.account.drs.servers[WEB[0]].arn, tagKeys=["Tier"]
    )
    task.run()
    assert task.ledger.resolution() == first


def test_the_question_knows_what_the_run_has_launched(xcom: MemoryStore) -> None:
    """Its own jobs and their instances are no findings."""
    run = make_run(
        two_waves(),
        recovery_point=NOW,
        execution_type="RECOVERY",
        exclude_servers=[WEB[0]],
        installation="abc",
    )
    ledger = Ledger(xcom)
    timeline = Timeline(
        jobs="per_server",
        server_delay=1,
        conflict_backoff=(1,),
        conflict_timeout=1,
        servers=(),
    )
    calls = (Call(at=NOW, servers=DATABASE, job_id="drsjob-1"), Call(at=NOW, servers=DATABASE))
    ledger.save_launch("database", LaunchRecord(timeline=timeline, calls=calls))
    ledger.save_resolution(Resolution(waves={}))
    question = inputs_of(run, ledger, lambda job: None)
    assert question.own_jobs == {"drsjob-1"}
    assert (question.token, question.installation) == (run.token, "abc")
    assert question.resolved == Resolution(waves={})
    assert (question.recovery_point, question.execution_type) == (NOW, "RECOVERY")
    assert question.exclude_servers == (WEB[0],)


@pytest.mark.parametrize(("waves", "expected"), [(["web"], 300), (["database", "web"], 120), ([None], 60)])
def test_the_least_patient_wave_that_is_concerned_sets_the_wait(
    waves: list[str | None], expected: int
) -> None:
    """A finding that names no wave concerns every wave of the run."""
    timeouts = {"database": "2m", "web": "5m", "extra": "1m", "unchosen": "1s"}
    plan = two_waves(
        protection_groups={name: {"source_servers": [f"s-{n:017x}"]} for n, name in enumerate(timeouts)},
        waves=[
            {"name": name, "protection_groups": [name], "launch": {"conflict_timeout": timeout}}
            for name, timeout in timeouts.items()
        ],
    )
    findings = tuple(Finding(Code.SERVER_CONFLICT, "", "", wave=wave) for wave in waves)
    launch = launch_to_wait_by(plan, Report(findings), ["database", "web", "extra"])
    assert launch.conflict_timeout.total_seconds() == expected


def test_patience_is_kept_as_json() -> None:
    """So that the next process of the task can read it."""
    patience = Patience(since=after(3)).after_a_look()
    assert Patience.from_json(patience.as_json()) == patience
