"""Clean-up's record has every instance that the run launched, and why each is gone that it did not end."""

from __future__ import annotations

import pytest

from drs.cleanup.lost import NOT_BY_THIS_RUN, with_losses
from drs.run.ledger import Ledger
from drs.run.records import CleanupRecord, InstanceRecord, Loss, TerminateCall
from drs.run.standing import describe
from tests.unit.drill import APPLICATION, DATABASE, after
from tests.unit.evidence.runs import JOBS, TERMINATE_JOB, cleanup, instance, launch, passed_run

A, B = DATABASE
EVERY = {*DATABASE, *APPLICATION}
LOSS = Loss(
    wave="database",
    server_id=A,
    name="database-4",
    optional=False,
    instance_id=instance(A),
    what="is terminated in EC2",
    last_seen=after(600),
    found_at=after(700),
    by="no DRS job that is listed",
)


@pytest.fixture
def ledger() -> Ledger:
    """The ledger of a run whose two waves have passed and whose clean-up has not begun."""
    return passed_run(cleaned=False)


def call(*servers: str, job_id: str = TERMINATE_JOB) -> TerminateCall:
    return TerminateCall(job_id=job_id, instances=tuple(instance(server) for server in servers))


def ends(ledger: Ledger, record: CleanupRecord, *left: str) -> dict[str, str | None]:
    """Why each server's instance is lost, if it is, when a clean-up with this record ends.

    :param left: the servers whose instances are kept
    """
    ledger.save_cleanup(record)
    kept = [item for item in record.instances if item.server_id in left]
    found = with_losses(record, ledger, ledger.run(), kept)
    assert len({item.recovery_instance_id for item in found}) == len(found)
    return {item.server_id: item.lost for item in found}


def without(record: CleanupRecord, *servers: str) -> CleanupRecord:
    """The record of a clean-up that never saw the instances of these servers."""
    items = tuple(item for item in record.instances if item.server_id not in servers)
    return record.model_copy(update={"instances": items})


def test_what_clean_up_terminated_is_not_lost(ledger: Ledger) -> None:
    """From the intent of its call on: the reply may be lost."""
    record = cleanup(terminate_calls=(call(A, B), call(*APPLICATION, job_id="")))
    assert ends(ledger, record) == dict.fromkeys(EVERY)


def test_what_is_kept_is_not_lost(ledger: Ledger) -> None:
    """It is there."""
    assert ends(ledger, cleanup(terminate_calls=()), *EVERY) == dict.fromkeys(EVERY)


def test_what_went_away_while_clean_up_was_at_work_is_lost(ledger: Ledger) -> None:
    """Clean-up had seen it, and has made no call for it."""
    lost = ends(ledger, cleanup(terminate_calls=(call(B, *APPLICATION),)))
    assert lost == {**dict.fromkeys(EVERY), A: NOT_BY_THIS_RUN}


def test_a_loss_that_the_run_has_found_says_more(ledger: Ledger) -> None:
    """It names who ended the instance, as far as AWS shows."""
    ledger.save_losses((LOSS,))
    lost = ends(ledger, cleanup(terminate_calls=(call(B, *APPLICATION),)))
    assert lost == {**dict.fromkeys(EVERY), A: describe(LOSS)}


@pytest.mark.parametrize("known", [True, False])
def test_what_was_gone_before_clean_up_looked_is_in_its_record(ledger: Ledger, known: bool) -> None:
    """A wave has recorded its launch. So the record has every instance that cost money."""
    if known:
        ledger.save_losses((LOSS,))
    record = without(cleanup(terminate_calls=(call(B, *APPLICATION),)), A)
    ledger.save_cleanup(record)
    added = with_losses(record, ledger, ledger.run(), [])[-1]
    assert added == InstanceRecord(
        recovery_instance_id=instance(A),
        ec2_instance_id=instance(A),
        server_id=A,
        job_id=JOBS["database"],
        lost=describe(LOSS) if known else NOT_BY_THIS_RUN,
    )


def test_an_instance_that_the_run_itself_replaced_is_not_lost(ledger: Ledger) -> None:
    """The wave was launched again, and nobody has judged that launch yet."""
    ledger.save_launch("database", launch("database", "drsjob-7"))
    record = without(cleanup(terminate_calls=(call(*APPLICATION),)), A, B)
    assert ends(ledger, record) == dict.fromkeys(APPLICATION)


def test_an_instance_is_in_the_record_once(ledger: Ledger) -> None:
    """Even if the wave knows it by another id than DRS."""
    items = tuple(
        item.model_copy(update={"recovery_instance_id": "i-0", "ec2_instance_id": "i-0"})
        if item.server_id == A
        else item
        for item in cleanup().instances
    )
    record = cleanup(instances=items, terminate_calls=(call(B, *APPLICATION),))
    ledger.save_cleanup(record)
    found = with_losses(record, ledger, ledger.run(), [])
    assert [item.server_id for item in found].count(A) == 1
    assert len(found) == len(EVERY)
