"""``jobs`` and ``job``: the jobs of DRS, and an explanation of one job's log."""

from __future__ import annotations

import argparse
import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from drs.aws.calls import DrsCalls
from drs.aws.jobs import Job, LogEvent, ServerOutcome, judge
from drs.aws.states import JobType, LaunchStatus
from drs.cli.aws import NO_AWS, access_to_place, add_place, reporting_aws_errors
from drs.cli.common import BROKEN, OK, add_json, add_parser, duration, print_json
from drs.cli.screen import show_table
from drs.errors import InvalidField
from drs.explain import MEANINGS, LaunchExplanation, explain_failure, raw_error_of
from drs.plan import durations
from drs.plan.naming import plan_name
from drs.run.ownership import DAG_TAG, RUN_ID_TAG
from drs.text import shown
from drs.text.times import duration as span
from drs.text.times import instant, utc_now

DAY = dt.timedelta(hours=24)
NOT_LAUNCHED = "NOT LAUNCHED"


def add_commands(commands: Any) -> None:
    jobs = add_parser(
        commands,
        "jobs",
        help="list recent DRS jobs",
        description="List the DRS jobs of an account and Region, newest first.",
        exit_codes={
            0: "DRS answered",
            2: "wrong usage, or there is no such plan",
            3: NO_AWS,
        },
    )
    jobs.add_argument("--active", action="store_true", help="only live jobs, which hold their servers now")
    jobs.add_argument(
        "--since",
        type=duration,
        default=DAY,
        metavar="DURATION",
        help="only jobs that are younger than this, such as 2h or 7d (default: 24h)",
    )
    add_place(jobs)
    add_json(jobs)
    jobs.set_defaults(run=reporting_aws_errors(_jobs))

    job = add_parser(
        commands,
        "job",
        help="show one DRS job: its servers, its log, and the causes of failures",
        description="Show one DRS job: the result for each of its servers, and its log with explanations.",
        exit_codes={
            0: "the job is live, or it succeeded",
            1: "a server of the job was not launched",
            2: "wrong usage, or DRS does not know the job",
            3: NO_AWS,
        },
    )
    job.add_argument("job_id", metavar="JOB", type=_job_id, help="the id of the job: drsjob-...")
    add_place(job)
    add_json(job)
    job.set_defaults(run=reporting_aws_errors(_job))


def _job_id(text: str) -> str:
    if not re.fullmatch(r"drsjob-[0-9a-zA-Z]{17}", text):
        raise argparse.ArgumentTypeError(f"{text} is not the id of a DRS job: drsjob- and 17 characters")
    return text


def _jobs(arguments: argparse.Namespace) -> int:
    access = access_to_place(arguments)
    found = access.drs.jobs_since(utc_now() - arguments.since)
    listed = sorted((job for job in found if job.live or not arguments.active), key=lambda job: job.created)[
        ::-1
    ]
    if arguments.json:
        print_json([_summary(job) for job in listed])
    elif listed:
        _show_jobs(listed)
    else:
        kind = "live DRS job" if arguments.active else "DRS job"
        print(f"There is no {kind} of the last {durations.render(arguments.since)} in {access.region}.")
    return OK


def _summary(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "type": job.type,
        "initiated_by": job.initiated_by,
        "status": job.status,
        "live": job.live,
        "created": job.created,
        "ended": job.ended,
        "plan": _plan_of(job),
        "dag_run": job.tags.get(RUN_ID_TAG),
        "servers": [
            {"server_id": part.server_id, "launch_status": part.status, "instance_id": part.instance_id}
            for part in job.participants
        ],
    }


def _plan_of(job: Job) -> str | None:
    """The plan whose drill started the job, if the job has the tag of one."""
    dag = job.tags.get(DAG_TAG)
    return plan_name(dag) if dag else None


def _show_jobs(jobs: Sequence[Job]) -> None:
    rows = [
        (
            job.job_id,
            job.initiated_by,
            job.status,
            instant(job.created, "-"),
            _took(job),
            str(len(job.participants)),
            _counts(job),
            " ".join(filter(None, (_plan_of(job), job.tags.get(RUN_ID_TAG)))) or "-",
        )
        for job in jobs
    ]
    header = (
        "job",
        "initiated by",
        "status",
        "created (UTC)",
        "took",
        "servers",
        "launch status",
        "plan and run",
    )
    show_table(header, rows, below=("plan and run", "initiated by", "servers", "took"))


def _took(job: Job) -> str:
    return span((job.ended - job.created).total_seconds()) if job.ended else "live"


def _counts(job: Job) -> str:
    statuses = [part.status for part in job.participants]
    return ", ".join(f"{statuses.count(status)} {status}" for status in sorted(set(statuses))) or "-"


def _job(arguments: argparse.Namespace) -> int:
    access = access_to_place(arguments)
    found = access.drs.describe_jobs([arguments.job_id])
    if not found:
        raise InvalidField(
            f"DRS does not know the job {arguments.job_id} in {access.region} of account "
            f"{access.identity.account}.",
            remedy="Give the account and Region in which it was started: --plan PLAN or --region NAME. "
            "DRS does not keep old jobs for ever.",
        )
    job = found[0]
    log = access.drs.job_log(job.job_id)
    outcomes = _outcomes(access.drs, job, log)
    failed = [outcome for outcome in outcomes if _verdict(job, outcome) == NOT_LAUNCHED]
    if arguments.json:
        print_json(
            {
                **_summary(job),
                "outcomes": [_outcome(job, log, it) for it in outcomes],
                "log": [{**asdict(event), "meaning": MEANINGS.get(event.event)} for event in log],
            }
        )
    else:
        _print(job, log, outcomes)
        for outcome in failed:
            _print_failure(outcome, _explained(job, log, outcome))
    return BROKEN if failed else OK


def _outcome(job: Job, log: Sequence[LogEvent], outcome: ServerOutcome) -> dict[str, Any]:
    verdict = _verdict(job, outcome)
    explanation = asdict(_explained(job, log, outcome)) if verdict == NOT_LAUNCHED else None
    return {**asdict(outcome), "verdict": verdict, "explanation": explanation}


def _outcomes(drs: DrsCalls, job: Job, log: Sequence[LogEvent]) -> list[ServerOutcome]:
    """The result for each server of a LAUNCH job.

    A TERMINATE job has none, because the results of its servers are not certain.
    """
    if job.type != JobType.LAUNCH:
        return []
    instances = {
        (str(item.get("jobID")), str(item.get("sourceServerID"))): str(item["recoveryInstanceID"])
        for item in drs.recovery_instances(job.server_ids)
    }
    return judge(job, log, instances, [part.server_id for part in job.participants])


def _print(job: Job, log: Sequence[LogEvent], outcomes: Sequence[ServerOutcome]) -> None:
    plan, run = _plan_of(job), job.tags.get(RUN_ID_TAG)
    whose = f", started by run {shown.line(run)} of plan {shown.line(plan)}" if plan else ""
    print(f"{job.job_id}: {job.type} by {job.initiated_by}, {job.status}, {_took(job)}{whose}")
    if job.live:
        print("The job holds its servers: DRS refuses any other job for them, and cannot cancel this job.")
    if outcomes:
        statuses = dict(_statuses(job))
        rows = [
            (
                outcome.server_id,
                statuses[outcome.server_id],
                outcome.instance_id or "-",
                _verdict(job, outcome),
            )
            for outcome in outcomes
        ]
        print()
        show_table(("server", "launch status", "instance", "result"), rows)
    if log:
        entries = [
            (
                instant(event.at, "-"),
                event.server_id or "(job)",
                event.event,
                event.target_instance_id or "-",
                MEANINGS.get(event.event, ""),
            )
            for event in log
        ]
        print()
        header = ("at (UTC)", "server", "event", "instance", "which means")
        show_table(header, entries, below=("which means", "instance"))


def _verdict(job: Job, outcome: ServerOutcome) -> str:
    if outcome.launched:
        return "launched"
    if dict(_statuses(job)).get(outcome.server_id) == LaunchStatus.TERMINATED:
        return "launched, then terminated"
    return "in progress" if job.live else NOT_LAUNCHED


def _statuses(job: Job) -> list[tuple[str, str]]:
    return [(part.server_id, part.status) for part in job.participants]


def _explained(job: Job, log: Sequence[LogEvent], outcome: ServerOutcome) -> LaunchExplanation:
    """Explain a server's failure, or what its live job waits for. A drill's log has the same explanations."""
    own = [event for event in log if event.server_id in (outcome.server_id, None)]
    last = max((event.at for event in log), default=job.created)
    return explain_failure(
        raw_error_of(own),
        own,
        job_status=job.status,
        launch_status=dict(_statuses(job)).get(outcome.server_id),
        silent_for=utc_now() - last if job.live else None,
    )


def _print_failure(outcome: ServerOutcome, explanation: LaunchExplanation) -> None:
    print(f"\n{outcome.server_id} was not launched: {shown.line(outcome.error)}")
    print(f"Cause: {explanation.cause}")
    print(f"What to do: {explanation.remedy}")
    print(f"Retry: {explanation.retry}.")
