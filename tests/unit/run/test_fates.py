"""The fate of every instance that a run launched, and the sentence that counts them."""

from __future__ import annotations

from typing import Any

import pytest

from drs.run.fates import NOT_BY_THIS_RUN, NOT_KEPT, UNSEEN, fates
from drs.run.ledger import Ledger
from drs.run.records import InstanceRecord, Loss, TerminateCall
from drs.run.result import passed
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, after, make_plan, make_run
from tests.unit.evidence.runs import TERMINATE_JOB, cleanup, instance, launch, outcome, passed_run

A, B = DATABASE
GONE = "the DRS job drsjob-0cc of plan billing ended it"


@pytest.fixture
def ledger() -> Ledger:
    """The ledger of a drill that passed, with four instances."""
    return passed_run(make_run())


def told(ledger: Ledger, listed: frozenset[str] | None = None) -> dict[str, tuple[str, str | None]]:
    """Fate and loss of each instance, by its server."""
    found = fates(ledger, ledger.run(), listed)
    assert len({each.instance.recovery_instance_id for each in found}) == len(found)
    return {each.instance.server_id: (each.fate, each.lost_to) for each in found}


def instances(**lost: str) -> tuple[InstanceRecord, ...]:
    """What clean-up saw of the instances; ``lost`` says why some were gone, by ``a`` and ``b``."""
    why = {A: lost.get("a"), B: lost.get("b")}
    return tuple(item.model_copy(update={"lost": why.get(item.server_id)}) for item in cleanup().instances)


def test_what_the_runs_own_jobs_ended_is_terminated(ledger: Ledger) -> None:
    """Clean-up proved it."""
    assert told(ledger) == dict.fromkeys([*DATABASE, *APPLICATION], ("terminated", None))
    assert passed(ledger, ledger.run()).endswith("; all of them are terminated.")


def test_what_was_gone_before_clean_up_is_lost(ledger: Ledger) -> None:
    """The sentence counts it and says why, and does not say that all are terminated."""
    own = tuple(item.recovery_instance_id for item in instances()[1:])
    call = TerminateCall(job_id=TERMINATE_JOB, instances=own)
    ledger.save_cleanup(cleanup(instances=instances(a=GONE), terminate_calls=(call,)))
    assert told(ledger)[A] == ("lost", GONE)
    assert told(ledger)[B] == ("terminated", None)
    text = passed(ledger, ledger.run())
    assert text.endswith(f"; this run terminated 3 of 4 instances; lost: {instance(A)} of {A} ({GONE}).")


def test_an_instance_that_clean_up_never_saw_is_counted_too(ledger: Ledger) -> None:
    """A wave recorded its launch, so its fate is asked for. A loss that the run found says who ended it."""
    ledger.save_cleanup(cleanup(instances=instances()[2:]))
    assert told(ledger)[A] == ("lost", UNSEEN)
    loss = Loss(
        wave="database",
        server_id=A,
        name="db",
        optional=False,
        instance_id=instance(A),
        what="is gone",
        last_seen=after(600),
        found_at=after(700),
        by=GONE,
    )
    ledger.save_losses((loss,))
    assert told(ledger)[A] == ("lost", f"it is gone: {GONE}")
    assert told(ledger)[B] == ("lost", UNSEEN)
    assert "this run terminated 2 of 4 instances" in passed(ledger, ledger.run())


def test_what_went_away_without_a_job_of_the_run_was_not_terminated_by_it(ledger: Ledger) -> None:
    """Somebody ended it while clean-up was at work."""
    call = TerminateCall(job_id=TERMINATE_JOB, instances=(instance(B),))
    ledger.save_cleanup(cleanup(terminate_calls=(call,)))
    assert told(ledger)[A] == ("lost", NOT_BY_THIS_RUN)
    assert told(ledger)[B] == ("terminated", None)


def test_what_a_rule_keeps_is_kept(ledger: Ledger) -> None:
    """Only those that are there are counted as kept."""
    kept = {"proven": False, "kept": True, "why_kept": "keep_instances", "terminate_calls": ()}
    ledger.save_cleanup(cleanup(instances=instances(a=GONE), **kept))
    assert told(ledger)[A] == ("lost", GONE)
    assert told(ledger)[B] == ("kept", None)
    assert told(ledger, frozenset())[B] == ("lost", NOT_KEPT)
    text = passed(ledger, ledger.run())
    assert "; 3 instance(s) are kept and cost money: keep_instances; lost: " in text


@pytest.mark.parametrize("record", ["none", "not proven"])
def test_what_is_not_proven_gone_is_left(ledger: Ledger, record: str) -> None:
    """Also where clean-up never ran. What DRS does not list any more is not left."""
    store: Any = ledger._store
    assert isinstance(store, MemoryStore)
    del store.values["cleanup"]
    if record == "not proven":
        ledger.save_cleanup(cleanup(proven=False))
    assert {fate for fate, _ in told(ledger).values()} == {"left"}
    listed = told(ledger, frozenset({instance(B)}))
    assert listed[B] == ("left", None)
    assert listed[A][0] == ("terminated" if record == "not proven" else "lost")


def test_the_instances_of_a_real_recovery_are_kept() -> None:
    """Clean-up does not even look at them."""
    run = make_run(make_plan(allow_recovery=True), execution_type="RECOVERY", reason="fire")
    ledger = passed_run(run)
    ledger.save_cleanup(cleanup(proven=False, kept=True, instances=(), terminate_calls=()))
    assert set(told(ledger).values()) == {("kept", None)}
    assert passed(ledger, run).endswith("none of them is terminated.")


def test_an_instance_that_the_run_itself_replaced_is_not_lost(ledger: Ledger) -> None:
    """The wave was launched again, and the run was ended before the new launch was judged."""
    ledger.save_launch("database", launch("database", "drsjob-3"))
    ledger.save_cleanup(cleanup(instances=instances()[2:]))
    assert set(told(ledger)) == set(APPLICATION)


def test_a_server_that_did_not_launch_has_no_instance(ledger: Ledger) -> None:
    """And a wave that launched nothing is not counted as one that did."""
    ledger.save_outcome("database", outcome("database", failed=dict.fromkeys(DATABASE, "No capacity")))
    ledger.save_cleanup(cleanup(instances=instances()[2:]))
    assert set(told(ledger)) == set(APPLICATION)
    assert "2 server(s) launched in 1 wave(s)" in passed(ledger, ledger.run())


def test_a_partial_run_and_a_missed_objective_are_told_first() -> None:
    """The sentence can be read alone."""
    run = make_run(waves=["application"])
    ledger = passed_run(run)
    ledger.save_cleanup(cleanup(instances=instances()[2:]))
    assert passed(ledger, run) == (
        "The PARTIAL drill (1 of 2 waves) passed: 2 server(s) launched in 1 wave(s); all of them are "
        "terminated."
    )
    assert passed(ledger, run, ["the RTO was missed", "the RPO was missed"]) == (
        "The PARTIAL drill (1 of 2 waves) passed, but the RTO was missed and the RPO was missed. "
        "2 server(s) launched in 1 wave(s); all of them are terminated."
    )
