"""What DRS shows of some servers directly before they are launched: which must not be launched, and which
already are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.aws.calls import DrsCalls
from drs.aws.jobs import Job, live_holders, parse_time
from drs.aws.states import InitiatedBy, JobType, LaunchStatus
from drs.run.other_drills import OtherDrill

JUST_ENDED = dt.timedelta(minutes=2)
"""For how long after the end of a job DRS may not list the instances that it launched."""
LAUNCHES = frozenset({InitiatedBy.START_DRILL, InitiatedBy.START_RECOVERY})
IsOwn = Callable[[Job], bool]
"""Whether this run started the job, beyond doubt."""
WhyHeld = Callable[[OtherDrill], str | None]
"""Why a drill instance of somebody else holds its server, as a clause; ``None`` if it may be replaced."""


@dataclass(frozen=True)
class BeforeCall:
    """What DRS shows of the servers that are about to be launched.

    :param own: the job of this run that launches the server now or has launched it, by server id
    :param starting: somebody else's live job that launches a server, by server id
    :param running: why a server must not be launched, as a clause, by server id: it has an instance that is
        not a drill's
    :param held: why a drill of somebody else holds a server, as a clause, by server id
    """

    own: Mapping[str, Job]
    starting: Mapping[str, Job]
    running: Mapping[str, str]
    held: Mapping[str, str]


def look_before_call(
    hook: DrsCalls,
    server_ids: Sequence[str],
    *,
    is_drill: bool,
    is_own: IsOwn,
    why_held: WhyHeld,
    now: dt.datetime,
) -> BeforeCall:
    """Look at these servers, right before they are launched.

    DRS terminates the recovery instance that a server has when it launches the server again. Preflight looked
    too, but an approval, a delay or a wait may have passed since. Jobs are read before instances: a job that
    ends between the two is then seen by its instance.

    :param is_drill: a drill keeps away from real recoveries and from the drills of others. A real recovery
        does not wait for drills.
    :param now: the time by this machine's clock
    """
    recent = hook.recent_jobs()
    live = [job for job in recent if job.live]
    listed = hook.recovery_instances(server_ids)
    just_ended = [job for job in recent if job.ended and job.ended > now - hook.clock_ahead - JUST_ENDED]
    instances = [*listed, *_not_listed_yet(just_ended, listed, server_ids)]
    known = {job.job_id: job for job in recent}
    ids = {str(item["jobID"]) for item in instances if item.get("jobID")}
    known |= {job.job_id: job for job in hook.describe_jobs(ids - known.keys())}
    own = _own(server_ids, live, instances, known, is_own)
    others = [item for item in instances if not _is_own_job(item, known, is_own)]
    # DRS may accept a call as soon as such a job ends, and would terminate what the job has just launched.
    launching = [job for job in live if job.initiated_by in LAUNCHES and not is_own(job)]
    drills = [item for item in others if item.get("isDrill") is True] if is_drill else []
    held = {item["sourceServerID"]: why_held(_drill(item, known)) for item in drills}
    return BeforeCall(
        own=own,
        starting=live_holders(launching, server_ids) if is_drill else {},
        running={
            item["sourceServerID"]: (
                f"it runs in a real recovery: {item['recoveryInstanceID']} is not a drill's instance, and "
                "DRS would terminate it when the server is launched"
            )
            for item in others
            if item.get("isDrill") is not True
        },
        held={server_id: why for server_id, why in held.items() if why},
    )


def _not_listed_yet(
    jobs: Iterable[Job], listed: Iterable[Mapping[str, Any]], server_ids: Iterable[str]
) -> list[Mapping[str, Any]]:
    """The drill instances that these jobs launched and that DRS does not list yet, as it will list them."""
    wanted, known = set(server_ids), {(item.get("jobID"), item["sourceServerID"]) for item in listed}
    return [
        {
            "recoveryInstanceID": each.instance_id or "not listed yet",
            "sourceServerID": each.server_id,
            "jobID": job.job_id,
            "isDrill": job.initiated_by == InitiatedBy.START_DRILL,
        }
        for job in jobs
        if job.type == JobType.LAUNCH
        for each in job.participants
        if each.server_id in wanted
        and each.status == LaunchStatus.LAUNCHED
        and (job.job_id, each.server_id) not in known
    ]


def _own(
    server_ids: Sequence[str],
    live: Iterable[Job],
    instances: Iterable[Mapping[str, Any]],
    known: Mapping[str, Job],
    is_own: IsOwn,
) -> dict[str, Job]:
    """The servers that this run launches now, or has launched, whatever its records say."""
    launched = {
        item["sourceServerID"]: job
        for item in instances
        if (job := known.get(str(item.get("jobID")))) is not None
        and is_own(job)
        and any(
            each.server_id == item["sourceServerID"] and each.status == LaunchStatus.LAUNCHED
            for each in job.participants
        )
    }
    return launched | live_holders([job for job in live if is_own(job)], server_ids)


def _is_own_job(item: Mapping[str, Any], known: Mapping[str, Job], is_own: IsOwn) -> bool:
    job = known.get(str(item.get("jobID")))
    return job is not None and is_own(job)


def _drill(item: Mapping[str, Any], known: Mapping[str, Job]) -> OtherDrill:
    job = known.get(str(item.get("jobID")))
    return OtherDrill(
        instance_id=str(item["recoveryInstanceID"]), job=job, launched=job.created if job else _data_of(item)
    )


def _data_of(item: Mapping[str, Any]) -> dt.datetime | None:
    """The moment of the data on the instance, which is shortly before its launch."""
    at = item.get("pointInTimeSnapshotDateTime")
    return parse_time(at) if at else None
