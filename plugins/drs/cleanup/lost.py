"""The instances of a run that somebody else ended before clean-up could. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drs.run.ledger import Ledger
from drs.run.records import CleanupRecord, InstanceRecord, RunRecord
from drs.run.standing import describe, ever_launched

NOT_BY_THIS_RUN = "somebody else ended it: this run did not terminate it, and DRS lists it no more"


def with_losses(
    record: CleanupRecord, ledger: Ledger, run: RunRecord, left: Sequence[InstanceRecord]
) -> tuple[InstanceRecord, ...]:
    """Every instance that the run launched, with the reason for each that is gone without this run's doing.

    :param record: the record of a clean-up that ends now
    :param left: the instances that are kept
    """
    known = {loss.instance_id: describe(loss) for loss in ledger.losses()}
    safe = {item.recovery_instance_id for item in left}
    safe.update(instance for call in record.terminate_calls for instance in call.instances)
    seen = [
        item
        if item.recovery_instance_id in safe
        else item.model_copy(update={"lost": known.get(item.recovery_instance_id, NOT_BY_THIS_RUN)})
        for item in record.instances
    ]
    return (*seen, *_never_seen(record, ledger, run, known))


def _never_seen(
    record: CleanupRecord, ledger: Ledger, run: RunRecord, known: dict[str, str]
) -> Iterator[InstanceRecord]:
    """The instances that were gone before clean-up looked for the first time."""
    recorded = {(item.job_id, item.server_id) for item in record.instances}
    for server in ever_launched(ledger, run):
        if (server.job_id, server.server_id) not in recorded:
            yield InstanceRecord(
                recovery_instance_id=server.instance_id,
                ec2_instance_id=server.instance_id,
                server_id=server.server_id,
                job_id=server.job_id,
                lost=known.get(server.instance_id, NOT_BY_THIS_RUN),
            )
