"""The end of a wave: its launched servers pass their checks, or the drill is red and says why."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from drs.run.records import FailureRecord, Resolution, WaveResolution, WaveValidation
from drs.tasks import drill_task, sensors, triggers
from drs.tasks.hook import DrsHook
from drs.tasks.operators import validate_servers
from drs.tasks.operators.validate_servers import DrsValidateServersOperator
from drs.tasks.sensors import DrsJobLaunchedSensor
from drs.tasks.triggers import DrsValidationTrigger
from simulator.engine.faults import FailedCommand, ImpairedStatus, LaunchFailed, SilentAgent
from tests.unit import virtual_time
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_plan
from tests.unit.simulated import REGION, SimulatedDrill
from tests.unit.task_harness import AsyncClient, FakeTaskInstance, make_context, see_through
from tests.unit.validation import own_checks

Begin = Callable[..., SimulatedDrill]
A, B = DATABASE
OWN = "tests.unit.validation.own_checks"
FAULTY = {"type": "python", "function": f"{OWN}.finds_fault", "timeout": "1m"}


def plan_parts(*checks: dict[str, Any], optional: bool = False, **parts: Any) -> dict[str, Any]:
    """A plan with these checks for wave database; server A may be optional."""
    return {
        "protection_groups": {
            "spare": {"source_servers": [A], "optional": optional},
            "main": {"source_servers": [B]},
            "application": {"source_servers": APPLICATION},
        },
        "waves": [
            {"name": "database", "protection_groups": ["spare", "main"], "validation": checks},
            {"name": "application", "protection_groups": ["application"]},
        ],
        **parts,
    }


@pytest.fixture(scope="module")
def clients(simulated_hook: Any) -> Callable[[str], Any]:
    """The client of each service; to make one takes longer than most tests."""
    session: Any = boto3.Session(region_name=REGION)
    return functools.cache(session.client)


@pytest.fixture
def begin(
    drill: Callable[..., SimulatedDrill],
    xcom: MemoryStore,
    clients: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Begin:
    """Begin a run whose wave database is launched. Its tasks and triggers use the simulated clock."""

    def begin(*, fault: LaunchFailed | None = None, **parts: Any) -> SimulatedDrill:
        run = drill(make_plan(launch={"jobs": "per_wave"}, **parts))
        run.store = xcom
        run.ledger.save_run(run.run)
        waves = {name: WaveResolution(servers=tuple(run.resolved(name))) for name in run.run.waves}
        run.ledger.save_resolution(Resolution(waves=waves))

        async def get_async_conn(hook: DrsHook) -> AsyncClient:
            assert hook.client_type
            return AsyncClient(clients(hook.client_type))

        for module in (drill_task, sensors, triggers, validate_servers):
            monkeypatch.setattr(module, "utc_now", run.clock.now)
        monkeypatch.setattr(asyncio, "run", lambda main: virtual_time.run(main, run.pass_time))
        monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
        if fault:
            run.simulation.arm(fault)
        launch(run)
        return run

    return begin


def launch(run: SimulatedDrill, *, retry: bool = False) -> None:
    """Launch the wave's servers, or launch again what needs it, and judge them."""
    run.launch(retry=retry)
    run.finish_jobs()

    def make() -> DrsJobLaunchedSensor:
        sensor = DrsJobLaunchedSensor(task_id="wait_until_launched", wave="database")
        vars(sensor)["hook"] = run.hook
        return sensor

    see_through(make, make_context())


def make(run: SimulatedDrill) -> DrsValidateServersOperator:
    task = DrsValidateServersOperator(
        task_id="validate",
        wave="database",
        aws_conn_id="from_the_plan_file",
        verify="/etc/ca.pem",
        botocore_config={"retries": {"mode": "adaptive"}},
    )
    vars(task)["hook"] = run.hook
    return task


def validate_wave(run: SimulatedDrill, deferrals: list[TaskDeferred] | None = None) -> WaveValidation:
    """Run the task to its end, and return what it recorded."""
    see_through(lambda: make(run), make_context(), deferrals)
    return recorded(run)


def recorded(run: SimulatedDrill) -> WaveValidation:
    validation = run.ledger.validation("database")
    assert validation is not None
    return validation


def failure(run: SimulatedDrill) -> FailureRecord:
    record = run.ledger.failure(FakeTaskInstance.task_id)
    assert record is not None
    return record


def told(validation: WaveValidation) -> list[tuple[str, str, bool]]:
    return [(result.server_id, result.check, result.passed) for result in validation.results]


ALWAYS = "recovery_instance"


def test_a_wave_of_which_the_plan_asks_nothing_more_is_validated_at_once(begin: Begin) -> None:
    """One look at DRS and EC2 is enough, without a deferral. The gate opens with the last check."""
    run = begin()
    deferrals: list[TaskDeferred] = []
    validation = validate_wave(run, deferrals)
    assert deferrals == []
    assert told(validation) == [(A, ALWAYS, True), (B, ALWAYS, True)]
    assert {result.instance_id for result in validation.results} == run.instances()
    assert run.ledger.reached("database", "validated") == validation.ended_at
    assert validation.began_at == run.ledger.reached("database", "launched")


@pytest.mark.parametrize("deferrable", [True, False], ids=["in the triggerer", "in the worker"])
def test_the_checks_that_the_plan_asks_are_made_too(
    begin: Begin, deferrable: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """These are the checks of the wave and of the server's group. The log has a table of all results."""
    monkeypatch.setenv("AIRFLOW__DRS__DEFERRABLE", str(deferrable))
    parts = plan_parts({"type": "python", "function": f"{OWN}.says"})
    status = {"type": "instance_status"}
    parts["protection_groups"]["main"]["validation"] = [status]
    own_checks.asked.clear()
    run = begin(**parts)
    deferrals: list[TaskDeferred] = []
    validation = validate_wave(run, deferrals)
    assert len(deferrals) == deferrable
    python = f"python {OWN}.says"
    assert told(validation) == [
        (A, ALWAYS, True),
        (A, python, True),
        (B, ALWAYS, True),
        (B, python, True),
        (B, "instance_status", True),
    ]
    assert {server.job_id for server in own_checks.asked} == {run.drills()[0].id}
    log = capsys.readouterr().out
    assert f"{python} of {A} (db-1): passed after 0 s: db-1: all is well" in log
    table = log[log.index("Wave database: 5 of 5 checks of 2 server(s) passed.") :].splitlines()
    assert table[1].split() == ["server", "name", "check", "result", "seen", "took"]
    assert f"{A}  db-1  {python}" in table[4]


def test_a_check_that_fails_makes_the_drill_red_and_says_all(
    begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names check, server, instance and what was seen. Above it, and in the evidence, is a table
    with the outputs.
    """
    run = begin(**plan_parts(FAULTY))
    with pytest.raises(AirflowFailException, match="VALIDATION_FAILED"):
        validate_wave(run)
    validation = recorded(run)
    assert [result.passed for result in validation.results] == [True, False, True, False]
    instance = validation.results[1].instance_id
    seen = "LookupError: 42 orders are missing (tried for 1 min)"
    check = f"python {OWN}.finds_fault"
    assert failure(run).message.startswith(
        f"Wave database: 2 of 4 checks failed. {check} of {A} (db-1), {instance}: {seen}; {check} of {B}"
    )
    details = failure(run).details
    assert details.splitlines()[0].split() == ["server", "name", "check", "result", "seen", "took"]
    assert f"{A}  db-1  {check}  FAILED  {seen}  60 s" in details
    assert ALWAYS not in details
    assert f"{check} of {A} (db-1) printed:\n  | LookupError: 42 orders are missing\n  | of 1000" in details
    assert run.ledger.reached("database", "validated") is None
    log = capsys.readouterr().out
    assert log.index("[VALIDATION_FAILED] Wave") < log.index("  FAILED  ") < log.index("What to do: ")
    assert log.count(f"{A}  db-1  {check}") == 1


def test_many_failed_checks_are_told_in_full_by_the_table_alone(begin: Begin) -> None:
    """The message describes five of them."""
    run = begin(**plan_parts(FAULTY, FAULTY, FAULTY))
    with pytest.raises(AirflowFailException, match="6 of 8 checks failed"):
        validate_wave(run)
    assert failure(run).message.endswith("; and 1 more")
    assert failure(run).details.count("FAILED") == 6


def test_what_an_optional_server_fails_is_a_warning(begin: Begin, capsys: pytest.CaptureFixture[str]) -> None:
    """The other server passes its check, and so the wave passes."""
    parts = plan_parts(optional=True)
    parts["protection_groups"]["spare"]["validation"] = [FAULTY]
    run = begin(**parts)
    validation = validate_wave(run)
    assert told(validation)[1] == (A, f"python {OWN}.finds_fault", False)
    assert run.ledger.reached("database", "validated") == validation.ended_at
    log = capsys.readouterr().out
    assert "failed (optional)" in log
    assert f"Optional: python {OWN}.finds_fault of {A} (db-1)" in log


def test_a_wave_that_asks_for_no_checks_is_validated_in_the_worker(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the clients that the worker has: those of the triggerer take longer to make than the looks."""
    run = begin()

    async def get_async_conn(_: DrsHook) -> AsyncClient:
        raise AssertionError("a client of the triggerer was made")

    monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
    deferrals: list[TaskDeferred] = []
    assert told(validate_wave(run, deferrals)) == [(A, ALWAYS, True), (B, ALWAYS, True)]
    assert deferrals == []


def test_the_rest_of_a_wave_is_validated_when_optional_servers_are_missing(begin: Begin) -> None:
    """A server that did not launch cannot be checked."""
    fault = LaunchFailed(kind="launch_failed", servers=(A,), raw_error="No capacity")
    run = begin(fault=fault, **plan_parts(optional=True))
    assert told(validate_wave(run)) == [(B, ALWAYS, True)]


def test_a_wave_of_which_nothing_was_launched_has_nothing_to_check(begin: Begin) -> None:
    """All of its servers are optional; the verdict judges that."""
    groups = {
        "database": {"source_servers": DATABASE, "optional": True},
        "application": {"source_servers": APPLICATION},
    }
    fault = LaunchFailed(kind="launch_failed", servers=DATABASE, raw_error="No capacity")
    run = begin(fault=fault, protection_groups=groups)
    assert validate_wave(run).results == ()
    assert run.ledger.reached("database", "validated") is not None


def test_an_instance_that_is_still_to_come_is_waited_for_in_the_triggerer(begin: Begin) -> None:
    """EC2 may show an instance as pending for a while, so one look does not decide."""
    run = begin()
    ec2 = boto3.client("ec2", region_name=REGION)
    late = next(iter(run.instances()))
    ec2.stop_instances(InstanceIds=[late])
    run_is_late = run.clock.now() + dt.timedelta(seconds=30)
    pass_time = run.pass_time

    def start_late(seconds: float) -> None:
        pass_time(seconds)
        if run.clock.now() >= run_is_late:
            ec2.start_instances(InstanceIds=[late])

    run.pass_time = start_late  # type: ignore[method-assign]
    deferrals: list[TaskDeferred] = []
    validation = validate_wave(run, deferrals)
    assert len(deferrals) == 1
    assert [30 <= result.seconds <= 33 for result in validation.results].count(True) == 1


def test_the_deferral_has_a_bound_and_reaches_aws_as_the_run_does(begin: Begin) -> None:
    """The bound is later than the longest time-out of a check. Connection and Region are those of the run."""
    run = begin(**plan_parts({"type": "launch_actions", "timeout": "20m"}))
    with pytest.raises(TaskDeferred) as deferred:
        make(run).execute(make_context())
    assert deferred.value.timeout == dt.timedelta(minutes=20, seconds=120)
    assert deferred.value.method_name == "resume"
    path, fields = deferred.value.trigger.serialize()
    assert path == "drs.tasks.triggers.DrsValidationTrigger"
    fields = json.loads(json.dumps(fields))
    assert {name: fields[name] for name in ("aws_conn_id", "region_name", "verify", "botocore_config")} == {
        "aws_conn_id": "aws_default",
        "region_name": REGION,
        "verify": "/etc/ca.pem",
        "botocore_config": {"retries": {"mode": "adaptive"}},
    }
    assert DrsValidationTrigger(**fields).serialize() == (path, fields)


def test_only_systems_manager_is_asked_once_for_each_request(
    begin: Begin, clients: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore must not send a command twice; it may repeat a request that only reads."""
    run = begin(**plan_parts({"type": "ssm"}))
    opened: dict[str, bool] = {}

    async def get_async_conn(hook: DrsHook) -> AsyncClient:
        assert hook.client_type
        opened[hook.client_type] = hook.once
        return AsyncClient(clients(hook.client_type))

    monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
    with pytest.raises(AirflowFailException, match="VALIDATION_FAILED"):
        validate_wave(run)
    assert opened == {"drs": False, "ec2": False, "ssm": True}


def test_a_missing_permission_is_told_as_a_statement_to_add(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(**plan_parts({"type": "instance_status"}))
    from tests.unit.validation.aws import refusal

    def denied(self: Any, operation: str) -> Any:
        if operation == "describe_instance_status":
            message = "You are not authorized to perform: ec2:DescribeInstanceStatus"
            raise refusal("UnauthorizedOperation", 403, message=message)
        return original(self, operation)

    original = AsyncClient.get_paginator
    monkeypatch.setattr(AsyncClient, "get_paginator", denied)
    with pytest.raises(AirflowFailException, match="VALIDATION_FAILED"):
        validate_wave(run)
    assert '"Action": ["ec2:DescribeInstanceStatus"]' in failure(run).remedy


# --- by what the simulated AWS says -----------------------------------------------------------------------

STATUS = {"type": "instance_status", "timeout": "4m"}
COMMAND = {
    "type": "ssm",
    "parameters": {"commands": ["systemctl is-active postgresql"]},
    "timeout": "4m",
}


def test_a_server_that_boots_and_answers_passes(begin: Begin) -> None:
    """At first its status checks are initializing and its agent is unknown. Each command is sent once."""
    run = begin(**plan_parts(STATUS, COMMAND))
    validation = validate_wave(run)
    assert all(result.passed for result in validation.results)
    status, command = validation.results[1:3]
    assert (status.seen, command.seen.split(": ")[1]) == ("system ok, instance ok", "Success")
    assert status.seconds > 60
    sent = boto3.client("ssm", region_name=REGION).list_commands()["Commands"]
    assert sorted(each["InstanceIds"][0] for each in sent) == sorted(run.instances())


@pytest.mark.parametrize(
    ("check", "fault", "seen"),
    [
        (STATUS, ImpairedStatus(kind="impaired_status", servers=(A,)), "instance impaired"),
        (COMMAND, FailedCommand(kind="failed_command", servers=(A,), stderr="no such unit"), "exit code 1"),
        (COMMAND, SilentAgent(kind="silent_agent", servers=(A,)), "is not registered with Systems Manager"),
    ],
    ids=lambda each: getattr(each, "kind", ""),
)
def test_a_server_that_does_not_is_told_from_the_one_that_does(
    begin: Begin, check: dict[str, Any], fault: Any, seen: str
) -> None:
    run = begin(**plan_parts(check))
    run.simulation.arm(fault)
    with pytest.raises(AirflowFailException, match="1 of 4 checks failed"):
        validate_wave(run)
    assert [(result.server_id, result.passed) for result in recorded(run).results[1::2]] == [
        (A, False),
        (B, True),
    ]
    assert seen in failure(run).message


# --- continued, cleared, launched again ---------------------------------------------------------------------


@pytest.fixture
def interrupted(begin: Begin) -> SimulatedDrill:
    """A run whose task was killed a minute after it had begun to validate."""
    run = begin(**plan_parts(FAULTY))
    with pytest.raises(TaskDeferred):
        make(run).execute(make_context())
    run.pass_time(50)
    return run


def test_a_retried_task_continues_the_time_of_its_checks(interrupted: SimulatedDrill) -> None:
    """A check of one minute that began 50 s ago has 10 s left."""
    begun = interrupted.clock.now()
    with pytest.raises(AirflowFailException, match="VALIDATION_FAILED"):
        validate_wave(interrupted)
    assert interrupted.clock.now() - begun < dt.timedelta(seconds=12)
    assert recorded(interrupted).began_at == begun - dt.timedelta(seconds=50)


def test_a_validation_that_was_cleared_after_its_end_begins_again(interrupted: SimulatedDrill) -> None:
    """Somebody has fixed the server and wants it checked again."""
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="VALIDATION_FAILED"):
            validate_wave(interrupted)
    assert all(50 < result.seconds < 62 for result in recorded(interrupted).results if not result.passed)


def test_a_wave_that_is_launched_again_is_validated_again(interrupted: SimulatedDrill) -> None:
    """A validation that began for the earlier instances does not count for the new ones."""
    run = interrupted
    before = run.instances()
    run.clean_up()
    launch(run, retry=True)
    relaunched = run.clock.now()
    with pytest.raises(AirflowFailException, match="VALIDATION_FAILED"):
        validate_wave(run)
    validation = recorded(run)
    assert validation.began_at == relaunched
    assert {result.instance_id for result in validation.results} == run.instances()
    assert not before & run.instances()


def test_servers_without_a_record_of_their_launch_are_not_validated(begin: Begin, xcom: MemoryStore) -> None:
    """The gate was marked as success by hand, or the record belongs to the job before the last."""
    run = begin()
    record = run.ledger.launch("database")
    assert record is not None
    slots = tuple(
        slot.model_copy(update={"job_id": "drsjob-later"}) if slot.server_id == B else slot
        for slot in record.timeline.servers
    )
    timeline = record.timeline.model_copy(update={"servers": slots})
    run.ledger.save_launch("database", record.model_copy(update={"timeline": timeline}))
    with pytest.raises(
        AirflowFailException, match=rf"DRILL_FAILED.*no record says that server {B} \(db-2\) launched"
    ):
        validate_wave(run)
    del xcom.values["outcome.database"]
    with pytest.raises(
        AirflowFailException, match=r"DRILL_FAILED.*No record says that the servers of wave database launched"
    ):
        validate_wave(run)


def test_a_wave_that_is_left_out_is_skipped(begin: Begin) -> None:
    run = begin()
    run.ledger.save_resolution(Resolution(waves={"database": WaveResolution(left_out="all are excluded")}))
    with pytest.raises(AirflowSkipException, match="all are excluded"):
        make(run).execute(make_context())
