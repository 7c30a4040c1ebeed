"""Which jobs are this run's own, and which are never taken for its own."""

from __future__ import annotations

from typing import Any

import pytest

from drs.aws.jobs import Job
from drs.run.ownership import (
    INSTALLATION_TAG,
    RUN_TAG,
    MadeBy,
    find_made_by,
    fits,
    is_own,
    job_tags,
    own_launch_jobs,
    own_tagged,
)
from drs.run.records import Call, LaunchRecord, RunRecord
from drs.run.timeline import ServerSlot, Timeline
from tests.unit.drill import NOW, after, make_job, make_run

A, B = ("s-" + "a" * 17, "s-" + "b" * 17)
SKEW = 300
"""Seconds by which the clocks of DRS and of a worker may differ."""


def untagged_call(*servers: str, **fields: Any) -> Call:
    return Call(at=NOW, servers=servers, tagged=False, **fields)


def launch(*calls: Call, **jobs: str) -> LaunchRecord:
    """A wave's record with these calls; ``jobs`` gives the job id of server a and of server b."""
    slots = tuple(
        ServerSlot(server_id={"a": A, "b": B}[name], not_before=NOW, job_id=job) for name, job in jobs.items()
    )
    timeline = Timeline(
        jobs="per_server", server_delay=0, conflict_backoff=(30,), conflict_timeout=60, servers=slots
    )
    return LaunchRecord(timeline=timeline, calls=calls)


def own(jobs: list[Job], *launches: LaunchRecord, run: RunRecord | None = None) -> list[str]:
    """The ids of the run's own jobs, if there is no job of which it is not certain."""
    found, unsure = own_launch_jobs(jobs, run or make_run(), launches)
    assert unsure == {}
    return [job.job_id for job in found]


def test_a_job_bears_its_run_and_its_wave() -> None:
    """A person in the DRS console can see whose job it is. Characters of a run id that a tag may not have
    are replaced.
    """
    run = make_run(run_id="manual__2026-03-01T06:00:00+00:00 (dräft) {1}")
    tags = job_tags(run, "database")
    assert tags[RUN_TAG] == run.token
    assert tags["drs-drills:wave"] == "database"
    assert tags["drs-drills:dag"] == "drs_drill__orders"
    assert tags["drs-drills:dag-run"] == "manual__2026-03-01T06:00:00+00:00 _dräft_ _1_"


def test_a_job_names_the_airflow_that_runs_it() -> None:
    """Several Airflows may work in one account. A run that began in an older version knows no id of its
    Airflow.
    """
    assert job_tags(make_run(installation="abc"), "database")[INSTALLATION_TAG] == "abc"
    assert INSTALLATION_TAG not in job_tags(make_run(), "database")


def test_a_tag_is_never_longer_than_aws_admits() -> None:
    """AWS allows 256 characters."""
    assert len(job_tags(make_run(run_id="r" * 300), "database")["drs-drills:dag-run"]) == 256


def test_a_run_knows_its_token_and_no_other_run_s() -> None:
    """Two Airflows may run one plan with the same run id, but their tokens differ."""
    run = make_run()
    assert own_tagged(make_job("drsjob-1", A, tags=job_tags(run, "database")), run)
    assert not own_tagged(make_job("drsjob-1", A, tags=job_tags(make_run(token="ffff"), "database")), run)
    assert not own_tagged(make_job("drsjob-1", A), run)


@pytest.mark.parametrize(
    ("job", "does"),
    [
        (make_job("drsjob-1", A), True),
        (make_job("drsjob-1", A, created=after(-SKEW)), True),
        (make_job("drsjob-1", A, created=after(600 + SKEW)), True),
        (make_job("drsjob-1", A, created=after(-SKEW - 1)), False),
        (make_job("drsjob-1", A, created=after(600 + SKEW + 1)), False),
        (make_job("drsjob-1", A, initiated_by="START_RECOVERY"), False),
        (make_job("drsjob-1", A, type="TERMINATE"), False),
        (make_job("drsjob-1", A, B), False),
        (make_job("drsjob-1", B), False),
        (make_job("drsjob-1"), False),
        (make_job("drsjob-1", A, tags={RUN_TAG: "0123456789abcdef"}), False),
    ],
)
def test_an_untagged_job_fits_only_the_call_that_would_have_made_it(job: Job, does: bool) -> None:
    """It is a drill of exactly these servers within the call's time, as far as the clocks may differ. A job
    with the tag of a run belongs to that run.
    """
    assert fits(job, untagged_call(A), make_run()) is does


def test_an_untagged_job_never_fits_a_call_that_had_tags() -> None:
    """The job of such a call would have tags."""
    assert not fits(make_job("drsjob-1", A), Call(at=NOW, servers=(A,)), make_run())


def test_a_tagged_job_is_found_by_its_tag_whatever_the_time() -> None:
    """The clocks of DRS and of the worker need not agree."""
    run = make_run()
    mine = make_job("drsjob-1", A, tags=job_tags(run, "database"), created=after(-9000))
    other = make_job("drsjob-2", A)
    call = Call(at=NOW, servers=(A,))
    assert find_made_by(call, [other, mine], run, frozenset()) == MadeBy(certain=(mine,))


def test_an_untagged_job_that_fits_is_only_possible() -> None:
    """Somebody else's drill of the same server in the same minutes looks the same, so no number of fitting
    jobs makes one of them the call's.
    """
    one, two = make_job("drsjob-1", A), make_job("drsjob-2", A, created=after(20))
    call = untagged_call(A)
    assert find_made_by(call, [one], make_run(), frozenset()) == MadeBy(possible=(one,))
    assert find_made_by(call, [one, two], make_run(), frozenset()) == MadeBy(possible=(one, two))


def test_a_job_that_another_call_made_is_not_found_again() -> None:
    """Two waves, or two tries, never share a job."""
    job = make_job("drsjob-1", A)
    assert find_made_by(untagged_call(A), [job], make_run(), frozenset({"drsjob-1"})) == MadeBy()
    run = make_run()
    tagged = make_job("drsjob-1", A, tags=job_tags(run, "database"))
    call = Call(at=NOW, servers=(A,))
    assert find_made_by(call, [tagged], run, frozenset({"drsjob-1"})) == MadeBy()


def test_a_job_is_own_by_its_token_or_by_the_record() -> None:
    """A live job that is neither belongs to somebody else, whatever its servers are."""
    run = make_run()
    tagged = make_job("drsjob-1", A, tags=job_tags(run, "database"))
    untagged = make_job("drsjob-2", A)
    assert is_own(tagged, run, frozenset())
    assert is_own(untagged, run, frozenset({"drsjob-2"}))
    assert not is_own(untagged, run, frozenset({"drsjob-1"}))
    terminate = make_job("drsjob-3", A, type="TERMINATE", tags=job_tags(run, "database"))
    assert not is_own(terminate, run, frozenset({"drsjob-3"}))


def test_recorded_and_tagged_jobs_are_own() -> None:
    """A job of an earlier try is still the run's, although its servers were launched again since."""
    run = make_run()
    jobs = [make_job(f"drsjob-{n}", A) for n in range(3)]
    tagged = make_job("drsjob-3", B, tags=job_tags(run, "database"))
    record = launch(Call(at=NOW, servers=(A,), job_id="drsjob-1"), a="drsjob-2")
    assert own([*jobs, tagged], record, run=run) == ["drsjob-1", "drsjob-2", "drsjob-3"]


@pytest.mark.parametrize(
    "ended", [{"not_made": True}, {"error": "ConflictException"}, {"job_id": "drsjob-9"}], ids=str
)
def test_a_foreign_job_is_never_own(ended: dict[str, Any]) -> None:
    """Once the end of every call is known, even a drill of the same servers in the same minute is not the
    run's.
    """
    assert own([make_job("drsjob-1", A)], launch(untagged_call(A, **ended))) == []


def test_a_terminate_job_is_no_launch_of_the_run() -> None:
    """It is none even with the run's tag."""
    run = make_run()
    tags = job_tags(run, "database")
    assert own([make_job("drsjob-1", A, type="TERMINATE", tags=tags)], launch(), run=run) == []


def test_a_job_that_fits_a_call_without_reply_is_named_and_not_own() -> None:
    """It may be the run's or somebody else's. The sentence says so, and that its instances stay."""
    jobs = [make_job("drsjob-1", A), make_job("drsjob-2", B)]
    found, unsure = own_launch_jobs(jobs, make_run(), [launch(untagged_call(A))])
    assert (found, list(unsure)) == ([], ["drsjob-1"])
    why = unsure["drsjob-1"]
    assert f"StartRecovery of {A} was lost" in why
    assert "drsjob-1 (LAUNCH by START_DRILL" in why
    assert "Its instances are not touched" in why


def test_every_job_that_fits_is_named() -> None:
    """Two jobs would fit, so each of them may be the run's."""
    jobs = [make_job("drsjob-1", A), make_job("drsjob-2", A, created=after(20))]
    found, unsure = own_launch_jobs(jobs, make_run(), [launch(untagged_call(A))])
    assert (found, list(unsure)) == ([], ["drsjob-1", "drsjob-2"])


def test_a_job_on_record_is_not_named_a_second_time() -> None:
    """Two jobs fit. One is on record for another call and is own; the other stays a guess."""
    jobs = [make_job("drsjob-1", A), make_job("drsjob-2", A, created=after(20))]
    record = launch(untagged_call(A, job_id="drsjob-1"), untagged_call(A))
    found, unsure = own_launch_jobs(jobs, make_run(), [record])
    assert ([job.job_id for job in found], list(unsure)) == (["drsjob-1"], ["drsjob-2"])


def test_a_call_without_reply_that_had_tags_makes_no_guess() -> None:
    """Its job has the run's token. Until DRS lists it, no untagged job is taken for it."""
    run = make_run()
    jobs = [make_job("drsjob-1", A)]
    assert own_launch_jobs(jobs, run, [launch(Call(at=NOW, servers=(A,)))]) == ([], {})
    tagged = make_job("drsjob-2", A, tags=job_tags(run, "database"))
    assert own([*jobs, tagged], launch(Call(at=NOW, servers=(A,))), run=run) == ["drsjob-2"]


def test_a_job_with_the_run_s_tag_and_other_servers_is_not_this_call_s() -> None:
    """The run launches several waves, and tags them all alike."""
    run = make_run()
    tags = job_tags(run, "database")
    jobs = [make_job("drsjob-1", B, tags=tags), make_job("drsjob-2", A, B, tags=tags)]
    assert find_made_by(Call(at=NOW, servers=(A,)), jobs, run, frozenset()) == MadeBy()
    both = find_made_by(Call(at=NOW, servers=(A, B)), jobs[1:], run, frozenset())
    assert both == MadeBy(certain=(jobs[1],))


def test_a_recovery_s_job_fits_only_a_run_that_is_a_recovery() -> None:
    """As a drill's job fits only a drill."""
    recovery, drill = make_run(execution_type="RECOVERY"), make_run()
    for initiated_by, run, other in (
        ("START_RECOVERY", recovery, drill),
        ("START_DRILL", drill, recovery),
    ):
        job = make_job("drsjob-1", A, initiated_by=initiated_by)
        assert fits(job, untagged_call(A), run)
        assert not fits(job, untagged_call(A), other)
