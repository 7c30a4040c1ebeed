"""What AWS shows in one account and Region: the drill instances, and the jobs that will launch more."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws import call_errors
from drs.aws.calls import LOOK_BACK, DrsCalls, chunks
from drs.aws.jobs import Job
from drs.aws.states import InitiatedBy, JobType
from drs.cleanup.drill_instances import DescribeEc2, with_types
from drs.errors import AccountMismatch, CheckUnavailable, DrillError
from drs.plan import Plan
from drs.run.ownership import DAG_TAG, INSTALLATION_TAG, RUN_ID_TAG, RUN_TAG
from drs.run.records import InstanceRecord

JOBS_IN_A_CALL = 1000
"""The most job ids that one DescribeJobs call accepts."""
Explain = Callable[[ClientError | BotoCoreError], DrillError | None]
"""Turns an error of AWS into a failure with a code; ``None`` where no code explains it."""
GONE = frozenset({"shutting-down", "terminated"})
"""EC2's states of an instance that DRS may still list for a moment."""


class AwsPlace(NamedTuple):
    """An account and Region, and the Airflow connection that leads there."""

    account_id: str
    region: str
    aws_conn_id: str

    @classmethod
    def of(cls, plan: Plan) -> AwsPlace:
        """The place of a plan's target."""
        return cls(plan.target.account_id, plan.target.region, plan.target.aws_conn_id)

    @property
    def name(self) -> str:
        """``111122223333/us-east-1``: the place without the connection."""
        return f"{self.account_id}/{self.region}"

    def describe(self) -> str:
        return f"account {self.account_id}, Region {self.region}"


@dataclass(frozen=True)
class Connected:
    """The calls that read one place.

    :param account: asks AWS for the account of the credentials
    :param explain: what an error of AWS means to the reader, if that is not the reader of a task's log
    """

    drs: DrsCalls
    describe_ec2: DescribeEc2
    account: Callable[[], str]
    explain: Explain | None = None


class RunKey(NamedTuple):
    """A run as the tags of its jobs name it. ``run_id`` is the run's id as :func:`tag_value` writes it."""

    dag_id: str
    run_id: str
    token: str


@dataclass(frozen=True)
class DrillInstance:
    """A drill instance, and the job that launched it if DRS still lists that job."""

    record: InstanceRecord
    job: Job | None

    @property
    def since(self) -> dt.datetime | None:
        """When it was launched, as far as AWS shows."""
        return self.record.launched_at or (self.job.created if self.job else None)


@dataclass(frozen=True)
class RunInAws:
    """What AWS has of one run.

    :param installation: the id of the Airflow that started the jobs, by their tags; empty if they name none
    :param instances: its drill instances
    :param launching: its live LAUNCH jobs
    """

    key: RunKey
    installation: str
    place: AwsPlace
    instances: tuple[DrillInstance, ...] = ()
    launching: tuple[Job, ...] = ()

    @property
    def records(self) -> list[InstanceRecord]:
        return [instance.record for instance in self.instances]

    @property
    def jobs(self) -> list[Job]:
        """Its jobs that DRS lists."""
        found = {each.job.job_id: each.job for each in self.instances if each.job}
        return [*found.values(), *(job for job in self.launching if job.job_id not in found)]

    @property
    def began(self) -> dt.datetime | None:
        """When its oldest job here was created, or its oldest instance launched."""
        times = [job.created for job in self.jobs]
        times += [each.since for each in self.instances if each.since]
        return min(times, default=None)


@dataclass(frozen=True)
class View:
    """One look at a place.

    :param instances: every drill instance, of whatever origin
    :param launches: every LAUNCH job of a drill in the last 24 hours
    :param note: what could not be read, and does not matter for the comparison
    """

    place: AwsPlace
    at: dt.datetime
    instances: tuple[DrillInstance, ...] = ()
    launches: tuple[Job, ...] = ()
    note: str | None = None


@dataclass(frozen=True)
class Unreadable:
    """A place that could not be read: the watch is blind there.

    :param passing: it may be readable again at the next look
    """

    place: AwsPlace
    error: DrillError
    passing: bool


def look(
    places: Iterable[AwsPlace], connect: Callable[[AwsPlace], Connected], now: dt.datetime
) -> tuple[list[View], list[Unreadable]]:
    """Read every place. If several connections lead to one, the first that can read it counts."""
    by_name: dict[str, list[AwsPlace]] = defaultdict(list)
    for place in sorted(set(places)):
        by_name[place.name].append(place)
    views: list[View] = []
    unreadable: list[Unreadable] = []
    for same in by_name.values():
        failures: list[Unreadable] = []
        for place in same:
            seen = read(place, connect, now)
            if isinstance(seen, View):
                views.append(seen)
                break
            failures.append(seen)
        else:
            unreadable.append(failures[0])
    return views, unreadable


def read(place: AwsPlace, connect: Callable[[AwsPlace], Connected], now: dt.datetime) -> View | Unreadable:
    """Read one place, or say why that is not possible."""
    explain: Explain = partial(
        call_errors.explain, doing="what the watch asked for", connection=place.aws_conn_id
    )
    try:
        aws = connect(place)
        explain = aws.explain or explain
        account = aws.account()
        if account != place.account_id:
            raise AccountMismatch(
                f"The connection {place.aws_conn_id} leads to account {account}, not to {place.account_id}.",
                remedy=f"Give the connection {place.aws_conn_id} a role in account {place.account_id}.",
            )
        return _read(place, aws, now)
    except DrillError as error:
        return Unreadable(place, error, passing=error.retryable)
    except (ClientError, BotoCoreError) as error:
        found = call_errors.meaning(error)
        refused = CheckUnavailable(f"AWS refused a call: {found.phrase}. {error}", remedy=found.remedy)
        return Unreadable(place, explain(error) or refused, passing=call_errors.unavailable(error))


def _read(place: AwsPlace, aws: Connected, now: dt.datetime) -> View:
    drills = [item for item in aws.drs.every_recovery_instance() if item.get("isDrill") is True]
    recent = [job for job in aws.drs.jobs_since(now - LOOK_BACK) if _launches_a_drill(job)]
    ids = sorted({str(item["jobID"]) for item in drills if item.get("jobID")})
    jobs = {job.job_id: job for chunk in chunks(ids, JOBS_IN_A_CALL) for job in aws.drs.describe_jobs(chunk)}
    records, note = with_types([_record(item) for item in drills], aws.describe_ec2)
    instances = [
        DrillInstance(record, jobs.get(record.job_id)) for record in records if record.state not in GONE
    ]
    return View(place, now, tuple(instances), tuple(recent), note)


def _launches_a_drill(job: Job) -> bool:
    return job.type == JobType.LAUNCH and job.initiated_by == InitiatedBy.START_DRILL


def _record(item: Mapping[str, object]) -> InstanceRecord:
    return InstanceRecord(
        recovery_instance_id=str(item["recoveryInstanceID"]),
        ec2_instance_id=str(item.get("ec2InstanceID", item["recoveryInstanceID"])),
        server_id=str(item.get("sourceServerID", "-")),
        job_id=str(item.get("jobID", "-")),
    )


def look_again(
    views: Iterable[View],
    left: Iterable[RunInAws],
    connect: Callable[[AwsPlace], Connected],
    now: dt.datetime,
) -> tuple[list[View], list[Unreadable]]:
    """Read the places in which something seems to be left again, and believe only what both looks show.

    :param left: what seems to be left; Airflow was asked about it after the first look
    """
    doubtful = {run.place.name for run in left}
    seen: list[View] = []
    lost: list[Unreadable] = []
    for view in views:
        again = read(view.place, connect, now) if view.place.name in doubtful else view
        if isinstance(again, Unreadable):
            lost.append(again)
        else:
            seen.append(confirmed(view, again))
    return seen, lost


def confirmed(first: View, second: View) -> View:
    """What two looks at a place both show, as the second one shows it."""
    instances = {each.record.recovery_instance_id for each in first.instances}
    jobs = {job.job_id for job in first.launches}
    return replace(
        second,
        instances=tuple(each for each in second.instances if each.record.recovery_instance_id in instances),
        launches=tuple(job for job in second.launches if job.job_id in jobs),
    )


def runs_in(view: View, recorded: Mapping[str, RunKey]) -> tuple[list[RunInAws], list[DrillInstance]]:
    """The drill instances and live jobs of a place by their runs, and the instances of no run that is known.

    :param recorded: the jobs that runs have recorded, for jobs without tags
    """
    instances: dict[RunKey, list[DrillInstance]] = defaultdict(list)
    launching: dict[RunKey, list[Job]] = defaultdict(list)
    unknown: list[DrillInstance] = []
    for instance in view.instances:
        key = key_of(instance.job, recorded) or recorded.get(instance.record.job_id)
        if key is None:
            unknown.append(instance)
        else:
            instances[key].append(instance)
    for job in view.launches:
        if job.live and (key := key_of(job, recorded)):
            launching[key].append(job)
    found = [
        RunInAws(
            key=key,
            installation=_installation((each.job for each in instances[key]), launching[key]),
            place=view.place,
            instances=tuple(instances[key]),
            launching=tuple(launching[key]),
        )
        for key in dict.fromkeys((*instances, *launching))
    ]
    return found, unknown


def has_untagged(view: View) -> bool:
    """Whether a drill instance or a live job there does not say itself which run started it."""
    live = [job for job in view.launches if job.live]
    return bool(runs_in(view, {})[1]) or any(key_of(job, {}) is None for job in live)


def key_of(job: Job | None, recorded: Mapping[str, RunKey]) -> RunKey | None:
    """The run that started the job, by the job's tags, or by the records of the runs."""
    if job is None:
        return None
    tags = job.tags
    if DAG_TAG in tags and RUN_TAG in tags:
        return RunKey(tags[DAG_TAG], tags.get(RUN_ID_TAG, ""), tags[RUN_TAG])
    return recorded.get(job.job_id)


def _installation(of_instances: Iterator[Job | None], live: Sequence[Job]) -> str:
    """The installation that all of the jobs name; empty unless every one of them names the same."""
    named = {job.tags.get(INSTALLATION_TAG, "") if job else "" for job in (*of_instances, *live)}
    return named.pop() if len(named) == 1 else ""
