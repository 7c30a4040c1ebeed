"""What became of each instance that a run launched. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from drs.run.ledger import Ledger
from drs.run.records import CleanupRecord, InstanceRecord, Loss, RunRecord

Fate = Literal["terminated", "kept", "lost", "left"]
"""Terminated by a job of the run, kept by a rule, gone without a job of the run, or not proven gone."""

UNSEEN = "it was gone before clean-up looked, and the run has no record of who ended it"
NOT_BY_THIS_RUN = "it went away during clean-up, and the run has no record of a TERMINATE job for it"
NOT_KEPT = "clean-up kept it, but DRS does not list it any more"


@dataclass(frozen=True)
class InstanceFate:
    """An instance that the run launched, and what became of it.

    :param lost_to: who or what ended it, in words; ``None`` unless it is lost
    """

    instance: InstanceRecord
    fate: Fate
    lost_to: str | None = None


def fates(ledger: Ledger, run: RunRecord, listed: frozenset[str] | None = None) -> list[InstanceFate]:
    """The fate of every instance that the run is known to have launched.

    These are the instances that clean-up saw, and those that a wave recorded as launched.

    :param listed: the recovery instances that DRS still lists; ``None`` if it was not asked
    """
    cleanup = ledger.cleanup()
    found = list(_seen_by_cleanup(cleanup, listed)) if cleanup else []
    known = {each.instance.recovery_instance_id for each in found}
    lost = {loss.instance_id: loss for loss in ledger.losses()}
    for instance in _launched(ledger, run):
        if instance.recovery_instance_id not in known:
            found.append(_unseen(instance, run, cleanup, listed, lost.get(instance.recovery_instance_id)))
    return found


def _seen_by_cleanup(cleanup: CleanupRecord, listed: frozenset[str] | None) -> Iterator[InstanceFate]:
    own = {instance for call in cleanup.terminate_calls for instance in call.instances}
    for item in cleanup.instances:
        unlisted = listed is not None and item.recovery_instance_id not in listed
        if item.lost:
            yield InstanceFate(item, "lost", item.lost)
        elif cleanup.kept:
            yield InstanceFate(item, "lost", NOT_KEPT) if unlisted else InstanceFate(item, "kept")
        elif not (cleanup.proven or unlisted):
            yield InstanceFate(item, "left")
        elif item.recovery_instance_id in own:
            yield InstanceFate(item, "terminated")
        else:
            yield InstanceFate(item, "lost", NOT_BY_THIS_RUN)


def _unseen(
    instance: InstanceRecord,
    run: RunRecord,
    cleanup: CleanupRecord | None,
    listed: frozenset[str] | None,
    loss: Loss | None,
) -> InstanceFate:
    """The fate of an instance that a wave launched and that is not in clean-up's record."""
    if not run.is_drill:
        return InstanceFate(instance, "kept")  # clean-up does not look at the instances of a real recovery
    if loss is not None:
        return InstanceFate(instance, "lost", f"it {loss.what}: {loss.by}")
    looked = cleanup is not None and (cleanup.proven or cleanup.kept)
    if looked or (listed is not None and instance.recovery_instance_id not in listed):
        return InstanceFate(instance, "lost", UNSEEN)
    return InstanceFate(instance, "left")


def _launched(ledger: Ledger, run: RunRecord) -> Iterator[InstanceRecord]:
    """The instances that the waves recorded as launched.

    An outcome of an earlier job does not count: the run has launched the server again since, and DRS then
    replaces the instance.
    """
    for wave in run.waves:
        outcome, launch = ledger.outcome(wave), ledger.launch(wave)
        if outcome is None or launch is None:
            continue
        for server in outcome.servers:
            if server.launched and server.instance_id and server.job_id in launch.jobs:
                yield InstanceRecord(
                    recovery_instance_id=server.instance_id,
                    ec2_instance_id=server.instance_id,
                    server_id=server.server_id,
                    job_id=server.job_id,
                )
