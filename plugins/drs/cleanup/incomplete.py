"""The failure of a clean-up that could not terminate everything: what is left and what to do. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from drs.aws.jobs import Job
from drs.cleanup.prices import cost_listing
from drs.errors import CleanupIncomplete
from drs.run.ledger import Ledger
from drs.run.records import InstanceRecord, LaunchRecord, WaveOutcome
from drs.tables import table


def incomplete(
    why: str,
    *,
    region: str,
    left: Sequence[InstanceRecord],
    live: Sequence[Job],
    launched: str,
    now: dt.datetime,
) -> CleanupIncomplete:
    """The error to raise.

    :param why: the reason, as a clause
    :param region: the Region of the run
    :param left: the drill instances that are still there
    :param live: the jobs that have not ended
    :param launched: what the run launched by its own records, for when nothing of that is known
    """
    parts = [f"Clean-up is incomplete: {why}."]
    if left:
        parts.append(f"{len(left)} drill instance(s) still there, costing money:\n{cost_listing(left, now)}")
    if live:
        parts.append(f"Jobs still live: {'; '.join(job.describe() for job in live)}.")
    if launched:
        parts.append(launched)
    return CleanupIncomplete("\n".join(parts), remedy=_remedy(region, left))


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
    return f"This run has launched, by its own records:\n{table(('server', 'job', 'instance'), rows)}"


def _rows(launch: LaunchRecord, outcome: WaveOutcome | None) -> Iterator[tuple[str, str, str]]:
    judged = outcome.servers if outcome else ()
    instances = {(server.job_id, server.server_id): server.instance_id for server in judged}
    for call in launch.calls:
        if call.answered and not call.job_id:
            continue
        for server_id in call.servers:
            instance = instances.get((call.job_id, server_id))
            yield server_id, call.job_id or "no reply", instance or "not known"


def _remedy(region: str, left: Sequence[InstanceRecord]) -> str:
    ids = " ".join(item.recovery_instance_id for item in left)
    by_hand = (
        f": aws drs terminate-recovery-instances --region {region} --recovery-instance-ids {ids}"
        if left
        else " when the jobs have ended"
    )
    return (
        "Clear the task 'terminate' to try again once the cause is gone (EC2 termination protection and a "
        f"job of someone else are the usual ones), or terminate them by hand{by_hand}"
    )
