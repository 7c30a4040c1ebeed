"""What jobs and their logs show of each server, and which log events are new."""

from __future__ import annotations

import datetime as dt

import pytest

from drs.aws.jobs import (
    LOOKS_AT_THE_END,
    Job,
    JobWatch,
    LogEvent,
    Participant,
    judge,
    live_holders,
)
from drs.text.times import clock_time
from tests.unit.drill import NOW, after, make_event, make_job

A, B = ("s-" + "a" * 17, "s-" + "b" * 17)


@pytest.mark.parametrize("written", ["2022-12-07T19:15:38.846723+00:00", "2022-12-07T19:15:38.846723Z"])
def test_both_of_drs_ways_to_write_a_time_are_read(written: str) -> None:
    """DRS writes the times of a job in one way and those of a source server in the other."""
    moment = dt.datetime(2022, 12, 7, 19, 15, 38, 846723, tzinfo=dt.UTC)
    job = Job.from_api({"jobID": "drsjob-1", "creationDateTime": written, "endDateTime": written})
    assert (job.created, job.ended) == (moment, moment)
    assert LogEvent.from_api({"logDateTime": written, "event": "JOB_START"}).at == moment


def test_a_job_is_read_as_the_api_writes_it() -> None:
    """Every job has an id and a creation time; the rest may be missing. A participant without a source
    server is skipped.
    """
    job = Job.from_api(
        {
            "jobID": "drsjob-1",
            "type": "LAUNCH",
            "status": "STARTED",
            "initiatedBy": "START_DRILL",
            "creationDateTime": "2026-03-01T06:00:00Z",
            "participatingServers": [
                {"sourceServerID": A, "launchStatus": "LAUNCHED", "recoveryInstanceID": "i-1"},
                {"sourceServerID": B},
                {"recoveryInstanceID": "i-2"},
            ],
            "tags": {"a": "b"},
        }
    )
    expected = make_job("drsjob-1", Participant(A, "LAUNCHED", "i-1"), B, tags={"a": "b"})
    assert job == expected
    assert job.describe() == "drsjob-1 (LAUNCH by START_DRILL, STARTED, created 06:00:00 UTC)"


def test_an_event_tells_time_server_and_raw_error() -> None:
    """These make one line in the task's log. An event that DRS's model does not list is read like the
    others.
    """
    event = LogEvent.from_api(
        {
            "logDateTime": "2026-03-01T06:00:00Z",
            "event": "LAUNCH_END",
            "eventData": {"sourceServerID": A, "targetInstanceID": "i-1", "rawError": "no capacity"},
        }
    )
    assert event.describe() == f"06:00:00 UTC  {A}  LAUNCH_END  i-1  raw error: no capacity"
    assert make_event(3, "JOB_START").describe() == "06:00:03 UTC  (job)  JOB_START"


def test_a_time_is_told_in_utc() -> None:
    """The time is converted from any offset."""
    assert clock_time(NOW.astimezone(dt.timezone(dt.timedelta(hours=5)))) == "06:00:00 UTC"


@pytest.mark.parametrize(("status", "live"), [("PENDING", True), ("STARTED", True), ("COMPLETED", False)])
def test_only_a_live_job_holds_its_servers(status: str, live: bool) -> None:
    """A job holds its servers while it is PENDING or STARTED, and no longer once it is COMPLETED."""
    job = make_job("drsjob-1", A, B, status=status)
    assert live_holders([job], [A]) == ({A: job} if live else {})


def test_a_job_of_other_servers_holds_none_of_these() -> None:
    """A live job holds only its own servers."""
    assert live_holders([make_job("drsjob-1", B)], [A]) == {}


JUDGED: dict[str, tuple[Participant | None, list[LogEvent], bool, str | None, str | None]] = {
    "launched, with its instance": (Participant(A, "LAUNCHED", "i-1"), [], True, "i-1", None),
    "launched, its instance only in the job log": (
        Participant(A, "LAUNCHED"),
        [make_event(9, "LAUNCH_END", A, target_instance_id="i-2")],
        True,
        "i-2",
        None,
    ),
    "failed, with DRS's own error": (
        Participant(A, "FAILED"),
        [make_event(9, "LAUNCH_FAILED", A, raw_error="no capacity"), make_event(10, "SERVER_SKIPPED", A)],
        False,
        None,
        "no capacity",
    ),
    "failed, without an error": (
        Participant(A, "FAILED"),
        [make_event(9, "CONVERSION_START", A)],
        False,
        None,
        "launch status FAILED, without an error from DRS; its last event is CONVERSION_START",
    ),
    "never begun": (
        Participant(A, "PENDING"),
        [make_event(9, "JOB_END"), make_event(9, "LAUNCH_FAILED", B, raw_error="not mine")],
        False,
        None,
        "launch status PENDING, without an error from DRS; the job log has no event of this server",
    ),
    "launched, and no instance anywhere": (
        Participant(A, "LAUNCHED"),
        [],
        False,
        None,
        "DRS reports LAUNCHED, but the job, its log and DRS's list of instances name no instance; "
        "the job log has no event of this server",
    ),
    "not in the job": (
        None,
        [],
        False,
        None,
        "the job does not list this server; the job log has no event of this server",
    ),
}


@pytest.mark.parametrize("case", JUDGED)
def test_a_server_is_judged_by_its_own_status(case: str) -> None:
    """The job is COMPLETED in every case, which proves nothing about its servers."""
    participant, events, launched, instance, error = JUDGED[case]
    job = make_job("drsjob-1", *([participant] if participant else []), status="COMPLETED", ended=after(99))
    (outcome,) = judge(job, events, {}, [A])
    assert (outcome.launched, outcome.instance_id, outcome.error) == (launched, instance, error)


def test_the_instance_is_also_found_among_those_that_drs_lists() -> None:
    """It is found by job and server. An instance of another job belongs to another launch."""
    job = make_job("drsjob-1", Participant(A, "LAUNCHED"), Participant(B, "LAUNCHED"), status="COMPLETED")
    listed = {("drsjob-1", A): "i-1", ("drsjob-0", B): "i-0"}
    first, second = judge(job, [], listed, [A, B])
    assert (first.launched, first.instance_id) == (True, "i-1")
    assert (second.launched, second.instance_id) == (False, None)


def test_one_failed_server_does_not_fail_the_others_of_its_job() -> None:
    """Each server also has its own end: the time of its last event, or the job's end if it has no event."""
    job = make_job("drsjob-1", Participant(A, "LAUNCHED", "i-1"), Participant(B, "FAILED"), ended=after(99))
    first, second = judge(job, [make_event(40, "LAUNCH_END", A), make_event(99, "JOB_END")], {}, [A, B])
    assert (first.launched, first.finished_at) == (True, after(40))
    assert (second.launched, second.finished_at) == (False, after(99))


def test_a_launch_whose_end_the_log_does_not_show_yet_ended_with_its_job() -> None:
    """The log is read as it was a minute ago. Taken for the end, an earlier event would shorten the time in
    which DRS may list the new instance late. A launch that failed ended with its last event.
    """
    job = make_job("drsjob-1", Participant(A, "LAUNCHED", "i-1"), Participant(B, "FAILED"), ended=after(99))
    events = [make_event(20, "CONVERSION_END", A), make_event(30, "CONVERSION_FAIL", B)]
    first, second = judge(job, events, {}, [A, B])
    assert (first.launched, first.finished_at) == (True, after(99))
    assert (second.launched, second.finished_at) == (False, after(30))


def watch() -> JobWatch:
    return JobWatch(near=3, far=15)


def test_each_event_is_told_once() -> None:
    """The whole log is read at every look. Only the events that were not there before are new, oldest
    first.
    """
    first, second, third = (make_event(n, "SNAPSHOT_START", A) for n in (1, 2, 3))
    seen, job = watch(), make_job("drsjob-1", A)
    assert seen.new_events(job, [second, first]) == [first, second]
    assert seen.new_events(job, [first, second]) == []
    assert seen.new_events(job, [first, second, third]) == [third]


def test_an_event_that_is_listed_late_is_told_too() -> None:
    """DRS may list an earlier event after a later one. The late one is new, and the other is not shown
    twice.
    """
    early, late = make_event(1, "LAUNCH_START", A), make_event(2, "LAUNCH_START", B)
    seen, job = watch(), make_job("drsjob-1", A, B)
    assert seen.new_events(job, [late]) == [late]
    assert seen.new_events(job, [early, late]) == [early]


def test_jobs_have_their_news_apart() -> None:
    """The same event in the logs of two jobs is new in both."""
    event, seen = make_event(1, "JOB_START"), watch()
    assert seen.new_events(make_job("drsjob-1", A), [event]) == [event]
    assert seen.new_events(make_job("drsjob-2", B), [event]) == [event]


def test_a_long_silence_is_noted_once_in_a_while() -> None:
    """The minutes count from the last event, and the note comes again after the same span."""
    seen, job = watch(), make_job("drsjob-1", A)
    seen.new_events(job, [make_event(60, "CONVERSION_START", A)])
    assert seen.silence(job, after(659)) is None
    assert "no event for 10 min (last: CONVERSION_START at 06:01:00 UTC)" in str(
        seen.silence(job, after(660))
    )
    assert seen.silence(job, after(1259)) is None
    assert "no event for 20 min" in str(seen.silence(job, after(1260)))


def test_news_ends_the_silence() -> None:
    """After a new event the span starts again."""
    seen, job = watch(), make_job("drsjob-1", A)
    assert "none since the job was created" in str(seen.silence(job, after(600)))
    seen.new_events(job, [make_event(610, "CONVERSION_END", A)])
    assert seen.silence(job, after(1209)) is None
    assert "CONVERSION_END at 06:10:10" in str(seen.silence(job, after(1210)))


def test_an_ended_job_is_not_silent() -> None:
    """A job that has ended writes no more events, so that nothing is noted."""
    assert watch().silence(make_job("drsjob-1", A, status="COMPLETED"), after(9999)) is None


@pytest.mark.parametrize(
    ("status", "server", "event", "pause"),
    [
        ("PENDING", "PENDING", None, 3),
        ("STARTED", "PENDING", None, 15),
        ("STARTED", "PENDING", "CONVERSION_START", 15),
        ("STARTED", "PENDING", "LAUNCH_START", 3),
        ("STARTED", "IN_PROGRESS", None, 3),
        ("STARTED", "IN_PROGRESS", "LAUNCH_END", 1),
        ("STARTED", "LAUNCHED", None, 1),
        ("STARTED", "FAILED", None, 1),
        ("COMPLETED", "LAUNCHED", "LAUNCH_END", 15),
    ],
)
def test_it_looks_often_only_when_an_end_is_near(
    status: str, server: str, event: str | None, pause: float
) -> None:
    """The watch looks often at a job that is about to start or that launches a server, and most often once
    only the job's own end is missing; a conversion takes minutes.
    """
    seen, job = watch(), make_job("drsjob-1", Participant(A, server), status=status)
    if event:
        seen.new_events(job, [make_event(1, event, A)])
    assert seen.next_look([job]) == pause
    assert seen.next_look([job, make_job("drsjob-2", B)]) == pause


def test_a_job_whose_last_server_has_not_launched_is_not_at_its_end() -> None:
    """One server of two has."""
    seen, job = watch(), make_job("drsjob-1", A, B, status="STARTED")
    seen.new_events(job, [make_event(1, "LAUNCH_END", A)])
    assert seen.next_look([job]) == 3
    seen.new_events(job, [make_event(1, "LAUNCH_END", A), make_event(2, "LAUNCH_END", B)])
    assert seen.next_look([job]) == 1


def test_a_job_that_does_not_end_is_not_looked_at_most_often_for_ever() -> None:
    """It may hang there for an hour, and every look counts against the account's rate of calls."""
    seen, job = watch(), make_job("drsjob-1", Participant(A, "LAUNCHED"), status="STARTED")
    pauses = [seen.next_look([job]) for _ in range(LOOKS_AT_THE_END + 2)]
    assert pauses == [1] * LOOKS_AT_THE_END + [3, 3]


@pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS", "FAILED", "TERMINATED"])
def test_an_instance_alone_does_not_make_a_server_launched(status: str) -> None:
    """DRS may name the instance of a launch that failed."""
    job = make_job("drsjob-1", Participant(A, status, "i-1"), status="COMPLETED", ended=after(99))
    (outcome,) = judge(job, [make_event(9, "LAUNCH_FAILED", A, target_instance_id="i-1")], {}, [A])
    assert (outcome.launched, outcome.instance_id) == (False, "i-1")
    assert (outcome.job_id, outcome.server_id) == ("drsjob-1", A)


def test_an_old_event_that_is_listed_late_does_not_become_the_last_one() -> None:
    """The silence counts from the newest event."""
    seen, job = watch(), make_job("drsjob-1", A)
    seen.new_events(job, [make_event(300, "CONVERSION_START", A)])
    seen.new_events(job, [make_event(60, "SNAPSHOT_START", A)])
    assert seen.silence(job, after(899)) is None
    assert "CONVERSION_START" in str(seen.silence(job, after(900)))
