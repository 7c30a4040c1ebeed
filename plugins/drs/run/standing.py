"""Whether what a run launched is still there. Pure.

A drill that passes says that all of its servers were up together. So an instance that somebody else ends,
stops or replaces before the last wave has ended is a loss, whatever its wave had proven before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.aws.jobs import Job
from drs.aws.states import JobType
from drs.plan.naming import plan_name
from drs.run.ledger import Ledger
from drs.run.ownership import DAG_TAG, RUN_ID_TAG
from drs.run.records import CleanupRecord, Loss, RunRecord, Stood
from drs.text import shown
from drs.text.tables import named
from drs.text.times import minute

LISTING_DELAY = dt.timedelta(seconds=90)
"""How long after its launch DRS or EC2 may not list an instance yet. Until then a missing one is no loss."""
ENDING = frozenset({"shutting-down", "terminated"})
STOPPING = frozenset({"stopping", "stopped"})


@dataclass(frozen=True)
class OwnInstance:
    """An instance that the run launched and did not terminate itself.

    :param starts: whether the instance must run; otherwise its launch settings leave it stopped
    :param since: when DRS had launched it, by AWS's clock
    """

    wave: str
    server_id: str
    name: str
    optional: bool
    starts: bool
    job_id: str
    instance_id: str
    since: dt.datetime


@dataclass(frozen=True)
class Gone:
    """An instance that is not as it should be.

    :param what: what was seen, as the end of a sentence about the instance
    :param replaced_by: the job of the instance that the server has now, if it has another one
    """

    server: OwnInstance
    what: str
    replaced_by: str | None = None


def launched_servers(ledger: Ledger, run: RunRecord) -> list[OwnInstance]:
    """Every instance that this run launched, by its records, and that must still be there.

    The instances of an earlier try that was launched again do not count, and neither do those that the run's
    own clean-up has terminated.
    """
    launched = list(ever_launched(ledger, run))
    terminated = _terminated(ledger.cleanup()) if launched else set[tuple[str, str]]()
    return [each for each in launched if (each.job_id, each.server_id) not in terminated]


def ended_too_early(ledger: Ledger, run: RunRecord) -> list[str]:
    """The instances that this run's own clean-up ended before the last server was up, each in a sentence.

    A person can clear a wave after clean-up, or while clean-up is active: then it is launched without the
    others.
    """
    cleanup = ledger.cleanup()
    own = list(ever_launched(ledger, run))
    ended = max((each.since for each in own), default=None)
    if cleanup is None or ended is None:
        return []
    early = {
        instance: call.at
        for call in cleanup.terminate_calls
        if call.at is not None and call.at < ended
        for instance in call.instances
    }
    ids = {(item.job_id, item.server_id): item.recovery_instance_id for item in cleanup.instances}
    return [
        f"wave {each.wave}: this run's own clean-up ended {each.instance_id} of server "
        f"{named(each.server_id, each.name)} at {minute(early[instance])}, before the last server "
        "was up: the waves were not up together. Clear the whole run, or start a new one"
        for each in own
        if not each.optional and (instance := ids.get((each.job_id, each.server_id), "")) in early
    ]


def _terminated(cleanup: CleanupRecord | None) -> set[tuple[str, str]]:
    """Job and server of each instance that the run's clean-up has asked DRS to terminate."""
    if cleanup is None:
        return set()
    asked = {instance for call in cleanup.terminate_calls for instance in call.instances}
    return {(item.job_id, item.server_id) for item in cleanup.instances if item.recovery_instance_id in asked}


def ever_launched(ledger: Ledger, run: RunRecord) -> Iterator[OwnInstance]:
    """Every instance that this run launched, by its records, whether it has been terminated since or not.

    The instances of an earlier try that was launched again do not count.
    """
    judged = {wave: outcome for wave in run.waves if (outcome := ledger.outcome(wave)) is not None}
    # Before each call a wave asks what must stand, so what no outcome needs is not even read.
    resolution = ledger.resolution() if judged else None
    for wave, outcome in judged.items():
        launch = ledger.launch(wave)
        if launch is None:
            continue
        resolved = resolution.waves.get(wave) if resolution else None
        starts = {server.server_id: server.starts for server in resolved.servers} if resolved else {}
        last = {slot.server_id: slot.job_id for slot in launch.timeline.servers}
        for server in outcome.servers:
            if server.launched and server.instance_id and server.job_id == last.get(server.server_id):
                yield OwnInstance(
                    wave=wave,
                    server_id=server.server_id,
                    name=server.name,
                    optional=server.optional,
                    starts=starts.get(server.server_id, True),
                    job_id=str(server.job_id),
                    instance_id=server.instance_id,
                    since=server.launched_at or server.requested_at or run.began_at,
                )


def missing(
    servers: Iterable[OwnInstance],
    listed: Iterable[Mapping[str, Any]],
    ec2_states: Mapping[str, str],
) -> list[Gone]:
    """The instances that are not as they should be.

    :param listed: the recovery instances that DRS lists of these servers
    :param ec2_states: EC2's state of each instance, by its EC2 id
    """
    by_server: dict[str, list[Mapping[str, Any]]] = {}
    for item in listed:
        by_server.setdefault(str(item.get("sourceServerID")), []).append(item)
    seen = (_gone(server, by_server.get(server.server_id, []), ec2_states) for server in servers)
    return [gone for gone in seen if gone is not None]


def _gone(
    server: OwnInstance, items: Sequence[Mapping[str, Any]], ec2_states: Mapping[str, str]
) -> Gone | None:
    own = next((item for item in items if item.get("jobID") == server.job_id), None)
    if own is None:
        if other := next(iter(items), None):
            instance, job = str(other.get("recoveryInstanceID")), str(other.get("jobID"))
            return Gone(server, f"was replaced by {instance}, which job {job} launched", job)
        # A list may be older than the last one: only EC2's state says that the instance is gone.
        state = ec2_states.get(server.instance_id, "not found")
        if state not in ENDING and state != "not found":
            return None
        return Gone(server, f"is gone: DRS lists no instance of this server, and EC2 says {state}")
    state = ec2_states.get(ec2_id(own), "not found")
    if state in ENDING or state == "not found":
        return Gone(server, f"is {state} in EC2")
    if server.starts and state in STOPPING:
        return Gone(server, f"is {state} in EC2, and should run")
    return None


def ec2_id(item: Mapping[str, Any]) -> str:
    """The EC2 id of a recovery instance as DRS lists it. DRS may leave it out; it is the same as its own."""
    return str(item.get("ec2InstanceID") or item.get("recoveryInstanceID"))


def judge_from(gone: Iterable[Gone]) -> dt.datetime | None:
    """When it can be decided whether all of these are losses: DRS may list a new instance late. ``None`` if
    there are none.
    """
    return max((each.server.since + LISTING_DELAY for each in gone), default=None)


def losses(
    gone: Iterable[Gone], jobs: Sequence[Job], stood: Stood | None, now: dt.datetime
) -> tuple[Loss, ...]:
    """The losses among what is not as it should be.

    :param jobs: the jobs since the run began
    :param stood: the look before this one
    """
    return tuple(
        Loss(
            wave=each.server.wave,
            server_id=each.server.server_id,
            name=each.server.name,
            optional=each.server.optional,
            instance_id=each.server.instance_id,
            what=each.what,
            last_seen=last_seen(each.server, stood),
            found_at=now,
            by=_ended_by(each, jobs, last_seen(each.server, stood)),
        )
        for each in gone
        if now >= each.server.since + LISTING_DELAY
    )


def last_seen(server: OwnInstance, stood: Stood | None) -> dt.datetime:
    """When the run last saw an instance as it should be; its launch, if no later look saw it.

    :param stood: the last look
    """
    if stood is None or server.instance_id not in stood.instances:
        return server.since
    return max(server.since, stood.at)


def _ended_by(gone: Gone, jobs: Sequence[Job], since: dt.datetime) -> str:
    """Which job ended an instance, as far as DRS shows.

    :param since: when the run last saw it as it should be
    """
    replaced = next((job for job in jobs if job.job_id == gone.replaced_by), None)
    if replaced is not None:
        return _describe(replaced)
    # A TERMINATE job may lose its list of servers when it has ended.
    ends = [
        job
        for job in jobs
        if job.type == JobType.TERMINATE
        and (job.ended is None or job.ended >= since - LISTING_DELAY)
        and (not job.server_ids or gone.server.server_id in job.server_ids)
    ]
    if named := [job for job in ends if job.server_ids]:
        return _describe(named[-1])
    if ends:
        return f"probably {' or '.join(_describe(job) for job in ends)}"
    return "no DRS job that is listed; CloudTrail shows who called EC2"


def _describe(job: Job) -> str:
    dag_id, run_id = job.tags.get(DAG_TAG), job.tags.get(RUN_ID_TAG)
    whose = (
        f" of run {shown.line(run_id)} of plan {shown.line(plan_name(dag_id))}"
        if dag_id and run_id
        else ", which has no tags of a run"
    )
    return f"job {job.describe()}{whose}"


def describe(loss: Loss) -> str:
    """One loss in a sentence."""
    return (
        f"Wave {loss.wave}: instance {loss.instance_id} of server {named(loss.server_id, loss.name)} "
        f"{loss.what}. The run last saw it as it should be at {minute(loss.last_seen)}. Ended by: {loss.by}."
    )
