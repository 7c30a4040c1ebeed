"""Whose drill instance holds its server, and for how long."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from drs.aws.jobs import Job
from drs.run.other_drills import OtherDrill, why_held
from drs.run.ownership import INSTALLATION_TAG, job_tags
from tests.unit.drill import NOW, after, make_job, make_plan, make_run

A = "s-" + "a" * 17
HERE, THERE = "installation-1", "installation-2"
GRACE = dt.timedelta(hours=12)
ACTIVE = "is active: its task approve_cleanup waits for a person's answer"


def launched_by(installation: str | None) -> Job:
    """The job of a drill of plan billing in this Airflow, in another one, or by hand."""
    if installation is None:
        return make_job("drsjob-1", A)
    run = make_run(make_plan(name="billing"), run_id="scheduled__2", installation=installation)
    return make_job("drsjob-1", A, tags=job_tags(run, "database"))


def held(job: Job | None, *, active: bool = False, age: float = 60, **fields: Any) -> str | None:
    """Why the instance of this job holds its server.

    :param active: the run of the job is active, if it is a run of this Airflow
    :param age: how many seconds ago it was launched
    """
    asked: list[Job] = []

    def activity(of: Job) -> str | None:
        asked.append(of)
        return ACTIVE if active else None

    drill = OtherDrill("i-1", job, **{"launched": NOW, **fields})
    why = why_held(drill, installation=HERE, grace=GRACE, now=after(age), activity=activity)
    assert asked == ([job] if job is not None and job.tags.get(INSTALLATION_TAG) == HERE else [])
    return why


@pytest.mark.parametrize("age", [60, 86400.0 * 30])
def test_an_instance_of_an_active_run_holds_its_server(age: float) -> None:
    """However old it is. The reason names instance, plan and run, and what the run waits for."""
    assert held(launched_by(HERE), active=True, age=age) == (
        f"drill instance i-1 belongs to run scheduled__2 of plan billing, which {ACTIVE}"
    )


@pytest.mark.parametrize("age", [60, 86400.0 * 30])
def test_an_instance_of_a_run_that_has_ended_may_be_replaced(age: float) -> None:
    """However young it is: it is a leftover."""
    assert held(launched_by(HERE), active=False, age=age) is None


@pytest.mark.parametrize("installation", [THERE, None], ids=["another Airflow", "by hand"])
def test_an_instance_of_unknown_origin_holds_its_server_for_a_while(installation: str | None) -> None:
    """This Airflow cannot know whether somebody still needs it. Nobody here is asked about its run."""
    job = launched_by(installation)
    why = held(job, active=True, age=GRACE.total_seconds() - 1)
    assert why is not None
    whose = "run scheduled__2 of plan billing of another Airflow" if installation else "an unknown origin"
    assert f"drill instance i-1 is of {whose}" in why
    assert "for 12 h (launch.foreign_drill_grace), until 2026-03-01 18:00 UTC" in why
    assert held(job, active=True, age=GRACE.total_seconds()) is None


def test_a_run_without_the_id_of_its_airflow_is_of_unknown_origin() -> None:
    """An older version wrote no id. An Airflow without an id of its own knows no run, either."""
    job = launched_by("")
    assert held(job, active=True) is not None
    drill = OtherDrill("i-1", job, NOW)
    assert not drill.is_of("")
    assert not drill.is_of(HERE)
    assert OtherDrill("i-1", launched_by(HERE), NOW).is_of(HERE)


def test_an_installation_s_tag_alone_does_not_make_a_job_a_run_s() -> None:
    """Somebody copied the tag; nobody can be asked about a run."""
    job = make_job("drsjob-1", A, tags={INSTALLATION_TAG: HERE})
    assert not OtherDrill("i-1", job, NOW).is_of(HERE)


def test_an_instance_whose_job_drs_forgot_is_as_old_as_it_is() -> None:
    """DRS removes old jobs. The age of the instance's data then counts."""
    assert held(None, age=GRACE.total_seconds()) is None
    assert "an unknown origin" in (held(None, age=60) or "")


def test_an_instance_of_unknown_age_holds_its_server() -> None:
    """Nothing shows that nobody needs it any more."""
    why = held(None, launched=None, age=GRACE.total_seconds() * 10)
    assert why is not None
    assert why.endswith("and DRS does not say how old it is")
