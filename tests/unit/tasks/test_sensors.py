"""A wave's gates: when they open, what closes them, and that each wait has an end."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import pytest
from airflow.sdk.bases.operator import TriggerFailureReason
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)

from drs.aws.jobs import Job
from drs.explain import explain_failure
from drs.run.records import FailureRecord, Resolution, WaveResolution
from drs.run.standing import LISTING_DELAY
from drs.tasks import drill_task, sensors, triggers
from drs.tasks.hook import DrsHook
from drs.tasks.sensors import DrsJobLaunchedSensor, DrsJobStartedSensor
from simulator.engine.faults import AccessDenied as AccessDeniedFault
from simulator.engine.faults import LaunchFailed, NoRecoveryInstanceId, StuckConversion, StuckPending
from simulator.engine.timings import Timings
from simulator.engine.world import Process
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_event, make_plan, make_run
from tests.unit.simulated import REGION, SimulatedDrill
from tests.unit.task_harness import AsyncClient, FakeTaskInstance, make_context, see_through

Begin = Callable[..., SimulatedDrill]
A, B = DATABASE
HOUR = dt.timedelta(hours=1)
ONE_OPTIONAL = {
    "protection_groups": {
        "spare": {"source_servers": [A], "optional": True},
        "main": {"source_servers": [B]},
        "application": {"source_servers": APPLICATION},
    },
    "waves": [
        {"name": "database", "protection_groups": ["spare", "main"]},
        {"name": "application", "protection_groups": ["application"]},
    ],
}


@pytest.fixture
def begin(drill: Callable[..., SimulatedDrill], xcom: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begin a run that has passed preflight. Its tasks and triggers use the simulated clock."""

    def begin(**parts: Any) -> SimulatedDrill:
        run = drill(make_plan(**parts))
        for server in run.drs.servers.values():
            server.timings = Timings(conversion=60, launch=30)
        run.store = xcom
        run.ledger.save_run(run.run)
        waves = {name: WaveResolution(servers=tuple(run.resolved(name))) for name in run.run.waves}
        run.ledger.save_resolution(Resolution(waves=waves))

        async def sleep(seconds: float) -> None:
            run.pass_time(seconds)

        async def get_async_conn(_: DrsHook) -> AsyncClient:
            return AsyncClient(run.hook.conn)

        for module in (drill_task, sensors, triggers):
            monkeypatch.setattr(module, "utc_now", run.clock.now)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
        return run

    return begin


@pytest.fixture(params=["in the triggerer", "in the worker"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to wait; the value says whether the task is deferred."""
    deferrable: bool = request.param == "in the triggerer"
    monkeypatch.setenv("AIRFLOW__DRS__DEFERRABLE", str(deferrable))
    return deferrable


def make(gate: type[sensors._WaveSensor], run: SimulatedDrill) -> Callable[[], Any]:
    """The sensor of wave database, made as each process of its task makes it."""

    def make_sensor() -> Any:
        sensor = gate(
            task_id=f"wait_{gate.__name__}",
            wave="database",
            aws_conn_id="from_the_plan_file",
            verify="/etc/ca.pem",
            botocore_config={"retries": {"mode": "adaptive"}},
        )
        vars(sensor)["hook"] = run.hook
        return sensor

    return make_sensor


def pass_gate(
    gate: type[sensors._WaveSensor], run: SimulatedDrill, deferrals: list[TaskDeferred] | None = None
) -> Any:
    return see_through(make(gate, run), make_context(), deferrals)


def failure(run: SimulatedDrill) -> FailureRecord:
    """The recorded reason why the task failed."""
    record = run.ledger.failure(FakeTaskInstance.task_id)
    assert record is not None
    return record


def reached(run: SimulatedDrill, gate: str) -> float | None:
    """When the wave's gate was reached, in seconds after the run's start."""
    at = run.ledger.reached("database", gate)
    return None if at is None else (at - run.run.began_at).total_seconds()


def hide(run: SimulatedDrill, job_id: str, *, seconds: float | None = None) -> None:
    """Let DRS not list the job, for so many seconds or forever."""
    job = run.drs.jobs.pop(job_id)

    def list_it(after: dt.timedelta) -> Process:
        yield after
        run.drs.jobs[job_id] = job

    if seconds is not None:
        run.drs.world.start(list_it(dt.timedelta(seconds=seconds)), run.clock.now())


# --- the gate 'started' -----------------------------------------------------------------------------------


def test_jobs_that_have_left_pending_open_the_gate_at_once(begin: Begin) -> None:
    """The task is not deferred."""
    run = begin(launch={"jobs": "per_wave"})
    run.launch()
    run.pass_time(1)
    deferrals: list[TaskDeferred] = []
    pass_gate(DrsJobStartedSensor, run, deferrals)
    assert deferrals == []
    assert reached(run, "started") == 1


def test_the_gate_waits_for_the_last_job_to_start(begin: Begin, waiting: bool) -> None:
    """One of two jobs stays PENDING for a minute. There is one wait, and the gate opens at the next look."""
    run = begin()
    run.simulation.arm(StuckPending(kind="stuck_pending", servers=(B,), seconds=dt.timedelta(seconds=60)))
    run.launch()
    deferrals: list[TaskDeferred] = []
    pass_gate(DrsJobStartedSensor, run, deferrals)
    assert len(deferrals) == waiting
    opened = reached(run, "started")
    assert opened is not None
    assert 75 <= opened <= 75 + 2 * 3


def test_a_job_that_never_starts_is_named_with_its_servers_and_its_last_event(
    begin: Begin, waiting: bool
) -> None:
    """The task fails at the bound, counted from the job's creation, and the gate stays closed."""
    run = begin(launch={"jobs": "per_wave", "start_timeout": "2m"})
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    run.launch()
    (job,) = run.drills()
    with pytest.raises(AirflowFailException, match="JOB_START_TIMEOUT"):
        pass_gate(DrsJobStartedSensor, run)
    told = failure(run).message
    assert "Wave database: 1 job(s) still PENDING 2 min after they were made" in told
    assert f"{job.id} (LAUNCH by START_DRILL, PENDING, created " in told
    assert f"servers {A}, {B}, last event: none" in told
    assert 120 <= (run.clock.now() - run.run.began_at).total_seconds() < 130
    never_started = explain_failure(None, [], job_status="PENDING")
    assert failure(run).details.count(f"  cause: {never_started.cause}\n") == 2
    assert failure(run).remedy.startswith(never_started.remedy)
    assert reached(run, "started") is None


def test_the_last_event_of_a_pending_job_is_told(begin: Begin) -> None:
    """DRS may write into a job's log before it counts the job as started."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    run.launch()
    (job,) = run.drills()
    job.write(run.clock.now(), "CLEANUP_START", server_id=A)
    run.pass_time(600)
    with pytest.raises(AirflowFailException, match=f"last event: .*{A}  CLEANUP_START"):
        pass_gate(DrsJobStartedSensor, run)


def test_a_job_that_drs_does_not_list_yet_is_as_good_as_pending(begin: Begin, waiting: bool) -> None:
    """The task waits, and the gate opens when DRS lists the job."""
    run = begin(launch={"jobs": "per_wave"})
    (job_id,) = run.launch().jobs
    hide(run, job_id, seconds=60)
    pass_gate(DrsJobStartedSensor, run)
    opened = reached(run, "started")
    assert opened is not None
    assert opened == 60


def test_a_job_that_drs_never_lists_is_named(begin: Begin) -> None:
    """The task fails at the bound, counted from the call that made the job, after a single deferral. The
    clock of the worker that made the call may be minutes behind, so these minutes are added.
    """
    run = begin(launch={"jobs": "per_wave", "start_timeout": "5m"})
    (job_id,) = run.launch().jobs
    hide(run, job_id)
    deferrals: list[TaskDeferred] = []
    with pytest.raises(AirflowFailException, match="JOB_START_TIMEOUT"):
        pass_gate(DrsJobStartedSensor, run, deferrals)
    assert [each.timeout for each in deferrals] == [dt.timedelta(seconds=300 + 300 + 120)]
    assert run.clock.now() - run.run.began_at == dt.timedelta(seconds=300 + 300)
    assert f"{job_id} (not listed by DRS), servers {A}, {B}, last event: none" in failure(run).message


def test_a_stuck_job_of_optional_servers_is_a_warning(
    begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    """The drill goes on without these servers."""
    run = begin(**ONE_OPTIONAL)
    run.simulation.arm(StuckPending(kind="stuck_pending", servers=(A,)))
    run.launch()
    pass_gate(DrsJobStartedSensor, run)
    assert reached(run, "started") is not None
    log = capsys.readouterr().out
    assert "All of their servers are optional: the drill goes on." in log
    assert "1 job(s) of wave database have left PENDING" in log


def test_a_stuck_job_with_one_required_server_closes_the_gate(begin: Begin) -> None:
    """An optional server in the same job makes no difference."""
    run = begin(**ONE_OPTIONAL, launch={"jobs": "per_wave"})
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    run.launch()
    with pytest.raises(AirflowFailException, match="JOB_START_TIMEOUT"):
        pass_gate(DrsJobStartedSensor, run)


# --- the gate 'launched' ----------------------------------------------------------------------------------


def test_a_launched_wave_has_a_record_of_each_server(begin: Begin, waiting: bool) -> None:
    """The record has instance and duration, for evidence and verdict. There is one wait for all jobs."""
    run = begin()
    run.launch()
    deferrals: list[TaskDeferred] = []
    servers = pass_gate(DrsJobLaunchedSensor, run, deferrals)
    assert len(deferrals) == waiting
    assert [(server["server_id"], server["name"], server["launched"]) for server in servers] == [
        (A, "db-1", True),
        (B, "db-2", True),
    ]
    assert {server["instance_id"] for server in servers} == run.instances()
    assert [server["job_id"] for server in servers] == [job.id for job in run.drills()]
    # Each from the making of its own job: 52 s until the conversion, 60 s, and 31 s to launch.
    assert [round(server["seconds"]) for server in servers] == [143, 143]
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    assert [server.model_dump(mode="json") for server in outcome.servers] == servers
    opened, ended = reached(run, "launched"), max(job.ended for job in run.drills() if job.ended)
    assert opened is not None
    assert opened - (ended - run.run.began_at).total_seconds() <= 3


def test_a_launched_server_s_times_and_the_age_of_its_data_are_recorded(begin: Begin) -> None:
    """DRS gives them: the job's creation, the server's last event, and the time of the launched snapshot."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(B,), raw_error="No capacity"))
    run.launch()
    with pytest.raises(AirflowFailException):
        pass_gate(DrsJobLaunchedSensor, run)
    (job,) = run.drills()
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    launched, failed = outcome.servers
    (item,) = run.hook.recovery_instances([A])
    assert [server.requested_at for server in outcome.servers] == [job.created] * 2
    (ended,) = [event.at for event in job.log if event.event == "LAUNCH_END" and event.server_id == A]
    assert launched.launched_at == ended
    assert launched.point_in_time == dt.datetime.fromisoformat(item["pointInTimeSnapshotDateTime"])
    assert (failed.launched_at, failed.point_in_time) == (None, None)


def test_a_failed_server_in_a_completed_job_fails_the_wave(begin: Begin, waiting: bool) -> None:
    """The message quotes DRS. The other server's result is recorded too, and the gate stays closed."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(A,), raw_error="Something odd in zone a"))
    run.launch()
    (job,) = run.drills()
    with pytest.raises(AirflowFailException, match="SERVER_LAUNCH_FAILED"):
        pass_gate(DrsJobLaunchedSensor, run)
    assert job.status == "COMPLETED"
    told = failure(run).message
    assert told == (
        f"Wave database: 1 of 2 servers did not launch. {A} (db-1) in job {job.id}: Something odd in zone a"
    )
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    assert [server.launched for server in outcome.servers] == [False, True]
    assert reached(run, "launched") is None


def test_the_log_of_a_failed_wave_ends_with_what_a_reader_needs(
    begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of the wave's servers comes first; then, for each failed server, its events, DRS's error,
    cause, remedy, and whether a retry is safe; and last the short message with its code. The verdict and the
    evidence get it too.
    """
    run = begin(launch={"jobs": "per_wave"})
    raw = "InsufficientInstanceCapacity: no m5.large in us-east-1a"
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(A,), raw_error=raw))
    run.launch()
    with pytest.raises(AirflowFailException):
        pass_gate(DrsJobLaunchedSensor, run)
    (job,), record = run.drills(), failure(run)
    table, _, told = record.details.partition("\n\n")
    assert [line.split()[:3] for line in table.splitlines()[2:]] == [
        [A, "db-1", "FAILED"],
        [B, "db-2", "launched"],
    ]
    lines = told.splitlines()
    explanation = explain_failure(raw, [])
    assert lines[0] == f"{A} (db-1) in job {job.id}"
    assert [line.split()[-1] for line in lines[1:-3]] == [
        "JOB_START",
        "SNAPSHOT_START",
        "SNAPSHOT_END",
        "CONVERSION_START",
        "CONVERSION_END",
        "LAUNCH_START",
        "LAUNCH_FAILED",
        "JOB_END",
    ]
    assert lines[-3:] == [
        f"  raw error: {raw}",
        f"  cause: {explanation.cause}",
        f"  retry: {explanation.retry}",
    ]
    assert record.message == (
        f"Wave database: 1 of 2 servers did not launch. {A} (db-1) in job {job.id}: "
        f"EC2 has no capacity for the instance type ({raw})"
    )
    log = capsys.readouterr().out
    assert log.index("[SERVER_LAUNCH_FAILED]") < log.index(lines[-1]) < log.index("What to do: Launch again")
    assert log.count(explanation.remedy) == 1


def test_servers_that_failed_for_one_cause_are_told_together(begin: Begin) -> None:
    """The message has the cause and the remedy only once."""
    run = begin(launch={"jobs": "per_wave"})
    raw = "VcpuLimitExceeded: 32"
    run.simulation.arm(LaunchFailed(kind="launch_failed", raw_error=raw))
    run.launch()
    with pytest.raises(AirflowFailException):
        pass_gate(DrsJobLaunchedSensor, run)
    (job,), record = run.drills(), failure(run)
    assert record.message.endswith(
        f"{A} (db-1) in job {job.id}, {B} (db-2) in job {job.id}: the account's vCPU quota is used up ({raw})"
    )
    assert record.remedy.splitlines() == [
        explain_failure(raw, []).remedy,
        sensors.THEN_LAUNCH_AGAIN,
    ]


def test_a_permission_that_drs_lacked_inside_the_job_is_access_denied(begin: Begin) -> None:
    """DRS acts with the caller's permissions, so the remedy has the statement to add."""
    run = begin(launch={"jobs": "per_wave"})
    raw = "You are not authorized to perform: ec2:RunInstances"
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(A,), raw_error=raw))
    run.launch()
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        pass_gate(DrsJobLaunchedSensor, run)
    assert '"Action": ["ec2:RunInstances"]' in failure(run).remedy


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("You are not authorized to perform: ec2:RunInstances", "ACCESS_DENIED"),
        (
            "User: arn:aws:sts::111122223333:assumed-role/drs/x is not authorized to perform: "
            "ec2:RunInstances "
            "because no service control policy allows the ec2:RunInstances action",
            "ACCESS_DENIED",
        ),
        ("VcpuLimitExceeded: 32", "SERVER_LAUNCH_FAILED"),
    ],
    ids=["role", "organisation", "quota"],
)
def test_a_failed_launch_is_repeated_as_its_remedy_says(begin: Begin, raw: str, code: str) -> None:
    """To clear the gate alone judges the same job again. To clear the wave's start_recovery, with the tasks
    after it, launches again what did not launch, and nothing else.
    """
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(A,), raw_error=raw, count=1))
    run.launch()
    for _ in range(2):
        with pytest.raises(AirflowFailException, match=code):
            pass_gate(DrsJobLaunchedSensor, run)
    told = failure(run).remedy
    assert told.endswith(sensors.THEN_LAUNCH_AGAIN)
    assert "clear this wave's start_recovery with all tasks after it" in told
    assert "clear this task" not in told
    run.launch(retry=True)
    servers = pass_gate(DrsJobLaunchedSensor, run)
    assert [server["launched"] for server in servers] == [True, True]
    assert [job.server_ids for job in run.drills()] == [[A, B], [A]]


def begin_another(run: SimulatedDrill) -> None:
    """A new run of the plan, which has passed preflight."""
    run.run = make_run(run.plan, run_id="manual__2", token="fedcba9876543210", began_at=run.clock.now())
    assert isinstance(run.store, MemoryStore)
    run.store.values.clear()
    run.ledger.save_run(run.run)
    waves = {name: WaveResolution(servers=tuple(run.resolved(name))) for name in run.run.waves}
    run.ledger.save_resolution(Resolution(waves=waves))


@pytest.mark.parametrize(
    ("gate", "fault", "code"),
    [
        (DrsJobStartedSensor, StuckPending(kind="stuck_pending", seconds=HOUR), "JOB_START_TIMEOUT"),
        (DrsJobLaunchedSensor, StuckConversion(kind="stuck_conversion", seconds=HOUR), "JOB_TIMEOUT"),
    ],
    ids=["JOB_START_TIMEOUT", "JOB_TIMEOUT"],
)
def test_a_new_run_is_started_once_a_late_job_has_ended(
    begin: Begin, gate: Any, fault: Any, code: str
) -> None:
    """As the remedy says: before that, the job holds its servers."""
    run = begin(launch={"jobs": "per_wave", "start_timeout": "2m", "job_timeout": "10m"})
    armed = run.simulation.arm(fault)
    run.launch()
    with pytest.raises(AirflowFailException, match=code):
        pass_gate(gate, run)
    assert failure(run).remedy.endswith(sensors.ONCE_ENDED)
    run.finish_jobs()
    run.simulation.disarm(armed.id)
    begin_another(run)
    run.launch()
    assert [server["launched"] for server in pass_gate(DrsJobLaunchedSensor, run)] == [True, True]


def test_a_new_run_is_started_after_somebody_has_ended_an_instance(begin: Begin) -> None:
    """As the remedy of RECOVERY_INSTANCE_LOST says."""
    run = begin(launch={"jobs": "per_wave"})
    run.launch()
    pass_gate(DrsJobLaunchedSensor, run)
    run.hook.terminate_recovery_instances([next(iter(run.instances()))])
    run.finish_jobs()
    begin_another(run)
    run.launch()
    assert [server["launched"] for server in pass_gate(DrsJobLaunchedSensor, run)] == [True, True]


def test_an_optional_server_that_failed_is_a_warning(
    begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its failure is recorded, and the drill goes on."""
    run = begin(**ONE_OPTIONAL)
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(A,), raw_error="No capacity"))
    run.launch()
    servers = pass_gate(DrsJobLaunchedSensor, run)
    assert [(server["launched"], server["error"]) for server in servers] == [
        (False, "No capacity"),
        (True, None),
    ]
    assert reached(run, "launched") is not None
    log = capsys.readouterr().out
    assert "not launched (optional)" in log
    assert re.search(rf"\[warning  \] {A} \(db-1\) in job drsjob-\w+: No capacity", log)
    assert f"What to do: {explain_failure('No capacity', []).remedy}" in log


def test_a_launch_without_any_instance_is_a_failure(begin: Begin) -> None:
    """DRS says LAUNCHED, but nothing names an instance, so nothing is proven. DRS gets 90 s to name one."""
    run = begin(launch={"jobs": "per_wave"})
    run.launch()
    run.finish_jobs()
    ended = run.drills()[0].ended
    assert ended is not None
    run.drs.recovery_instances.clear()
    for participant in run.drills()[0].participants:
        participant.recovery_instance_id = None
    with (
        mock.patch.object(run.hook, "job_log", return_value=[]),
        pytest.raises(AirflowFailException, match="DRS reports LAUNCHED, but the job, its log"),
    ):
        pass_gate(DrsJobLaunchedSensor, run)
    assert run.clock.now() - ended == LISTING_DELAY


def test_an_instance_that_drs_names_a_little_later_is_waited_for(begin: Begin, waiting: bool) -> None:
    """The job, its log and the list of instances may each be read as they were a minute ago."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(NoRecoveryInstanceId(kind="no_recovery_instance_id"))
    run.launch()
    run.finish_jobs()
    ended = run.clock.now()
    described, listed = run.hook.job_log, run.hook.recovery_instances

    def late(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda of: read(of) if run.clock.now() >= ended + dt.timedelta(seconds=60) else []

    with (
        mock.patch.object(run.hook, "job_log", late(described)),
        mock.patch.object(run.hook, "recovery_instances", late(listed)),
    ):
        servers = pass_gate(DrsJobLaunchedSensor, run)
    assert {server["instance_id"] for server in servers} == run.instances()
    assert 60 <= (run.clock.now() - ended).total_seconds() < 120


def test_an_instance_that_the_job_does_not_name_is_found(begin: Begin) -> None:
    """The job's log names it."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(NoRecoveryInstanceId(kind="no_recovery_instance_id"))
    run.launch()
    servers = pass_gate(DrsJobLaunchedSensor, run)
    assert {server["instance_id"] for server in servers} == run.instances()


def test_a_job_that_does_not_end_is_named_with_its_last_event(begin: Begin, waiting: bool) -> None:
    """The task fails at the bound, counted from the job's creation."""
    run = begin(launch={"jobs": "per_wave", "job_timeout": "10m"})
    run.simulation.arm(StuckConversion(kind="stuck_conversion", servers=(B,)))
    run.launch()
    (job,) = run.drills()
    with pytest.raises(AirflowFailException, match="JOB_TIMEOUT"):
        pass_gate(DrsJobLaunchedSensor, run)
    told = failure(run).message
    assert "Wave database: 1 job(s) had not ended by" in told
    assert "10 min after they were made" in told
    assert f"{job.id} (LAUNCH by START_DRILL, STARTED" in told
    last = told.rpartition("last event: ")[2]
    assert f"{A}  LAUNCH_END  i-" in last
    assert (run.clock.now() - job.created).total_seconds() == 600
    assert reached(run, "launched") is None
    hanging = explain_failure(
        None, [make_event(0, "CONVERSION_START", B)], job_status="STARTED", silent_for=dt.timedelta(minutes=9)
    )
    assert hanging.pattern == "conversion_stuck"
    assert f"{B} (db-2) in job {job.id}\n" in failure(run).details
    assert f"  cause: {hanging.cause}\n" in failure(run).details
    assert failure(run).remedy.startswith(hanging.remedy)


def test_a_job_of_optional_servers_that_does_not_end_is_a_warning(begin: Begin) -> None:
    """When the bound has passed, the drill goes on without these servers."""
    run = begin(**ONE_OPTIONAL, launch={"job_timeout": "10m"})
    run.simulation.arm(StuckConversion(kind="stuck_conversion", servers=(A,)))
    run.launch()
    servers = pass_gate(DrsJobLaunchedSensor, run)
    assert [server["launched"] for server in servers] == [False, True]
    opened = reached(run, "launched")
    assert opened is not None
    assert 600 <= opened <= 600 + 15


def test_a_job_that_drs_does_not_list_is_waited_for_as_one_that_is_to_start(
    begin: Begin, waiting: bool
) -> None:
    """When that time is over, its servers count as not launched, with this reason."""
    run = begin(launch={"start_timeout": "5m"})
    _, second = run.launch().jobs
    run.finish_jobs()
    hide(run, second)
    deferrals: list[TaskDeferred] = []
    with pytest.raises(AirflowFailException, match="SERVER_LAUNCH_FAILED"):
        pass_gate(DrsJobLaunchedSensor, run, deferrals)
    told = failure(run).message
    assert "1 of 2 servers did not launch" in told
    assert f"{B} (db-2) in job {second}: DRS does not list its job {second}" in told
    assert len(deferrals) == waiting
    assert run.clock.now() - run.run.began_at == dt.timedelta(seconds=15 + 300 + 300)


def test_a_server_of_a_live_job_is_not_called_not_launched(begin: Begin) -> None:
    """Its job was not seen to end, and may still launch it. A server that failed in an ended job did not."""
    run = begin(launch={"job_timeout": "10m"})
    run.simulation.arm(StuckConversion(kind="stuck_conversion", servers=(B,)))
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(A,), raw_error="No capacity"))
    run.launch()
    with pytest.raises(AirflowFailException, match="JOB_TIMEOUT"):
        pass_gate(DrsJobLaunchedSensor, run)
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    assert {each.server_id: (each.launched, each.live) for each in outcome.servers} == {
        A: (False, False),
        B: (False, True),
    }
    assert [each.result for each in outcome.servers] == [
        "did not launch",
        "was still launching when the wait ended",
    ]


def test_a_wave_that_is_judged_again_after_a_time_out_has_its_new_result(begin: Begin) -> None:
    """Somebody cleared the sensor once the job had ended. Its server did not launch after all."""
    run = begin(launch={"jobs": "per_wave", "job_timeout": "10m"})
    fault = run.simulation.arm(StuckConversion(kind="stuck_conversion", servers=(B,)))
    run.launch()
    with pytest.raises(AirflowFailException, match="JOB_TIMEOUT"):
        pass_gate(DrsJobLaunchedSensor, run)
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(B,), raw_error="No capacity"))
    run.simulation.disarm(fault.id)
    run.finish_jobs()
    with pytest.raises(AirflowFailException, match="SERVER_LAUNCH_FAILED"):
        pass_gate(DrsJobLaunchedSensor, run)
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    (server,) = [each for each in outcome.servers if each.server_id == B]
    assert (server.launched, server.live, server.error) == (False, False, "No capacity")


def test_a_sensor_that_was_frozen_does_not_judge_its_wave_again(begin: Begin) -> None:
    """The newer try has judged the wave, and its servers have been validated since. When the older one goes
    on, the gate stays reached when it was, and the outcome as it was.
    """
    run = begin(launch={"jobs": "per_wave"})
    run.launch()
    run.finish_jobs()
    pass_gate(DrsJobLaunchedSensor, run)
    outcome, gate = run.ledger.outcome("database"), reached(run, "launched")
    run.pass_time(600)
    servers = pass_gate(DrsJobLaunchedSensor, run)
    assert (run.ledger.outcome("database"), reached(run, "launched")) == (outcome, gate)
    assert [server["launched"] for server in servers] == [True, True]


def test_a_wave_that_is_launched_again_is_judged_again(begin: Begin) -> None:
    """Its new job is another launch."""
    run = begin(launch={"jobs": "per_wave"})
    run.launch()
    run.finish_jobs()
    pass_gate(DrsJobLaunchedSensor, run)
    before, gate = run.ledger.outcome("database"), reached(run, "launched")
    run.clean_up()
    run.pass_time(600)
    run.launch(retry=True)
    pass_gate(DrsJobLaunchedSensor, run)
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    assert before is not None
    assert not outcome.same_launches(before)
    opened = reached(run, "launched")
    assert opened is not None
    assert gate is not None
    assert opened > gate


@pytest.mark.parametrize("status", [None, "success", "deadline", "error"])
def test_when_every_job_has_ended_there_is_no_further_wait(
    begin: Begin, waiting: bool, status: str | None
) -> None:
    """Begun, or resumed by any event, the task judges and ends."""
    run = begin()
    run.launch()
    run.finish_jobs()
    event = {"status": status, "message": "no"} if status else None
    with mock.patch.object(sensors, "wait", side_effect=AssertionError("waits for nothing")):
        servers = make(DrsJobLaunchedSensor, run)().execute_complete(make_context(), event)
    assert [server["launched"] for server in servers] == [True, True]


@pytest.mark.parametrize("gate", [DrsJobStartedSensor, DrsJobLaunchedSensor])
def test_a_wait_that_nobody_watched_to_its_end_looks_once_more(
    begin: Begin, gate: type[sensors._WaveSensor]
) -> None:
    """The triggerer was down for too long, and Airflow's time-out would fail the task for good."""
    run = begin()
    run.launch()
    run.finish_jobs()
    timed_out = {"error": TriggerFailureReason.TRIGGER_TIMEOUT}
    make(gate, run)().resume_execution("__fail__", timed_out, make_context())
    assert run.ledger.reached("database", "launched" if gate is DrsJobLaunchedSensor else "started")


def test_a_trigger_that_failed_is_no_time_out(begin: Begin) -> None:
    """Airflow retries the task."""
    run = begin()
    run.launch()
    failed = {"error": TriggerFailureReason.TRIGGER_FAILURE, "traceback": ["KeyError: 'x'"]}
    with pytest.raises(TaskDeferralError):
        make(DrsJobLaunchedSensor, run)().resume_execution("__fail__", failed, make_context())


def test_drs_s_own_events_are_in_the_log_once(
    begin: Begin, waiting: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether a trigger logged them as they happened, or the jobs had ended before the task began."""
    run = begin()
    run.launch()
    pass_gate(DrsJobLaunchedSensor, run)
    watched = capsys.readouterr().out
    pass_gate(DrsJobLaunchedSensor, run)
    found_ended = capsys.readouterr().out
    for job in run.drills():
        for event in ("JOB_START", "LAUNCH_END", "JOB_END"):
            for log in (watched, found_ended):
                assert len(re.findall(rf"{job.id}  .*{event}\b", log)) == 1


def test_a_log_that_may_not_be_read_ends_the_wait(begin: Begin, waiting: bool) -> None:
    """The refusal ends the trigger. The task gets the same refusal, names the action, and waits no longer."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=("DescribeJobLogItems",)))
    run.launch()
    deferrals: list[TaskDeferred] = []
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        pass_gate(DrsJobLaunchedSensor, run, deferrals)
    assert len(deferrals) == waiting
    assert '"Action": ["drs:DescribeJobLogItems"]' in failure(run).remedy


def test_a_refusal_that_is_over_when_the_task_looks_is_waited_out(begin: Begin, waiting: bool) -> None:
    """A policy was being changed: the task can read what the trigger could not, and waits again."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=("DescribeJobLogItems",), count=1))
    run.launch()
    deferrals: list[TaskDeferred] = []
    pass_gate(DrsJobLaunchedSensor, run, deferrals)
    assert len(deferrals) == (2 if waiting else 0)
    assert reached(run, "launched") is not None


# --- both -------------------------------------------------------------------------------------------------

GATES = pytest.mark.parametrize("gate", [DrsJobStartedSensor, DrsJobLaunchedSensor])


@GATES
def test_every_deferral_has_a_bound_and_reaches_drs_as_the_run_does(
    begin: Begin, gate: type[sensors._WaveSensor]
) -> None:
    """Airflow's bound is later than the trigger's own. Connection and Region are those of the run."""
    run = begin(launch={"jobs": "per_wave", "start_timeout": "5m", "job_timeout": "60m"})
    run.simulation.arm(StuckPending(kind="stuck_pending", seconds=dt.timedelta(seconds=60)))
    run.launch()
    with pytest.raises(TaskDeferred) as deferred:
        make(gate, run)().execute(make_context())
    bound = {DrsJobStartedSensor: 300, DrsJobLaunchedSensor: 3600}[gate]
    assert deferred.value.timeout == dt.timedelta(seconds=bound + 120)
    assert deferred.value.method_name == "execute_complete"
    _, fields = deferred.value.trigger.serialize()
    assert {name: fields[name] for name in ("aws_conn_id", "region_name", "verify", "botocore_config")} == {
        "aws_conn_id": "aws_default",
        "region_name": REGION,
        "verify": "/etc/ca.pem",
        "botocore_config": {"retries": {"mode": "adaptive"}},
    }


@GATES
def test_jobs_that_may_not_be_described_end_the_wait(
    begin: Begin, waiting: bool, gate: type[sensors._WaveSensor]
) -> None:
    """The permission was removed during the wait: the failure names it, and there is no second wait."""
    run = begin(launch={"jobs": "per_wave"})
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    run.launch()
    describe_jobs = run.hook.describe_jobs

    def describe_and_revoke(job_ids: Sequence[str]) -> list[Job]:
        jobs = describe_jobs(job_ids)
        run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=("DescribeJobs",)))
        return jobs

    deferrals: list[TaskDeferred] = []
    with (
        mock.patch.object(run.hook, "describe_jobs", describe_and_revoke),
        pytest.raises(AirflowFailException, match=r"ACCESS_DENIED[\s\S]*drs:DescribeJobs"),
    ):
        pass_gate(gate, run, deferrals)
    assert len(deferrals) == waiting


@GATES
def test_a_wave_without_a_record_of_its_launch_is_not_judged(
    begin: Begin, gate: type[sensors._WaveSensor]
) -> None:
    """A person may have marked its launch as success."""
    with pytest.raises(AirflowFailException, match="has no record of its launch"):
        pass_gate(gate, begin())


@GATES
def test_a_wave_that_is_left_out_is_skipped(begin: Begin, gate: type[sensors._WaveSensor]) -> None:
    """The reason is preflight's."""
    run = begin()
    run.ledger.save_resolution(Resolution(waves={"database": WaveResolution(left_out="all are excluded")}))
    with pytest.raises(AirflowSkipException, match="all are excluded"):
        pass_gate(gate, run)


@GATES
def test_a_wave_whose_servers_were_all_given_up_has_nothing_to_wait_for(
    begin: Begin, gate: type[sensors._WaveSensor]
) -> None:
    """All of them are optional; otherwise the launch would have failed."""
    optional = {"source_servers": DATABASE, "optional": True}
    groups = {"database": optional, "application": {"source_servers": APPLICATION}}
    run = begin(protection_groups=groups)
    launch = run.start_launch()
    given_up = launch.record.timeline.given_up(DATABASE, "DRS does not know this server")
    run.ledger.save_launch("database", launch.record.model_copy(update={"timeline": given_up}))
    servers = pass_gate(gate, run)
    if gate is DrsJobLaunchedSensor:
        assert [server["error"] for server in servers] == ["DRS does not know this server"] * 2


@pytest.mark.parametrize("gate", [DrsJobStartedSensor, DrsJobLaunchedSensor])
def test_a_refusal_that_only_the_trigger_meets_is_logged_before_the_next_wait(
    begin: Begin, gate: type[sensors._WaveSensor], monkeypatch: pytest.MonkeyPatch, capsys: Any, caplog: Any
) -> None:
    """The task reads DRS itself, pauses for a moment so that it does not loop, and waits again."""
    run = begin()
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    run.launch()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(TaskDeferred):
        make(gate, run)().execute_complete(make_context(), {"status": "error", "message": "no token"})
    assert slept == [3.0]
    assert "The wait ended early: no token" in capsys.readouterr().out + caplog.text
