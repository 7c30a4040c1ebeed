"""What a launch sees of its servers directly before it launches them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from drs.aws.jobs import Job, Participant
from drs.launch.before_call import JUST_ENDED, BeforeCall, look_before_call
from drs.run.other_drills import OtherDrill
from tests.unit.drill import NOW, make_job

A, B = ("s-" + "a" * 17, "s-" + "b" * 17)
OWN = "drsjob-own"
SECOND = dt.timedelta(seconds=1)


class Shown:
    """DRS as one look shows it.

    :param recent: the jobs of the last 24 hours
    :param older: jobs that DRS gives only by their ids
    :param instances: the recovery instances
    """

    def __init__(
        self,
        *recent: Job,
        older: Sequence[Job] = (),
        instances: Sequence[Mapping[str, Any]] = (),
        clock_ahead: dt.timedelta = dt.timedelta(0),
    ) -> None:
        self._recent = list(recent)
        self._older = older
        self._instances = instances
        self.clock_ahead = clock_ahead
        self.asked_for: set[str] = set()
        """The jobs that were asked for by their ids."""

    def recent_jobs(self) -> list[Job]:
        return self._recent

    def recovery_instances(self, server_ids: Iterable[str]) -> list[Mapping[str, Any]]:
        return [item for item in self._instances if item["sourceServerID"] in set(server_ids)]

    def describe_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        self.asked_for |= set(job_ids)
        return [job for job in self._older if job.job_id in set(job_ids)]


def look(
    shown: Shown, *servers: str, is_drill: bool = True, held: Sequence[str] = ()
) -> tuple[BeforeCall, list[OtherDrill]]:
    """One look at these servers, or at both.

    :param held: the instances of others that hold their servers
    :return: what was seen, and the drills of others that were judged
    """
    judged: list[OtherDrill] = []

    def why_held(drill: OtherDrill) -> str | None:
        judged.append(drill)
        return f"{drill.instance_id} holds it" if drill.instance_id in held else None

    hook: Any = shown
    found = look_before_call(
        hook,
        servers or (A, B),
        is_drill=is_drill,
        is_own=lambda job: job.job_id.startswith(OWN),
        why_held=why_held,
        now=NOW,
    )
    return found, judged


def instance(server_id: str, job_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "recoveryInstanceID": f"i-{job_id}",
        "sourceServerID": server_id,
        "jobID": job_id,
        "isDrill": True,
        **fields,
    }


def ended(job_id: str, *participants: Participant, ago: dt.timedelta = JUST_ENDED, **fields: Any) -> Job:
    """A job that ended that long ago."""
    return make_job(job_id, *participants, status="COMPLETED", ended=NOW - ago, **fields)


def launched(server_id: str, instance_id: str | None = None) -> Participant:
    return Participant(server_id, "LAUNCHED", instance_id)


FREE = BeforeCall(own={}, starting={}, running={}, held={})


def test_a_server_of_which_drs_shows_nothing_is_free() -> None:
    """No instance, and only jobs of other servers."""
    assert look(Shown(make_job("drsjob-1", "s-other"))) == (FREE, [])


# --- the run's own ----------------------------------------------------------------------------------------


def test_a_live_job_of_this_run_is_its_own() -> None:
    """For the servers that it names, whatever the run's record says."""
    job = make_job(OWN, A, "s-other")
    assert look(Shown(job))[0].own == {A: job}
    assert look(Shown(job), B)[0].own == {}


@pytest.mark.parametrize("known", ["recent", "older"])
def test_an_instance_that_a_job_of_this_run_launched_is_its_own(known: str) -> None:
    """Even if the job is so old that DRS gives it only by its id. The server must not be launched again."""
    job = ended(OWN, launched(A), ago=dt.timedelta(days=2))
    listed = [instance(A, OWN)]
    shown = Shown(job, instances=listed) if known == "recent" else Shown(older=[job], instances=listed)
    found, judged = look(shown)
    assert (found.own, found.held, found.running, judged) == ({A: job}, {}, {}, [])
    assert shown.asked_for == (set() if known == "recent" else {OWN})


def test_an_instance_of_a_launch_that_failed_does_not_count() -> None:
    """DRS may list what a failed launch left. The server is launched again, and DRS replaces it."""
    job = ended(OWN, Participant(A, "FAILED"))
    assert look(Shown(job, instances=[instance(A, OWN)])) == (FREE, [])


def test_an_ended_job_of_this_run_without_an_instance_does_not_count() -> None:
    """Somebody terminated the instance, and it was launched long ago."""
    assert look(Shown(ended(OWN, launched(A)))) == (FREE, [])


# --- what DRS lists late ----------------------------------------------------------------------------------


def test_an_instance_that_is_not_listed_yet_is_its_job_s_own() -> None:
    """DRS may list an instance up to two minutes after the end of its job. Until then the job counts."""
    job = ended(OWN, launched(A), ago=JUST_ENDED - SECOND)
    assert look(Shown(job))[0].own == {A: job}


def test_a_drill_of_others_that_is_not_listed_yet_holds_its_server() -> None:
    """DRS would replace the instance that their job has just launched."""
    job = ended("drsjob-1", launched(A, "i-1"), launched("s-other"), ago=JUST_ENDED - SECOND)
    found, judged = look(Shown(job), held=["i-1"])
    assert found.held == {A: "i-1 holds it"}
    assert judged == [OtherDrill("i-1", job, job.created)]


def test_an_instance_that_is_listed_counts_once() -> None:
    """Its job has just ended, and DRS lists the instance already."""
    job = ended("drsjob-1", launched(A, "i-1"), ago=SECOND)
    _, judged = look(Shown(job, instances=[instance(A, "drsjob-1")]))
    assert [drill.instance_id for drill in judged] == ["i-drsjob-1"]


def test_a_recovery_that_is_not_listed_yet_must_not_be_replaced() -> None:
    """The job does not name its instance, and nothing marks that as a drill's."""
    job = ended("drsjob-1", launched(A), ago=SECOND, initiated_by="START_RECOVERY")
    found, judged = look(Shown(job))
    assert list(found.running) == [A]
    assert judged == []


@pytest.mark.parametrize(
    "job",
    [
        ended("drsjob-1", launched(A)),
        ended("drsjob-1", Participant(A, "FAILED"), ago=SECOND),
        ended("drsjob-1", launched("s-other"), ago=SECOND),
        ended("drsjob-1", Participant(A, "TERMINATED"), ago=SECOND, type="TERMINATE"),
    ],
    ids=["two minutes ago", "failed", "another server", "terminated"],
)
def test_other_jobs_that_have_ended_leave_nothing(job: Job) -> None:
    """What is not listed by now does not exist."""
    assert look(Shown(job), held=["not listed yet"]) == (FREE, [])


def test_the_end_of_a_job_is_compared_with_the_clock_of_aws() -> None:
    """DRS writes it by its own clock. The worker's clock is an hour ahead, or behind."""
    hour = dt.timedelta(hours=1)
    job = ended(OWN, launched(A), ago=hour + SECOND)
    assert look(Shown(job, clock_ahead=hour))[0].own == {A: job}
    later = ended(OWN, launched(A), ago=JUST_ENDED - hour + SECOND)
    assert look(Shown(later, clock_ahead=-hour))[0].own == {}


# --- others -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initiated_by", ["START_DRILL", "START_RECOVERY"])
def test_a_live_launch_of_others_holds_its_server(initiated_by: str) -> None:
    """As soon as it ends, DRS would accept a call, and terminate what the job has launched."""
    job = make_job("drsjob-1", A, initiated_by=initiated_by)
    assert look(Shown(job))[0] == BeforeCall(own={}, starting={A: job}, running={}, held={})


@pytest.mark.parametrize("initiated_by", ["DIAGNOSTIC", "TERMINATE_RECOVERY_INSTANCES"])
def test_a_live_job_that_launches_nothing_is_left_to_drs(initiated_by: str) -> None:
    """DRS refuses the call while such a job holds the server. Nothing is lost if it has just ended."""
    assert look(Shown(make_job("drsjob-1", A, initiated_by=initiated_by)))[0] == FREE


def test_a_drill_instance_of_others_holds_its_server_or_not() -> None:
    """That is for the caller to say, who gets its job and when it was launched."""
    one = ended("drsjob-1", launched(A), ago=dt.timedelta(hours=1))
    items = [
        instance(A, "drsjob-1"),
        instance(B, "drsjob-2", pointInTimeSnapshotDateTime="2026-03-01T05:00:00Z"),
    ]
    found, judged = look(Shown(one, instances=items), held=["i-drsjob-1"])
    assert found == BeforeCall(own={}, starting={}, running={}, held={A: "i-drsjob-1 holds it"})
    assert judged == [
        OtherDrill("i-drsjob-1", one, one.created),
        OtherDrill("i-drsjob-2", None, dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC)),
    ]


def test_a_drill_instance_of_which_nothing_is_known_has_no_age() -> None:
    """DRS has forgotten its job, and does not say how old its data are."""
    _, judged = look(Shown(instances=[instance(A, "drsjob-1")]))
    assert judged == [OtherDrill("i-drsjob-1", None, None)]


@pytest.mark.parametrize("is_drill", [True, False], ids=["a drill", "a recovery"])
@pytest.mark.parametrize("mark", [{"isDrill": False}, {}], ids=["no drill", "unmarked"])
def test_an_instance_that_is_not_a_drill_s_must_not_be_replaced(mark: Any, is_drill: bool) -> None:
    """Not even by a real recovery: it may carry production."""
    item = instance(A, "drsjob-1")
    del item["isDrill"]
    found, judged = look(Shown(instances=[{**item, **mark}]), is_drill=is_drill)
    assert list(found.running) == [A]
    assert "i-drsjob-1 is not a drill's instance" in found.running[A]
    assert judged == []


def test_a_real_recovery_does_not_wait_for_drills() -> None:
    """Neither for their jobs, which DRS refuses anyway, nor for their instances, which it replaces."""
    job = make_job("drsjob-1", A)
    found, judged = look(Shown(job, instances=[instance(B, "drsjob-2")]), is_drill=False, held=["i-drsjob-2"])
    assert (found, judged) == (FREE, [])


def test_a_real_recovery_knows_its_own_jobs_too() -> None:
    """A second launch would terminate the machine that has taken the server's place."""
    live = make_job(OWN, A, initiated_by="START_RECOVERY")
    done = ended(f"{OWN}-2", launched(B), ago=dt.timedelta(hours=1), initiated_by="START_RECOVERY")
    item = instance(B, f"{OWN}-2", isDrill=False)
    found, _ = look(Shown(live, done, instances=[item]), is_drill=False)
    assert (found.own, found.running) == ({A: live, B: done}, {})
