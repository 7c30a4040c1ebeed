"""Runs as their ledgers and DRS have them, for tests of evidence: two waves of two servers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from drs.aws.jobs import Job, LogEvent, Participant
from drs.evidence.assemble import assemble
from drs.evidence.observed import Account
from drs.evidence.record import RunFindings
from drs.plan.check_labels import ALWAYS
from drs.run.ledger import Ledger
from drs.run.records import (
    Call,
    CheckResult,
    CleanupRecord,
    InstanceRecord,
    LaunchRecord,
    Resolution,
    ResolvedServer,
    RunRecord,
    ServerRecord,
    TerminateCall,
    WaveOutcome,
    WaveResolution,
    WaveValidation,
)
from drs.run.timeline import ServerSlot, Timeline
from tests.unit.drill import (
    APPLICATION,
    DATABASE,
    MemoryStore,
    after,
    make_event,
    make_job,
    make_plan,
    make_run,
)

SERVERS = {"database": DATABASE, "application": APPLICATION}
JOBS = {"database": "drsjob-1", "application": "drsjob-2"}
TERMINATE_JOB = "drsjob-9"
CALLED = {"database": 10.0, "application": 50.0}
"""When each wave's job was created, in seconds from the run's start."""
ENDED = {DATABASE[0]: 540.0, DATABASE[1]: 541.5, APPLICATION[0]: 612.0, APPLICATION[1]: 600.0}
"""Each server's LAUNCH_END."""
AGE = {DATABASE[0]: 30.0, DATABASE[1]: 75.0, APPLICATION[0]: 20.0, APPLICATION[1]: 0.0}
"""How old each server's recovery point was when its job was created."""
VALIDATED = {"database": 600.0, "application": 700.0}
WAVE_TASKS = ("start_recovery", "wait_until_started", "wait_until_launched", "validate")
SUCCEEDED: dict[str, str | None] = {
    "begin": "success",
    "preflight": "success",
    **{f"wave_{wave}.{task}": "success" for wave in SERVERS for task in WAVE_TASKS},
    "terminate": "success",
    "evidence": "running",
    "verdict": None,
}
GATE = {wave: f"wave_{wave}.wait_until_launched" for wave in SERVERS}
"""The task of each wave that judges whether its servers were launched."""


def instance(server: str) -> str:
    return f"i-{server[2:]}"


def requested(wave: str) -> dt.datetime:
    return after(CALLED[wave])


def resolved(wave: str, *, optional: Sequence[str] = (), **fields: Any) -> WaveResolution:
    servers = tuple(
        ResolvedServer(
            server_id=server,
            name=f"{wave}-{server[-1]}",
            group=wave,
            optional=server in optional,
            lag_seconds=1.5,
        )
        for server in SERVERS[wave]
    )
    return WaveResolution(servers=servers, **fields)


def launch(wave: str, job_id: str | None = None, *errors: str) -> LaunchRecord:
    """A launch of one job, after calls that DRS refused with these error codes."""
    job_id = job_id or JOBS[wave]
    servers = SERVERS[wave]
    slots = tuple(ServerSlot(server_id=server, not_before=after(0), job_id=job_id) for server in servers)
    timeline = Timeline(
        jobs="per_wave", server_delay=15, conflict_backoff=(30,), conflict_timeout=1800, servers=slots
    )
    refused = [Call(at=requested(wave), servers=servers, error=error) for error in errors]
    made = Call(at=requested(wave), servers=servers, job_id=job_id)
    return LaunchRecord(timeline=timeline, calls=(*refused, made))


def outcome(wave: str, *, failed: Mapping[str, str] | None = None) -> WaveOutcome:
    """The result of each server of the wave; ``failed`` has the errors of those that did not launch."""
    failed = failed or {}
    return WaveOutcome(
        servers=tuple(
            ServerRecord(
                server_id=server,
                name=f"{wave}-{server[-1]}",
                job_id=JOBS[wave],
                launched=server not in failed,
                optional=False,
                instance_id=None if server in failed else instance(server),
                error=failed.get(server),
                requested_at=requested(wave),
                launched_at=None if server in failed else after(ENDED[server]),
                point_in_time=None
                if server in failed
                else requested(wave) - dt.timedelta(seconds=AGE[server]),
            )
            for server in SERVERS[wave]
        )
    )


def validation(wave: str, *, failed: Sequence[str] = ()) -> WaveValidation:
    return WaveValidation(
        began_at=after(VALIDATED[wave] - 20),
        ended_at=after(VALIDATED[wave]),
        results=tuple(
            CheckResult(
                check=ALWAYS,
                server_id=server,
                instance_id=instance(server),
                passed=server not in failed,
                seen="stopped" if server in failed else "running",
                at=after(VALIDATED[wave]),
                seconds=20,
            )
            for server in SERVERS[wave]
        ),
    )


def cleanup(**fields: Any) -> CleanupRecord:
    items = tuple(
        InstanceRecord(
            recovery_instance_id=instance(server),
            ec2_instance_id=instance(server),
            server_id=server,
            job_id=JOBS[wave],
            instance_type="m5.large",
            point_in_time=requested(wave) - dt.timedelta(seconds=AGE[server]),
        )
        for wave, servers in SERVERS.items()
        for server in servers
    )
    ids = tuple(item.recovery_instance_id for item in items)
    return CleanupRecord.model_validate(
        {
            "started_at": after(800),
            "ended_at": after(900),
            "jobs": tuple(JOBS.values()),
            "instances": items,
            "terminate_calls": (TerminateCall(job_id=TERMINATE_JOB, instances=ids),),
            "proven": True,
            **fields,
        }
    )


def passed_run(run: RunRecord | None = None, *, cleaned: bool = True) -> Ledger:
    """The ledger of a run that proved everything.

    :param cleaned: its clean-up has ended; otherwise it has not begun
    """
    ledger = Ledger(MemoryStore())
    ledger.save_run(
        run or make_run(make_plan(objectives={"rto": "15m", "rpo": "1m"}), initiator="ada (manual)")
    )
    ledger.save_resolution(Resolution(waves={wave: resolved(wave) for wave in SERVERS}))
    for wave in SERVERS:
        ledger.save_launch(wave, launch(wave))
        ledger.save_reached(wave, "started", requested(wave) + dt.timedelta(seconds=3))
        ledger.save_outcome(wave, outcome(wave))
        ledger.save_reached(wave, "launched", after(max(ENDED[server] for server in SERVERS[wave]) + 2))
        ledger.save_validation(wave, validation(wave))
        ledger.save_reached(wave, "validated", after(VALIDATED[wave]))
    if cleaned:
        ledger.save_cleanup(cleanup())
    return ledger


def drs_job(wave: str, status: str = "LAUNCHED", **fields: Any) -> Job:
    """The wave's LAUNCH job in DRS; each server has this status."""
    participants = (Participant(server, status, instance(server)) for server in SERVERS[wave])
    known = {"created": requested(wave), "status": "COMPLETED", "ended": after(620)}
    return make_job(JOBS[wave], *participants, **{**known, **fields})


def drs_log(wave: str) -> list[LogEvent]:
    """The log of the wave's job, in which every server launched."""
    began = CALLED[wave]
    events = [make_event(began + 1, "JOB_START")]
    for server in SERVERS[wave]:
        events += [
            make_event(began + 5, "SNAPSHOT_START", server),
            make_event(ENDED[server] - 60, "LAUNCH_START", server),
            make_event(ENDED[server], "LAUNCH_END", server, target_instance_id=instance(server)),
        ]
    return sorted([*events, make_event(620, "JOB_END")], key=lambda event: event.at)


def told(states: Mapping[str, str | None] | None = None, **fields: Any) -> Account:
    """What Airflow and DRS say about a run that passed; ``states`` and ``fields`` replace parts of it."""
    terminate = make_job(
        TERMINATE_JOB, type="TERMINATE", status="COMPLETED", created=after(810), ended=after(890)
    )
    known = {
        "jobs": (*(drs_job(wave) for wave in SERVERS), terminate),
        "logs": {
            **{JOBS[wave]: drs_log(wave) for wave in SERVERS},
            TERMINATE_JOB: [make_event(811, "JOB_START")],
        },
        "url": "http://airflow/dags/drs_drill__orders/runs/run-1",
        "software": {"drs-drills": "0.1.0"},
    }
    return Account(states={**SUCCEEDED, **(states or {})}, **{**known, **fields})


def found(ledger: Ledger | None = None, account: Account | None = None) -> RunFindings:
    """What such a run showed."""
    ledger = ledger or passed_run()
    return assemble(ledger, ledger.run(), account or told(), after(1000))
