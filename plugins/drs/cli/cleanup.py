"""``cleanup``: terminate the drill instances that runs of a plan left behind.

Only the tags of the job that launched an instance show whether it belongs to the plan. As in the drill
itself,
:mod:`drs.cleanup.clean_up` decides how it is terminated.
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drs.aws.calls import DrsCalls, chunks
from drs.aws.jobs import Job
from drs.cleanup.prices import COST_HEADER, basis, cost_cells, cost_so_far, per_hour, prices, total
from drs.cli.airflow_access import add_connection
from drs.cli.airflow_holds import NOT_ASKED, Hold, Owner, holds
from drs.cli.aws import NO_AWS, Access, add_profile, checked_access, explained, reporting_aws_errors
from drs.cli.common import BROKEN, OK, add_json, add_parser, add_plan, counted, find_plan, print_json
from drs.cli.screen import show_table
from drs.errors import AccessDenied, CleanupIncomplete, DrillError
from drs.plan import Plan
from drs.plan.naming import dag_id
from drs.run.ledger import Ledger
from drs.run.ownership import DAG_TAG, RUN_ID_TAG, RUN_TAG
from drs.run.records import InstanceRecord, RunRecord
from drs.text import shown
from drs.text.times import utc_now

if TYPE_CHECKING:
    from drs.cleanup.clean_up import CleanUp, WaitForJobs

POLL = 5.0
"""Seconds between two polls."""
JOBS_IN_A_CALL = 1000
"""The most job ids that one DescribeJobs call accepts."""


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "cleanup",
        help="terminate the drill instances that runs of a plan left behind",
        description=(
            "List the drill instances that runs of a plan left behind, and terminate them after you agree. "
            "Only instances that DRS marks as drills, and whose job has the tags of a run of the plan, are "
            "touched. The command asks Airflow which runs are active, and leaves their instances alone."
        ),
        exit_codes={
            0: "no run of the plan has an instance left; with --no-wait: all of them are being terminated",
            1: "instances are left, those of active runs and of other runs than --run included",
            2: "wrong usage, or there is no such plan",
            3: NO_AWS,
        },
    )
    add_plan(parser)
    parser.add_argument(
        "--run",
        dest="run_id",
        metavar="RUN",
        help="only the instances of this DAG run, also while it keeps them for cleanup.keep_for",
    )
    parser.add_argument("--yes", action="store_true", help="terminate without asking")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also terminate the instances of an active run, which then fails",
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the instances are gone")
    add_profile(parser)
    add_json(parser)
    add_connection(parser)
    parser.set_defaults(run=reporting_aws_errors(_cleanup))


@dataclass(frozen=True)
class Leftover:
    """A drill instance, and the job that launched it if DRS still lists that job."""

    instance: InstanceRecord
    job: Job | None

    @property
    def run_id(self) -> str:
        return self.job.tags.get(RUN_ID_TAG, "") if self.job else ""

    @property
    def token(self) -> str:
        return self.job.tags.get(RUN_TAG, "") if self.job else ""

    def as_json(self, now: dt.datetime, hold: Hold = NOT_ASKED) -> dict[str, Any]:
        price, so_far = per_hour(self.instance.instance_type), cost_so_far(self.instance, now)
        return {
            "recovery_instance_id": self.instance.recovery_instance_id,
            "ec2_instance_id": self.instance.ec2_instance_id,
            "server_id": self.instance.server_id,
            "job_id": self.instance.job_id,
            "run": self.run_id or None,
            "run_active": hold.active,
            "refused": hold.why if hold.refused else None,
            "launched_by_job_of": self.job.created if self.job else None,
            "instance_type": self.instance.instance_type,
            "launched_at": self.instance.launched_at,
            "state": self.instance.state,
            "usd_so_far": None if so_far is None else round(so_far, 2),
            "usd_per_hour": price,
            "prices_as_of": prices().as_of,
        }


def _cleanup(arguments: argparse.Namespace) -> int:
    plan = find_plan(arguments.plan, arguments.plans)
    access = checked_access(plan, arguments.profile)
    of_plan, unknown = _leftovers(access, plan)
    own = [item for item in of_plan if arguments.run_id in (None, item.run_id)]
    others = [item for item in of_plan if item not in own]
    owners = [Owner(item.token, item.run_id) for item in own]
    known = holds(arguments, plan.name, owners, arguments.run_id) if own else {}
    if arguments.json:
        now = utc_now()
        left = [item.as_json(now, known[item.token]) for item in own]
        print_json(
            {
                "left": left,
                "of_other_runs": [item.as_json(now) for item in others],
                "untold": [item.as_json(now) for item in unknown],
            }
        )
    else:
        _print(plan, arguments.run_id, own, others, unknown)
    if not own:
        return BROKEN if others else OK
    _print_live_runs(access.drs, plan, known)
    free = _free(own, known, force=arguments.force)
    if not (free and (arguments.yes or (not arguments.json and _agreed(plan, free, known)))):
        return BROKEN
    code = _terminate(access, plan, free, wait=not arguments.no_wait)
    return code if len(free) == len(own) else BROKEN


def _free(own: Sequence[Leftover], known: Mapping[str, Hold], *, force: bool) -> Sequence[Leftover]:
    """The instances that may be terminated. Print why the others may not, and what Airflow does not know."""
    for token in dict.fromkeys(item.token for item in own):
        hold = known[token]
        instances = [item.instance.recovery_instance_id for item in own if item.token == token]
        listed = f"{counted(len(instances), 'instance')} ({', '.join(instances)})"
        are = "is" if len(instances) == 1 else "are"
        if hold.active is None:
            print(f"\nIt is not known whether the run of {listed} is active. {hold.why}", file=sys.stderr)
        elif hold.refused and force:
            print(f"\n--force: {listed} {are} terminated all the same. {hold.why}", file=sys.stderr)
        elif hold.refused:
            print(
                f"\n{listed} {are} not touched. {hold.why}\nTo terminate them all the same: --force",
                file=sys.stderr,
            )
    return [item for item in own if force or not known[item.token].refused]


def _leftovers(access: Access, plan: Plan) -> tuple[list[Leftover], list[Leftover]]:
    """The drill instances of the plan's runs, and those whose run is unknown."""
    from drs.cleanup.drill_instances import with_types

    drills = [item for item in access.drs.every_recovery_instance() if item.get("isDrill") is True]
    ids = sorted({str(item["jobID"]) for item in drills if item.get("jobID")})
    jobs = {
        job.job_id: job for chunk in chunks(ids, JOBS_IN_A_CALL) for job in access.drs.describe_jobs(chunk)
    }
    instances, note = with_types(
        [
            InstanceRecord(
                recovery_instance_id=str(item["recoveryInstanceID"]),
                ec2_instance_id=str(item.get("ec2InstanceID", item["recoveryInstanceID"])),
                server_id=str(item.get("sourceServerID", "-")),
                job_id=str(item.get("jobID", "-")),
            )
            for item in drills
        ],
        lambda filters: _instances(access, filters),
    )
    if note:
        print(note, file=sys.stderr)
    own, unknown = [], []
    for instance in instances:
        job = jobs.get(instance.job_id)
        leftover = Leftover(instance, job)
        if job is None or DAG_TAG not in job.tags or RUN_TAG not in job.tags:
            unknown.append(leftover)
        elif job.tags[DAG_TAG] == dag_id(plan.name):
            own.append(leftover)
    return own, unknown


def _print_live_runs(drs: DrsCalls, plan: Plan, known: Mapping[str, Hold]) -> None:
    """Where Airflow could not say which runs are active, say which of them have a live job in DRS."""
    if all(hold.active is not None for hold in known.values()):
        return
    tagged = [job.tags for job in drs.live_jobs() if job.tags.get(DAG_TAG) == dag_id(plan.name)]
    if live := {tags.get(RUN_ID_TAG, "?") for tags in tagged}:
        runs = ", ".join(sorted(live))
        print(
            f"\nDRS has live jobs of these runs, which are most likely still active: {runs}.", file=sys.stderr
        )


def _print(
    plan: Plan,
    run_id: str | None,
    own: Sequence[Leftover],
    others: Sequence[Leftover],
    unknown: Sequence[Leftover],
) -> None:
    """What is left.

    :param run_id: the run that was chosen
    :param others: what other runs have left; the chosen run's id may be mistyped
    """
    if own:
        print(
            f"{counted(len(own), 'drill instance')} of plan {plan.name}; each costs money until it is "
            "terminated:"
        )
        _show(own)
    elif run_id is None:
        print(f"No run of plan {plan.name} has a drill instance left.")
    else:
        print(f"Run {shown.line(run_id)} of plan {plan.name} has no drill instance left.")
    if others:
        runs = ", ".join(sorted({shown.line(item.run_id) for item in others}))
        print(
            f"Other runs of the plan have {counted(len(others), 'drill instance')} left ({runs}): "
            f"`python -m drs cleanup {plan.name}` lists them."
        )
    if unknown:
        print(
            f"\nNot touched: {counted(len(unknown), 'drill instance')} of an unknown run (the job has no "
            "tags of a run, or DRS no longer lists the job):"
        )
        _show(unknown)


def _show(items: Sequence[Leftover]) -> None:
    now = utc_now()
    rows = [
        (
            item.instance.recovery_instance_id,
            item.instance.ec2_instance_id,
            item.instance.server_id,
            *cost_cells(item.instance, now),
            item.instance.job_id,
            item.run_id or "-",
        )
        for item in items
    ]
    header = ("recovery instance", "EC2 instance", "server", *COST_HEADER, "job", "run")
    show_table(header, rows, below=("run", "job", "cost per day", "EC2 instance", "type", "age"))
    instances = [item.instance for item in items]
    print(f"{total(instances, now)}\n{basis(instances)}")


def _agreed(plan: Plan, free: Sequence[Leftover], known: Mapping[str, Hold]) -> bool:
    """Whether a person at the terminal agrees."""
    if not sys.stdin.isatty():
        print("\nNothing was terminated: use --yes, or run this command in a terminal.", file=sys.stderr)
        return False
    if any(known[item.token].active is None for item in free):
        print(
            "\nAn active run needs its instances and fails without them. Look at the DAG "
            f"{dag_id(plan.name)} in Airflow first."
        )
    try:
        answer = input(f"Terminate {counted(len(free), 'drill instance')}? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() in {"y", "yes"}:
        return True
    print("Nothing was terminated.")
    return False


class _Memory:
    """A ledger in memory. The run's own ledger is in Airflow, and only the run's tasks write it."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any) -> None:
        self._values[key] = value


def _terminate(access: Access, plan: Plan, own: Sequence[Leftover], *, wait: bool) -> int:
    """Clean up after each of the runs, at the same time."""
    runs = {item.token: _begin(access, plan, item.token, own) for item in own}
    steps: dict[str, WaitForJobs] = {}
    failed = False
    due = list(runs)
    while due:
        for token in due:
            steps.pop(token, None)
            try:
                step = _advance(runs[token])
            except DrillError as error:
                print(error, file=sys.stderr)
                failed = True
                continue
            if step is not None:
                steps[token] = step
        if not wait:
            begun = [call for token in steps for call in runs[token].record.terminate_calls]
            asked = {instance for call in begun if call.job_id for instance in call.instances}
            waiting = [
                item
                for item in own
                if item.token in steps and item.instance.recovery_instance_id not in asked
            ]
            if waiting:
                ids = ", ".join(
                    f"{item.instance.recovery_instance_id} of {item.instance.server_id}" for item in waiting
                )
                print(
                    f"{len(waiting)} of them cannot be terminated yet, because a live job holds the server "
                    f"or DRS refused the call: {ids}",
                    file=sys.stderr,
                )
            print("The command does not wait. Run it again to see which instances are left.", file=sys.stderr)
            return BROKEN if failed or waiting else OK
        due = _next_due(access.drs, steps)
    return BROKEN if failed else OK


def _begin(access: Access, plan: Plan, token: str, own: Sequence[Leftover]) -> CleanUp:
    """Begin the clean-up of one run, in the same way as its task ``terminate``."""
    from drs.cleanup.clean_up import CleanUp

    jobs = [item.job for item in own if item.job and item.token == token]
    run = RunRecord(
        token=token,
        dag_id=dag_id(plan.name),
        run_id=jobs[0].tags.get(RUN_ID_TAG, ""),
        began_at=min(job.created for job in jobs),
        plan=plan.model_dump(mode="json"),
        digest=plan.digest,
        waves=tuple(wave.name for wave in plan.waves),
    )
    clean_up = CleanUp(
        hook=access.drs,
        describe_ec2=lambda filters: _instances(access, filters),
        ledger=Ledger(_Memory()),
        run=run,
        log=_log(),
    )
    clean_up.begin(resumed=False)
    return clean_up


def _advance(clean_up: CleanUp) -> WaitForJobs | None:
    """Take one step.

    :return: what to wait for; None if all instances are proven gone
    """
    from botocore.exceptions import ClientError

    from drs.cleanup.clean_up import Proven

    try:
        step = clean_up.advance()
    except CleanupIncomplete as error:
        raise CleanupIncomplete(
            error.message,
            remedy="Find out what keeps them (EC2 termination protection, a failback, a job that someone "
            "else started), then run this command again.",
        ) from error
    except AccessDenied as error:
        # The remedy of the original error is about an Airflow task.
        remedy = explained(error.__cause__).remedy if isinstance(error.__cause__, ClientError) else None
        raise AccessDenied(error.message, remedy=remedy) from error
    return None if isinstance(step, Proven) else step


def _next_due(drs: DrsCalls, steps: Mapping[str, WaitForJobs]) -> list[str]:
    """Wait until the clean-up of at least one run can take its next step."""
    from botocore.exceptions import BotoCoreError, ClientError

    from drs.aws.call_errors import unavailable

    while steps:
        time.sleep(POLL)
        ids = {job_id for step in steps.values() for job_id in step.job_ids}
        try:
            live = {job.job_id for job in drs.describe_jobs(ids) if job.live}
        except (ClientError, BotoCoreError) as error:
            if not unavailable(error):
                raise
            live = ids  # nothing else is known; every step has a time limit
        if due := [token for token, step in steps.items() if _is_due(step, live, utc_now())]:
            return due
    return []


def _is_due(step: WaitForJobs, live: set[str], now: dt.datetime) -> bool:
    return now >= step.until or any(job_id not in live for job_id in step.job_ids)


def _instances(access: Access, filters: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for page in access.client("ec2").get_paginator("describe_instances").paginate(Filters=filters):
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def _log() -> logging.Logger:
    """A logger that prints the messages of clean-up as plain lines on standard error."""
    log = logging.getLogger("drs.cli.cleanup")
    log.handlers = [logging.StreamHandler()]
    log.setLevel(logging.INFO)
    log.propagate = False
    return log
