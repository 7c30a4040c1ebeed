"""Which of a run's instances must be there, which are lost, and by which job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from drs.aws.jobs import Job, Participant
from drs.run.ledger import Ledger
from drs.run.ownership import job_tags
from drs.run.records import Loss, ServerRecord, Stood, TerminateCall, WaveOutcome
from drs.run.standing import (
    LISTING_DELAY,
    Gone,
    OwnInstance,
    describe,
    ended_too_early,
    judge_from,
    last_seen,
    launched_servers,
    losses,
    missing,
)
from tests.unit.drill import APPLICATION, DATABASE, NOW, after, make_job, make_plan, make_run
from tests.unit.evidence.runs import (
    ENDED,
    JOBS,
    TERMINATE_JOB,
    cleanup,
    instance,
    launch,
    outcome,
    passed_run,
    resolved,
)

A, B = DATABASE
EVERY = {*DATABASE, *APPLICATION}
JUDGED = after(ENDED[A]) + LISTING_DELAY
"""From then on it can be decided whether the instance of server a is lost."""


@pytest.fixture
def ledger() -> Ledger:
    """The ledger of a run whose two waves have passed and whose clean-up has not begun."""
    return passed_run(cleaned=False)


def standing(ledger: Ledger) -> dict[str, OwnInstance]:
    """The instances that must still be there, by server."""
    return {each.server_id: each for each in launched_servers(ledger, ledger.run())}


def own(server_id: str = A, **fields: Any) -> OwnInstance:
    """An instance that the run launched."""
    known = {
        "wave": "database",
        "server_id": server_id,
        "name": "database-4",
        "optional": False,
        "starts": True,
        "job_id": JOBS["database"],
        "instance_id": instance(server_id),
        "since": after(ENDED[server_id]),
    }
    return OwnInstance(**{**known, **fields})


def listed(server_id: str = A, job_id: str = JOBS["database"], **fields: Any) -> dict[str, Any]:
    """A recovery instance as DRS lists it."""
    return {
        "recoveryInstanceID": instance(server_id),
        "ec2InstanceID": instance(server_id),
        "sourceServerID": server_id,
        "jobID": job_id,
        "isDrill": True,
        **fields,
    }


def seen(items: Iterable[Mapping[str, Any]], state: str | None = "running", **fields: Any) -> list[str]:
    """What is wrong with the instance of server a."""
    states = {instance(A): state} if state else {}
    return [gone.what for gone in missing([own(**fields)], items, states)]


# --- which must be there ----------------------------------------------------------------------------------


def test_every_launched_instance_must_be_there(ledger: Ledger) -> None:
    """Of every wave, from the moment at which DRS had launched it."""
    found = standing(ledger)
    assert set(found) == EVERY
    assert found[A] == own()
    assert {each.wave for each in found.values()} == {"database", "application"}


def test_a_server_that_did_not_launch_is_not_looked_for(ledger: Ledger) -> None:
    """Neither is a wave that nobody has judged yet."""
    ledger.save_outcome("database", outcome("database", failed={A: "No capacity"}))
    ledger.save_outcome("application", WaveOutcome(servers=()))
    assert set(standing(ledger)) == {B}


def test_the_instance_of_an_earlier_launch_is_not_looked_for(ledger: Ledger) -> None:
    """The wave was launched again, and DRS replaces the instance. The new one is not judged yet."""
    ledger.save_launch("database", launch("database", "drsjob-7"))
    assert set(standing(ledger)) == set(APPLICATION)


@pytest.mark.parametrize("job_id", [TERMINATE_JOB, ""], ids=["answered", "without a reply"])
def test_what_the_run_s_own_clean_up_terminates_is_not_looked_for(ledger: Ledger, job_id: str) -> None:
    """From the intent of its call on. The instances for which it has made no call must still be there."""
    call = TerminateCall(job_id=job_id, instances=(instance(A),))
    ledger.save_cleanup(cleanup(terminate_calls=(call,), proven=False))
    assert set(standing(ledger)) == EVERY - {A}


def test_a_server_is_known_as_it_was_resolved(ledger: Ledger) -> None:
    """Its wave may do without it, and its launch settings may leave the instance stopped."""
    servers = resolved("database").servers
    stopped = servers[0].model_copy(update={"starts": False})
    resolution = ledger.resolution()
    assert resolution is not None
    waves = {**resolution.waves, "database": resolved("database").model_copy(update={"servers": (stopped,)})}
    ledger.save_resolution(resolution.model_copy(update={"waves": waves}))
    judged = outcome("database").servers[0].model_copy(update={"optional": True})
    ledger.save_outcome("database", WaveOutcome(servers=(judged,)))
    assert standing(ledger)[A] == own(optional=True, starts=False)


def test_a_server_that_the_resolution_lacks_must_run(ledger: Ledger) -> None:
    """Preflight was cleared, and resolved other servers. Until somebody says otherwise, instances run."""
    resolution = ledger.resolution()
    assert resolution is not None
    waves = {**resolution.waves, "database": resolved("database").model_copy(update={"servers": ()})}
    ledger.save_resolution(resolution.model_copy(update={"waves": waves}))
    assert standing(ledger)[A] == own()


@pytest.mark.parametrize(
    ("fields", "since"),
    [
        ({}, after(ENDED[A])),
        ({"launched_at": None}, after(10)),
        ({"launched_at": None, "requested_at": None}, NOW),
    ],
    ids=["its last event", "its job", "the run"],
)
def test_an_instance_is_there_since_drs_launched_it(
    ledger: Ledger, fields: dict[str, Any], since: dt.datetime
) -> None:
    """By AWS's clock. If DRS's log did not show it, since its job or the run began."""
    server: ServerRecord = outcome("database").servers[0].model_copy(update=fields)
    ledger.save_outcome("database", WaveOutcome(servers=(server,)))
    assert standing(ledger)[A].since == since


# --- what is wrong with one -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["pending", "running"])
def test_an_instance_that_runs_is_as_it_should_be(state: str) -> None:
    """Others of the server's account do not matter."""
    assert seen([listed(B, "drsjob-9"), listed()], state) == []


@pytest.mark.parametrize("state", ["shutting-down", "terminated", None], ids=str)
def test_an_instance_that_neither_drs_nor_ec2_has_is_gone(state: str | None) -> None:
    """Somebody terminated it: DRS lists only the instance of another server."""
    why = f"is gone: DRS lists no instance of this server, and EC2 says {state or 'not found'}"
    assert seen([listed(B)], state) == [why]


def test_an_instance_that_only_drs_does_not_list_is_not_gone() -> None:
    """DRS's list may be a minute old, and EC2 shows the instance running."""
    assert seen([listed(B)], "running") == []


def test_an_instance_of_another_job_has_replaced_it() -> None:
    """DRS terminates a server's instance when the server is launched again."""
    (gone,) = missing([own()], [listed(job_id="drsjob-5", recoveryInstanceID="i-5")], {})
    assert gone == Gone(own(), "was replaced by i-5, which job drsjob-5 launched", "drsjob-5")


@pytest.mark.parametrize("state", ["shutting-down", "terminated", None], ids=str)
def test_an_instance_that_ec2_ends_is_gone(state: str | None) -> None:
    """DRS may list it for a while."""
    assert seen([listed()], state) == [f"is {state or 'not found'} in EC2"]


@pytest.mark.parametrize("state", ["stopping", "stopped"])
def test_an_instance_that_is_stopped_is_lost_if_it_should_run(state: str) -> None:
    """If the server's launch disposition is STOPPED, nothing is wrong."""
    assert seen([listed()], state) == [f"is {state} in EC2, and should run"]
    assert seen([listed()], state, starts=False) == []
    assert seen([listed()], "terminated", starts=False) == ["is terminated in EC2"]


def test_an_instance_without_an_ec2_id_has_its_own() -> None:
    """DRS may leave the EC2 id out; it is the same as that of the recovery instance."""
    item = listed()
    del item["ec2InstanceID"]
    assert seen([item]) == []


# --- losses -----------------------------------------------------------------------------------------------


def lose(*jobs: Job, now: dt.datetime = JUDGED, stood: Stood | None = None, **gone: Any) -> tuple[Loss, ...]:
    """The losses when the instance of server a is not as it should be."""
    return losses([Gone(own(), **{"what": "is gone", **gone})], jobs, stood, now)


def terminate(*servers: str, job_id: str = "drsjob-t", ended: float | None = None, **fields: Any) -> Job:
    """A TERMINATE job of somebody."""
    known = {"type": "TERMINATE", "status": "COMPLETED" if ended else "STARTED"}
    participants = (Participant(server, "TERMINATED") for server in servers)
    end = after(ended) if ended else None
    return make_job(job_id, *participants, ended=end, **{**known, **fields})


def test_an_instance_that_drs_lists_late_is_no_loss() -> None:
    """DRS may not list an instance for 90 s after its launch. The run looks again when they are over."""
    gone = [Gone(own(), "is gone"), Gone(own(B), "is gone")]
    assert losses(gone, [], None, JUDGED - dt.timedelta(seconds=1)) == ()
    (loss,) = losses(gone, [], None, JUDGED)
    assert (loss.server_id, loss.instance_id, loss.found_at) == (A, instance(A), JUDGED)
    assert len(losses(gone, [], None, after(ENDED[B] + 90))) == 2
    assert judge_from(gone) == after(ENDED[B] + 90)
    assert judge_from([]) is None


def test_a_loss_is_optional_if_its_server_is() -> None:
    """It is then only a warning."""
    (loss,) = losses([Gone(own(optional=True), "is gone")], [], None, JUDGED)
    assert loss.optional
    assert not lose()[0].optional


def test_a_loss_says_when_the_instance_was_last_seen() -> None:
    """At the last look that saw it, or else at its launch."""
    with_it = Stood(at=after(620), instances=(instance(A),))
    without_it = Stood(at=after(620), instances=(instance(B),))
    earlier = Stood(at=after(1), instances=(instance(A),))
    assert lose(stood=with_it)[0].last_seen == after(620)
    assert lose(stood=without_it)[0].last_seen == after(ENDED[A])
    assert lose(stood=None)[0].last_seen == after(ENDED[A])
    assert last_seen(own(), earlier) == after(ENDED[A])


def test_the_job_that_replaced_an_instance_is_named_with_its_run() -> None:
    """Its tags say which plan's run launched the server again."""
    run = make_run(make_plan(name="billing"), run_id="scheduled__2")
    theirs = make_job("drsjob-5", A, tags=job_tags(run, "database"), created=after(560))
    other = make_job("drsjob-6", A, tags=job_tags(make_run(), "database"), created=after(570))
    (loss,) = lose(other, theirs, what="was replaced by i-5", replaced_by="drsjob-5")
    assert loss.by == f"job {theirs.describe()} of run scheduled__2 of plan billing"


def test_the_job_that_terminated_an_instance_is_named() -> None:
    """A job of another server, or one that had ended long before the run last saw the instance, did not."""
    stood = Stood(at=after(1000), instances=(instance(A),))
    theirs = terminate(A, ended=1100.0)
    before = terminate(A, job_id="drsjob-u", ended=900.0)
    jobs = [theirs, terminate(B, job_id="drsjob-v", ended=1100.0), before, make_job("drsjob-l", A)]
    (loss,) = lose(*jobs, stood=stood, now=after(1200))
    assert loss.by == f"job {theirs.describe()}, which has no tags of a run"
    assert lose(terminate(A), stood=stood, now=after(1200))[0].by.startswith("job drsjob-t (TERMINATE")


def test_a_terminate_job_that_has_lost_its_servers_is_a_guess() -> None:
    """DRS may list a TERMINATE job that has ended without its servers. One that names the server is sure."""
    nameless = terminate(ended=600.0)
    assert lose(nameless)[0].by.startswith("probably job drsjob-t (TERMINATE")
    named = terminate(A, job_id="drsjob-u", ended=600.0, tags=job_tags(make_run(), "database"))
    assert lose(named, nameless)[0].by.startswith("job drsjob-u (TERMINATE")
    assert lose(named, nameless)[0].by.endswith("of plan orders")


def test_an_instance_that_no_job_ended_was_ended_in_ec2() -> None:
    """The reader learns where to look for who did it."""
    assert lose(make_job("drsjob-l", A))[0].by == (
        "no DRS job that is listed; CloudTrail shows who called EC2"
    )


def test_a_loss_is_told_in_one_sentence() -> None:
    """Wave, instance, server, what was seen, when it was last all right, and by whom."""
    (loss,) = lose(terminate(A, ended=600.0), what="is terminated in EC2")
    assert describe(loss).startswith(
        f"Wave database: instance {instance(A)} of server {A} (database-4) is terminated in EC2. The run "
        "last saw it as it should be at 2026-03-01 06:09 UTC. Ended by: job drsjob-t (TERMINATE"
    )


# --- the run's own clean-up, too early --------------------------------------------------------------------


def test_what_the_own_clean_up_ended_before_the_last_server_was_up_is_named(ledger: Ledger) -> None:
    """Somebody cleared a wave while clean-up was active: the waves were not up together."""
    last = after(max(ENDED.values()))
    early = TerminateCall(job_id="drsjob-8", instances=(instance(A),), at=last - dt.timedelta(seconds=1))
    later = TerminateCall(job_id="drsjob-9", instances=(instance(B),), at=last)
    ledger.save_cleanup(cleanup(terminate_calls=(early, later)))
    (doubt,) = ended_too_early(ledger, ledger.run())
    assert f"this run's own clean-up ended {instance(A)} of server {A}" in doubt


@pytest.mark.parametrize("at", [after(max(ENDED.values())), None], ids=["afterwards", "unknown"])
def test_a_clean_up_after_the_last_server_was_up_is_in_order(ledger: Ledger, at: dt.datetime | None) -> None:
    """A record of an older version does not say when its calls were made."""
    ids = tuple(instance(server) for server in sorted(EVERY))
    assert ended_too_early(ledger, ledger.run()) == []
    ledger.save_cleanup(cleanup(terminate_calls=(TerminateCall(job_id="drsjob-9", instances=ids, at=at),)))
    assert ended_too_early(ledger, ledger.run()) == []


def test_an_optional_server_that_the_own_clean_up_ended_early_is_no_doubt(ledger: Ledger) -> None:
    """The drill does without it."""
    servers = [each.model_copy(update={"optional": True}) for each in outcome("database").servers]
    ledger.save_outcome("database", WaveOutcome(servers=tuple(servers)))
    early = TerminateCall(job_id="drsjob-8", instances=(instance(A),), at=after(550))
    ledger.save_cleanup(cleanup(terminate_calls=(early,)))
    assert ended_too_early(ledger, ledger.run()) == []
