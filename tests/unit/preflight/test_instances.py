"""Recovery instances that a launch would terminate: a drill's may be replaced, a real one must not be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from drs.errors import Code
from drs.run.other_drills import Activity
from drs.run.ownership import job_tags
from tests.unit.drill import make_plan, make_run
from tests.unit.preflight.account import DATABASE, WEB, Account, Make, only, summary, two_waves

REAL = {"recovery_instance": {"is_drill": False, "age": "2h"}}
LEFTOVER = {"recovery_instance": {"is_drill": True, "age": "2h"}}


def test_a_drill_s_instance_from_before_is_a_warning(account: Make) -> None:
    """The server is launched, and the new launch replaces the instance."""
    look = account({WEB[0]: LEFTOVER})
    (instance,) = look.drs.recovery_instances
    report = look.look()
    finding = only(report)
    assert (finding.code, finding.severity) == (Code.LEFTOVER_DRILL_INSTANCE, "warning")
    assert f"{WEB[0]} (host-e1) has a drill's recovery instance {instance} of job drsjob-" in finding.seen
    assert "(running, data of " in finding.seen
    assert report.resolution is not None
    assert len(report.resolution.waves["web"].servers) == 2


@pytest.mark.parametrize("execution_type", ["DRILL", "RECOVERY"])
def test_a_real_recovery_instance_stops_the_run(account: Make, execution_type: str) -> None:
    """This holds for a RECOVERY, too: DRS would terminate the machine that has taken the server's place."""
    look = account({WEB[0]: REAL})
    (instance,) = look.drs.recovery_instances
    finding = only(look.look(execution_type=execution_type))
    assert (finding.code, finding.severity, finding.heals) == (Code.RECOVERY_INSTANCE_EXISTS, "error", False)
    assert (finding.wave, finding.server_id) == ("web", WEB[0])
    assert f"recovery instance {instance}" in finding.seen


@pytest.mark.parametrize("execution_type", ["DRILL", "RECOVERY"])
def test_an_optional_server_that_runs_in_recovery_is_never_launched(
    account: Make, execution_type: str
) -> None:
    """The finding only warns, so the server itself must leave the run."""
    report = account({WEB[0]: REAL}).look(two_waves(optional=["web"]), execution_type=execution_type)
    assert summary(report) == [(Code.RECOVERY_INSTANCE_EXISTS, WEB[0], "warning")]
    assert "left out of this run" in only(report).seen
    assert report.resolution is not None
    assert [server.server_id for server in report.resolution.waves["web"].servers] == [WEB[1]]


# --- drills of others -------------------------------------------------------------------------------------

HERE = "installation-1"
ACTIVE = "is active: its task approve_cleanup waits for a person's answer"


def drilled(look: Account, *servers: str, installation: str = "", plan: str = "billing", **run: Any) -> str:
    """Somebody drills these servers. Without an installation, it is a person at the console.

    :return: the id of the job
    """
    record = make_run(make_plan(name=plan), installation=installation, **{"run_id": "scheduled__2", **run})
    job_id = look.start(*servers, tags=job_tags(record, "web") if installation else None)
    look.finish_jobs()
    return job_id


def busy(*job_ids: str) -> Activity:
    """The runs of these jobs are active; those of all others have ended."""
    return lambda job: ACTIVE if job.job_id in job_ids else None


def age(look: Account, **span: float) -> None:
    look.clock.advance(dt.timedelta(**span).total_seconds())


def test_a_server_of_an_active_run_is_waited_for(account: Make) -> None:
    """The instance belongs to a run of this Airflow. The finding names plan, run, and what it waits for."""
    look = account()
    job = drilled(look, WEB[0], installation=HERE)
    (instance,) = look.drs.recovery_instances
    age(look, days=3)
    report = look.look(installation=HERE, activity=busy(job))
    finding = only(report)
    assert (finding.code, finding.severity, finding.heals) == (Code.SERVER_CONFLICT, "error", True)
    assert (finding.wave, finding.server_id) == ("web", WEB[0])
    assert finding.seen == (
        f"Server {WEB[0]} (host-e1) is held by another drill: drill instance {instance} belongs to run "
        f"scheduled__2 of plan billing, which {ACTIVE}."
    )
    assert "python -m drs stop PLAN" in finding.remedy


def test_a_leftover_of_a_run_that_has_ended_is_a_warning_that_names_it(account: Make) -> None:
    """However young it is. The launch replaces it."""
    look = account()
    job = drilled(look, WEB[0], installation=HERE)
    finding = only(look.look(installation=HERE, activity=busy()))
    assert (finding.code, finding.severity) == (Code.LEFTOVER_DRILL_INSTANCE, "warning")
    assert f"of job {job} (running" in finding.seen
    assert "of run scheduled__2 of plan billing. This launch replaces it." in finding.seen


@pytest.mark.parametrize("installation", ["installation-2", ""], ids=["another Airflow", "by hand"])
def test_a_drill_of_unknown_origin_holds_its_server_for_its_grace(account: Make, installation: str) -> None:
    """Twelve hours from its launch, unless the plan says otherwise. Then it is a leftover."""
    look = account()
    drilled(look, WEB[0], installation=installation)
    asks: dict[str, Any] = {"installation": HERE, "activity": busy()}
    held = only(look.look(**asks))
    assert (held.code, held.severity, held.heals) == (Code.SERVER_CONFLICT, "error", True)
    assert "12 h (launch.foreign_drill_grace)" in held.seen
    shorter = two_waves(launch={"foreign_drill_grace": "1m"})
    assert only(look.look(shorter, **asks)).code == Code.LEFTOVER_DRILL_INSTANCE
    age(look, hours=12)
    assert only(look.look(**asks)).code == Code.LEFTOVER_DRILL_INSTANCE


def test_a_wave_may_have_a_grace_of_its_own(account: Make) -> None:
    """That of the server's wave counts."""
    look = account()
    drilled(look, DATABASE[0], WEB[0])
    waves = [
        {"name": "database", "protection_groups": ["database"]},
        {"name": "web", "protection_groups": ["web"], "launch": {"foreign_drill_grace": "1m"}},
    ]
    report = look.look(two_waves(waves=waves), installation=HERE, activity=busy())
    assert summary(report) == [
        (Code.SERVER_CONFLICT, DATABASE[0], "error"),
        (Code.LEFTOVER_DRILL_INSTANCE, WEB[0], "warning"),
    ]


def test_a_drill_whose_job_is_older_than_a_day_is_known_by_its_job(account: Make) -> None:
    """The jobs of the last 24 hours do not have it, so it is asked for by its id."""
    look = account()
    job = drilled(look, WEB[0], installation=HERE)
    age(look, hours=30)
    finding = only(look.look(installation=HERE, activity=busy(job)))
    assert finding.code == Code.SERVER_CONFLICT
    assert "run scheduled__2 of plan billing" in finding.seen


def test_a_drill_whose_job_drs_has_forgotten_is_as_old_as_its_data(account: Make) -> None:
    """DRS removes old jobs. Nobody can be asked about its run, and it is long past its grace."""
    look = account()
    drilled(look, WEB[0])
    asks: dict[str, Any] = {"installation": HERE, "activity": busy()}
    look.drs.jobs.clear()
    assert only(look.look(**asks)).code == Code.SERVER_CONFLICT
    age(look, hours=13)
    assert only(look.look(**asks)).code == Code.LEFTOVER_DRILL_INSTANCE


def test_a_real_recovery_does_not_wait_for_drills(account: Make) -> None:
    """It replaces their instances, and says so."""
    look = account()
    job = drilled(look, WEB[0], installation=HERE)
    report = look.look(execution_type="RECOVERY", installation=HERE, activity=busy(job))
    assert summary(report) == [(Code.LEFTOVER_DRILL_INSTANCE, WEB[0], "warning")]


def test_an_optional_server_that_another_drill_holds_is_left_out(account: Make) -> None:
    """The run does not wait for it."""
    look = account()
    job = drilled(look, WEB[0], installation=HERE)
    report = look.look(two_waves(optional=["web"]), installation=HERE, activity=busy(job))
    assert summary(report) == [(Code.SERVER_CONFLICT, WEB[0], "warning")]
    assert report.resolution is not None
    assert [server.server_id for server in report.resolution.waves["web"].servers] == [WEB[1]]


def test_the_run_s_own_instances_hold_nothing(account: Make) -> None:
    """Preflight was cleared, or every record of the run is gone: its token is on its jobs."""
    look = account()
    run = make_run(two_waves(), installation=HERE)
    job = look.start(WEB[0], tags=job_tags(run, "web"))
    look.finish_jobs()
    asks: dict[str, Any] = {"installation": HERE, "activity": busy(job)}
    assert look.look(token=run.token, **asks).findings == ()
    assert look.look(own_jobs=frozenset({job}), **asks).findings == ()
    assert only(look.look(token="another", **asks)).code == Code.SERVER_CONFLICT


def test_the_run_s_own_instance_of_long_ago_holds_nothing(account: Make) -> None:
    """An approval took two days, somebody cleared the whole run, and its job is older than a day."""
    look = account()
    run = make_run(two_waves(), installation=HERE)
    job = look.start(WEB[0], tags=job_tags(run, "web"))
    look.finish_jobs()
    age(look, hours=48)
    assert look.look(token=run.token, installation=HERE, activity=busy(job)).findings == ()


def test_who_launched_an_instance_must_be_known(account: Make) -> None:
    """DRS does not say it at the moment: the run waits, because it may be a drill that is active."""
    look = account()
    drilled(look, WEB[0], installation=HERE)
    age(look, hours=30)
    throttled: Any = {
        "Error": {"Code": "ThrottlingException", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 429},
    }
    refusal = ClientError(throttled, "DescribeJobs")
    with mock.patch.object(look.clients.drs, "describe_jobs", side_effect=refusal):
        report = look.look(installation=HERE, activity=busy())
    assert (Code.CHECK_UNAVAILABLE, None, "error") in summary(report)
    assert report.heals


def test_where_airflow_cannot_be_asked_a_drill_is_only_told(account: Make) -> None:
    """As by ``drs doctor`` at a terminal. The finding says what it could not find out."""
    look = account()
    drilled(look, WEB[0], installation=HERE)
    finding = only(look.look(installation=HERE))
    assert (finding.code, finding.severity) == (Code.LEFTOVER_DRILL_INSTANCE, "warning")
    assert "Airflow was not asked whether its run is still active" in finding.seen


def test_instances_of_servers_that_the_run_does_not_launch_do_not_matter(account: Make) -> None:
    """One server is in another wave, the other one is excluded."""
    look = account({WEB[0]: REAL, DATABASE[0]: REAL})
    assert look.look(waves=("database",), exclude_servers=(DATABASE[0],)).findings == ()


def test_an_instance_that_drs_does_not_call_a_drill_s_counts_as_real(account: Make) -> None:
    """Without ``isDrill`` nobody knows: the launch could terminate a real recovery instance."""
    look = account({WEB[0]: LEFTOVER})
    listed = look.clients.drs.recovery_instances

    def unmarked(server_ids: Iterable[str]) -> list[dict[str, Any]]:
        return [{key: item[key] for key in item if key != "isDrill"} for item in listed(server_ids)]

    with mock.patch.object(look.clients.drs, "recovery_instances", unmarked):
        finding = only(look.look())
    assert (finding.code, finding.server_id) == (Code.RECOVERY_INSTANCE_EXISTS, WEB[0])
