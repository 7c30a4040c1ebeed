"""Invented records of runs, as complete as real ones: drills, a dry run, a recovery.

Times within a launch are those of a recorded drill of DRS.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from drs.evidence.record import (
    CleanupEvidence,
    EventEvidence,
    Evidence,
    Exclusion,
    Explanation,
    FailureEvidence,
    FindingEvidence,
    InstanceEvidence,
    Link,
    Measure,
    Objectives,
    PlanEvidence,
    RunEvidence,
    ServerEvidence,
    TargetEvidence,
    WaveEvidence,
)
from drs.plan import Plan
from drs.run.records import RECOVERY_APPROVAL, ApprovalRecord, CheckResult, Loss
from drs.run.ticks import MissedTick
from tests.unit.drill import after

JOB_EVENTS = (
    (0.4, "SNAPSHOT_START"),
    (0.6, "SNAPSHOT_END"),
    (52.0, "CONVERSION_START"),
    (250.0, "CONVERSION_END"),
    (250.5, "LAUNCH_START"),
    (530.0, "LAUNCH_END"),
)
"""A server's way through its job, in seconds from the job's creation."""
LAUNCH_SECONDS = JOB_EVENTS[-1][0]
TIERS = ("database", "application", "web")
RAW_ERROR = (
    "An error occurred (InsufficientInstanceCapacity) when calling the RunInstances operation: "
    "We currently do not have sufficient r5.4xlarge capacity in the Availability Zone you requested."
)


def copy(part: Any, **changes: Any) -> Any:
    """The same part of a record with other values."""
    return type(part).model_validate({**dict(part), **changes})


def make_plan(waves: int = 3, servers: int = 2, **parts: Any) -> Plan:
    """A plan of so many waves, each with its own group of so many servers."""
    names = [wave_name(number) for number in range(waves)]
    return Plan.model_validate(
        {
            "name": "order-system",
            "description": "The order system: database, application, web",
            "owner": "dr-team",
            "schedule": "0 6 1 * *",
            "timezone": "Europe/Berlin",
            "target": {"region": "eu-central-1", "account_id": "111122223333"},
            "objectives": {"rto": "1h", "rpo": "15m"},
            "protection_groups": {
                name: {"source_servers": [server_id(wave, number) for number in range(servers)]}
                for wave, name in enumerate(names)
            },
            "waves": [
                {"name": name, "protection_groups": [name], "next_wave_when": "launched"} for name in names
            ],
            **parts,
        }
    )


def wave_name(number: int) -> str:
    return TIERS[number] if number < len(TIERS) else f"tier-{number + 1}"


def server_id(wave: int, number: int) -> str:
    return f"s-{wave + 1:08x}{number + 1:09x}"


def instance_id(wave: int, number: int) -> str:
    return f"i-{wave + 1:08x}{number + 1:09x}"


def job_id(wave: int, number: int) -> str:
    return f"drsjob-{wave + 1:08x}{number + 1:09x}"


def make_events(
    requested: float, server: str, instance: str | None = None, *, until: float = LAUNCH_SECONDS
) -> tuple[EventEvidence, ...]:
    """What DRS logged about one server, up to so many seconds after its job was created."""
    return tuple(
        EventEvidence(
            at=after(requested + seconds),
            event=event,
            server_id=server,
            instance_id=instance if event == "LAUNCH_END" else None,
            raw_error=None,
        )
        for seconds, event in JOB_EVENTS
        if seconds <= until
    )


def make_server(wave: int, number: int, requested: float, **changes: Any) -> ServerEvidence:
    """A server that launched and passed its checks; ``requested`` counts from the run's start."""
    known, instance = server_id(wave, number), instance_id(wave, number)
    took = LAUNCH_SECONDS + 7 * (number % 5)
    events = make_events(requested, known, instance)
    return ServerEvidence.model_validate(
        {
            "server_id": known,
            "name": f"{wave_name(wave)}-{number + 1:02}",
            "group": wave_name(wave),
            "optional": False,
            "lag_at_start_seconds": 0.4 * number,
            "launched": True,
            "valid": True,
            "job_id": job_id(wave, number),
            "instance_id": instance,
            "snapshot_id": None,
            "requested_at": after(requested),
            "launched_at": after(requested + took),
            "launch_seconds": took,
            "point_in_time": after(requested - 4.5),
            "rpo_seconds": 4.5,
            "error": None,
            "explanation": None,
            "events": (*events[:-1], events[-1].model_copy(update={"at": after(requested + took)})),
            "checks": make_checks(wave, number, requested + took + 40),
            **changes,
        }
    )


def make_checks(wave: int, number: int, at: float) -> tuple[CheckResult, ...]:
    """Two checks of a launched server, both passed."""
    known, instance = server_id(wave, number), instance_id(wave, number)
    return (
        CheckResult(
            check="instance_status",
            server_id=known,
            instance_id=instance,
            passed=True,
            seen="system and instance status are ok",
            at=after(at),
            seconds=31.2,
        ),
        CheckResult(
            check="ssm AWS-RunShellScript",
            server_id=known,
            instance_id=instance,
            passed=True,
            seen="Success, exit code 0",
            at=after(at + 5),
            seconds=36.4,
            output="active\nup 3 minutes, load average: 0.08",
        ),
    )


def make_wave(number: int, first_call: float, size: int = 2, **changes: Any) -> WaveEvidence:
    """A wave that passed, with servers 15 s apart; ``first_call`` counts from the run's start."""
    members = tuple(make_server(number, index, first_call + 15 * index) for index in range(size))
    launched = max(member.launched_at for member in members if member.launched_at)
    validated = launched + dt.timedelta(seconds=50)
    start = after(0)
    return WaveEvidence.model_validate(
        {
            "name": wave_name(number),
            "state": "passed",
            "why": "",
            "depends_on": (wave_name(number - 1),) if number else (),
            "jobs": tuple(member.job_id for member in members),
            "first_call_at": after(first_call),
            "started_at": after(first_call + 15 * (size - 1) + 12),
            "launched_at": launched,
            "validated_at": validated,
            "rto_launched_seconds": (launched - start).total_seconds(),
            "rto_validated_seconds": (validated - start).total_seconds(),
            "rpo_seconds": 4.5,
            "conflicts": 0,
            "servers": members,
            **changes,
        }
    )


def wave_after(before: WaveEvidence, number: int, size: int = 2, **changes: Any) -> WaveEvidence:
    """A wave whose first call comes 30 s after the launch of the wave before."""
    assert before.launched_at is not None
    first_call = (before.launched_at - after(0)).total_seconds() + 30
    return make_wave(number, first_call, size, **changes)


def make_cleanup(waves: tuple[WaveEvidence, ...], **changes: Any) -> CleanupEvidence:
    """A clean-up that terminated every launched instance by one job, within four minutes of the last wave."""
    ends = [end for wave in waves for end in (wave.validated_at, wave.launched_at, wave.started_at) if end]
    began = max(ends) + dt.timedelta(seconds=10)
    return CleanupEvidence.model_validate(
        {
            "when": "always",
            "started_at": began,
            "ended_at": began + dt.timedelta(seconds=240),
            "proven": True,
            "kept": False,
            "why_kept": "",
            "instances": tuple(
                InstanceEvidence(
                    recovery_instance_id=server.instance_id,
                    ec2_instance_id=server.instance_id,
                    server_id=server.server_id,
                    launch_job_id=server.job_id or "",
                    terminate_jobs=("drsjob-0f00000000000000a",),
                    instance_type="r5.large",
                    gone=True,
                    fate="terminated",
                )
                for wave in waves
                for server in wave.servers
                if server.launched and server.instance_id
            ),
            **changes,
        }
    )


def make_objectives(waves: tuple[WaveEvidence, ...]) -> Objectives:
    """An RTO of an hour and an RPO of 15 minutes, and what the waves measured."""

    def measure(target: float, measured: list[float]) -> Measure:
        worst = max(measured, default=None)
        met = None if worst is None else worst <= target
        return Measure(target_seconds=target, measured_seconds=worst, met=met)

    return Objectives(
        rto_launched=measure(3600, [w.rto_launched_seconds for w in waves if w.rto_launched_seconds]),
        rto_validated=measure(3600, [w.rto_validated_seconds for w in waves if w.rto_validated_seconds]),
        rpo=measure(900, [w.rpo_seconds for w in waves if w.rpo_seconds is not None]),
    )


def make_run(plan: Plan, **changes: Any) -> RunEvidence:
    """A drill of all waves that a person started."""
    return RunEvidence.model_validate(
        {
            "dag_id": f"drs_drill__{plan.name}",
            "run_id": "manual__2026-03-01T06:00:00+00:00",
            "run_type": "manual",
            "initiator": "jane.doe",
            "reason": "Quarterly drill, audit of 2026",
            "execution_type": "DRILL",
            "dry_run": False,
            "waves": tuple(wave.name for wave in plan.waves),
            "keep_instances": False,
            "skip_approvals": False,
            "recovery_point": None,
            "url": f"https://airflow.example.com/dags/drs_drill__{plan.name}/runs/manual__2026-03-01",
            "began_at": after(0),
            "next_run": after(31 * 86400),
            **changes,
        }
    )


def make_record(
    waves: tuple[WaveEvidence, ...] | None = None, *, plan: Plan | None = None, **changes: Any
) -> Evidence:
    """The record of a drill that passed; ``changes`` replace its members."""
    if waves is None:
        waves = passed_waves()
    plan = plan or make_plan(len(waves) or 1)
    cleanup = make_cleanup(waves) if any(wave.servers for wave in waves) else None
    ended = cleanup.ended_at if cleanup and cleanup.ended_at else after(60)
    return Evidence.model_validate(
        {
            "id": f"{plan.name}-000007",
            "sequence": 7,
            "previous": Link(id=f"{plan.name}-000006", hash=a_hash("the one before")),
            "assembled_at": ended + dt.timedelta(seconds=5),
            "result": "passed",
            "summary": "The drill passed: 6 server(s) launched in 3 wave(s); all of them are terminated.",
            "reasons": (),
            "plan": PlanEvidence(
                name=plan.name,
                description=plan.description,
                owner=plan.owner,
                digest=plan.digest,
                content=plan.model_dump(mode="json"),
            ),
            "run": make_run(plan),
            "target": TargetEvidence(
                account_id="111122223333", region="eu-central-1", aws_conn_id="aws_default"
            ),
            "objectives": make_objectives(waves),
            "approvals": {},
            "waves": waves,
            "excluded": (),
            "findings": (),
            "failures": (),
            "cleanup": cleanup,
            "remarks": (),
            "software": {
                "apache-airflow": "3.3.2",
                "apache-airflow-providers-amazon": "9.39.0",
                "boto3": "1.43.101",
                "drs-drills": "0.1.0",
                "python": "3.11.2",
            },
            "hash": a_hash("this one"),
            **changes,
        }
    )


def a_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def passed_waves(waves: int = 3, servers: int = 2) -> tuple[WaveEvidence, ...]:
    """Waves that each begin after the launch of the wave before."""
    made = [make_wave(0, 25, servers)]
    for number in range(1, waves):
        made.append(wave_after(made[-1], number, servers))
    return tuple(made)


def passed_record() -> Evidence:
    """A drill that passed, with an approval of 20 minutes and a warning."""
    database, application, _ = passed_waves()
    assert application.launched_at is not None
    answered = application.launched_at + dt.timedelta(minutes=20)
    web = make_wave(2, (answered - after(0)).total_seconds() + 3)
    return make_record(
        (database, application, web),
        approvals={
            "web": ApprovalRecord(
                approved=True,
                answered="by a person",
                by="john.roe",
                at=answered,
                comment="Database and application looked at: go on.",
            )
        },
        findings=(
            FindingEvidence(
                severity="warning",
                code="LEFTOVER_DRILL_INSTANCE",
                wave="database",
                server_id=server_id(0, 0),
                seen="i-0aa00000000000001 of an earlier drill is still there; the new launch replaces it",
                remedy="python -m drs cleanup order-system",
            ),
        ),
        remarks=("SNS topic drs-drills could not be reached at 06:00:04 UTC: timed out.",),
    )


def partial_record() -> Evidence:
    """A drill that passed without the plan's last wave and without one server, and that missed its RTO."""
    plan = make_plan()
    database, application = passed_waves(2)
    web = make_wave(
        2,
        1500,
        state="left_out",
        why="It was not chosen for this run.",
        jobs=(),
        first_call_at=None,
        started_at=None,
        launched_at=None,
        validated_at=None,
        rto_launched_seconds=None,
        rto_validated_seconds=None,
        rpo_seconds=None,
        servers=(),
    )
    why = "Excluded by the run parameter exclude_servers."
    late = Measure(target_seconds=3600, measured_seconds=4320, met=False)
    return make_record(
        (database, application, web),
        plan=plan,
        cleanup=make_cleanup((database, application)),
        run=make_run(plan, waves=("database", "application")),
        excluded=(Exclusion(server_id=server_id(1, 9), wave="application", why=why),),
        objectives=copy(make_objectives((database, application)), rto_validated=late),
    )


def failed_record() -> Evidence:
    """A drill that failed: one server did not launch, one failed validation, a wave was not reached, somebody
    else ended one instance, and one still exists.
    """
    database = make_wave(0, 25, 2)
    first, second, third, fourth = make_wave(1, 650, 4).servers
    events = make_events(665, second.server_id, until=251)
    fallen = ServerEvidence.model_validate(
        {
            **second.model_dump(),
            "launched": False,
            "valid": None,
            "instance_id": None,
            "launched_at": None,
            "launch_seconds": None,
            "point_in_time": None,
            "rpo_seconds": None,
            "error": RAW_ERROR,
            "explanation": Explanation(
                cause="The Availability Zone has no capacity left for the instance type r5.4xlarge.",
                remedy="Choose another instance type in the server's launch template, or reserve capacity.",
                retry_is_safe=True,
            ),
            "events": (
                *events,
                EventEvidence(
                    at=after(665 + 262),
                    event="LAUNCH_FAILED",
                    server_id=second.server_id,
                    instance_id=None,
                    raw_error=RAW_ERROR,
                ),
            ),
            "checks": (),
        }
    )
    refused = third.checks[1].model_copy(
        update={
            "check": "http :80/health",
            "passed": False,
            "seen": "HTTP 500 from http://10.0.3.17:80/health, wanted 200",
            "output": '{"status": "down", "reason": "<no connection to database-01>"}',
        }
    )
    invalid = third.model_copy(update={"valid": False, "checks": (third.checks[0], refused)})
    missing = ServerEvidence.model_validate(
        {
            **fourth.model_dump(),
            "optional": True,
            "launched": False,
            "valid": None,
            "job_id": None,
            "instance_id": None,
            "requested_at": None,
            "launched_at": None,
            "launch_seconds": None,
            "point_in_time": None,
            "rpo_seconds": None,
            "error": "held by drsjob-0bb00000000000002 for 30 min",
            "events": (),
            "checks": (),
        }
    )
    application = make_wave(
        1,
        650,
        4,
        state="failed",
        why="application-02 was not launched; application-03 failed http :80/health",
        launched_at=None,
        validated_at=None,
        rto_launched_seconds=None,
        rto_validated_seconds=None,
        conflicts=4,
        servers=(first, fallen, invalid, missing),
    )
    web = make_wave(
        2,
        1500,
        state="not_reached",
        why="wave application failed before it",
        jobs=(),
        first_call_at=None,
        started_at=None,
        launched_at=None,
        validated_at=None,
        rto_launched_seconds=None,
        rto_validated_seconds=None,
        rpo_seconds=None,
        servers=(),
    )
    waves = (database, application, web)
    proof = make_cleanup(waves, started_at=after(1260), ended_at=after(1800), proven=False)
    survivor = proof.instances[-1].model_copy(update={"gone": False, "fate": "left"})
    lost = copy(proof.instances[0], terminate_jobs=(), fate="lost", lost_to="it is gone: drsjob-0cc ended it")
    loss = Loss(
        wave="database",
        server_id=lost.server_id,
        name="database-01",
        optional=False,
        instance_id=lost.recovery_instance_id,
        what="is gone",
        last_seen=after(640),
        found_at=after(655),
        by="drsjob-0cc of plan billing, run manual__2026-03-01, ended it",
    )
    unmeasured = Measure(target_seconds=3600, measured_seconds=None, met=None)
    missed = MissedTick(
        run_id="scheduled__2026-02-01T06:00:00+00:00",
        run_type="scheduled",
        due=after(-28 * 86400),
        at=after(-28 * 86400 + 900),
        why="Missed: this scheduled run began 15 min later <than its time>.",
    )
    return make_record(
        waves,
        assembled_at=after(1805),
        result="failed",
        summary="The drill failed: 2 of 6 servers did not pass, and one instance is still there.",
        reasons=(
            "wave_application.wait_until_launched failed: [SERVER_LAUNCH_FAILED] application-02 fell",
            "wave_application.validate failed: [VALIDATION_FAILED] application-03: HTTP 500",
            f"clean-up is not proven complete: {survivor.ec2_instance_id} is still there",
        ),
        objectives=Objectives(
            rto_launched=unmeasured,
            rto_validated=unmeasured,
            rpo=Measure(target_seconds=900, measured_seconds=1260.0, met=False),
        ),
        failures=(
            FailureEvidence(
                task_id="wave_application.wait_until_launched",
                state="failed",
                code="SERVER_LAUNCH_FAILED",
                message=f"Server {fallen.server_id} (application-02) was not launched by {fallen.job_id}: "
                + RAW_ERROR,
                remedy="Read DRS's raw error, fix its cause and clear start_recovery of the wave.",
            ),
            FailureEvidence(
                task_id="terminate",
                state="failed",
                code="CLEANUP_INCOMPLETE",
                message=f"{survivor.ec2_instance_id} outlived two TERMINATE jobs; 0.15 USD so far.",
                remedy="python -m drs cleanup order-system",
            ),
            FailureEvidence(
                task_id="wave_web.start_recovery",
                state="upstream_failed",
                code=None,
                message="did not run",
                remedy="",
            ),
        ),
        losses=(loss,),
        missed_before=(missed,),
        cleanup=proof.model_copy(update={"instances": (lost, *proof.instances[1:-1], survivor)}),
    )


def dry_run_record() -> Evidence:
    """A dry run: preflight passed, nothing was launched."""
    plan = make_plan()
    unmeasured = Measure(target_seconds=3600, measured_seconds=None, met=None)
    return make_record(
        tuple(
            WaveEvidence(
                name=wave.name,
                state="left_out",
                why="a dry run launches nothing",
                depends_on=plan.dependencies(wave.name),
                jobs=(),
                first_call_at=None,
                started_at=None,
                launched_at=None,
                validated_at=None,
                rto_launched_seconds=None,
                rto_validated_seconds=None,
                rpo_seconds=None,
                conflicts=0,
                servers=(),
            )
            for wave in plan.waves
        ),
        plan=plan,
        sequence=1,
        id="order-system-000001",
        previous=None,
        summary="Dry run of a DRILL: preflight passed, nothing was launched.",
        run=make_run(plan, dry_run=True, reason="", next_run=None, url=None, run_type="scheduled"),
        objectives=Objectives(rto_launched=unmeasured, rto_validated=unmeasured, rpo=unmeasured),
    )


def large_record(waves: int = 3, servers: int = 30) -> Evidence:
    """A drill of many servers, all of them launched."""
    return make_record(
        passed_waves(waves, servers),
        plan=make_plan(waves, servers, launch={"jobs": "per_wave"}),
        summary=f"The drill passed: {waves * servers} server(s) launched in {waves} wave(s); "
        "all of them are terminated.",
    )


def recovery_record() -> Evidence:
    """A real recovery to a point in time, approved by a person; nothing is terminated."""
    plan = make_plan(2, allow_recovery=True)
    waves = tuple(
        wave.model_copy(
            update={
                "servers": tuple(
                    server.model_copy(update={"snapshot_id": f"pit-{index:017x}"})
                    for index, server in enumerate(wave.servers)
                )
            }
        )
        for wave in passed_waves(2)
    )
    return make_record(
        waves,
        plan=plan,
        summary="The RECOVERY passed: 4 server(s) launched in 2 wave(s); none of them is terminated.",
        run=make_run(
            plan,
            execution_type="RECOVERY",
            reason="Ransomware in eu-west-1: fail over to the state of midnight",
            recovery_point=after(-6 * 3600),
            skip_approvals=True,
        ),
        approvals={
            RECOVERY_APPROVAL: ApprovalRecord(
                approved=True, answered="by a person", by="john.roe", at=after(20), comment=""
            ),
            "application": ApprovalRecord(approved=True, answered="skipped", at=after(640)),
        },
        cleanup=CleanupEvidence(
            when="always",
            started_at=None,
            ended_at=None,
            proven=False,
            kept=True,
            why_kept="a real recovery: none of its instances is ever terminated",
            instances=make_cleanup(waves).instances[:0],
        ),
    )
