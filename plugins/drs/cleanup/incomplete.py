"""The failure of a clean-up that could not terminate everything: what is left and what to do. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from drs.aws.jobs import Job
from drs.cleanup.prices import cost_listing
from drs.errors import CleanupIncomplete
from drs.run.ledger import Ledger
from drs.run.records import InstanceRecord, LaunchRecord, WaveOutcome
from drs.text.tables import table

CAUSES = "Remove the cause (usually EC2 termination protection, or a job of someone else)."


def incomplete(
    why: str,
    *,
    region: str,
    left: Sequence[InstanceRecord],
    live: Sequence[Job],
    launched: str,
    cause: str = "",
    now: dt.datetime,
) -> CleanupIncomplete:
    """The error to raise.

    :param why: the reason, as a clause
    :param region: the Region of the run
    :param left: the drill instances that are still there
    :param live: the jobs that have not ended
    :param launched: what the run launched by its own records, for when nothing of that is known
    :param cause: what to do about the cause, if that is known
    """
    parts = [f"Clean-up is incomplete: {why}."]
    if left:
        parts.append(f"{len(left)} drill instance(s) still exist and cost money:\n{cost_listing(left, now)}")
    if live:
        parts.append(more_to_come(live))
    if launched:
        parts.append(launched)
    return CleanupIncomplete("\n".join(parts), remedy=_remedy(region, left, cause or CAUSES))


def more_to_come(live: Sequence[Job]) -> str:
    """A sentence on the jobs that are still live, with the servers of which they may launch instances."""
    described = "; ".join(f"{job.describe()}, servers {', '.join(sorted(job.server_ids))}" for job in live)
    return f"These jobs are still live, and a LAUNCH job may still launch instances: {described}."


def recorded_launches(ledger: Ledger, waves: Iterable[str]) -> str:
    """A table of what the run launched by its own records, for when AWS cannot be asked what is left of it.

    :return: the table with a heading; empty if the run launched nothing
    """
    rows: list[tuple[str, str, str]] = []
    for wave in waves:
        if (launch := ledger.launch(wave)) is not None:
            rows += _rows(launch, ledger.outcome(wave))
    if not rows:
        return ""
    return f"According to its own records, this run launched:\n{table(('server', 'job', 'instance'), rows)}"


def _rows(launch: LaunchRecord, outcome: WaveOutcome | None) -> Iterator[tuple[str, str, str]]:
    judged = outcome.servers if outcome else ()
    instances = {(server.job_id, server.server_id): server.instance_id for server in judged}
    for call in launch.calls:
        if call.answered and not call.job_id:
            continue
        for server_id in call.servers:
            instance = instances.get((call.job_id, server_id))
            yield server_id, call.job_id or "no reply", instance or "not known"


def _remedy(region: str, left: Sequence[InstanceRecord], cause: str) -> str:
    ids = " ".join(item.recovery_instance_id for item in left)
    by_hand = (
        f": aws drs terminate-recovery-instances --region {region} --recovery-instance-ids {ids}"
        if left
        else " when the jobs have ended"
    )
    return (
        f"{cause} Then clear the task 'terminate' to try again. Or terminate the instances by hand{by_hand}"
    )
